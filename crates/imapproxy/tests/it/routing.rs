//! Which backend is told what, and what the client hears of it.

use std::sync::OnceLock;

use mailboxes::{Change, Entry, List};
use protocol::location::Location;
use protocol::name::MailboxName;

use crate::world::{Backend, Script, World};

fn plain(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".into(),
        "NOOP" => "$ OK Completed\r\n".into(),
        "FETCH" => "* 1 FETCH (BODY[] {9}\r\nt OK no\r\n)\r\n$ OK done\r\n".into(),
        "STATUS" => "* STATUS x (MESSAGES 1)\r\n$ OK done\r\n".into(),
        "APPEND" => "$ OK [APPENDUID 7 42] done\r\n".into(),
        "LSUB" => "* LSUB () \"/\" INBOX\r\n* LSUB (\\Noselect) \"/\" \"far away\"\r\n$ OK done\r\n".into(),
        "LIST" => "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n$ OK done\r\n".into(),
        "IDLE" => "+ idling\r\n* 2 EXISTS\r\n".into(),
        "DONE" => String::new(),
        _ => "$ OK Completed\r\n".into(),
    }
}

#[tokio::test]
async fn a_message_is_read_through_the_proxy() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    assert_eq!(client.ok("SELECT INBOX").await, ["* 1 EXISTS", "t OK [READ-WRITE] Completed"]);
    let lines = client.ask("FETCH 1 BODY[]").await;
    assert_eq!(
        lines,
        ["* 1 FETCH (BODY[] {9}", "t OK no"],
        "a literal is not an answer, but this client cannot count"
    );
    assert_eq!(client.until("t").await, [")", "t OK done"]);
    assert!(be.heard().contains(&"FETCH 1 BODY[]".to_owned()));
}

#[tokio::test]
async fn large_messages_are_the_same_through_the_proxy() {
    fn line(message: usize, line: usize) -> String {
        format!("{message} {} {line}", "x".repeat((message * 31 + line * 7) % 900))
    }
    fn many(command: &str) -> String {
        if !command.starts_with("FETCH") {
            return plain(command);
        }
        // From nothing to a megabyte, so that runs of every length pass.
        let fetched = (0..9).map(|message| {
            let text: String =
                (0..3_usize.pow(message) / 3).map(|n| line(message as usize, n) + "\r\n").collect();
            format!("* {} FETCH (BODY[] {{{}}}\r\n{text} UID 7)\r\n", message + 1, text.len())
        });
        fetched.collect::<String>() + "$ OK done\r\n"
    }
    let be = Backend::start(many).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    for _ in 0..3 {
        client.send("t FETCH 1:* BODY[]\r\n").await;
        for message in 0..9 {
            let lines = 3_usize.pow(message) / 3;
            let message = message as usize;
            let size: usize = (0..lines).map(|n| line(message, n).len() + 2).sum();
            assert_eq!(client.line().await, format!("* {} FETCH (BODY[] {{{size}}}", message + 1));
            for n in 0..lines {
                assert_eq!(client.line().await, line(message, n));
            }
            assert_eq!(client.line().await, " UID 7)");
        }
        assert_eq!(client.line().await, "t OK done");
    }
}

#[tokio::test]
async fn selecting_on_another_backend_unselects_on_the_first() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let closed = "* OK [CLOSED] Ok";
    assert_eq!(client.ok("SELECT \"Shared Folders/shared\"").await[0], closed);
    assert!(a.has_heard("UNSELECT"));
    assert!(b.has_heard("SELECT \"Shared Folders/shared\""));
    // What is wrong before any backend is asked leaves the mailbox open.
    assert_eq!(
        client.ask("SELECT INBOX (QRESYNC (1 2))").await,
        ["t BAD Invalid Select modifier: ENABLE QRESYNC comes first"]
    );
    assert!(!b.has_heard("UNSELECT"));
    assert_eq!(client.ask("SELECT nowhere").await, [closed, "t NO [NONEXISTENT] Mailbox does not exist"]);
    assert_eq!(client.ask("FETCH 1 FLAGS").await, ["t BAD Please select a mailbox first"]);
}

