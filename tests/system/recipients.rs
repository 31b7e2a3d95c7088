//! One message for many recipients, whose scripts do different things: each of them gets what a delivery alone would give.

use std::collections::BTreeMap;

use system_tests::{Murder, Plan};
use test_host::sink::{Behaviour, Sink};

use crate::sieve::Sieve;

/// A recipient, the backend, and the script. Whoever hears of another's edits, flags or actions shows it.
const CAST: [(&str, &str, &str); 7] = [
    ("redirects", "backend1", "if exists \"x-edit\" { keep; } redirect \"far@far.org\";"),
    ("plain", "backend2", ""),
    (
        "files",
        "backend1",
        "require [\"fileinto\", \"mailbox\", \"imap4flags\"]; addflag \"filed\"; if exists \"x-edit\" { keep; } \
         fileinto :create \"Lists\";",
    ),
    ("edits", "backend2", "require \"editheader\"; addheader \"X-Edit\" \"yes\"; deleteheader \"X-Gone\";"),
    (
        "rejects",
        "backend1",
        "require \"reject\"; if not exists \"x-gone\" { keep; stop; } reject \"not me\";",
    ),
    ("errs", "backend2", "require \"fileinto\"; if exists \"x-edit\" { stop; } fileinto \"nowhere\";"),
    ("full", "backend1", ""),
];

#[test]
fn what_one_recipients_script_does_reaches_no_other_in_whatever_order_they_come() {
    let sink = Sink::start(Behaviour::default());
    let murder = murder(&sink);
    let everybody: Vec<&str> = CAST.iter().map(|(name, ..)| *name).collect();
    let mut id = 0;
    let mut send = |murder: &Murder, to: &[&str]| -> BTreeMap<String, String> {
        id += 1;
        let text = format!("Message-ID: <{id}@a>\r\nSubject: for many\r\nX-Gone: no\r\n\r\nx\r\n");
        let replies = murder.lmtp("frontend1").deliver("ann@example.org", to, &text).unwrap();
        to.iter().map(|name| name.to_string()).zip(replies.iter().map(|reply| said(reply))).collect()
    };
    let mut alone = BTreeMap::new();
    for name in &everybody {
        alone.extend(send(&murder, &[name]));
    }
    let kept_alone: Vec<BTreeMap<String, usize>> =
        everybody.iter().map(|name| contents(&murder, name)).collect();
    assert_eq!(alone["plain"], "250 2.1.5");
    assert_eq!(alone["rejects"], "550 5.7.1");
    assert_eq!(alone["full"], "452 4.2.2");
    assert_eq!(sink.next().commands.last().unwrap(), "RCPT TO:<far@far.org>");

    let orders = orders(&everybody);
    for order in &orders {
        let together = send(&murder, order);
        for (name, reply) in &together {
            assert_eq!(reply, &alone[name], "{name} in {order:?}");
        }
        if order.contains(&"redirects") {
            let sent = sink.next();
            assert!(
                !sent.message.contains("X-Edit") && sent.message.contains("X-Gone"),
                "{order:?}: {sent:?}"
            );
        }
    }
    assert_eq!(sink.rest(), [], "nothing else was sent");
    for (name, alone) in everybody.iter().zip(kept_alone) {
        let times = 1 + orders.iter().filter(|order| order.contains(name)).count();
        let expected: BTreeMap<String, usize> =
            alone.into_iter().map(|(kind, one)| (kind, one * times)).collect();
        assert_eq!(contents(&murder, name), expected, "{name}");
    }
}

fn murder(sink: &Sink) -> Murder {
    let plan = Plan::nodes(1, 2)
        .option("*", "allowplaintext", "yes")
        .option("*", "smtp_backend", "host")
        .option("*", "smtp_host", &sink.host());
    let murder = CAST.iter().fold(plan, |plan, (name, backend, _)| plan.user(name, backend)).start();
    for (name, _, script) in CAST.iter().filter(|(.., script)| !script.is_empty()) {
        let mut sieve = Sieve::login(&murder, "frontend1", name);
        let stored = sieve.put("rules", script);
        assert!(stored.starts_with("OK"), "{name}: {stored}");
        sieve.must("SETACTIVE \"rules\"");
    }
    let full = murder.external("user.full");
    murder.admin("backend1").must(&format!("SETQUOTA {full} (STORAGE 0)")).unwrap();
    murder
}

/// Every order of four whose scripts act on what the others see, every order of four others, and orders of all in which each
/// stands behind each.
fn orders<'n>(all: &[&'n str]) -> Vec<Vec<&'n str>> {
    let [redirects, plain, files, edits, rejects, errs, full] = all[..] else { panic!("seven recipients") };
    let mut orders = permutations(&[redirects, edits, rejects, plain]);
    orders.extend(permutations(&[files, errs, full, edits]));
    for start in 0..all.len() {
        for step in [1, 2, 3] {
            let order: Vec<&str> = (0..all.len()).map(|at| all[(start + at * step) % all.len()]).collect();
            orders.push(order.iter().rev().copied().collect());
            orders.push(order);
        }
    }
    orders
}

fn permutations<'n>(names: &[&'n str]) -> Vec<Vec<&'n str>> {
    if names.is_empty() {
        return vec![vec![]];
    }
    let mut found = Vec::new();
    for (at, first) in names.iter().enumerate() {
        let others = [&names[..at], &names[at + 1..]].concat();
        found.extend(permutations(&others).into_iter().map(|rest| [vec![*first], rest].concat()));
    }
    found
}

/// The codes of a reply, which has its session behind them.
fn said(reply: &str) -> String {
    reply.split([' ', '-']).take(2).collect::<Vec<_>>().join(" ")
}

/// How many messages of which kind a user has: the mailbox, the flags, and the fields that scripts look at.
fn contents(murder: &Murder, user: &str) -> BTreeMap<String, usize> {
    let mut imap = murder.login("frontend1", user);
    let mut found = BTreeMap::new();
    for mailbox in ["INBOX", "Lists"] {
        if imap.must(&format!("EXAMINE {mailbox}")).is_err() {
            continue;
        }
        let fetched = imap.must("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT X-EDIT X-GONE)])");
        let Ok(fetched) = fetched else { continue };
        let text = fetched.lines.join("\n");
        for one in text.split(" FETCH (FLAGS (").skip(1) {
            let (flags, rest) = one.split_once(')').expect("flags end");
            let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
            flags.sort_unstable();
            let fields: Vec<&str> = ["Subject: for many", "X-Edit: yes", "X-Gone: no"]
                .into_iter()
                .filter(|field| rest.contains(field))
                .collect();
            *found.entry(format!("{mailbox} {flags:?} {fields:?}")).or_insert(0) += 1;
        }
    }
    found
}
