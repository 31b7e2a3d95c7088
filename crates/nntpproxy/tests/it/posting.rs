//! Articles that come: to each backend that has one of their groups, once, and safely again.

use crate::world::{World, article};

/// How many copies of an article a backend has.
fn copies(backend: &crate::backend::Backend, id: &str) -> usize {
    backend.state().groups.values().flat_map(|all| all.values()).filter(|(known, _)| known == id).count()
}

#[tokio::test]
async fn an_article_for_groups_of_two_backends_goes_to_each_of_them_once() {
    let world = World::new().await;
    let mut alice = world.reader("alice").await;
    let answer = alice.post("POST", "comp.test,comp.empty, alt.test,no.such.group", "<new@x>").await;
    assert_eq!(answer, "240 <new@x> Article received ok");
    assert_eq!((world.be1.asked("IHAVE"), world.be2.asked("IHAVE")), (1, 1));
    assert_eq!((copies(&world.be1, "<new@x>"), copies(&world.be2, "<new@x>")), (2, 1), "in each group");
    let stored = world.be2.state().groups["alt.test"][&3].1.clone();
    assert!(stored.starts_with("Path: fe.example.org!alice\r\n"), "{stored}");
    assert!(stored.contains("\r\nDate: ") && stored.ends_with("\r\n\r\n..dot\r\nbody\r\n"), "{stored}");
    let answer = alice.post("POST", "comp.test", "").await;
    assert!(answer.starts_with("240 <") && answer.contains("@fe.example.org>"), "{answer}");
}

#[tokio::test]
async fn what_a_backend_says_to_an_article_is_told() {
    for (told, post, ihave) in [
        ("435 have it", 240, 235),
        ("436 later", 441, 436),
        ("437 never", 441, 437),
        ("480 log in", 441, 436),
        ("502 no", 441, 436),
        ("BREAK", 441, 436),
        ("HANG", 441, 436),
    ] {
        let world = World::new().await;
        world.be2.tell("IHAVE", told);
        let mut alice = world.reader("alice").await;
        let answer = alice.post("POST", "comp.test,alt.test", "<p@x>").await;
        assert!(answer.starts_with(&post.to_string()), "{told}: {answer}");
        let answer = alice.post("IHAVE <i@x>", "comp.test,alt.test", "<i@x>").await;
        assert!(answer.starts_with(&ihave.to_string()), "{told}: {answer}");
        assert_eq!(alice.code("GROUP comp.test").await, 211, "{told}: the session goes on");
    }
}

