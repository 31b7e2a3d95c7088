//! NOTIFY across backends: what each of them says of its mailboxes reaches one client, and no other.

use protocol::name::MailboxName;

use super::world::{Backend, Client, World};

/// A backend that tells how a mailbox is, when it is asked with STATUS.
fn telling(command: &str, mailbox: &str) -> String {
    match command.split([' ', '\r']).next().unwrap_or_default() {
        "NOTIFY" if command.starts_with("NOTIFY SET STATUS") => {
            format!("* STATUS {mailbox} (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\r\n$ OK Completed\r\n")
        }
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

fn home(command: &str) -> String {
    telling(command, "INBOX")
}

fn away(command: &str) -> String {
    telling(command, "a")
}

const WORDS: &str = "NOTIFY XCLIENT XCLIENT=PARKED";

/// fred, with his INBOX on the first backend and a mailbox on the second.
async fn two() -> (Backend, Backend, World, Client) {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::with(away, WORDS).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let fred = world.fred().await;
    (be0, be1, world, fred)
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[tokio::test]
async fn a_client_hears_of_mailboxes_on_two_backends() {
    let (be0, be1, _world, mut fred) = two().await;
    let lines = fred.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))").await;
    assert_eq!(
        sorted(lines),
        [
            "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
            "* STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
            "t OK Completed"
        ]
    );
    let asked = "NOTIFY SET STATUS (PERSONAL (MessageNew MessageExpunge))";
    assert!(be0.has_heard(asked) && be1.has_heard(asked), "{:?}", be1.heard());
    // The session's own connection is to say nothing of it.
    assert!(be0.has_heard("NOTIFY NONE"), "{:?}", be0.heard());
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)");
    fred.send("i IDLE\r\n").await;
    assert_eq!(fred.line().await, "+ idling");
    be1.say("* METADATA a /shared/comment\r\n");
    assert_eq!(fred.line().await, "* METADATA a /shared/comment");
    fred.send("DONE\r\n").await;
    assert_eq!(fred.until("i").await, ["i OK Completed"]);
    fred.ok("NOTIFY NONE").await;
    assert_eq!(fred.ok("NOOP").await, ["t OK Completed"]);
}

#[tokio::test]
async fn the_selected_mailbox_is_asked_for_on_the_connection_that_has_it_open() {
    let (be0, be1, _world, mut fred) = two().await;
    fred.ok("SELECT INBOX").await;
    fred.ok("NOTIFY SET (selected-delayed (MessageNew (UID) MessageExpunge)) (personal (MessageNew MessageExpunge))").await;
    let own = "NOTIFY SET (SELECTED-DELAYED (MessageNew (UID) MessageExpunge))";
    assert!(be0.has_heard(own), "{:?}", be0.heard());
    // A connection that is opened later hears of it before anything else.
    fred.ok("SELECT a").await;
    let heard = be1.heard();
    let (told, selected) = (
        heard.iter().position(|line| line == own).expect("it is told"),
        heard.iter().position(|line| line == "SELECT a").expect("it is selected"),
    );
    assert!(told < selected, "{heard:?}");
}

#[tokio::test]
async fn a_backend_that_goes_and_comes_again_is_watched_again() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (mailboxes a (MessageNew MessageExpunge))").await;
    be1.say("* BYE restarting\r\n");
    // What has happened meanwhile is told by that.
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)");
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)");
}

#[tokio::test]
async fn a_backend_that_stays_away_ends_what_is_told_and_the_client_hears_of_it() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    be1.die();
    assert!(fred.line().await.starts_with("* OK [NOTIFICATIONOVERFLOW]"));
    assert_eq!(fred.ok("NOOP").await, ["t OK Completed"]);
    // Asked for anew, it is told what can be.
    let lines = fred.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))").await;
    assert_eq!(
        lines,
        [
            "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
            "* NO [UNAVAILABLE] be1 cannot be asked at the moment",
            "t OK Completed"
        ]
    );
}

