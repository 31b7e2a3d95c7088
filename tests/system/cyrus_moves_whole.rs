//! A user with everything that a user can have moves between a backend of ours and a Cyrus, and nothing that IMAP, POP3 and ManageSieve
//! show of him differs.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use murder::clients::Imap;
use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    lab::Profile,
};

use crate::cyrus_moves::{is_at, xfer};
use crate::sieve::Sieve;

const FOLDERS: [&str; 8] = [
    "INBOX",
    "Archive",
    "\"a b\"",
    "Entw&APw-rfe",
    "deep",
    "deep/er",
    "deep/er/empty",
    "\"paren(thesis) &- more\"",
];

const ENTRIES: [&str; 8] = [
    "/shared/comment",
    "/private/comment",
    "/private/specialuse",
    "/private/vendor/kolab/folder-type",
    "/shared/vendor/cmu/cyrus-imapd/expire",
    "/shared/vendor/cmu/cyrus-imapd/sharedseen",
    "/shared/vendor/cmu/cyrus-imapd/duplicatedeliver",
    "/shared/vendor/cmu/cyrus-imapd/uniqueid",
];

/// Words of a line in the order of the alphabet: flags, rights and attributes stand in another order elsewhere.
fn sorted(line: &str) -> String {
    let line = line.replace("\\Recent", "");
    let mut words: Vec<&str> = line.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.join(" ")
}

/// What stands for a message.
fn digest(text: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let begin = String::from_utf8_lossy(text.get(..40).unwrap_or(text)).into_owned();
    format!("{:016x} of {} bytes: {begin:?}", hasher.finish(), text.len())
}

/// Makes dave at our be2, and what he has.
fn make(murder: &Murder) {
    let mut admin = murder.admin("be2");
    for mailbox in ["user/dave", "user/bob", "user/carol"] {
        admin.must(&format!("CREATE {mailbox}")).unwrap();
    }
    let mut dave = murder.login("be2", "dave");
    dave.must("CREATE Archive (USE (\\Archive))").unwrap();
    for folder in &FOLDERS[2..] {
        dave.must(&format!("CREATE {folder}")).unwrap();
    }
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    append(&mut dave);
    for command in [
        "SUBSCRIBE INBOX",
        "SUBSCRIBE Entw&APw-rfe",
        "SUBSCRIBE deep/er",
        "SUBSCRIBE \"Other Users/carol\"",
        "SETMETADATA INBOX (/private/comment \"mine\" /shared/comment \"ours \\\"quoted\\\" (and) more\")",
        "SETMETADATA deep/er (/private/vendor/kolab/folder-type \"mail\")",
        "SETMETADATA \"a b\" (/shared/comment {9+}\r\nline\r\nend)",
        "SETMETADATA \"\" (/private/comment \"of the server\")",
        "SETMETADATA Archive (/shared/vendor/cmu/cyrus-imapd/expire \"30\")",
        "SETMETADATA Archive (/shared/vendor/cmu/cyrus-imapd/sharedseen \"true\")",
        "SETMETADATA deep (/shared/vendor/cmu/cyrus-imapd/duplicatedeliver \"true\")",
        "SETACL INBOX carol lrsp",
        "SETACL Archive bob lrs",
        "SETACL Archive anyone p",
        "SETACL Archive -carol w",
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Flagged $Work NonJunk)",
        "STORE 2 +FLAGS (\\Answered \\Seen $Forwarded)",
        "STORE 3 +FLAGS (\\Deleted \\Draft)",
        "STORE 2 ANNOTATION (/comment (value.priv \"of mine\" value.shared \"of all\"))",
        "STORE 4 ANNOTATION (/altsubject (value.priv \"other\"))",
        "COPY 1:4 Archive",
        "COPY 1:4 deep/er",
        "STORE 5 +FLAGS (\\Deleted)",
        "UID EXPUNGE 5",
        "SELECT deep/er",
        "STORE 1,3 +FLAGS (\\Deleted)",
        "EXPUNGE",
    ] {
        dave.must(command).unwrap();
    }
    for command in
        ["SETQUOTA user/dave (STORAGE 100000 MESSAGE 5000)", "SETQUOTA user/dave/deep (STORAGE 20000)"]
    {
        admin.must(command).unwrap();
    }
    let mut sieve = Sieve::login(murder, "be2", "dave");
    for (name, script) in [
        ("other", "keep;"),
        (
            "rules",
            "require [\"fileinto\"];\r\nif header :contains \"subject\" \"sorted\" { fileinto \"Archive\"; }\r\n",
        ),
        ("with space", "# é\r\nkeep;"),
    ] {
        assert!(sieve.put(name, script).starts_with("OK"));
    }
    sieve.must("SETACTIVE \"rules\"");
    // What somebody else has seen of it, which Cyrus leaves behind.
    let mut carol = murder.login("be2", "carol");
    carol.must("SELECT \"Other Users/dave\"").unwrap();
    carol.must("STORE 2 +FLAGS (\\Seen)").unwrap();
}

