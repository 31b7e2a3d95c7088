//! What a client turns on (ENABLE) works the same directly and through a frontend, and on each backend of a session.

use murder::clients::{Imap, Reply};
use system_tests::Plan;

/// Sessions of one user each, one after the other; `VALIDITY` is the UIDVALIDITY of the user's INBOX.
const SESSIONS: &[&[&str]] = &[
    &[
        "ENABLE X-NOTHING",
        "ENABLE CONDSTORE",
        "ENABLE condstore QRESYNC X-NOTHING",
        "ENABLE QRESYNC",
        "ENABLE",
        "SELECT INBOX",
        "FETCH 1:* (UID FLAGS MODSEQ)",
        "STORE 2 +FLAGS.SILENT (\\Seen)",
        "STORE 2 +FLAGS.SILENT (\\Seen)",
        "STORE 1,2 (UNCHANGEDSINCE 3) +FLAGS (\\Flagged)",
        "UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)",
        "UID STORE 3 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "EXPUNGE",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)",
        "UID FETCH 1:* (FLAGS) (VANISHED)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 5 VANISHED)",
        "SELECT INBOX",
        "SELECT INBOX (QRESYNC (VALIDITY 5))",
        "SELECT INBOX (QRESYNC (VALIDITY 5 1:2))",
        "SELECT INBOX (QRESYNC (VALIDITY 5 1:9 (1,2 1,2)))",
        "SELECT INBOX (QRESYNC (1 5))",
        "SELECT INBOX (QRESYNC (VALIDITY 900))",
        "SELECT INBOX (QRESYNC (VALIDITY))",
        "SELECT INBOX (QRESYNC (VALIDITY 0))",
        "SELECT INBOX (CONDSTORE)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "UID MOVE 4 sub",
        "CLOSE",
        "SELECT nowhere",
    ],
    &[
        "SELECT INBOX (QRESYNC (VALIDITY 5))",
        "SELECT INBOX",
        "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "STORE 1 +FLAGS.SILENT (\\Answered)",
    ],
    &[
        "ENABLE UIDONLY",
        "SELECT INBOX",
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "SEARCH ALL",
        "COPY 1 sub",
        "MOVE 1 sub",
        "UID SEARCH 1",
        "UID SEARCH ALL",
        "UID FETCH 1:* (FLAGS)",
        "UID FETCH 1 (UID BODY[TEXT])",
        "UID STORE 1 +FLAGS (\\Draft)",
        "UID COPY 1 sub",
        "UID MOVE 1 sub",
        "SELECT sub",
        "UID FETCH 1:* UID",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "NOOP",
    ],
    &[
        "ENABLE IMAP4rev2",
        "SELECT inbox",
        "SEARCH ALL",
        "UID SEARCH UNSEEN",
        "SEARCH RETURN (COUNT) ALL",
        "CREATE \"Entw\u{fc}rfe & Co\"",
        "CREATE \"Cafe\u{301}\"",
        "CREATE \"a\u{85}b\"",
        "LIST \"\" *",
        "LIST \"\" \"Entw\u{fc}*\"",
        "STATUS \"Entw\u{fc}rfe & Co\" (MESSAGES)",
        "SUBSCRIBE \"Entw\u{fc}rfe & Co\"",
        "LSUB \"\" *",
        "SELECT \"Entw\u{fc}rfe & Co\"",
        "SELECT \"Cafe\u{301}\"",
        "GETACL \"Caf\u{e9}\"",
        "MYRIGHTS \"Caf\u{e9}\"",
        "GETQUOTAROOT \"Caf\u{e9}\"",
        "RENAME \"Caf\u{e9}\" \"Th\u{e9}\"",
        "SELECT \"Caf\u{e9}\"",
        "SELECT \"Caf&AOk-\"",
        "COPY 1 \"Th\u{e9}\"",
        "CREATE a&b",
        "LIST \"\" a*",
    ],
    &[
        "LIST \"\" *",
        "STATUS \"Entw&APw-rfe &- Co\" (MESSAGES)",
        "SELECT \"Th&AOk-\"",
        "SEARCH ALL",
        "LSUB \"\" *",
        "ENABLE UTF8=ACCEPT",
        "SELECT \"Th&AOk-\"",
    ],
];