#[tokio::test]
async fn literals_of_each_kind_reach_the_backend() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    for (command, mailbox) in [("INBOX", "INBOX"), ("{5+}\r\nINBOX", "INBOX"), ("\"INBOX\"", "INBOX")] {
        client.send(&format!("t APPEND {command} (\\Seen) {{5}}\r\n")).await;
        assert_eq!(client.line().await, "+ go ahead");
        client.send("hello\r\n").await;
        assert_eq!(client.until("t").await, ["t OK [APPENDUID 7 42] done"]);
        assert_eq!(be.heard().last().unwrap(), &format!("APPEND {mailbox} (\\Seen) {{5+}}\r\nhello"));
    }
    client.send("t APPEND {5}\r\n").await;
    assert_eq!(client.line().await, "+ go ahead");
    client.send("INBOX {3+}\r\nabc {4+}\r\ndefg\r\n").await;
    assert_eq!(client.until("t").await, ["t OK [APPENDUID 7 42] done"]);
    assert_eq!(be.heard().last().unwrap(), "APPEND INBOX {3+}\r\nabc {4+}\r\ndefg");
    // Too large to be asked for here: the backend asks.
    let size = 100_000;
    client.send(&format!("t APPEND INBOX {{{size}}}\r\n")).await;
    assert_eq!(client.line().await, "+ go");
    client.send(&format!("{}\r\n", "x".repeat(size))).await;
    assert_eq!(client.until("t").await, ["t OK [APPENDUID 7 42] done"]);
    // No such mailbox: a waiting literal is not asked for, one that comes anyway is skipped.
    client.send("t APPEND nowhere {5}\r\n").await;
    assert_eq!(client.until("t").await, ["t NO [TRYCREATE] Mailbox does not exist"]);
    client.send("t APPEND nowhere {9+}\r\nu LOGOUT\r\n\r\n").await;
    assert_eq!(client.until("t").await, ["t NO [TRYCREATE] Mailbox does not exist"]);
    client.ok("NOOP").await;
}

#[tokio::test]
async fn what_the_session_enabled_is_told_to_later_backends() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("ID (\"name\" \"tester\")").await;
    assert_eq!(client.ok("ENABLE CONDSTORE X-NO").await, ["* ENABLED CONDSTORE", "t OK Completed"]);
    client.ok("SELECT \"Shared Folders/shared\"").await;
    for be in [&a, &b] {
        assert!(
            be.has_heard("ENABLE CONDSTORE") && be.has_heard("ID (\"name\" \"tester\")"),
            "{:?}",
            be.heard()
        );
    }
}

#[tokio::test]
async fn the_list_is_this_nodes_own_with_what_backends_add() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let places = [("user.fred", 0), ("user.fred.Sent", 0), ("user.bob", 1), ("shared.x", 1)];
    let world = World::new(&[&a, &b], &places, "").await;
    let mut client = world.fred().await;
    assert_eq!(
        client.ok("LIST \"\" *").await,
        [
            "* LIST (\\HasNoChildren) \"/\" INBOX",
            "* LIST (\\HasNoChildren \\Sent) \"/\" Sent",
            "* LIST (\\HasNoChildren) \"/\" \"Other Users/bob\"",
            "* LIST (\\HasNoChildren) \"/\" \"Shared Folders/shared/x\"",
            "t OK Completed"
        ]
    );
    assert_eq!(
        client.ok("LSUB \"\" *").await,
        ["* LSUB () \"/\" INBOX", "* LSUB (\\Noselect) \"/\" \"far away\"", "t OK Completed"]
    );
    a.die();
    assert_eq!(client.ok("LIST \"\" Sent").await, ["* LIST (\\HasNoChildren) \"/\" Sent", "t OK Completed"]);
    let down = ["t NO [UNAVAILABLE] Server(s) unavailable to complete operation"];
    assert_eq!(client.ask("LSUB \"\" *").await, down);
    assert_eq!(client.ask("SUBSCRIBE Sent").await, down);
}

#[tokio::test]
async fn a_dead_backend_costs_only_its_own_mailboxes() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.ok("STATUS \"Shared Folders/shared\" (MESSAGES)").await;
    b.die();
    let down = "t NO [UNAVAILABLE] Server(s) unavailable to complete operation";
    assert_eq!(client.ask("STATUS \"Shared Folders/shared\" (MESSAGES)").await, [down]);
    client.send("t APPEND \"Shared Folders/shared\" {5+}\r\nhello\r\n").await;
    assert_eq!(client.until("t").await, [down]);
    client.ok("FETCH 1 FLAGS").await;
    client.until("t").await;
    assert_eq!(client.ask("SELECT \"Shared Folders/shared\"").await, ["* OK [CLOSED] Ok", down]);
    client.ok("SELECT INBOX").await;
    a.die();
    let last = client.until("t").await;
    assert_eq!(last.first().unwrap(), "* BYE Fatal error: Lost connection to input stream", "{last:?}");
    assert_eq!(last.last().unwrap(), "(closed)");
}

