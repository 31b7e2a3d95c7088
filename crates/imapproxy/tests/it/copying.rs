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
            "* OK [COPYUID 38505 3,9 100:101] Completed",
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

/// A source of ours, from which somebody else has taken one of the messages meanwhile.
fn contested(command: &str) -> String {
    match command {
        "XTAKE 3,9" => "* VANISHED 3,9\r\n$ OK [XTAKEN 9 77] Completed\r\n".into(),
        _ => source(command),
    }
}

/// One from which somebody else has taken all.
fn robbed(command: &str) -> String {
    match command {
        "XTAKE 3,9" => "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n$ OK [XTAKEN  77] Completed\r\n".into(),
        _ => source(command),
    }
}

#[tokio::test]
async fn what_two_sessions_move_to_another_backend_arrives_once_and_each_hears_of_its_own() {
    let (a, b) = (Backend::with(contested, "QRESYNC XTAKE").await, Backend::with(target, "QRESYNC").await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.ok("STATUS \"Shared Folders/shared\" (MESSAGES)").await;
    client.ok("ENABLE QRESYNC").await;
    assert_eq!(
        client.ask("UID MOVE 1:* \"Shared Folders/shared\"").await,
        [
            "* 4 EXISTS",
            "* 5 EXISTS",
            "* OK [COPYUID 38505 9 101] Completed",
            "* VANISHED 3,9",
            "t OK [HIGHESTMODSEQ 77] Completed"
        ]
    );
    assert!(!a.has_heard("UID STORE") && !a.has_heard("UID EXPUNGE"));
    assert!(b.has_heard("UID STORE 100 +FLAGS.SILENT (\\Deleted)") && b.has_heard("UID EXPUNGE 100"));

    let (a, b) = (Backend::with(robbed, "XTAKE").await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let told = client.ask("MOVE 1:* \"Shared Folders/shared\"").await;
    let gone = "t NO [EXPUNGEISSUED] Some of the messages have been expunged";
    assert_eq!(told, ["* 4 EXISTS", "* 5 EXISTS", "* 1 EXPUNGE", "* 2 EXPUNGE", gone]);
    assert!(b.has_heard("UID EXPUNGE 100:101"));
}

/// A target that names other messages than those that it was sent: all there can be.
fn lying(command: &str) -> String {
    match command.starts_with("APPEND") {
        true => "$ OK [APPENDUID 38505 1:4294967295] Completed\r\n".into(),
        false => target(command),
    }
}

#[tokio::test]
async fn a_target_that_names_messages_which_it_was_not_sent_loses_none_of_them_and_fills_no_memory() {
    let (a, b) = (Backend::with(contested, "QRESYNC XTAKE").await, Backend::with(lying, "QRESYNC").await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let told = client.ok("UID MOVE 1:* \"Shared Folders/shared\"").await;
    assert!(!told.iter().any(|line| line.contains("COPYUID")), "{told:?}");
    assert!(!b.has_heard("UID STORE") && !b.has_heard("UID EXPUNGE"), "{:?}", b.heard());
    client.ok("NOOP").await;
}

/// A source that says something else without end before it tells of its messages.
fn talkative(command: &str) -> String {
    match command.starts_with("UID FETCH") || command.starts_with("LSUB") {
        true => format!("* OK {}\r\n", "x".repeat(60_000)).repeat(300) + &source(command),
        false => source(command),
    }
}

#[tokio::test]
async fn a_backend_that_says_more_than_is_held_is_left() {
    for command in ["UID COPY 1:* \"Shared Folders/shared\"", "LSUB \"\" *"] {
        let (a, b) = (Backend::start(talkative).await, Backend::start(target).await);
        let world = World::new(&[&a, &b], &PLACES, "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        let told = client.ask(command).await;
        assert!(told.last().unwrap().starts_with("* BYE") || told.last().unwrap() == "(closed)", "{command}");
        assert!(!b.has_heard("APPEND"));
        world.fred().await.ok("NOOP").await;
    }
}

/// One from which all go while they are being copied.
fn emptied(command: &str) -> String {
    match command.starts_with("UID FETCH") && command.ends_with("(BODY.PEEK[])") {
        true => "* 1 EXPUNGE\r\n$ OK done\r\n".into(),
        false => source(command),
    }
}

#[tokio::test]
async fn what_is_gone_before_it_is_copied_is_not_there_to_copy() {
    let (a, b) = (Backend::start(emptied).await, Backend::start(target).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let told = client.ask("UID MOVE 1:* \"Shared Folders/shared\"").await;
    assert_eq!(told, ["* 4 EXISTS", "* 1 EXPUNGE", "* 1 EXPUNGE", "* 1 EXPUNGE", "t OK Completed"]);
    let told = client.ask("MOVE 1:* \"Shared Folders/shared\"").await;
    assert_eq!(told.last().unwrap(), "t NO [EXPUNGEISSUED] Some of the messages have been expunged");
    assert!(!a.has_heard("UID STORE"));
}

/// A source that speaks as to a client that has turned on UIDONLY.
fn by_uid(command: &str) -> String {
    match command {
        "UID FETCH 1:* (UID FLAGS INTERNALDATE)" => {
            "* 3 UIDFETCH (FLAGS (\\Seen) INTERNALDATE \" 1-Nov-2026 10:00:03 +0000\" UID 3)\r\n* VANISHED 2\r\n\
             * 9 UIDFETCH (UID 9 FLAGS (\\Flagged Work) INTERNALDATE \" 1-Nov-2026 10:00:09 +0000\")\r\n$ OK done\r\n"
                .into()
        }
        "UID FETCH 3 (BODY.PEEK[])" => "* 3 UIDFETCH (BODY[] {5}\r\nthree)\r\n$ OK done\r\n".into(),
        "UID FETCH 9 (BODY.PEEK[])" => "* 9 UIDFETCH (BODY[] {6}\r\nt OK 9)\r\n$ OK done\r\n".into(),
        "XTAKE 3,9" => "* VANISHED 3,9\r\n$ OK [XTAKEN 3,9 77] Completed\r\n".into(),
        _ => source(command),
    }
}

#[tokio::test]
async fn messages_are_copied_between_backends_by_uid_alone_where_the_client_wants_no_numbers() {
    let (a, b) = (Backend::with(by_uid, "UIDONLY XTAKE").await, Backend::with(target, "UIDONLY").await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.ok("STATUS \"Shared Folders/shared\" (MESSAGES)").await;
    assert_eq!(client.ask("ENABLE UIDONLY").await, ["* ENABLED UIDONLY", "t OK Completed"]);
    for _ in 0..12 {
        let told = client.ask("COPY 1:* \"Shared Folders/shared\"").await;
        assert_eq!(told, ["t BAD [UIDREQUIRED] Message numbers are not allowed under UIDONLY"]);
    }
    assert_eq!(
        client.ask("UID COPY 1:* \"Shared Folders/shared\"").await,
        ["* VANISHED 2", "t OK [COPYUID 38505 3,9 100:101] Completed"]
    );
    assert_eq!(b.heard().last().unwrap(), APPENDED);
    assert_eq!(
        client.ask("UID MOVE 1:* \"Shared Folders/shared\"").await,
        ["* VANISHED 2", "* OK [COPYUID 38505 3,9 100:101] Completed", "* VANISHED 3,9", "t OK Completed"]
    );
    assert!(!b.has_heard("SELECT"));
}