#[tokio::test]
async fn an_article_that_failed_on_one_backend_is_sent_again_and_stored_once() {
    let world = World::new().await;
    world.be2.tell("IHAVE", "436 later");
    let mut alice = world.reader("alice").await;
    assert!(alice.post("IHAVE <r@x>", "comp.test,alt.test", "<r@x>").await.starts_with("436"));
    world.be2.state().told.clear();
    assert_eq!(alice.code("CHECK <r@x>").await, 238, "one backend has it, and not the other");
    assert!(alice.post("IHAVE <r@x>", "comp.test,alt.test", "<r@x>").await.starts_with("235"));
    assert_eq!((copies(&world.be1, "<r@x>"), copies(&world.be2, "<r@x>")), (1, 1));
    assert_eq!(alice.code("CHECK <r@x>").await, 438);
    assert_eq!(alice.code("IHAVE <r@x>").await, 435);
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_made_anew_once() {
    for command in ["STAT", "IHAVE"] {
        let world = World::new().await;
        for backend in [&world.be1, &world.be2] {
            backend.tell(command, "BREAK ONCE");
        }
        let mut alice = world.reader("alice").await;
        let answer = alice.post("IHAVE <o@x>", "comp.test,alt.test", "<o@x>").await;
        assert!(answer.starts_with("235"), "{command}: {answer}");
        assert_eq!((copies(&world.be1, "<o@x>"), copies(&world.be2, "<o@x>")), (1, 1), "{command}");
    }
    let world = World::new().await;
    world.be1.tell("IHAVE", "BREAK");
    let mut alice = world.reader("alice").await;
    assert!(alice.post("POST", "comp.test", "<o@x>").await.starts_with("441"));
    assert_eq!(world.be1.asked("IHAVE"), 2, "and not again and again");
}

#[tokio::test]
async fn a_backend_that_falls_silent_over_an_article_is_waited_for_once() {
    let world = World::new().await;
    world.be1.state().hangs_with_articles = true;
    let mut alice = world.reader("alice").await;
    assert!(alice.post("POST", "comp.test", "<h@x>").await.starts_with("441"));
    assert!(alice.post("IHAVE <h@x>", "comp.test", "<h@x>").await.starts_with("436"));
    alice.send(&format!("TAKETHIS <h@x>\r\n{}", article("comp.test", "<h@x>"))).await;
    assert!(alice.line().await.starts_with("400 "), "there is no later for TAKETHIS");
    assert_eq!(alice.line().await, "", "and the connection ends");
}

#[tokio::test]
async fn a_stream_of_articles_is_answered_in_its_order() {
    let world = World::new().await;
    let mut alice = world.reader("alice").await;
    assert_eq!(alice.code("MODE STREAM").await, 203);
    let mut sent = String::new();
    for n in 0..3 {
        sent.push_str(&format!(
            "CHECK <s{n}@x>\r\nTAKETHIS <s{n}@x>\r\n{}",
            article("alt.test", &format!("<s{n}@x>"))
        ));
    }
    sent.push_str(&format!(
        "TAKETHIS <s0@x>\r\n{}TAKETHIS bad\r\n{}",
        article("alt.test", "<s0@x>"),
        article("alt.test", "<b@x>")
    ));
    alice.send(&sent).await;
    for n in 0..3 {
        assert!(alice.line().await.starts_with(&format!("238 <s{n}@x>")));
        assert!(alice.line().await.starts_with(&format!("239 <s{n}@x>")));
    }
    assert!(alice.line().await.starts_with("439 <s0@x>"), "it is there");
    assert!(alice.line().await.starts_with("439 bad"));
    assert_eq!(alice.code("CHECK <s1@x>").await, 438);
}

#[tokio::test]
async fn an_article_that_is_none_or_may_not_be_is_refused_and_read_to_its_end() {
    let world = World::new().await;
    let mut fred = world.reader("fred").await;
    for (article, why) in [
        (article("alt.read", "<a@x>"), "Permission denied"),
        (article("comp.test,alt.read", "<a@x>"), "Permission denied"),
        (article("no.such", "<a@x>"), "Mailbox does not exist"),
        (article("", "<a@x>"), "No newsgroups header in article"),
        ("Newsgroups: comp.test\r\n\r\nx\r\n.\r\n".to_owned(), "No From header in article"),
        ("no header at all\r\n.\r\n".to_owned(), "No newsgroups header in article"),
        (".\r\n".to_owned(), "No newsgroups header in article"),
        (format!("X: {}\r\n\r\n.\r\n", "x".repeat(70_000)), "Header of article is too long"),
        (
            article("comp.test", "<a@x>").replace("body", &"x\r\n".repeat(500_000)),
            "Article is larger than 1048576 bytes",
        ),
    ] {
        assert_eq!(fred.ask("POST").await, "340  Send article");
        fred.send(&article).await;
        let answer = fred.line().await;
        assert_eq!(answer, format!("441  Failed receiving article ({why})"));
        assert_eq!(fred.code("DATE").await, 111);
    }
    assert_eq!(world.be1.asked("IHAVE") + world.be2.asked("IHAVE"), 0);
}

#[tokio::test]
async fn a_large_article_passes_through_a_file() {
    let world = World::with("client_timeout: 20s\n").await;
    let mut alice = world.reader("alice").await;
    let body = "0123456789abcdef\r\n..\r\n".repeat(40_000);
    assert_eq!(alice.ask("IHAVE <large@x>").await, "335 Send article");
    alice.send(&article("alt.test,comp.test", "<large@x>").replace("body\r\n", &body)).await;
    assert_eq!(alice.line().await, "235 Article transferred ok");
    for backend in [&world.be1, &world.be2] {
        let state = backend.state();
        let mut all = state.groups.values().flat_map(|all| all.values());
        let (_, text) = all.rfind(|(id, _)| id == "<large@x>").unwrap();
        assert!(text.ends_with(&body));
    }
    let (_, lines) = alice.fetch("ARTICLE <large@x>").await;
    assert_eq!(lines.len(), 80_000 + 8, "and comes back in pieces");
}

#[tokio::test]
async fn a_cyrus_gets_one_article_on_a_connection() {
    let world = World::new().await;
    world.be1.state().implementation = "Cyrus NNTP 3.6.1";
    let mut alice = world.reader("alice").await;
    for id in ["<1@x>", "<2@x>"] {
        assert!(alice.post("POST", "comp.test", id).await.starts_with("240"));
    }
    assert_eq!(world.be1.asked("AUTHINFO"), 2, "with the second one it would hang");
    for id in ["<3@x>", "<4@x>"] {
        assert!(alice.post("POST", "alt.test", id).await.starts_with("240"));
    }
    assert_eq!(world.be2.asked("AUTHINFO"), 1);
}