#[tokio::test]
async fn idling_passes_news_on_as_they_come() {
    fn idle(command: &str) -> String {
        match command {
            "IDLE" => "+ idling\r\n* 2 EXISTS\r\n".into(),
            _ => plain(command),
        }
    }
    let be = Backend::start(idle).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.send("t IDLE\r\n").await;
    assert_eq!(client.line().await, "+ idling");
    assert_eq!(client.line().await, "* 2 EXISTS");
}

#[tokio::test]
async fn bad_input_is_answered_and_the_session_goes_on() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.client().await;
    assert_eq!(client.ask("SELECT INBOX").await, ["t BAD Please login first"]);
    assert_eq!(client.ask("LOGIN fred wrong").await, ["t NO [AUTHENTICATIONFAILED] authentication failure"]);
    client.ok("LOGIN fred pw").await;
    assert_eq!(client.ask("FROBNICATE").await, ["t BAD Unrecognized command"]);
    assert!(client.ask("LIST").await[0].starts_with("t BAD "));
    client.send(&format!("t SELECT {}\r\n", "x".repeat(3_000_000))).await;
    assert_eq!(client.until("t").await, ["t BAD Line too long"]);
    client.send("t SELECT {3000000+}\r\n").await;
    client.send(&"y".repeat(3_000_000)).await;
    client.send("\r\n").await;
    assert_eq!(client.until("t").await, ["t BAD Literal too large"]);
    client.ok("NOOP").await;
    for _ in 0..9 {
        client.ask("(((").await;
    }
    client.send("((((\r\n").await;
    assert_eq!(client.until("t").await.last().unwrap(), "(closed)");
}

#[tokio::test]
async fn mailbox_names_may_be_literals() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.send("t SELECT {5}\r\n").await;
    assert_eq!(client.line().await, "+ go ahead");
    client.send("INBOX\r\n").await;
    assert_eq!(client.until("t").await, ["* 1 EXISTS", "t OK [READ-WRITE] Completed"]);
    assert_eq!(be.heard().last().unwrap(), "SELECT {5+}\r\nINBOX");
}

#[tokio::test]
async fn clients_that_follow_referrals_are_sent_to_the_backend() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("RLIST \"\" *").await;
    assert_eq!(
        client.ask("SELECT INBOX").await,
        ["t NO [REFERRAL imap://;AUTH=*@be0/INBOX] Remote mailbox."]
    );
    client.ok("STATUS INBOX (MESSAGES)").await;
    let world = World::new(&[&be], &[("user.fred", 0)], "proxyd_disable_mailbox_referrals: yes\n").await;
    let mut client = world.fred().await;
    client.ok("RLIST \"\" *").await;
    client.ok("SELECT INBOX").await;
}

#[tokio::test]
async fn new_mailboxes_go_where_their_parents_are() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 1)], "serverlist: be0\ndefaultserver: be0\n").await;
    let mut client = world.fred().await;
    client.ok("CREATE deep/er").await;
    assert!(b.has_heard("CREATE deep/er"));
    assert_eq!(client.ask("CREATE x be0!default").await, ["t NO [NOPERM] Permission denied"]);
    let mut admin = world.client().await;
    admin.ok("LOGIN cyrus pw").await;
    admin.ok("CREATE user/new").await;
    assert!(a.has_heard("CREATE user/new"));
    admin.ok("CREATE user/other be1!part").await;
    assert!(b.has_heard("CREATE user/other part"));
    admin.ok("CREATE user/third (USE (\\Sent) SERVER be1)").await;
    assert!(b.has_heard("CREATE user/third (USE (\\Sent))"));
    admin.ok("RENAME user/fred user/fred be0!default").await;
    assert!(b.has_heard("XFER user/fred be0 default"));
}

#[tokio::test]
async fn an_idle_through_the_frontend_ends_after_its_imapidletimeout() {
    let idles: Script = |command| match command {
        "IDLE" => "+ idling\r\n".to_owned(),
        _ => "$ OK done\r\n".to_owned(),
    };
    let backend = Backend::start(idles).await;
    // Without it `timeout` would hold, which is longer than any test waits.
    let world = World::new(&[&backend], &[("user.fred", 0)], "imapidletimeout: 1s\n").await;
    for select in ["NOOP", "SELECT INBOX"] {
        let mut client = world.fred().await;
        client.ok(select).await;
        client.send("a IDLE\r\n").await;
        assert_eq!(client.line().await, "+ idling");
        assert_eq!(client.line().await, "* BYE [UNAVAILABLE] Idle for too long");
    }
}