fn append(dave: &mut Imap) {
    let large = "line of a large message\r\n".repeat(20_000);
    let messages = [
        (
            "(\\Seen)",
            " \"01-Jan-2001 01:02:03 +0530\"",
            "From: a@b\r\nSubject: one\r\n\r\nbody\r\n".to_owned(),
        ),
        (
            "()",
            " \"29-Feb-2024 23:59:59 -0800\"",
            "Subject: =?utf-8?q?=C3=A9?=\r\nFrom: a@b\r\n\r\n\u{e9} 8-bit\r\n".to_owned(),
        ),
        ("()", "", "Subject: no body\r\n\r\n".to_owned()),
        ("($Keyword)", "", format!("Message-ID: <large@x>\r\nSubject: large\r\n\r\n{large}")),
        ("()", "", "Subject: gone\r\n\r\nx\r\n".to_owned()),
    ];
    for (flags, date, text) in messages {
        dave.must(&format!("APPEND INBOX {flags}{date} {{{}+}}\r\n{text}", text.len())).unwrap();
    }
}

/// All that is shown of dave at a backend.
fn shown(murder: &Murder, node: &str) -> Vec<String> {
    let mut imap = murder.login(node, "dave");
    let mut all = Vec::new();
    imap.must("ENABLE CONDSTORE").unwrap();
    for folder in FOLDERS {
        let mut ask = |command: &str| {
            let reply = imap.must(command).unwrap();
            let is_told = |line: &&String| {
                !["EXISTS", "RECENT"].iter().any(|end| line.ends_with(end))
                    && !line.starts_with("* OK [PERMANENTFLAGS")
            };
            let title = command.split(' ').next().unwrap_or_default().to_owned();
            let text = reply
                .literals
                .iter()
                .map(|literal| String::from_utf8_lossy(literal).into_owned())
                .collect::<String>();
            let lines: BTreeSet<String> = reply
                .lines
                .iter()
                .filter(is_told)
                .map(|line| {
                    // A value is a literal, or is quoted.
                    let line =
                        line.rsplit_once('{').map_or(line.clone(), |(line, _)| format!("{line}{text}"));
                    sorted(&line.replace(['"', '\\'], ""))
                })
                .collect();
            all.extend(
                lines
                    .into_iter()
                    .filter(|line| !line.is_empty() && !line.contains("NIL"))
                    .map(|line| format!("{title} {folder}: {line}")),
            );
        };
        ask(&format!("STATUS {folder} (UIDNEXT UIDVALIDITY HIGHESTMODSEQ MESSAGES UNSEEN)"));
        ask(&format!("GETACL {folder}"));
        for entry in ENTRIES {
            ask(&format!("GETMETADATA {folder} {entry}"));
        }
        all.extend(limits(&mut imap, folder));
        let mut examined = imap.must(&format!("EXAMINE {folder}")).unwrap();
        examined.lines.retain(|line| {
            ["[MAILBOXID", "[UIDVALIDITY", "[UIDNEXT", "[HIGHESTMODSEQ", "[UNSEEN", "* FLAGS"]
                .iter()
                .any(|word| line.contains(word))
        });
        let lines: BTreeSet<String> = examined.lines.iter().map(|line| sorted(line)).collect();
        all.extend(lines.into_iter().map(|line| format!("EXAMINE {folder}: {line}")));
        let mut ask = |command: &str| {
            let reply = imap.must(command).unwrap();
            all.extend(reply.lines.iter().map(|line| format!("{folder}: {}", sorted(line))));
            all.extend(reply.literals.iter().map(|literal| format!("{folder}: {}", digest(literal))));
        };
        ask("UID FETCH 1:* (FLAGS INTERNALDATE MODSEQ RFC822.SIZE EMAILID SAVEDATE BODY.PEEK[])");
        ask("UID FETCH 1:* (ANNOTATION ((/comment /altsubject) (value.priv value.shared)))");
        ask("UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)");
    }
    for command in ["LSUB \"\" *", "LIST \"\" * RETURN (SPECIAL-USE)", "GETMETADATA \"\" (/private/comment)"]
    {
        let lines: BTreeSet<String> =
            imap.must(command).unwrap().lines.iter().map(|line| sorted(line)).collect();
        all.extend(
            lines.into_iter().filter(|line| !line.contains("Other Users") || command.starts_with("LSUB")),
        );
    }
    all.push(murder.pop3(node, "dave").must("UIDL 1").unwrap());
    let mut sieve = Sieve::login(murder, node, "dave");
    let mut scripts = sieve.lines("LISTSCRIPTS");
    scripts.sort();
    all.extend(scripts);
    for name in ["other", "rules", "with space"] {
        all.extend(sieve.lines(&format!("GETSCRIPT \"{name}\"")));
    }
    all
}