#[tokio::test]
async fn a_client_that_asks_again_and_again_is_watched_on_the_same_connections() {
    let (be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    let before = (be0.logins(), be1.logins());
    for round in 0..20 {
        let events = if round % 2 == 0 { "" } else { " FlagChange" };
        let lines =
            fred.ok(&format!("NOTIFY SET STATUS (personal (MessageNew MessageExpunge{events}))")).await;
        assert_eq!(
            sorted(lines),
            [
                "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
                "* STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
                "t OK Completed"
            ]
        );
    }
    assert_eq!((be0.logins(), be1.logins()), before);
    // Of a mailbox on the other backend alone: nothing more is heard of the first one.
    fred.ok("NOTIFY SET (mailboxes a (MessageNew MessageExpunge))").await;
    be0.say("* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)");
    assert_eq!((be0.logins(), be1.logins()), before);
}

#[tokio::test]
async fn a_client_that_wants_nothing_and_something_in_turn_logs_in_once() {
    let (be0, be1, _world, mut fred) = two().await;
    let set = "NOTIFY SET (personal (MessageNew MessageExpunge))";
    fred.ok(set).await;
    let before = (be0.logins(), be1.logins());
    for round in 0..20 {
        be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
        assert_eq!(fred.line().await, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)");
        fred.ok("NOTIFY NONE").await;
        if round % 2 == 0 {
            fred.ok("NOTIFY NONE").await;
            fred.ok("NOTIFY SET (selected (MessageNew MessageExpunge))").await;
        }
        assert_eq!(fred.ok(set).await, ["t OK Completed"]);
    }
    assert_eq!((be0.logins(), be1.logins()), before);
    assert!(be1.has_heard("NOTIFY NONE"), "{:?}", be1.heard());
}

/// One that has just told of something when it is asked to tell of nothing.
fn telling_at_the_end(command: &str) -> String {
    match command.starts_with("NOTIFY NONE") {
        true => "* STATUS a (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7)\r\n$ OK Completed\r\n".to_owned(),
        false => away(command),
    }
}

#[tokio::test]
async fn what_was_on_its_way_to_a_client_that_wants_nothing_is_not_told_later() {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::with(telling_at_the_end, WORDS).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    let set = "NOTIFY SET (personal (MessageNew MessageExpunge))";
    for _ in 0..20 {
        assert_eq!(fred.ok(set).await, ["t OK Completed"]);
        be1.say("* STATUS a (MESSAGES 6 UIDNEXT 7 UIDVALIDITY 7)\r\n");
        assert_eq!(fred.line().await, "* STATUS a (MESSAGES 6 UIDNEXT 7 UIDVALIDITY 7)");
        assert_eq!(fred.ok("NOTIFY NONE").await, ["t OK Completed"]);
    }
    assert_eq!(be1.logins(), 1);
}

/// One that cannot tell of flags.
fn refusing(command: &str) -> String {
    match command.starts_with("NOTIFY SET") && command.contains("FlagChange") {
        true => "$ NO [CANNOT] Not of flags\r\n".to_owned(),
        false => away(command),
    }
}

#[tokio::test]
async fn what_was_asked_before_holds_where_a_backend_refuses_what_is_asked_now() {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::with(refusing, WORDS).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    let logins = be0.logins();
    let lines = fred.ask("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))").await;
    assert_eq!(lines.last().unwrap(), "t NO [CANNOT] Not of flags");
    // What was missed meanwhile is told.
    let lines = vec![fred.line().await, fred.line().await];
    assert_eq!(
        sorted(lines),
        [
            "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
            "* STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)",
        ]
    );
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)");
    assert_eq!(be0.logins(), logins);
}

#[tokio::test]
async fn a_backend_that_ends_what_it_tells_ends_all_of_it() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    be1.say("* OK [NOTIFICATIONOVERFLOW] Too much\r\n");
    assert!(fred.line().await.starts_with("* OK [NOTIFICATIONOVERFLOW]"));
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(fred.ok("NOOP").await, ["t OK Completed"]);
}

#[tokio::test]
async fn a_mailbox_that_comes_to_be_on_another_backend_is_told_of_and_watched() {
    let (be0, be1, be2) = (
        Backend::with(home, WORDS).await,
        Backend::with(away, WORDS).await,
        Backend::with(home, WORDS).await,
    );
    let world = World::new(&[&be0, &be1, &be2], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    fred.ok("NOTIFY SET (personal (MailboxName))").await;
    assert!(be2.heard().is_empty(), "nothing of his is there");
    world.place("user.fred.a.b", 2).await;
    let mut lines = Vec::new();
    while lines.len() < 2 {
        let line = fred.line().await;
        // The backend tells how its mailboxes are when it is watched from now on.
        lines.extend(Some(line).filter(|line| !line.starts_with("* STATUS")));
    }
    assert_eq!(lines, ["* LIST (\\HasNoChildren) \"/\" a/b", "* LIST (\\HasChildren) \"/\" a"]);
    assert!(be2.has_heard("NOTIFY SET STATUS (PERSONAL (MailboxName))"), "{:?}", be2.heard());
}

#[tokio::test]
async fn names_are_told_as_the_list_has_them() {
    let (_be0, be1, world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MailboxName))").await;
    world.place("user.fred.z", 1).await;
    world.place("user.fred.z.deep", 0).await;
    let gone = mailboxes::Change::delete(MailboxName::parse("user.fred.a").unwrap());
    world.list.commit(vec![gone]).await.unwrap();
    // Its child on another backend is nothing that the backend knows of.
    be1.say("* LIST (\\HasNoChildren) \"/\" z (\"OLDNAME\" (a))\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasChildren) \"/\" z (\"OLDNAME\" (a))");
    be1.say("* LIST (\\NonExistent) \"/\" \"Other Users/jane/s\"\r\n");
    assert_eq!(fred.ok("NOOP").await, ["t OK Completed"]);
}

