//! Virtual domains, as transcripts: what administrators of all domains and of one, and users of several, do and see. Each layout
//! of names is played at a backend, through a frontend, and, where it can be run, by a real Cyrus.
//!
//! A transcript has steps, `user: command`, and below each the answer, its lines in any order and without what says whether
//! there are children. It is written as administrators write it, and as users see it with `altnamespace` and `/`; users' own
//! folders are `~/x`, other users' `~~/bob`, shared ones `++news`, and a domain that users write is `@@a.test`. What holds in
//! some layouts only, or of Cyrus or us alone, says so: `[plain other ours]`. A line after `=` is as it stands.

use std::collections::{BTreeMap, BTreeSet};

use murder::clients::Imap;
use system_tests::{
    Murder, Plan,
    Who::{self, Cyrus, Ours},
    lab::Profile,
};

const TRANSCRIPT: &str = include_str!("domains/domains.txt");
const NAMES: [&str; 11] = [
    "adm@a.test",
    "fred@a.test",
    "bob@a.test",
    "fred@b.test",
    "eve@b.test",
    "fred2@c.test",
    "fred@inbox.com",
    "fred",
    "al",
    "zoe",
    "nina@a.test",
];

/// A kind of names that a site has.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// `altnamespace` with `/`; else neither.
    alt: bool,
    /// `off`, `all` (`crossdomains`), `other` (`crossdomains_onlyother` too).
    crossing: &'static str,
}

const LAYOUTS: [Layout; 6] = [
    Layout { alt: true, crossing: "off" },
    Layout { alt: false, crossing: "off" },
    Layout { alt: true, crossing: "all" },
    Layout { alt: false, crossing: "all" },
    Layout { alt: true, crossing: "other" },
    Layout { alt: false, crossing: "other" },
];

impl Layout {
    fn options(self) -> [(&'static str, &'static str); 9] {
        let yes = |on: bool| if on { "yes" } else { "no" };
        [
            ("virtdomains", "userid"),
            ("defaultdomain", "murder.test"),
            ("altnamespace", yes(self.alt)),
            ("unixhierarchysep", yes(self.alt)),
            ("crossdomains", yes(self.crossing != "off")),
            ("crossdomains_onlyother", yes(self.crossing == "other")),
            ("delete_mode", "immediate"),
            ("allowusermoves", "yes"),
            ("allowallsubscribe", "no"),
        ]
    }

    /// A text of the transcript in this layout.
    fn written(self, text: &str) -> String {
        if let Some(exact) = text.strip_prefix('=') {
            return exact.to_owned();
        }
        if self.alt {
            let text = text.replace("~~/", "Other Users/").replace("++", "Shared Folders/");
            return text.replace("~/", "").replace("@@", "@");
        }
        let text = text.replace("~~/", "user/").replace("++", "").replace("~/", "INBOX/");
        let mut parts = text.split("@@");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(part.len());
            out += &format!("@{}{}", part[..end].replace('.', "^"), &part[end..]);
        }
        out.replace('/', ".")
    }
}

/// A command, and what is said to it by whoever is played.
struct Step {
    user: &'static str,
    command: String,
    lines: Vec<String>,
}

fn steps(layout: Layout, who: Who) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let holds = |condition: &str| match condition {
        "alt" | "plain" => layout.alt == (condition == "alt"),
        "cyrus" => who == Cyrus,
        "ours" => who == Ours,
        crossing => layout.crossing == crossing,
    };
    // Conditions of one kind are alternatives.
    let kind = |condition: &str| match condition {
        "alt" | "plain" => 0,
        "cyrus" | "ours" => 1,
        "off" | "all" | "other" => 2,
        unknown => panic!("no such condition: {unknown}"),
    };
    for line in TRANSCRIPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(answer) = line.strip_prefix("  ") else {
            let (user, command) = line.split_once(": ").expect("user: command");
            steps.push(Step { user, command: layout.written(command), lines: Vec::new() });
            continue;
        };
        let (conditions, text) = match answer.strip_prefix('[') {
            Some(rest) => rest.split_once("] ").expect("[conditions] answer"),
            None => ("", answer),
        };
        let mut kinds = [None; 3];
        for condition in conditions.split_whitespace() {
            let met = &mut kinds[kind(condition)];
            *met = Some(met.unwrap_or(false) || holds(condition));
        }
        if kinds.iter().all(|met| met.unwrap_or(true)) {
            steps.last_mut().expect("a command first").lines.push(layout.written(text));
        }
    }
    steps
}

/// What is compared of a line.
fn essence(line: &str) -> String {
    let mut line = line.replace('"', "").replace("\\HasNoChildren", "").replace("\\HasChildren", "");
    line = line.replace("( ", "(").replace(" )", ")");
    line = line.replace("NO Subscribe: ", "NO ");
    match line.split_once(' ') {
        Some(("OK", _)) => "OK".to_owned(),
        Some(("NO", text)) if text.starts_with('[') => {
            format!("NO {}", text.split_once("] ").map_or(text, |(_, text)| text))
        }
        _ => line,
    }
}