#[test]
fn what_is_turned_on_is_answered_alike_directly_and_through_a_frontend() {
    let murder = Plan::nodes(1, 1).user("anna", "backend1").user("berta", "backend1").start();
    for (node, user) in [("backend1", "anna"), ("frontend1", "berta")] {
        let mut imap = murder.login(node, user);
        for n in 1..=5 {
            append(&mut imap, "INBOX", n);
        }
        imap.command("CREATE sub").unwrap();
    }
    for commands in SESSIONS {
        let (mut direct, mut proxied) =
            (murder.login("backend1", "anna"), murder.login("frontend1", "berta"));
        let announced = direct.command("CAPABILITY").unwrap().lines.concat();
        if commands.contains(&"ENABLE IMAP4rev2") && !announced.contains("IMAP4rev2") {
            continue;
        }
        let validities = [uidvalidity(&mut direct), uidvalidity(&mut proxied)];
        let mut differing = Vec::new();
        for command in *commands {
            let straight = answer(&mut direct, command, &validities[0]);
            let through = answer(&mut proxied, command, &validities[1]);
            if straight != through {
                differing.push(format!("{command}\n  direct:  {straight:#?}\n  proxied: {through:#?}"));
            }
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }
}

/// INBOX on one backend, another user's mailbox on the other.
#[test]
fn what_is_turned_on_holds_on_every_backend_of_a_session() {
    let murder = Plan::nodes(1, 2).user("anna", "backend1").user("berta", "backend2").start();
    let mut berta = murder.login("frontend1", "berta");
    berta.command("SETACL INBOX anna lrswipkxte").unwrap();
    for n in 1..=3 {
        append(&mut berta, "INBOX", n);
    }
    let mut anna = murder.login("frontend1", "anna");
    append(&mut anna, "INBOX", 1);
    append(&mut anna, "INBOX", 2);
    let there = "\"Other Users/berta\"";
    ok(&mut anna, "STATUS INBOX (HIGHESTMODSEQ)");
    // CONDSTORE came on by that, for all backends.
    ok(&mut anna, &format!("SELECT {there}"));
    berta.command("SELECT INBOX").unwrap();
    berta.command("UID STORE 2 +FLAGS (\\Flagged)").unwrap();
    let told = ok(&mut anna, "NOOP");
    assert!(told.lines.iter().any(|line| line.contains("MODSEQ (")), "{told:?}");

    assert_eq!(ok(&mut anna, "ENABLE QRESYNC UIDONLY").lines, ["* ENABLED QRESYNC UIDONLY"]);
    berta.command("UID STORE 2 +FLAGS (\\Deleted)").unwrap();
    berta.command("EXPUNGE").unwrap();
    let told = ok(&mut anna, "NOOP");
    assert_eq!(told.lines, ["* VANISHED 2"]);
    let told = ok(&mut anna, "UID MOVE 1,3 INBOX");
    assert!(told.lines.iter().any(|line| line.contains("COPYUID") && line.contains(" 1,3 ")), "{told:?}");
    assert_eq!(told.lines.last().map(String::as_str), Some("* VANISHED 1,3"));
    assert!(told.result.starts_with("OK [HIGHESTMODSEQ "), "{told:?}");
    let told = ok(&mut anna, "SELECT INBOX");
    assert_eq!(told.lines.first().map(String::as_str), Some("* OK [CLOSED] Ok"));
    assert!(told.lines.contains(&"* 4 EXISTS".to_owned()), "{told:?}");
    let told = ok(&mut anna, "UID FETCH 1:* (FLAGS)");
    assert!(told.lines.len() == 4 && told.lines.iter().all(|line| line.contains(" UIDFETCH (")), "{told:?}");
    let refused = anna.command(&format!("COPY 1 {there}")).unwrap();
    assert!(refused.result.starts_with("BAD [UIDREQUIRED]"), "{refused:?}");
    let told = ok(&mut anna, &format!("UID COPY 1:2 {there}"));
    assert!(told.result.starts_with("OK [COPYUID "), "{told:?}");
    let validity = uidvalidity(&mut anna);
    let told = ok(&mut anna, &format!("SELECT INBOX (QRESYNC ({validity} 1))"));
    assert!(told.lines.iter().any(|line| line.contains(" UIDFETCH (")), "{told:?}");
}

/// Two sessions at two frontends move the same messages to a mailbox on another backend.
#[test]
fn what_two_sessions_move_between_backends_arrives_once() {
    let murder = Plan::nodes(2, 2).user("anna", "backend1").user("berta", "backend2").start();
    murder.login("frontend1", "berta").command("SETACL INBOX anna lrswipkxte").unwrap();
    let mut anna = murder.login("frontend1", "anna");
    for n in 1..=30 {
        append(&mut anna, "INBOX", n);
    }
    let movers: Vec<_> = ["frontend1", "frontend2", "frontend1"]
        .into_iter()
        .map(|node| {
            let mut imap = murder.login(node, "anna");
            ok(&mut imap, "SELECT INBOX");
            std::thread::spawn(move || imap.command("UID MOVE 1:30 \"Other Users/berta\"").unwrap())
        })
        .collect();
    let mut moved = 0;
    for mover in movers {
        let told = mover.join().unwrap();
        assert!(told.is_ok(), "{told:?}");
        let codes = told.lines.iter().filter_map(|line| line.split_once("[COPYUID ")?.1.split_once(']'));
        for (code, _) in codes {
            moved += count(code.split(' ').nth(1).unwrap());
            assert_eq!(
                count(code.split(' ').nth(1).unwrap()),
                count(code.split(' ').nth(2).unwrap()),
                "{code}"
            );
        }
    }
    assert_eq!(moved, 30, "each is told to one session");
    let there = ok(&mut anna, "STATUS \"Other Users/berta\" (MESSAGES)");
    assert_eq!(there.lines, ["* STATUS \"Other Users/berta\" (MESSAGES 30)"]);
    assert_eq!(ok(&mut anna, "STATUS INBOX (MESSAGES)").lines, ["* STATUS INBOX (MESSAGES 0)"]);
}

/// How many numbers a set names.
fn count(set: &str) -> u64 {
    let range = |range: &str| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1
    };
    set.split(',').map(range).sum()
}

