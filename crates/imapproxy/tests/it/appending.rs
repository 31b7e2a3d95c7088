//! APPEND of parts that lie elsewhere (CATENATE), and messages that take another's place (REPLACE), across two backends: what each is
//! told, and what the client hears.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::{Backend, DIES, World};

/// The backend of INBOX, with UIDs 3 and 9. Its parts are told as a literal, as a string, or not at all.
fn source(command: &str) -> String {
    match command {
        "SELECT INBOX" => "* 2 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".into(),
        "EXAMINE INBOX" => "* 2 EXISTS\r\n* OK [UIDVALIDITY 77] Ok\r\n$ OK [READ-ONLY] Completed\r\n".into(),
        "UID FETCH 3 (UID FLAGS INTERNALDATE)" | "FETCH 1 (UID FLAGS INTERNALDATE)" => {
            "* 2 EXISTS\r\n* 1 FETCH (FLAGS () INTERNALDATE \"x\" UID 3)\r\n$ OK done\r\n".into()
        }
        "UID FETCH 3 (BODY.PEEK[1]<2.4>)" => {
            "* 1 FETCH (UID 3 BODY[1]<2> {4}\r\nt OK)\r\n$ OK done\r\n".into()
        }
        "UID FETCH 9 (BODY.PEEK[HEADER])" => {
            "* 2 FETCH (BODY[HEADER] \"A: 1\" UID 9)\r\n$ OK done\r\n".into()
        }
        "UID FETCH 9 (BODY.PEEK[7])" => "* 2 FETCH (BODY[7] NIL UID 9)\r\n$ OK done\r\n".into(),
        "UID FETCH 3 (BODY.PEEK[])" => format!("* 1 FETCH (UID 3 BODY[] {{100}}\r\ncut{DIES}"),
        "XTAKE 3" => "* 1 EXPUNGE\r\n$ OK [XTAKEN 3 88] Completed\r\n".into(),
        "UID EXPUNGE 3" => "* 1 EXPUNGE\r\n$ OK done\r\n".into(),
        _ => "$ OK Completed\r\n".into(),
    }
}

fn target(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "APPEND" if command.contains("full") => "$ NO [OVERQUOTA] Over quota\r\n".into(),
        "APPEND" if command.contains("URL \"\"") => "$ NO [BADURL \"\"] Invalid URL\r\n".into(),
        "APPEND" if command.contains(" !") => "$ BAD Invalid message literal in Append\r\n".into(),
        "APPEND" => "$ OK [APPENDUID 38505 100] done\r\n".into(),
        _ => "$ OK Completed\r\n".into(),
    }
}

const PLACES: [(&str, usize); 4] = [("user.fred", 0), ("shared", 1), ("full", 1), ("user.fred.b", 0)];
const THERE: &str = "\"Shared Folders/shared\"";

