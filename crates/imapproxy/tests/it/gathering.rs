//! Commands that several backends must answer: asked at the same time, and missing where they are down.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::world::{Backend, DIES, World};

/// A backend that finds something in each mailbox that it is asked for.
fn searching(command: &str) -> String {
    match command.split([' ', '\r']).next().unwrap_or_default() {
        "ESEARCH" => {
            let names = command.split_once("((").or(command.split_once("(MAILBOXES ("));
            let names = names.and_then(|(_, rest)| rest.split_once("))")).map_or("", |(names, _)| names);
            let line = |name: &str| {
                format!("* ESEARCH (TAG \"$\" MAILBOX {name} UIDVALIDITY 7) UID COUNT 1\r\n* 9 EXISTS\r\n")
            };
            let lines: String = names.split(' ').map(line).collect();
            format!("* OK [INPROGRESS (\"$\" 1 2)] on it\r\n{lines}$ OK Completed\r\n")
        }
        "STATUS" => {
            let name = command.split(' ').nth(1).unwrap_or_default();
            format!("* STATUS {name} (MESSAGES 3)\r\n$ OK Completed\r\n")
        }
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

const PLACES: [(&str, usize); 4] =
    [("user.fred", 0), ("user.fred.a", 1), ("user.fred.b", 2), ("user.fred.b.c", 1)];

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    let end = lines.pop();
    lines.sort();
    lines.extend(end);
    lines
}

#[tokio::test]
async fn each_backend_searches_in_its_own_mailboxes() {
    let backends = [0; 3].map(|_| Backend::start(searching));
    let [be0, be1, be2] = backends;
    let (be0, be1, be2) = (be0.await, be1.await, be2.await);
    let world = World::new(&[&be0, &be1, &be2], &PLACES, "").await;
    let mut fred = world.fred().await;
    let lines = fred.ok("ESEARCH IN (personal) RETURN (COUNT) CHARSET UTF-8 SUBJECT {1+}\r\nx").await;
    assert_eq!(
        sorted(lines),
        [
            "* ESEARCH (TAG \"t\" MAILBOX INBOX UIDVALIDITY 7) UID COUNT 1",
            "* ESEARCH (TAG \"t\" MAILBOX a UIDVALIDITY 7) UID COUNT 1",
            "* ESEARCH (TAG \"t\" MAILBOX b UIDVALIDITY 7) UID COUNT 1",
            "* ESEARCH (TAG \"t\" MAILBOX b/c UIDVALIDITY 7) UID COUNT 1",
            "* OK [INPROGRESS (\"t\" 1 2)] on it",
            "* OK [INPROGRESS (\"t\" 1 2)] on it",
            "* OK [INPROGRESS (\"t\" 1 2)] on it",
            "t OK Completed"
        ]
    );
    let rest = "RETURN (COUNT) CHARSET UTF-8 SUBJECT {1+}\r\nx";
    assert!(be1.has_heard(&format!("ESEARCH IN (MAILBOXES (a b/c)) {rest}")), "{:?}", be1.heard());
    assert!(be0.has_heard(&format!("ESEARCH IN (MAILBOXES (INBOX)) {rest}")));
    // Of one mailbox one backend hears, and the selected one tells its news.
    fred.ok("SELECT INBOX").await;
    let lines = fred.ok("ESEARCH IN (selected mailboxes b) RETURN (COUNT) ALL").await;
    assert!(lines.contains(&"* 9 EXISTS".to_owned()) && lines.len() == 6, "{lines:?}");
    assert_eq!(be1.heard().iter().filter(|command| command.starts_with("ESEARCH")).count(), 1);
    fred.ok("ESEARCH RETURN (COUNT) ALL").await;
    assert!(be0.has_heard("ESEARCH RETURN (COUNT) ALL"));
}

/// A backend that says something of another one's mailbox with each answer.
fn lying(command: &str) -> String {
    let lie = match command.split([' ', '\r']).next().unwrap_or_default() {
        "ESEARCH" => {
            "* ESEARCH (TAG \"$\" MAILBOX INBOX UIDVALIDITY 1) UID COUNT 666\r\n* ESEARCH (TAG \"$\") UID COUNT 666\r\n"
        }
        "STATUS" => "* STATUS INBOX (MESSAGES 666)\r\n",
        "GETMETADATA" => "* METADATA INBOX (/shared/comment \"a lie\")\r\n",
        "LIST" => "* LIST (\\Trash) \"/\" INBOX\r\n* LIST (\\Sent) \"/\" a\r\n",
        "NOTIFY" => {
            "* STATUS INBOX (MESSAGES 666)\r\n* METADATA INBOX /shared/lie\r\n* LIST (\\NoAccess) \"/\" INBOX\r\n"
        }
        _ => "",
    };
    // Its own part comes last.
    format!("{lie}{}", searching(command))
}

#[tokio::test]
async fn a_backend_is_not_believed_about_a_mailbox_of_another_one() {
    let words = "NOTIFY METADATA";
    let (be0, be1) = (Backend::with(searching, words).await, Backend::with(lying, words).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    for command in [
        "ESEARCH IN (personal) RETURN (COUNT) ALL",
        "LIST \"\" * RETURN (STATUS (MESSAGES))",
        "LIST \"\" * RETURN (SPECIAL-USE)",
        "GETMETADATA (INBOX a) /shared/comment",
        "NOTIFY SET STATUS (personal (MessageNew MessageExpunge MailboxName MailboxMetadataChange))",
        "NOOP",
    ] {
        let lines = fred.ok(command).await;
        let is_lie =
            |line: &&String| ["666", "lie", "Trash", "NoAccess"].iter().any(|lie| line.contains(lie));
        assert_eq!(lines.iter().find(is_lie), None, "{command}: {lines:?}");
        // What it says of its own is told.
        let told = match command.split(' ').next() {
            Some("ESEARCH") => "MAILBOX a ",
            Some("LIST") if command.contains("STATUS") => "* STATUS a ",
            Some("LIST") => "\\Sent",
            _ => "t OK",
        };
        assert!(lines.iter().any(|line| line.contains(told)), "{command}: {lines:?}");
    }
    be1.say("* STATUS INBOX (MESSAGES 666)\r\n* STATUS a (MESSAGES 3)\r\n");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 3)");
}

#[tokio::test]
async fn a_search_without_a_mailbox_that_is_selected_is_refused() {
    let backend = Backend::start(searching).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    for command in ["ESEARCH ALL", "ESEARCH IN (selected personal) ALL"] {
        assert_eq!(fred.ask(command).await, ["t BAD Please select a mailbox first"], "{command}");
    }
    assert_eq!(fred.ask("ESEARCH IN (nonsense) ALL").await, ["t BAD Invalid search source in Esearch"]);
    assert_eq!(fred.ask("ESEARCH IN (mailboxes nowhere) ALL").await, ["t OK Completed"]);
}

#[tokio::test]
async fn a_backend_that_is_down_is_missing_and_the_client_hears_of_it() {
    let (be0, be1, be2) =
        (Backend::start(searching).await, Backend::start(searching).await, Backend::start(searching).await);
    let world = World::new(&[&be0, &be1, &be2], &PLACES, "").await;
    let mut fred = world.fred().await;
    fred.ok("ESEARCH IN (personal) RETURN (COUNT) ALL").await;
    be2.die();
    let lines = fred.ask("ESEARCH IN (personal) RETURN (COUNT) ALL").await;
    let found = lines.iter().filter(|line| line.starts_with("* ESEARCH")).count();
    assert_eq!(
        (found, lines.last().map(String::as_str)),
        (3, Some("t NO [UNAVAILABLE] Some mailboxes could not be searched"))
    );
    let lines = fred.ok("LIST \"\" * RETURN (STATUS (MESSAGES))").await;
    assert_eq!(
        lines,
        [
            "* NO [UNAVAILABLE] be2 cannot be asked at the moment",
            "* LIST (\\HasNoChildren) \"/\" INBOX",
            "* STATUS INBOX (MESSAGES 3)",
            "* LIST (\\HasNoChildren) \"/\" a",
            "* STATUS a (MESSAGES 3)",
            "* LIST (\\HasChildren) \"/\" b",
            "* LIST (\\HasNoChildren) \"/\" b/c",
            "* STATUS b/c (MESSAGES 3)",
            "t OK Completed"
        ]
    );
}

#[tokio::test]
async fn a_backend_that_says_nothing_is_missing_after_a_while() {
    let silent =
        |command: &str| if command.starts_with("ESEARCH") { String::new() } else { searching(command) };
    let (be0, be1, be2) =
        (Backend::start(searching).await, Backend::start(silent).await, Backend::start(searching).await);
    let world = World::new(&[&be0, &be1, &be2], &PLACES, "").await;
    let mut fred = world.fred().await;
    let lines = fred.ask("ESEARCH IN (personal) RETURN (COUNT) ALL").await;
    let found = lines.iter().filter(|line| line.starts_with("* ESEARCH")).count();
    assert_eq!(found, 2, "{lines:?}");
    assert!(lines.last().unwrap().starts_with("t NO [UNAVAILABLE]"));
    fred.ok("NOOP").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backends_are_asked_at_the_same_time() {
    // Each answers when all are asked.
    static ALL: Barrier = Barrier::new(2);
    let waiting = |command: &str| {
        if command.starts_with("STATUS") || command.starts_with("ESEARCH") {
            ALL.wait();
        }
        searching(command)
    };
    let (be0, be1) = (Backend::start(waiting).await, Backend::start(waiting).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    assert_eq!(fred.ok("ESEARCH IN (personal) RETURN (COUNT) ALL").await.len(), 5);
    assert_eq!(fred.ok("LIST \"\" * RETURN (STATUS (MESSAGES))").await.len(), 5);
}

#[tokio::test]
async fn what_a_backend_refuses_is_refused() {
    let refusing = |command: &str| match command.starts_with("ESEARCH") {
        true => "$ NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set\r\n".to_owned(),
        false => searching(command),
    };
    let backend = Backend::start(refusing).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    let lines = fred.ask("ESEARCH IN (personal) CHARSET x-none TEXT x").await;
    assert_eq!(lines, ["t NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set"]);
}

#[tokio::test]
async fn a_backend_that_dies_within_its_answer_leaves_no_half_of_a_response() {
    static CUT: AtomicUsize = AtomicUsize::new(0);
    let dying = |command: &str| {
        let mut answer = searching(command);
        if command.starts_with("ESEARCH") && CUT.load(Ordering::Relaxed) < answer.len() {
            answer.insert_str(CUT.load(Ordering::Relaxed), DIES);
        }
        answer
    };
    let (be0, be1) = (Backend::start(searching).await, Backend::start(dying).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let whole = searching("ESEARCH IN (MAILBOXES (a)) ALL").len();
    for cut in (0..=whole).rev() {
        CUT.store(cut, Ordering::Relaxed);
        let mut fred = world.fred().await;
        let mut lines = fred.ask("ESEARCH IN (personal) ALL").await;
        let end = lines.pop().unwrap_or_default();
        assert_eq!(end.starts_with("t OK"), cut == whole, "cut at {cut}: {end}");
        for line in lines {
            let found = line.starts_with("* ESEARCH (TAG \"t\" MAILBOX ")
                && line.ends_with(" UIDVALIDITY 7) UID COUNT 1");
            assert!(found || line == "* OK [INPROGRESS (\"t\" 1 2)] on it", "cut at {cut}: {line}");
        }
        fred.ok("NOOP").await;
    }
}

/// A backend that says something now and then, and never what it was asked for.
fn talking(command: &str) -> String {
    match command.starts_with("STATUS") {
        true => String::new(),
        false => searching(command),
    }
}

#[tokio::test]
async fn a_backend_that_talks_and_never_answers_is_missing_after_five_minutes() {
    let (be0, be1) = (Backend::start(searching).await, Backend::start(talking).await);
    let places = [("user.fred", 0), ("user.fred.a", 1)];
    let (_world, mut client) = World::piped(&[&be0, &be1], &places, 64 * 1024).await;
    let mut heard = String::new();
    client.write_all(b"a LOGIN fred pw\r\n").await.unwrap();
    while !heard.contains("a OK") {
        heard.push(client.read_u8().await.unwrap().into());
    }
    tokio::time::pause();
    let began = Instant::now();
    client.write_all(b"b LIST \"\" * RETURN (STATUS (MESSAGES))\r\n").await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_secs(5));
    while !heard.contains("b OK") {
        tokio::select! {
            biased;
            byte = client.read_u8() => heard.push(byte.unwrap().into()),
            _ = pace.tick() => if be1.has_heard("STATUS") { be1.say("* 9 EXISTS\r\n") },
        }
        assert!(began.elapsed() < Duration::from_secs(600), "{heard}");
    }
    assert!(heard.contains("* NO [UNAVAILABLE] be1 cannot be asked at the moment\r\n"), "{heard}");
    assert!(heard.contains("* STATUS INBOX (MESSAGES 3)\r\n") && heard.contains("\"/\" a\r\n"), "{heard}");
}
