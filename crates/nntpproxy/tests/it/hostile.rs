//! Clients that do not keep to the rules, and operators who end their sessions.

use crate::world::{World, article};

#[tokio::test]
async fn whatever_a_client_sends_is_answered_in_the_protocols_words() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    for (line, code) in [
        ("NONSENSE", 500),
        ("", 500),
        ("GROUP", 501),
        ("GROUP comp.test x", 501),
        ("GROUP comp.test\rDATE", 501),
        ("GROUP comp.\0test", 501),
        ("GROUP *", 501),
        ("STAT <a@b", 501),
        ("STAT 99999999999999", 501),
        ("STAT 1", 412),
        ("LISTGROUP comp.test 1-2-3", 501),
        ("OVER <a b>", 501),
        ("NEWNEWS * yesterday now", 501),
        ("LIST ACTIVE a[", 501),
        ("IHAVE no-id", 501),
        ("XCLIENT ADDR=192.0.2.1", 501),
        ("AUTHINFO USER x", 502),
        ("STARTTLS", 580),
    ] {
        assert_eq!(reader.code(line).await, code, "{line:?}");
        assert_eq!(reader.code("DATE").await, 111, "{line:?}: one answer");
    }
    assert_eq!(reader.code(&format!("GROUP {}", "x".repeat(600))).await, 501);
    assert_eq!(world.be1.asked("DATE") + world.be1.asked("GROUP"), 0, "no backend hears of it");
}

#[tokio::test]
async fn a_line_without_end_and_too_many_wrong_commands_end_the_session() {
    let world = World::new().await;
    let mut reader = world.client().await;
    let mut last = String::new();
    for _ in 0..20 {
        last = reader.ask("NONSENSE").await;
    }
    assert!(last.starts_with("400 "), "{last}");
    assert_eq!(reader.line().await, "");
    let mut endless = world.client().await;
    let (mut read, mut write) = endless.0.into_inner().into_split();
    let sent = async {
        for _ in 0..1000 {
            if tokio::io::AsyncWriteExt::write_all(&mut write, &[b'x'; 4096]).await.is_err() {
                break;
            }
        }
    };
    let mut said = Vec::new();
    let _ = tokio::join!(sent, tokio::io::AsyncReadExt::read_to_end(&mut read, &mut said));
    endless = world.client().await;
    assert_eq!(endless.code("DATE").await, 111, "and others go on");
}

#[tokio::test]
async fn an_article_that_nobody_asked_for_is_read_to_its_end() {
    let world = World::new().await;
    let mut stranger = world.client().await;
    stranger.send(&format!("TAKETHIS <a@x>\r\n{}DATE\r\n", article("comp.test", "<a@x>"))).await;
    assert!(stranger.line().await.starts_with("480 "));
    assert!(stranger.line().await.starts_with("111 "));
}

#[tokio::test]
async fn sessions_are_counted_kicked_and_sent_away() {
    let world = World::with("maxlogins_per_user: 1\n").await;
    let mut first = world.reader("fred").await;
    let mut second = world.client().await;
    assert_eq!(second.code("AUTHINFO USER fred").await, 381);
    let answer = second.ask("AUTHINFO PASS secret").await;
    assert!(answer.starts_with("481 Too many open connections"), "{answer}");
    first.ask("GROUP comp.test").await;
    let shown = world.proxy.sessions().list();
    let fred = shown.iter().find(|one| one.user.as_deref() == Some("fred")).unwrap();
    assert_eq!((fred.protocol.as_str(), fred.mailbox.as_deref()), ("nntp", Some("comp.test")));
    assert!(fred.backends.contains_key("be1"));
    assert_eq!(world.proxy.sessions().kick("fred"), 1);
    assert!(first.line().await.starts_with("400 "));
    assert_eq!(first.line().await, "");
    let mut third = world.reader("alice").await;
    world.proxy.stop();
    assert_eq!(third.line().await, "400 Server is shutting down");
}

#[tokio::test]
async fn listeners_for_readers_or_feeders_alone_say_so() {
    for (flag, capability, refused, served) in [
        ("-r", "READER", "IHAVE <a@x>", "GROUP comp.test"),
        ("-f", "STREAMING", "GROUP comp.test", "CHECK <a@x>"),
    ] {
        let world = World::listening("", true, &[flag]).await;
        let mut client = world.reader("alice").await;
        let (_, capabilities) = client.fetch("CAPABILITIES").await;
        assert!(capabilities.iter().any(|line| line == capability), "{flag}: {capabilities:?}");
        assert_eq!(client.code(refused).await, 502, "{flag}");
        assert!([211, 238].contains(&client.code(served).await), "{flag}");
    }
}