#[tokio::test]
async fn mistakes_end_a_session_but_commands_of_other_servers_do_not() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    for _ in 0..12 {
        assert_eq!(client.ask("NOTIFY NONE").await, ["t BAD Unrecognized command"]);
    }
    for _ in 0..9 {
        client.ask("NONSENSE").await;
    }
    client.ok("NOOP").await;
    for _ in 0..10 {
        assert_eq!(client.ask("NONSENSE").await, ["t BAD Unrecognized command"]);
    }
    assert_eq!(client.line().await, "* BYE This is an IMAP server");
}

#[tokio::test]
async fn mistakes_that_a_backend_finds_are_the_sessions_too() {
    fn strict(command: &str) -> String {
        match command.split(' ').next().unwrap_or_default() {
            "FETCH" => "$ BAD Invalid item in Fetch\r\n".into(),
            _ => plain(command),
        }
    }
    let be = Backend::start(strict).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    for _ in 0..9 {
        client.ask("FETCH 1 NONSENSE").await;
    }
    client.ok("NOOP").await;
    for _ in 0..10 {
        assert_eq!(client.ask("FETCH 1 NONSENSE").await, ["t BAD Invalid item in Fetch"]);
    }
    assert_eq!(client.line().await, "* BYE This is an IMAP server");
}

#[tokio::test]
async fn before_login_idle_is_announced_and_a_long_id_is_taken() {
    let be = Backend::start(plain).await;
    let world = World::new(&[&be], &[("user.fred", 0)], "").await;
    let mut client = world.client().await;
    let words = client.ok("CAPABILITY").await;
    assert!(words[0].split(' ').any(|word| word == "IDLE"), "{words:?}");
    let value = "x".repeat(1024);
    let fields: Vec<String> = (0..30).map(|n| format!("\"field{n}\" \"{value}\"")).collect();
    client.ok(&format!("ID ({})", fields.join(" "))).await;
}

#[tokio::test]
async fn status_of_another_mailbox_asks_the_selected_backend_nothing() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.ok("STATUS \"Shared Folders/shared\" (MESSAGES)").await;
    assert!(!a.has_heard("NOOP"));
}

