//! A user who comes back goes on on the connection to his backend that his last session has left, and nobody else does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::imapd::Imapd;
use identity::passwords::PasswordDb;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry;
use tokio::net::TcpListener;

use crate::world::{Backend, Client, Script, World};

fn willing(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        "FETCH" => "* 1 FETCH (BODY[] {1000}\r\nand no more".to_owned(),
        "IDLE" => "+ idling\r\n".to_owned(),
        "DONE" => String::new(),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

/// One that has something of the session left, whatever the frontend thinks.
fn unwilling(command: &str) -> String {
    match command.contains("PARKED=yes") {
        true => "$ NO The session is not at rest\r\n".to_owned(),
        false => willing(command),
    }
}

/// Whether it is the first word of the second session, on the connection of the first.
fn is_taking(command: &str) -> bool {
    command.starts_with("XCLIENT") && command.contains("-2 SERVICE=") && !command.contains("PARKED")
}

const PLACES: [(&str, usize); 3] = [("user.fred", 0), ("user.jane", 0), ("user.cyrus", 0)];

async fn before(script: Script) -> (Backend, World) {
    let backend = Backend::of_ours(script).await;
    let world = World::new(&[&backend], &PLACES, "").await;
    (backend, world)
}

async fn log_out(mut client: Client) {
    client.ok("LOGOUT").await;
    assert_eq!(client.line().await, "(closed)");
}

/// Waits until no client is on.
async fn gone(daemon: &Context) {
    while daemon.clients() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A whole session, with the mailbox open to its end.
async fn session(world: &World, user: &str) {
    let mut client = world.login(user).await;
    client.ok("SELECT INBOX").await;
    log_out(client).await;
}

/// The commands without what differs from one run to the next.
fn told(backend: &Backend) -> Vec<String> {
    let short = |command: &String| match command.split_once(' ') {
        Some(("XCLIENT", words)) => {
            let parked = if words.contains("PARKED=yes") { " PARKED" } else { "" };
            let session = words.split("SESSION=").nth(1).and_then(|rest| rest.split(' ').next());
            format!("XCLIENT {}{parked}", session.and_then(|name| name.rsplit('-').next()).unwrap())
        }
        Some(("AUTHENTICATE", _)) => "AUTHENTICATE".to_owned(),
        _ => command.clone(),
    };
    backend.heard().iter().map(short).collect()
}

#[tokio::test]
async fn who_comes_back_goes_on_on_the_connection_that_the_last_session_left() {
    let (backend, world) = before(willing).await;
    session(&world, "fred").await;
    world.parked(1).await;
    session(&world, "fred").await;
    world.parked(1).await;
    let last = ["SELECT INBOX", "NOOP"];
    let first = ["AUTHENTICATE", "XCLIENT 1"].iter().chain(&last).chain(&["XCLIENT 1 PARKED"]);
    let second = ["XCLIENT 2"].iter().chain(&last).chain(&["XCLIENT 2 PARKED"]);
    assert_eq!(told(&backend), first.chain(second).copied().collect::<Vec<_>>());
    // Who only hangs up has ended as well, and two at the same time are two.
    let (mut one, mut two) = (world.fred().await, world.fred().await);
    one.ok("SELECT INBOX").await;
    two.ok("STATUS INBOX (MESSAGES)").await;
    assert_eq!((backend.logins(), world.node.parked.waiting()), (2, 0));
    drop((one, two));
    world.parked(2).await;
}

#[tokio::test]
async fn nobody_goes_on_on_another_users_connection() {
    let (backend, world) = before(willing).await;
    session(&world, "fred").await;
    world.parked(1).await;
    session(&world, "jane").await;
    world.parked(2).await;
    assert_eq!(backend.logins(), 2);
    session(&world, "cyrus").await;
    session(&world, "cyrus").await;
    world.parked(2).await;
    assert_eq!(backend.logins(), 4, "an admin leaves nothing and takes nothing");
}

#[tokio::test]
async fn a_session_that_leaves_something_behind_leaves_no_connection() {
    for (begin, end) in [
        ("ENABLE CONDSTORE", "LOGOUT"),
        ("STATUS INBOX (HIGHESTMODSEQ)", "LOGOUT"),
        ("SELECT INBOX (CONDSTORE)", "LOGOUT"),
        ("RLIST \"\" %", "LOGOUT"),
        // The client is gone in the middle of something.
        ("SELECT INBOX", "IDLE"),
        ("SELECT INBOX", "FETCH 1 (BODY[])"),
        ("SELECT INBOX", "APPEND INBOX {100+}\r\ncut off"),
    ] {
        let (backend, world) = before(willing).await;
        let mut client = world.fred().await;
        client.ok("STATUS INBOX (MESSAGES)").await;
        client.ok(begin).await;
        client.send(&format!("z {end}\r\n")).await;
        if !end.starts_with("APPEND") {
            client.line().await;
        }
        drop(client);
        // An answer that does not come to its end is waited for, whoever has asked.
        if !end.starts_with("FETCH") {
            gone(&world.context).await;
        }
        session(&world, "fred").await;
        world.parked(1).await;
        assert_eq!(backend.logins(), 2, "{begin}, {end}");
    }
}

#[tokio::test]
async fn a_backend_that_does_not_let_go_of_the_session_keeps_no_connection_for_the_next() {
    let (backend, world) = before(unwilling).await;
    session(&world, "fred").await;
    session(&world, "fred").await;
    assert_eq!((backend.logins(), world.node.parked.waiting()), (2, 0));
    // One that does not know of it is not asked.
    let backend = Backend::start(willing).await;
    let world = World::new(&[&backend], &PLACES, "").await;
    session(&world, "fred").await;
    session(&world, "fred").await;
    assert_eq!(backend.logins(), 2);
    assert!(!backend.has_heard("XCLIENT"));
}

#[tokio::test]
async fn a_parked_connection_on_which_the_backend_speaks_is_closed_and_no_client_sees_it() {
    for words in ["* BYE [XKICKED] Session ended by an administrator\r\n", "* 7 EXISTS\r\n"] {
        let (backend, world) = before(willing).await;
        session(&world, "fred").await;
        world.parked(1).await;
        backend.say(words);
        world.parked(0).await;
        session(&world, "fred").await;
        assert_eq!(backend.logins(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_ends_as_it_is_taken_is_replaced_and_no_client_sees_it() {
    static ENDED: [AtomicBool; 3] = [AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false)];
    fn end(command: &str, at: usize, with: &str) -> String {
        match is_taking(command) && !ENDED[at].swap(true, Ordering::Relaxed) {
            true => with.to_owned(),
            false => willing(command),
        }
    }
    let ends: [Script; 3] = [
        |command| end(command, 0, "* BYE [XKICKED] Session ended by an administrator\r\n"),
        |command| end(command, 1, "$ NO [AUTHORIZATIONFAILED] You may not\r\n"),
        // It does not answer.
        |command| end(command, 2, ""),
    ];
    for (at, script) in ends.into_iter().enumerate() {
        let (backend, world) = before(script).await;
        session(&world, "fred").await;
        world.parked(1).await;
        session(&world, "fred").await;
        assert_eq!(backend.logins(), 2);
        assert!(ENDED[at].load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn what_is_parked_goes_with_whatever_sends_its_user_away() {
    type Event = fn(&World);
    let events: [(&str, Event); 5] = [
        ("murder kick", |world| assert_eq!(world.context.sessions().kick("fred"), 0)),
        ("murder deny, murder passwd", |world| world.context.sessions().release("fred")),
        ("a reload", |world| world.node.parked.reload()),
        ("the daemon's end", |world| world.context.stop()),
        ("a minute", |_| tokio::time::pause()),
    ];
    for (name, event) in events {
        let (_backend, world) = before(willing).await;
        session(&world, "fred").await;
        world.parked(1).await;
        event(&world);
        if name == "a minute" {
            tokio::time::advance(Duration::from_secs(61)).await;
            tokio::time::resume();
        }
        world.parked(0).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_logged_in_before_a_reload_or_long_ago_is_not_kept() {
    for long in [true, false] {
        let (backend, world) = before(willing).await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        match long {
            true => {
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(301)).await;
                tokio::time::resume();
            }
            false => world.node.parked.reload(),
        }
        log_out(client).await;
        session(&world, "fred").await;
        world.parked(1).await;
        assert_eq!(backend.logins(), 2);
    }
}

#[tokio::test]
async fn four_connections_of_a_user_are_kept_and_the_oldest_goes_first() {
    let (backend, world) = before(willing).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        clients.push(client);
    }
    for client in clients {
        log_out(client).await;
    }
    world.parked(4).await;
    session(&world, "fred").await;
    world.parked(4).await;
    assert_eq!(backend.logins(), 6);
    assert!(told(&backend).contains(&"XCLIENT 7".to_owned()));
}

/// A real backend with a message in fred's INBOX.
async fn store(maxchild: i64) -> (Context, tempfile::TempDir, u16) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().display();
    let text = format!(
        "configdirectory: {base}\nservername: be0\npartition-default: {base}/spool\ndefaultpartition: default\n\
         admins: cyrus\nproxyservers: murder\npassword_db: {base}/passwords\nallowplaintext: yes\nfailedloginpause: 0\n\
         password_iterations: 10000\nunix_group_enable: no\n"
    );
    let conf = dir.path().join("imapd.conf");
    std::fs::write(&conf, text).unwrap();
    let imapd = Imapd::load(&conf, "backend").unwrap_or_else(|problems| panic!("{problems}"));
    let passwords = PasswordDb::new(dir.path().join("passwords"));
    for (user, password) in [("murder", "secret"), ("cyrus", "pw"), ("fred", "pw")] {
        passwords.set(user, password).unwrap();
    }
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let entry = Entry { name: "imap".into(), program: "imapd".into(), maxchild, ..Entry::default() };
    let context = Context::new("backend", imapd, vec![(entry, Socket::Tcp(socket))]).unwrap();
    tokio::spawn(backend::daemon::run(context.clone()));
    let mut admin = Client::connect(port).await;
    admin.line().await;
    admin.ok("LOGIN cyrus pw").await;
    admin.ok("CREATE user/fred").await;
    admin.ok("LOGOUT").await;
    gone(&context).await;
    let mut fred = Client::connect(port).await;
    fred.line().await;
    fred.ok("LOGIN fred pw").await;
    fred.ok("APPEND INBOX {7+}\r\na: b\r\n\r").await;
    fred.ok("LOGOUT").await;
    gone(&context).await;
    (context, dir, port)
}

/// The sessions at a backend: the client's name at the frontend, and whether the connection is parked.
fn origins(backend: &Context) -> Vec<(String, bool)> {
    let sessions = backend.sessions().list().into_iter().filter_map(|shown| shown.origin);
    sessions.map(|origin| (origin.session, origin.parked)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_real_backend_the_next_session_meets_nothing_of_the_last() {
    let (backend, _dir, port) = store(-1).await;
    let world = World::before(&[port], &[("user.fred", 0)], "proxy_authname: murder\n").await;
    let mut one = world.fred().await;
    one.ok("ID (\"name\" \"first\")").await;
    let lines = one.ok("SELECT INBOX").await;
    assert!(
        lines.contains(&"* 1 EXISTS".to_owned()) && lines.contains(&"* 1 RECENT".to_owned()),
        "{lines:?}"
    );
    one.ok("STORE 1 +FLAGS (\\Seen)").await;
    log_out(one).await;
    world.parked(1).await;
    let parked = origins(&backend);
    assert!(matches!(&parked[..], [(_, true)]), "{parked:?}");
    let mut two = world.fred().await;
    assert_eq!(two.ask("FETCH 1 FLAGS").await, ["t BAD Please select a mailbox first"]);
    let lines = two.ok("SELECT INBOX").await;
    assert!(
        lines.contains(&"* 1 EXISTS".to_owned()) && lines.contains(&"* 0 RECENT".to_owned()),
        "{lines:?}"
    );
    assert_eq!(two.ok("FETCH 1 FLAGS").await[0], "* 1 FETCH (FLAGS (\\Seen))");
    let taken = origins(&backend);
    assert!(matches!(&taken[..], [(session, false)] if *session != parked[0].0), "{taken:?}");
    // The next one's modification sequences are its own.
    two.ok("ENABLE CONDSTORE").await;
    log_out(two).await;
    let mut three = world.fred().await;
    three.ok("SELECT INBOX").await;
    assert_eq!(three.ok("STORE 1 +FLAGS (\\Flagged)").await[0], "* 1 FETCH (FLAGS (\\Flagged \\Seen))");
    log_out(three).await;
    world.parked(1).await;
    // Whom the backend denies does not come in by the connection either.
    let denial = identity::deny::Denial { services: "*".into(), message: "Away with you".into() };
    backend.denied().deny("fred", denial).unwrap();
    let mut four = world.fred().await;
    assert_eq!(
        four.ask("SELECT INBOX").await,
        ["t NO [UNAVAILABLE] Server(s) unavailable to complete operation"]
    );
    assert!(backend.denied().allow("fred").unwrap());
    four.ok("SELECT INBOX").await;
    log_out(four).await;
    world.parked(1).await;
    // Nor does it outlive its user's sessions there, or the settings.
    assert_eq!(backend.sessions().kick("fred"), 0);
    world.parked(0).await;
    session(&world, "fred").await;
    world.parked(1).await;
    backend.reload().unwrap();
    world.parked(0).await;
    backend.stop();
}

#[tokio::test]
async fn who_is_denied_at_the_frontend_loses_the_session_and_what_is_parked() {
    let (_backend, world) = before(willing).await;
    session(&world, "fred").await;
    session(&world, "jane").await;
    world.parked(2).await;
    let mut open = world.login("fred").await;
    let denial = identity::deny::Denial { services: "imap".into(), message: "Ask the desk".into() };
    world.context.denied().deny("fred", denial).unwrap();
    assert_eq!(open.line().await, "* BYE [ALERT] Ask the desk");
    assert_eq!(open.line().await, "(closed)");
    world.parked(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_connection_takes_no_clients_place_at_the_backend() {
    let (backend, _dir, port) = store(1).await;
    let world = World::before(&[port], &[("user.fred", 0)], "proxy_authname: murder\n").await;
    for _ in 0..2 {
        session(&world, "fred").await;
        world.parked(1).await;
        let mut direct = Client::connect(port).await;
        assert!(direct.line().await.starts_with("* OK [CAPABILITY"));
        world.parked(0).await;
        direct.ok("LOGIN fred pw").await;
        let mut refused = Client::connect(port).await;
        assert_eq!(refused.line().await, "* BYE Too many connections, try again later");
        log_out(direct).await;
        gone(&backend).await;
    }
    backend.stop();
}
