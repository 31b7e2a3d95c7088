//! What a hostile or broken client sends, what it gets, and that everything goes on.

use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_and_the_session_goes_on() {
    let node = Node::start().await;
    let parens = format!("x SEARCH {}", "(".repeat(10_000));
    let long = format!("x SELECT {}", "y".repeat(200_000));
    let metadata_parens = format!("x GETMETADATA {}", "(".repeat(10_000));
    let note_parens = format!("x FETCH 1 ANNOTATION {}", "(".repeat(10_000));
    let note_keys =
        format!("x SEARCH {}ALL", format!("ANNOTATION /{}b value x ", "a*".repeat(40)).repeat(500));
    let many_entries = format!("x GETMETADATA INBOX ({})", "/private/x ".repeat(10_000));
    let many_values = format!("x SETMETADATA INBOX ({})", "/private/x \"\" ".repeat(10_000));
    // Patterns that match late, against names that nearly fit.
    let stars =
        format!("x GETMETADATA INBOX ({})", format!("\"/private/{}b\" ", "a*".repeat(200)).repeat(100));
    let notify_parens = format!("x NOTIFY SET {}", "(".repeat(10_000));
    let notify_groups = format!("x NOTIFY SET{}", " (personal NONE)".repeat(10_000));
    let notify_events = format!("x NOTIFY SET (personal ({}))", "MailboxName ".repeat(10_000).trim_end());
    let names: Vec<String> = (0..9999).map(|n| format!("{n}/{}", "y/".repeat(30))).collect();
    let notify_names =
        format!("x NOTIFY SET STATUS (subtree ({}) (MessageNew MessageExpunge))", names.join(" "));
    let many_parts = format!("x APPEND INBOX CATENATE ({}URL u)", "URL u ".repeat(10_000));
    let many_urls = format!("x APPEND INBOX CATENATE ({}URL u)", "URL {1+}\r\nu ".repeat(1_000));
    let long_url = format!("x APPEND INBOX CATENATE (URL \"/{}\")", "%20".repeat(10_000));
    let table: &[(&[u8], &str)] = &[
        (b"x", "x BAD Null command"),
        (b"", "* BAD Invalid tag"),
        (b"\0\0\0", "* BAD Invalid tag"),
        (b"x SELECT \"a\0b\"", "x BAD Invalid quoted string in Select"),
        (b"x FOO", "x BAD Unrecognized command"),
        (b"x SYNCGET USER fred", "x BAD Unrecognized command"),
        (b"x SYNCAPPLY SUB {99999999}", "x BAD Command too long"),
        (
            b"x SYNCAPPLY MESSAGE (%{default 0123456789abcdef0123456789abcdef01234567 5}\r\na\nb\nc)",
            "x BAD Unrecognized command",
        ),
        (b"x FETCH 1 FLAGS", "x BAD Please select a mailbox first"),
        (b"x SELECT {99999999}", "x BAD Literal too large"),
        (b"x APPEND INBOX {3}bad", "x BAD Invalid message literal in Append"),
        (b"x REPLACE 1 INBOX {3}bad", "x BAD Invalid message literal in Replace"),
        (b"x UID REPLACE 99999999999 INBOX {3+}\r\nbad", "x BAD Invalid sequence in Uid Replace"),
        (b"x APPEND INBOX CATENATE (URL {99999999}", "x BAD Literal too large"),
        (b"x APPEND INBOX CATENATE (URL {5}x TEXT {3}", "x BAD …"),
        (many_parts.as_bytes(), "x BAD Too many parts in one message"),
        (many_urls.as_bytes(), "x BAD Too many literals"),
        (long_url.as_bytes(), "x BAD URL too long"),
        (parens.as_bytes(), "x BAD Please select a mailbox first"),
        (metadata_parens.as_bytes(), "x BAD …"),
        (many_entries.as_bytes(), "x BAD Invalid list, too long, in Getmetadata"),
        (many_values.as_bytes(), "x BAD Invalid list, too long, in Setmetadata"),
        (note_keys.as_bytes(), "x BAD Please select a mailbox first"),
        (b"x SEARCH ANNOTATION {99999999}", "x BAD Literal too large"),
        (b"x SORT (ANNOTATION /comment (value.priv)) UTF-8 ALL", "x BAD …"),
        (b"x SETMETADATA INBOX (/private/x {99999999}", "x BAD Literal too large"),
        (b"x GETMETADATA INBOX (MAXSIZE 99999999999999999999) /private/x", "x BAD …"),
        (stars.as_bytes(), "x OK Completed"),
        (note_parens.as_bytes(), "x BAD …"),
        (notify_parens.as_bytes(), "x BAD …"),
        (notify_groups.as_bytes(), "x BAD Invalid list, too long, in Notify"),
        (notify_events.as_bytes(), "x BAD Invalid list, too long, in Notify"),
        (notify_names.as_bytes(), "x OK Completed"),
        (b"x NOTIFY SET (mailboxes {99999999}", "x BAD Literal too large"),
        (long.as_bytes(), "x BAD Word too long in Select"),
    ];
    for (line, answer) in table {
        let mut fred = node.login("fred").await;
        fred.send(line).await;
        fred.send(b"\r\n").await;
        fred.expect(answer).await;
        fred.talk("C: y NOOP\nS: y OK Completed").await;
    }
    let mut fred = node.login("fred").await;
    fred.send(b"s SELECT INBOX\r\n").await;
    fred.until("s ").await;
    fred.send(format!("{parens}\r\n").as_bytes()).await;
    fred.expect("x BAD Invalid Search criteria…").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_line_feed_ends_a_command() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.send(b"a NOOP\nb NOOP\n").await;
    fred.talk("S: a OK Completed\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_ends_the_session_alone() {
    let node = Node::start().await;
    let mut other = node.login("fred").await;
    let mut client = node.connect().await;
    let line = vec![b'x'; 17 * 1024 * 1024];
    client.send(&line).await;
    client.talk("S: * BYE This is an IMAP server").await;
    other.talk("C: a NOOP\nS: a OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_commands_that_a_frontend_passes_on_are_the_frontends_to_count() {
    let node = Node::start().await;
    let mut proxy = node.connect().await;
    // authzid fred, authcid proxy
    proxy
        .talk("C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=\nS: l OK [CAPABILITY …] User logged in…")
        .await;
    for _ in 0..12 {
        proxy.talk("C: a FOO\nS: a BAD Unrecognized command").await;
    }
    proxy.talk("C: b NOOP\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wrong_commands_end_a_session() {
    let node = Node::start().await;
    let mut client = node.connect().await;
    for _ in 0..9 {
        client.talk("C: a FOO\nS: a BAD Please login first").await;
    }
    client.talk("C: a FOO\nS: a BAD Please login first\nS: * BYE This is an IMAP server\nS: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_before_or_after_it_came() {
    let node = Node::with("maxmessagesize: 1000\nliteralminus: no").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a APPEND INBOX {1001}\nS: a NO [TOOBIG] Message size exceeds fixed limit").await;
    let mut command = b"b APPEND INBOX {2000+}\r\n".to_vec();
    command.extend_from_slice(&[b'\n'; 2000]);
    command.extend_from_slice(b" {3+}\r\nabc\r\nc NOOP\r\n");
    fred.send(&command).await;
    fred.talk("S: b NO [TOOBIG] Message size exceeds fixed limit\nS: c OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_in_a_message_leaves_nothing() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.send(b"a APPEND INBOX {1000}\r\n").await;
    fred.talk("S: + go ahead").await;
    fred.send(b"Subject: half").await;
    drop(fred);
    let mut fred = node.login("fred").await;
    fred.talk("C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 0)\nS: a OK Completed").await;
}

/// Counts the events of this thread that say `client id`, and remembers the last one.
#[derive(Clone, Default)]
struct ClientIds(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for ClientIds {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!("{}={value:?} ", field.name()));
        });
        if line.contains("message=client id ") {
            self.0.lock().unwrap().push(line);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn what_a_client_calls_itself_is_logged_once_and_after_its_login() {
    let ids = ClientIds::default();
    let _logging = tracing::subscriber::set_default(ids.clone());
    let node = Node::start().await;
    let logged = || ids.0.lock().unwrap().clone();
    let mut client = node.connect().await;
    let value = "v".repeat(1000);
    let said = format!(r#"ID ("name" "{value}" "version" "{value}")"#);
    for n in 0..50 {
        client.talk(&format!("C: a{n} {said}\nS: * ID…\nS: a{n} OK Completed")).await;
    }
    assert_eq!(logged(), [""; 0], "anybody can say that");
    client.talk("C: b LOGIN fred secret\nS: b OK…").await;
    for n in 0..50 {
        client.talk(&format!("C: c{n} {said}\nS: * ID…\nS: c{n} OK Completed")).await;
    }
    assert_eq!(logged().len(), 1);
    assert!((500..600).contains(&logged()[0].len()), "{}", logged()[0].len());
}