/// The quota root of a folder, and its limits. For Cyrus scripts are messages in a folder, and count.
fn limits(imap: &mut Imap, folder: &str) -> Vec<String> {
    let lines = imap.must(&format!("GETQUOTAROOT {folder}")).unwrap().lines;
    let told =
        lines.iter().filter_map(|line| line.strip_prefix("* QUOTA ")?.strip_suffix(')')?.split_once(" ("));
    let told = told.map(|(root, usage)| {
        let words: Vec<&str> = usage.split(' ').collect();
        let limits: BTreeSet<String> = words.chunks(3).map(|one| format!("{} {}", one[0], one[2])).collect();
        format!("{folder} counts at {root}: {limits:?}")
    });
    told.collect()
}

fn same(now: &[String], before: &[String], what: &str) {
    let (now, before): (BTreeSet<_>, BTreeSet<_>) = (now.iter().collect(), before.iter().collect());
    let (new, gone): (Vec<_>, Vec<_>) =
        (now.difference(&before).collect(), before.difference(&now).collect());
    assert!(new.is_empty() && gone.is_empty(), "{what}:\nnow {new:#?}\nbefore {gone:#?}");
}

#[test]
fn a_user_with_everything_that_a_user_can_have_goes_to_a_cyrus_and_comes_back_twice() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("be2", Ours), ("fe1", Ours)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let murder = plan.option("*", "allowplaintext", "yes").option("be2", "allowusermoves", "yes").start();
    make(&murder);
    let before = shown(&murder, "be2");
    for (from, to) in [("be2", "be1"), ("be1", "be2"), ("be2", "be1"), ("be1", "be2")] {
        xfer(&murder, from, "user.dave", to);
        same(&shown(&murder, to), &before, &format!("{from} to {to}"));
    }
    is_at(&murder, "user.dave", "be2");
    let mut carol = murder.login("be2", "carol");
    carol.must("EXAMINE \"Other Users/dave\"").unwrap();
    assert_eq!(carol.must("SEARCH SEEN").unwrap().lines.last().unwrap(), "* SEARCH 2");
}

/// `CYRUS_ROOTS` has directories, with colons between them, below which other Debians lie (`cyrus-murder chroot`, and see [`system_tests::lab`]).
#[test]
fn newer_cyruses_take_and_give_users_as_the_one_of_this_host_does() {
    let Some(roots) = std::env::var_os("CYRUS_ROOTS") else {
        test_host::skip(
            "it needs newer Cyruses: CYRUS_ROOTS=/v310:/v312, after cyrus-murder chroot trixie /v310 and chroot sid /v312",
        );
        return;
    };
    for root in std::env::split_paths(&roots) {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["cyrus_moves", "--test-threads=1"]).env("CYRUS_ROOT", &root).env_remove("CYRUS_ROOTS");
        let ended = again.output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(ended.status.success(), "{}: {}", root.display(), said.concat());
    }
}