#[tokio::test]
async fn a_backend_is_believed_that_is_ahead_of_the_list() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MailboxName))").await;
    be1.say("* LIST (\\HasNoChildren) \"/\" z (\"OLDNAME\" (a))\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasNoChildren) \"/\" z (\"OLDNAME\" (a))");
    be1.say("* LIST (\\NonExistent \\HasNoChildren) \"/\" a\r\n");
    assert_eq!(fred.line().await, "* LIST (\\NonExistent \\HasNoChildren) \"/\" a");
    // Of another's mailbox it is not: what stands in the list on another backend is there.
    be1.say("* LIST (\\NonExistent \\HasNoChildren) \"/\" INBOX\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasNoChildren) \"/\" INBOX");
}

#[tokio::test]
async fn a_mailbox_that_moves_has_those_below_it_while_the_list_does_not_have_them_yet() {
    let (_be0, be1, world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MailboxName))").await;
    world.place("user.fred.z", 1).await;
    be1.say("* LIST (\\HasChildren) \"/\" z (\"OLDNAME\" (a))\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasChildren) \"/\" z (\"OLDNAME\" (a))");
    be1.say("* LIST (\\HasNoChildren) \"/\" z\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasNoChildren) \"/\" z");
}

#[tokio::test]
async fn what_the_client_has_done_itself_is_not_told() {
    let (_be0, be1, world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MailboxName))").await;
    world.place("user.fred.a.q", 1).await;
    fred.ok("CREATE a/q").await;
    be1.say("* LIST (\\HasNoChildren) \"/\" a/q\r\n* LIST (\\HasChildren) \"/\" a\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasChildren) \"/\" a");
}

/// The home of somebody who is subscribed to his INBOX.
fn subscribed(command: &str) -> String {
    match command.starts_with("LSUB") {
        true => "* LSUB () \"/\" INBOX\r\n$ OK Completed\r\n".to_owned(),
        false => home(command),
    }
}

#[tokio::test]
async fn what_is_subscribed_to_is_watched_wherever_it_is_as_soon_as_it_is() {
    let (be0, be1) = (Backend::with(subscribed, WORDS).await, Backend::with(away, WORDS).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    fred.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge SubscriptionChange))").await;
    let asked = "NOTIFY SET (SUBSCRIBED (SubscriptionChange)) (MAILBOXES (INBOX) (MessageNew MessageExpunge SubscriptionChange))";
    assert!(be0.has_heard(asked), "{:?}", be0.heard());
    assert!(!be1.has_heard("NOTIFY"), "{:?}", be1.heard());
    be0.say("* LIST (\\Subscribed) \"/\" a\r\n");
    assert_eq!(fred.line().await, "* LIST (\\Subscribed \\HasNoChildren) \"/\" a");
    assert_eq!(fred.line().await, "* STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)");
    let asked = "NOTIFY SET STATUS (MAILBOXES (a) (MessageNew MessageExpunge))";
    assert!(be1.has_heard(asked), "{:?}", be1.heard());
    be0.say("* LIST () \"/\" a\r\n");
    assert_eq!(fred.line().await, "* LIST (\\HasNoChildren) \"/\" a");
}

#[tokio::test]
async fn what_enable_turns_on_holds_for_what_is_watched() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))").await;
    fred.ok("ENABLE CONDSTORE").await;
    // The backend is asked anew, and before that told of it.
    let told = async {
        while !be1.has_heard("ENABLE CONDSTORE") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect("it is told");
}

