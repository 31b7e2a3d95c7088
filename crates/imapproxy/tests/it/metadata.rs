//! Annotations, quotas and LIST with what only backends know, on two backends of which one may be down.

use crate::world::{Backend, World};

const HOLD: &str = "* METADATA INBOX (\"/shared/comment\" \"of fred\")\r\n";

/// Fred's own.
fn home(command: &str) -> String {
    if command.contains("GETMETADATA \"\"") && command.contains("/private/token") {
        return "* METADATA \"\" (\"/private/token\" \"t\")\r\n$ OK done\r\n".into();
    }
    if command.starts_with("GETMETADATA") && command.contains("INBOX") {
        return format!("{HOLD}$ OK [METADATA LONGENTRIES 77] done\r\n");
    }
    if command.starts_with("GETMETADATA") && command.contains("Work") {
        return "* METADATA Work (\"/shared/comment\" NIL)\r\n$ OK done\r\n".into();
    }
    if command.starts_with("STATUS") {
        let name = command.split(' ').nth(1).unwrap();
        return format!("* STATUS {name} (MESSAGES 1)\r\n$ OK done\r\n");
    }
    match command {
        "GETQUOTA user/fred" => "* QUOTA user/fred (STORAGE 10 100)\r\n$ OK done\r\n".into(),
        "LIST (SPECIAL-USE) \"\" \"*\"" => {
            "* LIST (\\HasNoChildren \\Junk) \"/\" Work\r\n$ OK done\r\n".into()
        }
        _ => "$ OK Completed\r\n".into(),
    }
}

/// Another, which refuses to set anything.
fn far(command: &str) -> String {
    if command.starts_with("GETMETADATA") && command.contains("Away") {
        return "* METADATA Away (\"/shared/comment\" {5}\r\na\"b\\c)\r\n$ OK [METADATA LONGENTRIES 99] done\r\n".into();
    }
    if command.starts_with("STATUS") {
        return "* STATUS Away (MESSAGES 2)\r\n$ OK done\r\n".into();
    }
    if command.starts_with("SETMETADATA") || command.starts_with("SETQUOTA") {
        return "$ NO [OVERQUOTA] not here\r\n".into();
    }
    match command {
        "GETQUOTA user/fred" => "* QUOTA user/fred (STORAGE 7 100 MESSAGE 1 9)\r\n$ OK done\r\n".into(),
        "LIST (SPECIAL-USE) \"\" \"*\"" => {
            "* LIST (\\HasNoChildren \\Sent) \"/\" Away\r\n$ OK done\r\n".into()
        }
        _ => "$ OK Completed\r\n".into(),
    }
}

const PLACES: [(&str, usize); 3] = [("user.fred", 0), ("user.fred.Away", 1), ("user.fred.Work", 0)];

#[tokio::test]
async fn the_frontend_says_itself_which_server_a_mailbox_is_on() {
    let be = Backend::start(home).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    assert_eq!(
        fred.ok("GETMETADATA INBOX /shared/vendor/cmu/cyrus-imapd/server").await,
        ["* METADATA INBOX (\"/shared/vendor/cmu/cyrus-imapd/server\" \"be0\")", "t OK Completed"]
    );
    assert!(!be.has_heard("GETMETADATA"), "{:?}", be.heard());
    assert_eq!(
        fred.ok("GETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/server /shared/comment)").await,
        [
            "* METADATA INBOX (\"/shared/vendor/cmu/cyrus-imapd/server\" \"be0\" \"/shared/comment\" \"of fred\")",
            "t OK [METADATA LONGENTRIES 77] Completed"
        ]
    );
    assert!(be.has_heard("GETMETADATA INBOX (\"/shared/comment\")"), "{:?}", be.heard());
    // What it has nothing to add to goes through as it is.
    assert_eq!(
        fred.ok("GETMETADATA (MAXSIZE 5) INBOX /shared/comment").await[1],
        "t OK [METADATA LONGENTRIES 77] done"
    );
    assert!(be.has_heard("GETMETADATA (MAXSIZE 5) INBOX /shared/comment"));
    assert_eq!(
        fred.ask("GETMETADATA nowhere /shared/vendor/cmu/cyrus-imapd/server").await,
        ["t NO [NONEXISTENT] Mailbox does not exist"]
    );
    assert!(fred.ask("GETMETADATA INBOX comment").await[0].starts_with("t BAD Invalid metadata entry"));
}

