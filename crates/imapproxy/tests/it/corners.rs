//! What a frontend refuses by itself, and what it says then.

use super::world::{Backend, World};

fn plain(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        "APPEND" => "$ OK [APPENDUID 7 1] Completed\r\n".to_owned(),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

#[tokio::test]
async fn a_tree_that_lies_on_two_backends_is_not_renamed_in_part() {
    let (be0, be1) = (Backend::start(plain).await, Backend::start(plain).await);
    let places = [
        ("user.fred", 0),
        ("user.fred.a", 0),
        ("user.fred.a.b", 0),
        ("user.fred.a.b.c", 1),
        ("user.fred.d", 0),
    ];
    let world = World::new(&[&be0, &be1], &places, "").await;
    let mut fred = world.fred().await;
    for name in ["a", "a/b"] {
        assert_eq!(
            fred.ask(&format!("RENAME {name} z")).await,
            ["t NO This mailbox hierarchy does not exist on a single backend server."]
        );
    }
    assert!(!be0.has_heard("RENAME") && !be1.has_heard("RENAME"));
    // What is whole on one is that one's, and of an INBOX the messages alone go.
    for command in ["RENAME a/b/c c", "RENAME d e", "RENAME INBOX old"] {
        fred.ok(command).await;
    }
    assert!(
        be1.has_heard("RENAME a/b/c c") && be0.has_heard("RENAME d e") && be0.has_heard("RENAME INBOX old")
    );
}

#[tokio::test]
async fn a_backend_that_lacks_what_a_client_has_turned_on_is_not_asked_for_it() {
    let (be0, be1) = (Backend::with(plain, "UTF8=ACCEPT QRESYNC").await, Backend::start(plain).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let cannot = "t NO [CANNOT] The mailbox's server lacks what ENABLE has turned on";
    // Names would be taken for others: nothing goes there.
    let mut fred = world.fred().await;
    assert_eq!(fred.ask("ENABLE UTF8=ACCEPT").await, ["* ENABLED UTF8=ACCEPT", "t OK Completed"]);
    for command in ["SELECT a", "STATUS a (MESSAGES)", "CREATE a/b", "DELETE a"] {
        assert_eq!(fred.ask(command).await, [cannot], "{command}");
    }
    assert!(
        !["SELECT", "STATUS", "CREATE", "DELETE"].iter().any(|word| be1.has_heard(word)),
        "{:?}",
        be1.heard()
    );
    fred.ok("SELECT INBOX").await;
    // Known by now, it keeps the others from announcing the word.
    let lines = world.fred().await.ok("CAPABILITY").await;
    assert!(!lines[0].contains("UTF8=ACCEPT"), "{lines:?}");
}

#[tokio::test]
async fn a_mailbox_of_a_backend_without_qresync_is_not_opened_for_a_client_that_relies_on_it() {
    let (be0, be1) = (Backend::with(plain, "QRESYNC").await, Backend::start(plain).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.a", 1)], "").await;
    let mut fred = world.fred().await;
    assert_eq!(fred.ask("ENABLE QRESYNC").await, ["* ENABLED CONDSTORE QRESYNC", "t OK Completed"]);
    fred.ok("SELECT INBOX").await;
    let told = fred.ask("SELECT a").await;
    assert_eq!(told.last().unwrap(), "t NO [CANNOT] The mailbox's server lacks what ENABLE has turned on");
    assert!(!be1.has_heard("SELECT"));
    assert_eq!(fred.ask("FETCH 1 FLAGS").await, ["t BAD Please select a mailbox first"]);
    // Commands that do not rely on it go there.
    fred.ok("STATUS a (MESSAGES)").await;
}

#[tokio::test]
async fn a_bare_uid_is_told_what_it_lacks() {
    let be0 = Backend::start(plain).await;
    let world = World::new(&[&be0], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    for open in [false, true] {
        if open {
            fred.ok("SELECT INBOX").await;
        }
        assert_eq!(fred.ask("UID").await, ["t BAD Missing required argument to Uid"]);
        assert_eq!(fred.ask("UID NONSENSE 1").await, ["t BAD Unrecognized UID subcommand"]);
    }
}

#[tokio::test]
async fn a_client_is_told_to_create_what_it_may_create_and_nothing_else() {
    let (be0, be1) = (Backend::start(plain).await, Backend::start(plain).await);
    let places = [("user.fred", 0), ("user.jane", 1), ("shared", 1), ("user.cyrus", 0)];
    let world = World::new(&[&be0, &be1], &places, "").await;
    let mut fred = world.fred().await;
    fred.ok("SELECT INBOX").await;
    let (told, not) =
        ("t NO [TRYCREATE] Mailbox does not exist", "t NO [NONEXISTENT] Mailbox does not exist");
    for (mailbox, answer) in [
        ("new", told),
        ("new/deep/er", told),
        ("\"Other Users/jane/new\"", not),
        ("\"Other Users/nobody\"", not),
        ("\"Shared Folders/shared/new\"", not),
        ("\"Shared Folders/other\"", not),
        ("\"new%\"", not),
    ] {
        for command in ["COPY 1", "UID MOVE 1"] {
            assert_eq!(fred.ask(&format!("{command} {mailbox}")).await, [answer], "{command} {mailbox}");
        }
        fred.send(&format!("t APPEND {mailbox} {{3+}}\r\nabc\r\n")).await;
        assert_eq!(fred.until("t").await, [answer], "APPEND {mailbox}");
    }
    let mut admin = world.login("cyrus").await;
    for (mailbox, answer) in
        [("user/jane/new", told), ("user/nobody", told), ("user/nobody/new", not), ("other", told)]
    {
        admin.send(&format!("t APPEND {mailbox} {{3+}}\r\nabc\r\n")).await;
        assert_eq!(admin.until("t").await, [answer], "APPEND {mailbox}");
    }
}

#[tokio::test]
async fn who_may_subscribe_to_everything_may_so_through_a_frontend() {
    let be0 = Backend::start(plain).await;
    for (option, answer) in
        [("", "t NO [NONEXISTENT] Mailbox does not exist"), ("allowallsubscribe: yes\n", "t OK Completed")]
    {
        let world = World::new(&[&be0], &[("user.fred", 0)], option).await;
        let mut fred = world.fred().await;
        assert_eq!(fred.ask("SUBSCRIBE nowhere").await, [answer]);
        assert_eq!(be0.has_heard("SUBSCRIBE nowhere"), !option.is_empty());
        assert_eq!(fred.ask("SUBSCRIBE \"a//b\"").await.len(), 1);
        assert!(!be0.has_heard("SUBSCRIBE \"a//b"), "{:?}", be0.heard());
    }
}