/// Plays the transcript at a node; all that is answered otherwise.
fn play(murder: &Murder, node: &str, layout: Layout, who: Who) -> String {
    let mut sessions: BTreeMap<&str, Imap> = BTreeMap::new();
    let mut complaint = String::new();
    for step in steps(layout, who) {
        let session = sessions.entry(step.user).or_insert_with(|| match step.user {
            "cyrus" => murder.admin(node),
            // Whoever is of the default domain has one name, with it or without.
            user => {
                let account = user.strip_suffix("@murder.test").unwrap_or(user);
                let mut session = murder.imap(node);
                session.login(user, &murder.password(account)).expect("a login");
                session
            }
        });
        let reply = session.command(&step.command).expect("an answer");
        let untagged = reply.lines.iter().filter(|line| line.starts_with("* ") && !line.starts_with("* OK"));
        let selecting = step.command.starts_with("SELECT");
        let mut said: BTreeSet<String> = untagged.filter(|_| !selecting).map(|line| essence(line)).collect();
        said.insert(essence(&reply.result));
        let expected: BTreeSet<String> = step.lines.into_iter().collect();
        if said != expected {
            complaint += &format!("{}: {}\n", step.user, step.command);
            said.symmetric_difference(&expected).for_each(|line| {
                let sign = if said.contains(line) { '+' } else { '-' };
                complaint += &format!("  {sign} {line}\n");
            });
        }
    }
    complaint
}

fn with(layout: Layout, mut plan: Plan) -> Plan {
    for (key, value) in layout.options() {
        plan = plan.option("*", key, value);
    }
    plan = plan.option("*", "admins", "cyrus mailproxy backend frontend adm@a.test");
    NAMES.iter().fold(plan, |plan, name| plan.account(name))
}

fn played_at(node: &str) {
    let mut complaints = String::new();
    for layout in LAYOUTS {
        let murder = with(layout, Plan::nodes(1, 1)).start();
        let complaint = play(&murder, node, layout, Ours);
        if !complaint.is_empty() {
            complaints += &format!("{node}, {layout:?}:\n{complaint}");
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn a_backend_serves_each_domain_as_if_it_were_alone() {
    played_at("backend1");
}

#[test]
fn a_frontend_serves_each_domain_as_if_it_were_alone() {
    played_at("frontend1");
}

/// Cyrus's backend is the witness of the transcript.
#[test]
fn a_real_cyrus_serves_domains_as_the_transcript_says() {
    let cast = [("mupdate", Ours), ("be1", Cyrus)];
    let mut complaints = String::new();
    for layout in LAYOUTS {
        let Some(plan) = Plan::mixed(Profile::Virtdomains, &cast) else { return };
        let mut murder = with(layout, plan).prepare();
        let lab = murder.lab.as_ref().expect("a Cyrus");
        for (key, value) in layout.options() {
            lab.set_option("be1", key, value);
        }
        lab.set_option("be1", "admins", "cyrus mailproxy backend frontend adm@a.test");
        for name in NAMES {
            lab.account("be1", name, &murder.password(name));
        }
        lab.account("be1", "fred@murder.test", &murder.password("fred"));
        for node in ["mupdate", "be1"] {
            murder.start(node);
        }
        let complaint = play(&murder, "be1", layout, Cyrus);
        if !complaint.is_empty() {
            complaints += &format!("{layout:?}:\n{complaint}");
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

/// A domain on a Cyrus backend and three on ours, behind one frontend. (The lmtpd of Cyrus 3.6.1 crashes when it delivers to a second
/// user whose name differs in the domain alone.)
#[test]
fn mail_and_logins_find_their_domain_whoever_keeps_it() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("be2", Ours), ("fe1", Ours)];
    let homes = [("fred@a.test", "be1"), ("fred@b.test", "be2"), ("fred", "be2"), ("fred@inbox.com", "be2")];
    for layout in [Layout { alt: true, crossing: "off" }, Layout { alt: false, crossing: "other" }] {
        let Some(plan) = Plan::mixed(Profile::Virtdomains, &cast) else { return };
        let mut murder = with(layout, plan).prepare();
        let lab = murder.lab.as_ref().expect("a Cyrus");
        layout.options().into_iter().for_each(|(key, value)| lab.set_option("be1", key, value));
        ["mupdate", "be1", "be2", "fe1"].into_iter().for_each(|node| murder.start(node));
        let mut admin = murder.admin("fe1");
        for (user, backend) in homes {
            let name = layout.written(&format!("user/{user}"));
            admin.must(&format!("CREATE {name} {backend}.murder.test!")).expect("a user is made");
        }
        for address in ["fred@a.test", "FRED@B.Test", "fred@Murder.test", "fred@inbox.com"] {
            let said = murder.deliver("fe1", &[address], address);
            assert!(said[0].starts_with("250"), "{address}: {said:?}");
        }
        for stranger in ["\"fred@a.test\"@murder.test", "\"fred@a.test\"", "fred@c.test", "fred+x@d.test"] {
            let said = murder.deliver("fe1", &[stranger], "x").join("\n");
            assert!(said.contains("550 5.1.1"), "{stranger}: {said}");
        }
        for (user, _) in homes {
            let mut session = murder.login("fe1", user);
            let status = session.must("STATUS INBOX (MESSAGES)").expect("STATUS").lines;
            assert_eq!(status, ["* STATUS INBOX (MESSAGES 1)"], "{user}");
            let listed = session.must("LIST \"\" *").expect("LIST").lines;
            assert_eq!(listed.len(), 1, "{user}: {listed:?}");
            assert!(murder.pop3("fe1", user).must("STAT").expect("STAT").starts_with("+OK 1 "), "{user}");
        }
        let from = layout.written("user/fred@b.test");
        let to = layout.written("user/fred2@c.test");
        admin.must(&format!("RENAME {from} {to}")).expect("RENAME");
        let mut moved = murder.login("fe1", "fred2@c.test");
        assert_eq!(moved.must("STATUS INBOX (MESSAGES)").expect("STATUS").lines.len(), 1);
        let said = murder.deliver("fe1", &["fred2@c.test"], "after");
        assert!(said[0].starts_with("250"), "{said:?}");
        let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
        let names: BTreeSet<&str> = list.keys().map(String::as_str).collect();
        let kept = ["a.test!user.fred", "c.test!user.fred2", "inbox.com!user.fred", "user.fred"];
        assert_eq!(names, BTreeSet::from(kept));
    }
}