#[tokio::test]
async fn a_pattern_is_answered_by_all_backends_in_the_order_of_the_list() {
    let (a, b) = (Backend::start(home).await, Backend::start(far).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut fred = world.fred().await;
    assert_eq!(
        fred.ok("GETMETADATA % (/shared/comment)").await,
        [
            "* METADATA INBOX (\"/shared/comment\" \"of fred\")",
            "* METADATA Away (\"/shared/comment\" \"a\\\"b\\\\c\")",
            "* METADATA Work (\"/shared/comment\" NIL)",
            "t OK [METADATA LONGENTRIES 99] Completed"
        ]
    );
    b.die();
    assert_eq!(
        fred.ok("GETMETADATA % (/shared/comment)").await,
        [
            "* NO [UNAVAILABLE] be1 cannot be asked at the moment",
            "* METADATA INBOX (\"/shared/comment\" \"of fred\")",
            "* METADATA Work (\"/shared/comment\" NIL)",
            "t OK [METADATA LONGENTRIES 77] Completed"
        ]
    );
    assert_eq!(
        fred.ask("GETMETADATA Away (/shared/vendor/cmu/cyrus-imapd/server /shared/comment)").await,
        ["t NO [UNAVAILABLE] Server(s) unavailable to complete operation"]
    );
}

#[tokio::test]
async fn list_has_status_and_annotations_of_each_mailbox_behind_its_line() {
    let (a, b) = (Backend::start(home).await, Backend::start(far).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut fred = world.fred().await;
    let list = "LIST \"\" * RETURN (MYRIGHTS STATUS (MESSAGES) METADATA (/shared/comment))";
    let expected = [
        "* LIST (\\HasNoChildren) \"/\" INBOX",
        "* STATUS INBOX (MESSAGES 1)",
        "* MYRIGHTS INBOX lrswipkxtecdan",
        "* METADATA INBOX (\"/shared/comment\" \"of fred\")",
        "* LIST (\\HasNoChildren \\Sent) \"/\" Away",
        "* STATUS Away (MESSAGES 2)",
        "* MYRIGHTS Away lrswipkxtecdan",
        "* METADATA Away (\"/shared/comment\" \"a\\\"b\\\\c\")",
        "* LIST (\\HasNoChildren \\Junk) \"/\" Work",
        "* STATUS Work (MESSAGES 1)",
        "* MYRIGHTS Work lrswipkxtecdan",
        "* METADATA Work (\"/shared/comment\" NIL)",
        "t OK [METADATA LONGENTRIES 99] Completed",
    ];
    assert_eq!(fred.ok(list).await, expected);
    b.die();
    let without = fred.ok(list).await;
    assert_eq!(without[0], "* NO [UNAVAILABLE] be1 cannot be asked at the moment");
    assert!(without.contains(&"* LIST (\\HasNoChildren) \"/\" Away".to_owned()), "{without:#?}");
    assert!(!without.iter().any(|line| line.contains("Away (")), "{without:#?}");
    assert!(without.contains(&"* METADATA Work (\"/shared/comment\" NIL)".to_owned()));
}

#[tokio::test]
async fn annotations_of_the_server_are_at_home_or_on_all_backends() {
    let (a, b) = (Backend::start(home).await, Backend::start(far).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut fred = world.fred().await;
    assert_eq!(
        fred.ok("GETMETADATA \"\" /private/token").await,
        ["* METADATA \"\" (\"/private/token\" \"t\")", "t OK Completed"]
    );
    fred.ok("SETMETADATA \"\" (/private/token \"new\")").await;
    assert!(a.has_heard("SETMETADATA \"\" (\"/private/token\" \"new\")"), "{:?}", a.heard());
    assert!(!b.has_heard("SETMETADATA"));
    assert_eq!(
        fred.ask("SETMETADATA \"\" (/shared/comment \"x\")").await,
        ["t NO [NOPERM] Permission denied"]
    );
    // One backend refuses: the other one has back what it had.
    let mut admin = world.client().await;
    admin.ok("LOGIN cyrus pw").await;
    assert_eq!(admin.ask("SETMETADATA \"\" (/shared/comment \"x\")").await, ["t NO [OVERQUOTA] not here"]);
    let set: Vec<String> =
        a.heard().into_iter().filter(|line| line.starts_with("SETMETADATA \"\" (\"/shared")).collect();
    assert_eq!(set.len(), 2, "{set:?}");
    b.die();
    assert_eq!(
        admin.ask("SETMETADATA \"\" (/shared/comment \"x\")").await,
        ["t NO [UNAVAILABLE] Server(s) unavailable to complete operation"]
    );
}

#[tokio::test]
async fn the_operators_notices_are_the_frontends_own() {
    let be = Backend::start(home).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut admin = world.client().await;
    admin.ok("LOGIN cyrus pw").await;
    admin.ok("SETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/shutdown \"Back at noon\")").await;
    assert!(!be.has_heard("SETMETADATA"), "a backend goes on");
    assert_eq!(
        admin.ok("GETMETADATA \"\" /shared/vendor/cmu/cyrus-imapd/shutdown").await[0],
        "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/shutdown\" \"Back at noon\")"
    );
    admin.ok("SETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/shutdown NIL /shared/motd \"Hello\")").await;
    assert!(be.has_heard("SETMETADATA \"\" (\"/shared/motd\" \"Hello\")"), "{:?}", be.heard());
    world.fred().await;
}

#[tokio::test]
async fn a_special_use_is_taken_whichever_backend_has_it() {
    let (a, b) = (Backend::start(home).await, Backend::start(far).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut fred = world.fred().await;
    for command in ["CREATE Out (USE (\\Sent))", "SETMETADATA INBOX (/private/specialuse \"\\\\sent\")"] {
        assert_eq!(
            fred.ask(command).await,
            ["t NO [USEATTR] Special use is taken by another mailbox"],
            "{command}"
        );
    }
    fred.ok("CREATE Out (USE (\\Drafts))").await;
    assert!(a.has_heard("CREATE Out (USE (\\Drafts))"));
}

#[tokio::test]
async fn a_quota_of_a_tree_on_two_backends_is_what_both_use_together() {
    let (a, b) = (Backend::start(home).await, Backend::start(far).await);
    let world = World::new(&[&a, &b], &PLACES, "").await;
    let mut admin = world.client().await;
    admin.ok("LOGIN cyrus pw").await;
    assert_eq!(
        admin.ok("GETQUOTA user/fred").await,
        ["* QUOTA user/fred (STORAGE 17 100 MESSAGE 1 9)", "t OK Completed"]
    );
    assert_eq!(admin.ask("SETQUOTA user/fred (STORAGE 50)").await, ["t NO [OVERQUOTA] not here"]);
    let set: Vec<String> = a.heard().into_iter().filter(|line| line.starts_with("SETQUOTA")).collect();
    assert_eq!(set, ["SETQUOTA +user/fred (STORAGE 50)", "SETQUOTA +user/fred (STORAGE 100)"], "put back");
    b.die();
    assert_eq!(
        admin.ask("GETQUOTA user/fred").await,
        ["t NO [UNAVAILABLE] Server(s) unavailable to complete operation"]
    );
}

#[tokio::test]
async fn commands_that_are_not_served_take_their_literals_with_them() {
    let be = Backend::start(home).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    for (round, command) in (0..3).flat_map(|round| {
        [
            "SETANNOTATION INBOX \"/comment\"",
            "GENURLAUTH",
            "RESETKEY",
            "URLFETCH",
            "XAPPLEPUSHSERVICE",
            "XCONVSORT",
        ]
        .map(|command| (round, command))
    }) {
        let answer = fred.ask(&format!("{command} (\"value.shared\" {{5+}}\r\nt OK \")")).await;
        assert!(
            answer[0].starts_with("t NO ") || answer[0].starts_with("t BAD "),
            "{round} {command}: {answer:?}"
        );
        fred.ok("CAPABILITY").await;
    }
}

fn boundless(command: &str) -> String {
    let value = format!("* METADATA \"\" (/shared/comment {{1000000}}\r\n{})\r\n", "x".repeat(1_000_000));
    match command.split(' ').next().unwrap_or_default() {
        "GETMETADATA" => format!("{}$ OK Completed\r\n", value.repeat(17)),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

#[tokio::test]
async fn a_backend_that_tells_of_more_than_is_held_makes_the_command_fail_and_nothing_else() {
    let backend = Backend::with(boundless, "METADATA").await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    let told = fred.ask("GETMETADATA \"\" /shared/comment").await;
    assert_eq!(told, ["t NO [LIMIT] More annotations than can be shown at once"]);
    fred.ok("NOOP").await;
}