#[tokio::test]
async fn nobody_hears_what_was_watched_for_the_one_before_him() {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::with(away, WORDS).await);
    let places = [("user.fred", 0), ("user.cyrus", 0), ("user.cyrus.a", 1)];
    let world = World::new(&[&be0, &be1], &places, "").await;
    let mut client = world.login("cyrus").await;
    client.ok("NOTIFY SET (mailboxes user/cyrus/a (MessageNew MessageExpunge)) (selected (MessageNew MessageExpunge))").await;
    assert!(be1.has_heard("NOTIFY SET"));
    client.ok("UNAUTHENTICATE").await;
    client.ok("LOGIN fred pw").await;
    client.ok("SELECT INBOX").await;
    // The connection of the other user was told of NOTIFY; his is not.
    let heard = be0.heard();
    let last = heard.iter().rposition(|line| line.starts_with("AUTHENTICATE")).expect("fred is logged in");
    assert!(!heard[last..].iter().any(|line| line.starts_with("NOTIFY")), "{heard:?}");
    assert_eq!(client.ok("NOOP").await, ["t OK Completed"]);
}

#[tokio::test]
async fn nothing_of_a_watched_session_is_left_for_the_next_one() {
    let (be0, be1, world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    let before = (be0.logins(), be1.logins());
    fred.ok("LOGOUT").await;
    assert_eq!(fred.line().await, "(closed)");
    world.parked(0).await;
    let mut next = world.fred().await;
    next.ok("STATUS INBOX (MESSAGES)").await;
    next.ok("STATUS a (MESSAGES)").await;
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    assert_eq!(next.ok("NOOP").await, ["t OK Completed"]);
    assert_eq!((be0.logins(), be1.logins()), (before.0 + 1, before.1 + 1));
    for backend in [&be0, &be1] {
        assert!(!backend.heard().iter().any(|line| line.contains("PARKED")), "{:?}", backend.heard());
    }
}

#[tokio::test]
async fn a_session_that_is_kicked_where_it_only_watches_ends() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    be1.say("* BYE [XKICKED] Session ended by an administrator\r\n");
    assert_eq!(fred.line().await, "* BYE Session ended by an administrator");
}

#[tokio::test]
async fn where_one_backend_cannot_tell_nothing_is_promised() {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::start(away).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    // Nobody has been to the second one yet.
    let lines = fred.ask("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    assert_eq!(lines, ["t NO [CANNOT] The server of a mailbox cannot tell what happens to it"]);
    fred.ok("STATUS a (MESSAGES)").await;
    let lines = fred.ok("CAPABILITY").await;
    assert!(!lines[0].contains("NOTIFY"), "{lines:?}");
    assert_eq!(fred.ask("NOTIFY NONE").await, ["t BAD Unrecognized command"]);
}

#[tokio::test]
async fn a_client_hears_that_enable_has_ended_its_notify() {
    let (be0, be1) = (Backend::with(home, WORDS).await, Backend::with(away, WORDS).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.jane", 1)], "").await;
    let mut fred = world.fred().await;
    fred.ok("NOTIFY SET (subtree \"Other Users\" (MessageNew MessageExpunge))").await;
    assert!(be1.has_heard("NOTIFY SET (SUBTREE (\"Other Users\")"), "{:?}", be1.heard());
    world.place_many((0..10_000).map(|n| format!("user.jane.{n}")), 1).await;
    fred.send("t ENABLE CONDSTORE\r\n").await;
    assert_eq!(
        fred.line_whenever().await,
        "* OK [NOTIFICATIONOVERFLOW] More has happened than can be told: nothing more is told until the next NOTIFY"
    );
    assert_eq!(fred.until("t").await, ["* ENABLED CONDSTORE", "t OK Completed"]);
}

/// Lets everything else go on, so many times.
async fn steps(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_idle_client_hears_of_a_mailbox_on_another_backend_while_no_clock_moves() {
    let (_be0, be1, _world, mut fred) = two().await;
    fred.ok("SELECT INBOX").await;
    fred.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    fred.send("i IDLE\r\n").await;
    assert_eq!(fred.line().await, "+ idling");
    // A clock that is paused stands still for as long as a blocking task runs.
    tokio::time::pause();
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let blocking = tokio::task::spawn_blocking(move || wait.recv());
    let began = tokio::time::Instant::now();
    be1.say("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n");
    tokio::select! {
        line = fred.line() => assert_eq!(line, "* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)"),
        () = steps(1_000_000) => panic!("something on the way waits for a time"),
    }
    assert!(began.elapsed().is_zero());
    drop(stop);
    blocking.await.unwrap().unwrap_err();
}