async fn world(words: &'static str) -> (Backend, Backend, World) {
    let (a, b) = (Backend::with(source, words).await, Backend::with(target, "REPLACE CATENATE").await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    (a, b, world)
}

fn appends(backend: &Backend) -> Vec<String> {
    backend.heard().into_iter().filter(|command| command.starts_with("APPEND")).collect()
}

#[tokio::test]
async fn parts_that_lie_on_another_backend_are_fetched_there_and_sent_as_text() {
    let (a, b, world) = world("CATENATE").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    // Arguments as literals, which the client waits for or not, and a part of the target's own.
    client
        .send(&format!(
            "t APPEND {THERE} (\\Seen) CATENATE (URL \"/INBOX;UIDVALIDITY=77/;UID=3/;SECTION=1/;PARTIAL=2.4\" TEXT {{3+}}\r\nabc \
             URL {{22+}}\r\n;UID=9/;SECTION=HEADER URL \"/Shared%20Folders/shared/;UID=1\")\r\n"
        ))
        .await;
    let told = client.until("t").await;
    assert_eq!(told, ["t OK [APPENDUID 38505 100] done"]);
    assert_eq!(
        appends(&b),
        [format!(
            "APPEND {THERE} (\\Seen) CATENATE (TEXT {{4+}}\r\nt OK TEXT {{3+}}\r\nabc TEXT {{4+}}\r\nA: 1 \
             URL \"/Shared%20Folders/shared/;UID=1\")"
        )]
    );
    // On a connection of its own: what the session has open stays so.
    assert_eq!(a.heard().iter().filter(|command| *command == "EXAMINE INBOX").count(), 1);
    assert_eq!(a.logins(), 2);
    client.ok("NOOP").await;
}

#[tokio::test]
async fn a_url_of_the_frontend_is_the_backends_as_a_path() {
    let (_a, b, world) = world("CATENATE").await;
    let mut client = world.fred().await;
    client
        .ok(&format!("APPEND {THERE} CATENATE (URL \"imap://fred@fe.test/Shared%20Folders/shared/;UID=1\")"))
        .await;
    assert_eq!(appends(&b), [format!("APPEND {THERE} CATENATE (URL \"/Shared%20Folders/shared/;UID=1\")")]);
}

#[tokio::test]
async fn a_url_that_names_nothing_there_leaves_no_message() {
    let (_a, b, world) = world("CATENATE").await;
    let mut client = world.fred().await;
    for (url, shown) in [
        (
            "/INBOX/;UID=9/;SECTION=7",
            "t NO [BADURL \"/INBOX/;UID=9/;SECTION=7\"] The message has no such section",
        ),
        ("/INBOX/;UID=4", "t NO [BADURL \"/INBOX/;UID=4\"] No such message in mailbox"),
        (
            "/INBOX;UIDVALIDITY=78/;UID=3",
            "t NO [BADURL \"/INBOX;UIDVALIDITY=78/;UID=3\"] The UIDVALIDITY of the mailbox is another",
        ),
    ] {
        client.send(&format!("t APPEND {THERE} CATENATE (URL \"{url}\" TEXT {{3+}}\r\nabc)\r\n")).await;
        assert_eq!(client.until("t").await, [shown]);
    }
    assert!(appends(&b).iter().all(|command| command.ends_with("CATENATE (URL \"\" TEXT {3+}\r\nabc)")));
    client.ok("NOOP").await;
}

/// The backend of mailboxes that fred must not read: of one he may know, of the other not.
fn closed(command: &str) -> String {
    match command {
        "EXAMINE \"Other Users/jane/seen\"" => "$ NO [NOPERM] Permission denied\r\n".into(),
        "EXAMINE \"Other Users/jane/hidden\"" => "$ NO [NONEXISTENT] Mailbox does not exist\r\n".into(),
        "EXAMINE \"Other Users/jane/broken\"" => "$ NO [UNAVAILABLE] Try again\r\n".into(),
        _ => source(command),
    }
}

#[tokio::test]
async fn a_url_of_a_mailbox_that_the_user_must_not_know_of_fails_as_one_of_a_mailbox_that_is_not_there() {
    let (a, b) = (Backend::start(closed).await, Backend::with(target, "CATENATE").await);
    let places = [
        ("user.fred", 0),
        ("shared", 1),
        ("user.jane.seen", 0),
        ("user.jane.hidden", 0),
        ("user.jane.broken", 0),
    ];
    let world = World::new(&[&a, &b], &places, "").await;
    let mut client = world.fred().await;
    for (name, why) in [
        ("hidden", "t NO [BADURL \"$\"] Mailbox does not exist"),
        ("seen", "t NO [BADURL \"$\"] Permission denied"),
        ("broken", "t NO [UNAVAILABLE] Server(s) unavailable to complete operation"),
    ] {
        let url = format!("/Other%20Users/jane/{name}/;UID=3");
        client.send(&format!("t APPEND {THERE} CATENATE (URL \"{url}\" TEXT {{3+}}\r\nabc)\r\n")).await;
        assert_eq!(client.until("t").await, [why.replace('$', &url)]);
    }
}

#[tokio::test]
async fn a_server_that_dies_within_a_part_leaves_no_message_and_one_that_is_down_is_told_of() {
    let (a, b, world) = world("CATENATE").await;
    let mut client = world.fred().await;
    let down = "t NO [UNAVAILABLE] Server(s) unavailable to complete operation";
    client.send(&format!("t APPEND {THERE} CATENATE (URL \"/INBOX/;UID=3\" TEXT {{3+}}\r\nabc)\r\n")).await;
    assert_eq!(client.until("t").await, [down]);
    // It has not heard the command's end.
    assert_eq!(appends(&b), [""; 0]);
    a.die();
    client.send(&format!("t APPEND {THERE} CATENATE (URL \"/INBOX/;UID=9\" TEXT {{3+}}\r\nabc)\r\n")).await;
    assert_eq!(client.until("t").await, [down]);
    client.ok(&format!("STATUS {THERE} (MESSAGES)")).await;
}

/// A target that breaks off within its answer.
static CUT: AtomicUsize = AtomicUsize::new(0);
const ANSWER: &str = "$ OK [APPENDUID 38505 100] done\r\n";

fn cut(command: &str) -> String {
    match command.starts_with("APPEND") {
        true => ANSWER
            .get(..CUT.load(Ordering::Relaxed))
            .map_or(ANSWER.to_owned(), |said| format!("{said}{DIES}")),
        false => target(command),
    }
}

#[tokio::test]
async fn wherever_the_targets_answer_breaks_off_the_message_that_was_to_go_stays() {
    let a = Backend::with(source, "XTAKE").await;
    let mut done = 0;
    for at in (0..=ANSWER.len() + 1).step_by(3) {
        CUT.store(at, Ordering::Relaxed);
        let b = Backend::with(cut, "REPLACE CATENATE").await;
        let world = World::new(&[&a, &b], &PLACES, "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        let before = a.heard().len();
        client
            .send(&format!(
                "t UID REPLACE 3 {THERE} CATENATE (URL ;UID=9/;SECTION=HEADER TEXT {{3+}}\r\nabc)\r\n"
            ))
            .await;
        let end = client.until("t").await.pop().unwrap();
        let goes = a.heard().get(before..).unwrap().iter().any(|command| command.starts_with("XTAKE"));
        assert_eq!(end.starts_with("t OK"), goes, "cut at {at}: {end}");
        assert!(
            goes || end == "t NO [UNAVAILABLE] Server(s) unavailable to complete operation",
            "cut at {at}: {end}"
        );
        done += usize::from(goes);
        client.ok("NOOP").await;
    }
    assert!(done > 0);
}

#[tokio::test]
async fn a_message_goes_from_one_backend_when_the_other_has_what_takes_its_place() {
    for (words, removal) in
        [("XTAKE", &["XTAKE 3"][..]), ("", &["UID STORE 3 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 3"])]
    {
        for form in ["REPLACE 1", "UID REPLACE 3"] {
            let (a, b, world) = world(words).await;
            let mut client = world.fred().await;
            client.ok("SELECT INBOX").await;
            client.send(&format!("t {form} {{21}}\r\n")).await;
            assert_eq!(client.line().await, "+ go ahead");
            client.send("Shared Folders/shared (\\Draft) {3}\r\n").await;
            assert_eq!(client.line().await, "* 2 EXISTS");
            assert_eq!(client.line().await, "+ go ahead");
            client.send("abc\r\n").await;
            let told = client.until("t").await;
            assert_eq!(
                told,
                ["* OK [APPENDUID 38505 100] Replacement message ready", "* 1 EXPUNGE", "t OK Completed"]
            );
            assert_eq!(appends(&b), [format!("APPEND {THERE} (\\Draft) {{3+}}\r\nabc")]);
            let heard = a.heard();
            assert!(
                heard.ends_with(&removal.iter().map(|command| command.to_string()).collect::<Vec<_>>()),
                "{heard:?}"
            );
        }
    }
}

/// A source from which somebody else has taken the message meanwhile.
fn robbed(command: &str) -> String {
    match command {
        "XTAKE 3" => "* 1 EXPUNGE\r\n$ OK [XTAKEN  88] Completed\r\n".into(),
        _ => source(command),
    }
}

/// A source that keeps it.
fn stubborn(command: &str) -> String {
    match command {
        "XTAKE 3" => "$ NO [NOPERM] Permission denied\r\n".into(),
        _ => source(command),
    }
}

#[tokio::test]
async fn what_takes_the_place_of_a_message_that_does_not_go_is_taken_back() {
    for (script, answer) in [
        (robbed as fn(&str) -> String, "t NO [EXPUNGEISSUED] Some of the messages have been expunged"),
        (stubborn, "t NO [NOPERM] Permission denied"),
    ] {
        let (a, b) = (Backend::with(script, "XTAKE").await, Backend::with(target, "REPLACE").await);
        let world = World::new(&[&a, &b], &PLACES, "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        client.send(&format!("t UID REPLACE 3 {THERE} {{3+}}\r\nabc\r\n")).await;
        assert_eq!(client.until("t").await.last().unwrap(), answer);
        assert!(b.has_heard("UID STORE 100 +FLAGS.SILENT (\\Deleted)") && b.has_heard("UID EXPUNGE 100"));
    }
}

#[tokio::test]
async fn a_replacement_that_is_refused_changes_nothing_and_the_session_goes_on() {
    let (a, b, world) = world("XTAKE").await;
    let mut client = world.fred().await;
    let message = "{3+}\r\nabc";
    client.send(&format!("t REPLACE 1 {THERE} {message}\r\n")).await;
    assert_eq!(client.until("t").await, ["t BAD Please select a mailbox first"]);
    client.ok("SELECT INBOX").await;
    for (command, answer) in [
        (format!("REPLACE 1 \"Shared Folders/full\" {message}"), "t NO [OVERQUOTA] Over quota"),
        (format!("REPLACE 9 {THERE} {message}"), "t NO No matching messages"),
        (format!("UID REPLACE 4 {THERE} {message}"), "t NO No matching messages"),
        (format!("REPLACE 1 nowhere {message}"), "t NO [TRYCREATE] Mailbox does not exist"),
        (format!("REPLACE 1:2 {THERE} {message}"), "t BAD Missing required argument to Replace"),
        (format!("REPLACE 1 {THERE} {message} {message}"), "t BAD Unexpected extra arguments to Replace"),
        (format!("REPLACE 1 {THERE} (\\Nonsense) {message}"), "t BAD Invalid system flag in Replace"),
        (format!("REPLACE 1 {THERE}"), "t BAD Missing required argument to Replace"),
    ] {
        client.send(&format!("t {command}\r\n")).await;
        assert_eq!(client.until("t").await.last().unwrap(), answer, "{command}");
    }
    assert!(!a.has_heard("XTAKE") && !b.has_heard("UID STORE"));
    client.ok("EXAMINE INBOX").await;
    client.send(&format!("t REPLACE 1 {THERE} {message}\r\n")).await;
    assert_eq!(client.until("t").await.last().unwrap(), "t NO [READ-ONLY] Mailbox is read-only");
    client.ok("NOOP").await;
}

#[tokio::test]
async fn a_message_whose_place_is_on_its_own_backend_of_ours_is_that_backends_to_replace() {
    let (a, _b, world) = world("REPLACE XTAKE").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    for (form, mailbox) in [("UID REPLACE 3", "INBOX"), ("REPLACE *", "b")] {
        client.send(&format!("t {form} {mailbox} (\\Seen) {{3+}}\r\nabc\r\n")).await;
        assert_eq!(client.until("t").await, ["t OK Completed"]);
        assert_eq!(a.heard().last().unwrap(), &format!("{form} {mailbox} (\\Seen) {{3+}}\r\nabc"));
    }
}

#[tokio::test]
async fn with_literal_minus_a_later_message_that_is_large_is_not_sent_unasked_either() {
    let backend = Backend::start(target).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "literalminus: yes\n").await;
    let mut client = world.fred().await;
    let message = "x".repeat(4097);
    for begun in
        ["APPEND INBOX {5+}\r\nhello", "APPEND INBOX (\\Seen) {5+}\r\nhello (\\Seen)", "APPEND {5+}\r\nINBOX"]
    {
        client.send(&format!("t {begun} {{4097+}}\r\n{message} {{5+}}\r\nhello\r\n")).await;
        assert_eq!(
            client.until("t").await,
            ["t BAD [TOOBIG] Non-synchronizing literal too large"],
            "{begun}"
        );
        let told = appends(&backend).pop().unwrap();
        assert!(told.ends_with(" !") && !told.contains("xxx"), "{told}");
    }
    assert_eq!(client.ask("NOOP").await, ["t OK Completed"]);
    // One that the client waits for is asked for, and those of 4096 bytes need not be.
    client.send(&format!("t APPEND INBOX {{5+}}\r\nhello {{4096+}}\r\n{} {{4097}}\r\n", &message[1..])).await;
    assert!(client.line().await.starts_with("+ "));
    client.send(&format!("{message}\r\n")).await;
    assert_eq!(client.until("t").await, ["t OK [APPENDUID 38505 100] done"]);
}

/// Sources that are lost when the message is to go: before the command is understood, or after a part of its answer.
fn lost_at_once(command: &str) -> String {
    match command {
        "XTAKE 3" | "UID EXPUNGE 3" => DIES.into(),
        _ => source(command),
    }
}

fn lost_halfway(command: &str) -> String {
    match command {
        "XTAKE 3" | "UID EXPUNGE 3" => format!("* 1 EXP{DIES}"),
        _ => source(command),
    }
}

#[tokio::test]
async fn a_source_that_is_lost_when_the_message_is_to_go_leaves_both_and_the_client_is_told_so() {
    for (script, words) in
        [(lost_at_once as fn(&str) -> String, "XTAKE"), (lost_halfway, "XTAKE"), (lost_at_once, "")]
    {
        let (a, b) = (Backend::with(script, words).await, Backend::with(target, "REPLACE").await);
        let world = World::new(&[&a, &b], &PLACES, "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        client.send(&format!("t UID REPLACE 3 {THERE} {{3+}}\r\nabc\r\n")).await;
        let told = client.until("t").await;
        assert!(
            told.contains(&"* OK [APPENDUID 38505 100] Replacement message ready".to_owned()),
            "{told:?}"
        );
        assert_eq!(
            told.last().unwrap(),
            "t NO [UNAVAILABLE] The new messages are in their place, and the originals may still be in theirs: their server was lost"
        );
        assert_eq!(client.line().await, "* BYE Fatal error: Lost connection to selected backend");
        // The new one stays: of two copies one may go, of one none.
        assert!(!b.has_heard("UID STORE") && !b.has_heard("UID EXPUNGE"), "{:?}", b.heard());
    }
}

/// A target that is lost when the copy is to be taken back.
fn lost_in_taking_back(command: &str) -> String {
    match command.starts_with("UID STORE 100") {
        true => DIES.into(),
        false => target(command),
    }
}

#[tokio::test]
async fn a_target_that_is_lost_when_the_copy_is_to_be_taken_back_leaves_both_and_the_client_is_told_so() {
    for (script, news) in [(robbed as fn(&str) -> String, "* 1 EXPUNGE"), (stubborn, "* 2 EXISTS")] {
        let (a, b) =
            (Backend::with(script, "XTAKE").await, Backend::with(lost_in_taking_back, "REPLACE").await);
        let world = World::new(&[&a, &b], &PLACES, "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        client.send(&format!("t UID REPLACE 3 {THERE} {{3+}}\r\nabc\r\n")).await;
        let told = client.until("t").await;
        // What goes from the mailbox is heard all the same.
        assert!(told.contains(&news.to_owned()), "{told:?}");
        assert_eq!(
            told.last().unwrap(),
            "t NO [UNAVAILABLE] Copies of messages that were not moved may be in the other mailbox: its server was lost"
        );
        client.ok("NOOP").await;
    }
}
