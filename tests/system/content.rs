//! What messages hold, as real Cyrus and our store tell it: odd messages on a node of each, asked the same.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use murder::clients::{Imap, Reply};
use system_tests::{
    Plan,
    Who::{Cyrus, Ours},
    lab::Profile,
};

/// The backends are both asked directly.
const CAST: [(&str, system_tests::Who); 3] = [("mupdate", Ours), ("be1", Cyrus), ("be2", Ours)];

#[test]
fn odd_messages_are_shown_and_found_as_cyrus_shows_and_finds_them() {
    let Some(plan) = Plan::mixed(Profile::Classic, &CAST) else { return };
    let murder = plan.start();
    let mut sides = [("be1", "alice"), ("be2", "bob")].map(|(node, user)| {
        murder.admin(node).must(&format!("CREATE user.{user}")).unwrap();
        murder.login(node, user)
    });
    let mut differing = String::new();
    for (kind, items) in [
        (
            "embedded",
            "BODY|BODYSTRUCTURE|RFC822.SIZE|BODY.PEEK[TEXT]|BODY.PEEK[1]|BODY.PEEK[1.MIME]|BODY.PEEK[1.1]|BINARY.SIZE[1]",
        ),
        ("unclosed", "BODY.PEEK[1]|BODY.PEEK[1]<3.4>|BODY.PEEK[1]<1000000.3>|BINARY.PEEK[1]"),
        ("addresses", "ENVELOPE"),
        ("fields", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]"),
    ] {
        for message in messages(kind) {
            let commands: Vec<String> = items.split('|').map(|item| format!("FETCH * ({item})")).collect();
            let [theirs, ours] = sides.each_mut().map(|side| told(side, &message, &commands));
            let meant = MEANT.iter().any(|(known, _)| message.contains(known));
            if (theirs != ours) != meant {
                let _ =
                    writeln!(differing, "{}\n  Cyrus: {theirs:?}\n  ours:  {ours:?}", message.escape_debug());
            }
        }
    }
    for (message, words) in TEXTS {
        let message = message.replace('\n', "\r\n");
        for key in ["BODY", "TEXT", "SUBJECT", "FROM", "TO", "HEADER X-Folded"] {
            let commands: Vec<String> = (words.iter())
                .map(|word| format!("SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n{word}", word.len()))
                .collect();
            let [theirs, ours] = sides.each_mut().map(|side| told(side, &message, &commands));
            let meant = MEANT.iter().any(|(known, _)| format!("{key} in {message}").starts_with(known));
            if (theirs != ours) != meant {
                let _ = writeln!(
                    differing,
                    "{key} {words:?} in {message:?}\n  Cyrus: {theirs:?}\n  ours:  {ours:?}"
                );
            }
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// What ours answers otherwise, and means to. A row that holds no longer is a fault.
const MEANT: &[(&str, &str)] = &[
    (
        "Message-ID: <b8@x>",
        "a multipart of its closing boundary alone has one empty part, in BINARY too (docs/FROM-CYRUS.md)",
    ),
    (
        "Message-ID: <b20@x>",
        "a boundary within a multipart that has the same one is of the outer multipart, up to its last",
    ),
];

/// Messages of which `crates/mime` keeps the answers on which Cyrus and others agree, where Cyrus takes them.
fn messages(kind: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/mime/tests/it/answers")
        .join(format!("{kind}.txt"));
    let file = fs::read_to_string(&path).unwrap();
    let blocks = file.split("== ").filter_map(|block| block.lines().next());
    // What Cyrus alone shows, against the standards: a `;` outside of a group, and an inner multipart that an outer boundary ends.
    let is_theirs =
        |message: &&str| !message.is_empty() && !message.contains("boundary=i\\n\\n--i\\n\\none\\n--o");
    blocks
        .filter(is_theirs)
        .map(|text| {
            text.replace("\\\\", "\u{1}").replace("\\n", "\r\n").replace("\\t", "\t").replace('\u{1}', "\\")
        })
        .collect()
}

/// A message's answers, in a mailbox where it is alone.
fn told(imap: &mut Imap, message: &str, commands: &[String]) -> Vec<String> {
    let append = format!("APPEND INBOX {{{}+}}\r\n{message}", message.len());
    if !imap.command(&append).unwrap().is_ok() {
        return vec!["is not taken".into()];
    }
    imap.must("SELECT INBOX").unwrap();
    let mut all: Vec<String> = commands.iter().map(|command| flat(&imap.command(command).unwrap())).collect();
    for command in ["STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "UNSELECT"] {
        imap.must(command).unwrap();
    }
    all.retain(|answer| !answer.is_empty());
    all
}

/// The untagged lines as one, their literals as strings.
fn flat(reply: &Reply) -> String {
    let mut literals = reply.literals.iter();
    let mut out = String::new();
    for line in &reply.lines {
        match line.rsplit_once('{').filter(|_| line.ends_with('}')) {
            Some((before, _)) => {
                let text = literals.next().map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                let _ = write!(out, "{before}\"{text}\"");
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Messages, and words that are looked for in them.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
         Gr=C3=BC=C3=9Fe alpha=\nbeta  gamma\ndelta\n",
        &["grüße", "GRÜßE", "gruße", "grusse", "alphabeta", "beta gamma", "gamma delta", "alpha beta"],
    ),
    (
        "Subject: x\nContent-Type: text/html; charset=utf-8\n\n<p class=\"attr\">caf&eacute; <b>bo</b>ld</p>\n",
        &["attr", "bold", "<b>bo</b>", "café", "&eacute;"],
    ),
    (
        "Subject: x\nContent-Type: multipart/mixed; boundary=o\n\npreamble\n--o\nContent-Description: described\n\none\n--o\n\
         Content-Type: message/rfc822\n\nSubject: inner\n\ninside\n--o\nContent-Type: application/x\n\nbinary\n",
        &["preamble", "described", "one", "inner", "inside", "binary"],
    ),
    ("Subject: x\nContent-Transfer-Encoding: x-unheard-of\n\nword\n", &["word"]),
    (
        "Subject: first\nSubject: =?utf-8?q?s=C3=A9cond?= =?x-unheard-of?q?unknown?=\nTo: \"Quoted, Name\" <q@x>\n\
         X-Folded: one\n two\n\tthree  four\n\nx\n",
        &[
            "first",
            "second",
            "unknown",
            "\"quoted",
            "name\" <q",
            "name <q",
            "one two",
            "two three",
            "three four",
        ],
    ),
];