#[tokio::test]
async fn who_asks_one_backend_for_modification_sequences_gets_them_from_all() {
    fn condstore(command: &str) -> String {
        match command.split(' ').next().unwrap_or_default() {
            "ENABLE" => "* OK [HIGHESTMODSEQ 9] Ok\r\n* ENABLED CONDSTORE\r\n$ OK done\r\n".into(),
            "SEARCH" if command.ends_with("MODSEQ x") => "$ BAD Invalid modseq in Search\r\n".into(),
            _ => plain(command),
        }
    }
    let (a, b) = (Backend::start(condstore).await, Backend::start(condstore).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.ok("SEARCH SUBJECT \"MODSEQ\"").await;
    client.ok("SELECT \"Shared Folders/shared\"").await;
    client.ask("SEARCH MODSEQ x").await;
    assert!(!a.has_heard("ENABLE CONDSTORE"), "what nobody understands asks for nothing");
    client.ok("SEARCH MODSEQ 5").await;
    assert!(!b.has_heard("ENABLE CONDSTORE"), "it was asked itself");
    assert!(a.has_heard("ENABLE CONDSTORE"), "{:?}", a.heard());
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let told = client.ok("ENABLE CONDSTORE").await;
    assert_eq!(told, ["* OK [HIGHESTMODSEQ 9] Ok", "* ENABLED CONDSTORE", "t OK Completed"]);
}

#[tokio::test]
async fn who_lists_modification_sequences_gets_them_from_all_backends() {
    let (a, b) = (Backend::start(plain).await, Backend::start(plain).await);
    let world = World::new(&[&a, &b], &[("user.fred", 0), ("shared", 1)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT \"Shared Folders/shared\"").await;
    client.ok("LIST \"\" INBOX RETURN (STATUS (MESSAGES))").await;
    assert!(!b.has_heard("ENABLE CONDSTORE"), "{:?}", b.heard());
    client.ok("LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))").await;
    assert!(b.has_heard("ENABLE CONDSTORE"), "{:?}", b.heard());
    assert_eq!(client.ok("ENABLE CONDSTORE").await, ["* ENABLED", "t OK Completed"], "it is on already");
}

#[tokio::test]
async fn a_frontend_says_which_form_of_literals_its_configuration_allows() {
    let be = Backend::start(plain).await;
    for (option, word) in [("", "LITERAL+"), ("literalminus: yes\n", "LITERAL-")] {
        let world = World::new(&[&be], &[("user.fred", 0)], option).await;
        let words = world.client().await.ok("CAPABILITY").await;
        assert!(words[0].split(' ').any(|told| told == word), "{words:?}");
    }
}

#[tokio::test]
async fn commands_that_nobody_here_serves_are_heard_to_their_end() {
    let backend = Backend::start(|_| "$ OK Completed\r\n".into()).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    for word in include_str!("../../../../tests/foreign-commands").lines() {
        client.send(&format!("t {word} {{9+}}\r\nb LOGOUT\n (x {{3+}}\r\n\0\r\n)\r\n")).await;
        assert_eq!(client.until("t").await, ["t BAD Unrecognized command"], "{word}");
        assert_eq!(client.ask("NOOP").await, ["t OK Completed"], "{word}");
    }
    assert!(!backend.heard().iter().any(|command| command.contains("LOGOUT")));
}

#[tokio::test]
async fn with_literal_minus_a_large_literal_is_not_sent_unasked() {
    let backend = Backend::start(plain).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "literalminus: yes\n").await;
    let mut client = world.fred().await;
    let message = "x".repeat(4097);
    for command in ["APPEND INBOX", "SELECT", "CREATE"] {
        client.send(&format!("t {command} {{4097+}}\r\n{message}\r\n")).await;
        assert_eq!(
            client.until("t").await,
            ["t BAD [TOOBIG] Non-synchronizing literal too large"],
            "{command}"
        );
    }
    client.send(&format!("t APPEND INBOX {{4096+}}\r\n{}\r\n", "x".repeat(4096))).await;
    assert_eq!(client.until("t").await, ["t OK [APPENDUID 7 42] done"]);
    client.ok("NOOP").await;
}

/// What moves while a backend is asked for it; set by the test that has it.
static MOVING: OnceLock<List> = OnceLock::new();

/// Gives INBOX away to be1 once it is asked about it, and `nowhere` to nobody.
fn gives_away(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" | "STATUS" if command.contains("nowhere") => {
            "$ NO [XMOVED be9] Mailbox has been moved\r\n".into()
        }
        "SELECT" | "STATUS" | "COPY" => {
            let commit = async {
                let to = Location::parse("be1!default").unwrap();
                let change = Change::put(
                    MailboxName::parse("user.fred").unwrap(),
                    Entry::active(to, "fred\tlrswipkxtecda\t"),
                );
                MOVING.get().unwrap().commit(vec![change]).await.unwrap();
            };
            // The list has threads of its own, and this one waits for it.
            let run = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(commit);
            std::thread::scope(|scope| scope.spawn(run).join().unwrap());
            "$ NO [XMOVED be1] Mailbox has been moved\r\n".into()
        }
        _ => plain(command),
    }
}

#[tokio::test]
async fn a_command_follows_a_mailbox_that_moves_under_it() {
    let (be0, be1) = (Backend::start(gives_away).await, Backend::start(plain).await);
    let places = [("user.fred", 0), ("user.fred.nowhere", 0)];
    let world = World::new(&[&be0, &be1], &places, "").await;
    MOVING.set(world.list.clone()).unwrap();
    let mut client = world.fred().await;
    assert_eq!(client.ok("SELECT INBOX").await, ["* 1 EXISTS", "t OK [READ-WRITE] Completed"]);
    assert!(be0.has_heard("SELECT INBOX") && be1.has_heard("SELECT INBOX"));
    // One that is nowhere is asked for a few times, and the client hears no word that is only ours.
    let lines = client.ask("STATUS nowhere (MESSAGES)").await;
    assert_eq!(lines, ["t NO [UNAVAILABLE] Mailbox has been moved to another server"]);
    assert_eq!(be0.heard().iter().filter(|command| command.starts_with("STATUS")).count(), 3);
    client.ok("NOOP").await;
}