fn append(imap: &mut Imap, mailbox: &str, n: u32) {
    let message = format!("Subject: {n}\r\nMessage-ID: <{n}@x>\r\n\r\nbody {n}\r\n");
    ok(imap, &format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len()));
}

fn ok(imap: &mut Imap, command: &str) -> Reply {
    let reply = imap.command(command).unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(reply.is_ok(), "{command}: {reply:?}");
    reply
}

fn uidvalidity(imap: &mut Imap) -> String {
    let reply = ok(imap, "STATUS INBOX (UIDVALIDITY)");
    let line = reply.lines.iter().find(|line| line.contains("UIDVALIDITY")).unwrap();
    line.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned()
}

fn answer(imap: &mut Imap, command: &str, validity: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    match imap.command(&command.replace("VALIDITY", validity)) {
        Ok(Reply { result, lines, literals }) => {
            (lines.into_iter().chain([result]).map(|line| alike(&line)).collect(), literals)
        }
        Err(error) => (vec![error.to_string()], Vec::new()),
    }
}

/// Names, ids and validities differ between two users; their shape does not.
fn alike(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "()[]\"".contains(c));
        let id = bare.len() == 36 && bare.matches('-').count() == 4;
        let number = bare.len() > 8 && bare.bytes().all(|b| b.is_ascii_digit());
        if id || number { word.replace(bare, "#") } else { word.to_owned() }
    };
    // A command's tag is the client's count.
    let line = line.replace("anna", "USER").replace("berta", "USER");
    let line = match line.split_once("(TAG \"") {
        Some((start, rest)) => {
            format!("{start}(TAG \"#{}", rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()))
        }
        None => line,
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
