//! COPY and MOVE between two backends: what each is told, and what the client hears.

use crate::world::{Backend, World};

/// Three messages with UIDs 3, 4 and 9; 4 is gone when its text is asked for.
fn source(command: &str) -> String {
    let fetch = |uid: u32, flags: &str| {
        format!(
            "* {uid} FETCH (FLAGS ({flags}) INTERNALDATE \" 1-Nov-2026 10:00:0{uid} +0000\" UID {uid})\r\n"
        )
    };
    match command {
        "SELECT INBOX" => "* 3 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".into(),
        "FETCH 1:* (UID FLAGS INTERNALDATE)" | "UID FETCH 1:* (UID FLAGS INTERNALDATE)" => {
            let all = [
                fetch(3, "\\Seen \\Recent"),
                fetch(4, ""),
                "* 4 EXISTS\r\n".into(),
                fetch(9, "\\Flagged Work"),
            ];
            all.concat() + "$ OK done\r\n"
        }
        "UID FETCH 3 (BODY.PEEK[])" => "* 1 FETCH (UID 3 BODY[] {5}\r\nthree)\r\n$ OK done\r\n".into(),
        "UID FETCH 4 (BODY.PEEK[])" => "$ OK done\r\n".into(),
        "UID FETCH 9 (BODY.PEEK[])" => {
            "* 1 FETCH (BODY[] {6}\r\nt OK 9 UID 9)\r\n* 5 EXISTS\r\n$ OK done\r\n".into()
        }
        "UID EXPUNGE 3,9" => "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n$ OK done\r\n".into(),
        _ if command.starts_with("UID FETCH 99") => "$ OK done\r\n".into(),
        _ => "$ OK Completed\r\n".into(),
    }
}

fn target(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "APPEND" if command.contains("full") => "$ NO [OVERQUOTA] Over quota\r\n".into(),
        "APPEND" => "$ OK [APPENDUID 38505 100:101] done\r\n".into(),
        _ => "$ OK Completed\r\n".into(),
    }
}

/// A source that keeps what it has.
fn stubborn(command: &str) -> String {
    if command.starts_with("UID STORE") {
        "$ NO [NOPERM] Permission denied\r\n".into()
    } else {
        source(command)
    }
}

/// A source that cannot read one of its messages.
fn broken(command: &str) -> String {
    match command {
        "UID FETCH 3 (BODY.PEEK[])" => "$ NO [SERVERBUG] System I/O error\r\n".into(),
        _ => source(command),
    }
}

const PLACES: [(&str, usize); 3] = [("user.fred", 0), ("shared", 1), ("full", 1)];
const APPENDED: &str = "APPEND \"Shared Folders/shared\" (\\Seen) \" 1-Nov-2026 10:00:03 +0000\" {5+}\r\nthree \
                        (\\Flagged Work) \" 1-Nov-2026 10:00:09 +0000\" {6+}\r\nt OK 9";

#[tokio::test]
async fn a_copy_is_one_append_with_flags_and_dates_and_names_both_sets() {
    let (a, b) = (Backend::start(source).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    for form in ["COPY", "UID COPY"] {
        assert_eq!(
            client.ask(&format!("{form} 1:* \"Shared Folders/shared\"")).await,
            ["* 4 EXISTS", "* 5 EXISTS", "t OK [COPYUID 38505 3,9 100:101] Completed"]
        );
        assert_eq!(b.heard().last().unwrap(), APPENDED);
    }
    assert!(!a.has_heard("UID STORE"));
    assert_eq!(client.ask("UID COPY 99 \"Shared Folders/shared\"").await, ["t OK Completed"]);
    assert_eq!(client.ask("COPY 1 nowhere").await, ["t NO [TRYCREATE] Mailbox does not exist"]);
}

#[tokio::test]
async fn a_move_takes_the_originals_only_after_the_copies_are_safe() {
    let (a, b) = (Backend::start(source).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    assert_eq!(
        client.ask("MOVE 1:* \"Shared Folders/shared\"").await,
        [
            "* 4 EXISTS",
            "* 5 EXISTS",
            "* OK [COPYUID 38505 3,9 100:101] Moved",
            "* 1 EXPUNGE",
            "* 2 EXPUNGE",
            "t OK Completed"
        ]
    );
    assert!(a.has_heard("UID STORE 3,9 +FLAGS.SILENT (\\Deleted)") && a.has_heard("UID EXPUNGE 3,9"));
}

#[tokio::test]
async fn what_the_target_refuses_stays_where_it_is() {
    let (a, b) = (Backend::start(source).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let lines = client.ask("MOVE 1:* \"Shared Folders/full\"").await;
    assert_eq!(lines.last().unwrap(), "t NO [OVERQUOTA] Over quota");
    assert!(!a.has_heard("UID STORE") && !a.has_heard("UID EXPUNGE"));
    b.die();
    let lines = client.ask("MOVE 1:* \"Shared Folders/shared\"").await;
    assert_eq!(lines.last().unwrap(), "t NO [UNAVAILABLE] Server(s) unavailable to complete operation");
    assert!(!a.has_heard("UID STORE"));
    client.ok("NOOP").await;
}

#[tokio::test]
async fn a_move_that_the_source_refuses_takes_its_copies_back() {
    let (a, b) = (Backend::start(stubborn).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let lines = client.ask("MOVE 1:* \"Shared Folders/shared\"").await;
    assert_eq!(lines.last().unwrap(), "t NO [NOPERM] Permission denied");
    let heard = b.heard();
    let after: Vec<&str> =
        heard.iter().map(String::as_str).skip_while(|line| !line.starts_with("APPEND")).collect();
    assert_eq!(
        after,
        [
            APPENDED,
            "SELECT \"Shared Folders/shared\"",
            "UID STORE 100:101 +FLAGS.SILENT (\\Deleted)",
            "UID EXPUNGE 100:101",
            "UNSELECT"
        ]
    );
}

#[tokio::test]
async fn a_copy_of_a_message_that_cannot_be_read_fails_and_leaves_nothing_of_the_others_to_what_follows() {
    let (a, b) = (Backend::start(broken).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let told = client.ask("COPY 1:* \"Shared Folders/shared\"").await;
    assert_eq!(told, ["* 4 EXISTS", "* 5 EXISTS", "t NO inter-server COPY failed"]);
    assert_eq!(client.ask("NOOP").await, ["t OK Completed"]);
    assert_eq!(client.ask("CHECK").await, ["t OK Completed"]);
}