/// Has given its mailbox away, and says so as soon as it is asked anything.
fn has_moved(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => plain(command),
        "IDLE" => "+ idling\r\n".into(),
        "STORE" => {
            "* 1 EXPUNGE\r\n* OK [XMOVED be1 757365722e66726564 u-1 7 9 9 0 - 2 - - 0 -] gone\r\n$ NO [XMOVED be1] gone\r\n"
                .into()
        }
        _ => "$ OK Completed\r\n".into(),
    }
}

fn takes_over(command: &str) -> String {
    match command {
        "IDLE" => "+ idling\r\n* 3 EXISTS\r\n".into(),
        "STORE 1 +FLAGS (x)" => "* 1 FETCH (FLAGS (x))\r\n$ OK done\r\n".into(),
        _ => plain(command),
    }
}

#[tokio::test]
async fn a_session_goes_on_where_its_open_mailbox_has_moved() {
    let (be0, be1) = (Backend::start(has_moved).await, Backend::start(takes_over).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    world.place("user.fred", 1).await;
    let lines = client.ask("STORE 1 +FLAGS (x)").await;
    assert_eq!(lines, ["* 1 EXPUNGE", "* 1 FETCH (FLAGS (x))", "t OK done"]);
    let heard = be1.heard();
    let commands: Vec<&str> = heard.iter().map(String::as_str).filter(|c| !c.starts_with("AUTH")).collect();
    assert_eq!(commands, ["XADOPT 757365722e66726564 u-1 7 9 9 0 - 2 - - 0 -", "STORE 1 +FLAGS (x)"]);
    client.ok("NOOP").await;
    assert!(be1.has_heard("NOOP") && !be0.has_heard("NOOP"));
}

#[tokio::test]
async fn an_idling_client_goes_on_idling_where_its_mailbox_has_moved() {
    let (be0, be1) = (Backend::start(has_moved).await, Backend::start(takes_over).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    client.send("i IDLE\r\n").await;
    assert_eq!(client.line().await, "+ idling");
    world.place("user.fred", 1).await;
    be0.say("* OK [XMOVED be1 757365722e66726564 u-1 7 9 9 0 - 2 - - 0 -] gone\r\n");
    assert_eq!(client.line().await, "* 3 EXISTS");
    assert!(
        be1.heard()
            .ends_with(&["XADOPT 757365722e66726564 u-1 7 9 9 0 - 2 - - 0 -".to_owned(), "IDLE".to_owned()])
    );
}

/// Says of another mailbox that it has moved, in the selected one's name, or what is no state.
fn lies_of_a_move(command: &str) -> String {
    let state = match command {
        "STORE 1 +FLAGS (other)" => "757365722e667265642e78 u-1 7 9 9 0 - 2 - - 0 -",
        "STORE 1 +FLAGS (literal)" => "757365722e66726564 u-1 7 9 9 0 - 2 - - 0 {4000000+}",
        "STORE 1 +FLAGS (rubbish)" => "x",
        _ => return plain(command),
    };
    format!("* OK [XMOVED be1 {state}] gone\r\n$ NO [XMOVED be1] gone\r\n")
}

#[tokio::test]
async fn a_backend_is_not_told_of_a_moved_mailbox_what_another_one_makes_up() {
    for lie in ["other", "literal", "rubbish"] {
        let (be0, be1) = (Backend::start(lies_of_a_move).await, Backend::start(takes_over).await);
        let world = World::new(&[&be0, &be1], &[("user.fred", 0), ("user.fred.x", 1)], "").await;
        let mut client = world.fred().await;
        client.ok("SELECT INBOX").await;
        world.place("user.fred", 1).await;
        let lines = client.ask(&format!("STORE 1 +FLAGS ({lie})")).await;
        assert!(lines.iter().any(|line| line.starts_with("* BYE ")), "{lie}: {lines:?}");
        assert!(!be1.has_heard("XADOPT"), "{lie}: {:?}", be1.heard());
    }
}

#[tokio::test]
async fn a_backend_that_only_says_that_a_mailbox_has_moved_sends_nobodys_login_anywhere() {
    let (be0, be1) = (Backend::start(has_moved).await, Backend::start(takes_over).await);
    let world = World::new(&[&be0, &be1], &[("user.fred", 0)], "").await;
    let mut client = world.fred().await;
    client.ok("SELECT INBOX").await;
    let lines = client.ask("STORE 1 +FLAGS (x)").await;
    assert!(lines.iter().any(|line| line.starts_with("* BYE ")), "{lines:?}");
    assert_eq!(be1.connections.load(std::sync::atomic::Ordering::Relaxed), 0);
}
