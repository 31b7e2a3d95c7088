//! Every command and response code, in all places where it can be asked: at a backend, through a frontend with all mailboxes on one
//! backend and on two, at a real Cyrus, through our frontend before a Cyrus, and through a Cyrus frontend before our backend.
//!
//! The scripts (`differ/scripts`) have no answers: one place's answers are the other's measure. Ours must be the same to the letter, and mean
//! the same as Cyrus's; what is meant to differ stands in `differ/meant`, with its reason.

mod alike;
mod meant;
mod play;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use system_tests::{
    Murder, Plan,
    Who::{self, Cyrus, Ours},
    lab::{self, Profile},
};

use meant::Table;
use play::{Answer, Script, Stage, scripts, users};

type Answers = Vec<Vec<Answer>>;

/// What differs, by step.
type Complaints = BTreeMap<String, String>;

#[test]
fn a_frontend_answers_as_its_backend_does_to_the_letter() {
    let murder = of_ours(1, "frontend1");
    let stage = Stage { murder: &murder, door: "frontend1", homes: Some(["backend1", "backend1"]) };
    let through = stage.play(&scripts(), |_| true);
    compare(direct(), &through, exactly, include_str!("differ/meant/frontend.txt"));
}

#[test]
fn a_frontend_before_two_backends_answers_as_one_backend_does_to_the_letter() {
    let murder = of_ours(2, "frontend1");
    let stage = Stage { murder: &murder, door: "frontend1", homes: Some(["backend1", "backend2"]) };
    let across = stage.play(&scripts(), |_| true);
    compare(direct(), &across, exactly, include_str!("differ/meant/two.txt"));
}

#[test]
fn a_backend_answers_as_a_real_cyrus_does() {
    let Some(answers) = of_cyrus() else { return };
    compare_with_cyrus(answers, direct(), &table_of("cyrus"), |disputed| {
        let murder = mixed(&[("mupdate", Ours), ("be1", Cyrus)]).expect("a Cyrus");
        let stage = Stage { murder: &murder, door: "be1", homes: None };
        (stage.play(&scripts(), disputed), direct().clone())
    });
}

#[test]
fn a_cyrus_backend_answers_through_our_frontend_as_it_does_itself() {
    let Some(answers) = of_cyrus() else { return };
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("fe1", Ours)];
    let carried = |wanted: &(dyn Fn(&Script) -> bool + Sync)| {
        let murder = mixed(&cast).expect("a Cyrus");
        let stage = Stage { murder: &murder, door: "fe1", homes: Some(["be1", "be1"]) };
        stage.play(&scripts(), wanted)
    };
    compare_with_cyrus(answers, &carried(&is_of(version())), &table_of("carried"), |disputed| {
        let murder = mixed(&cast[..2]).expect("a Cyrus");
        let stage = Stage { murder: &murder, door: "be1", homes: None };
        let answers = stage.play(&scripts(), disputed);
        drop(murder);
        (answers, carried(disputed))
    });
}

#[test]
fn our_backend_answers_through_a_cyrus_frontend_as_it_does_itself() {
    let cast = [("mupdate", Ours), ("be1", Ours), ("fe1", Cyrus)];
    let Some(murder) = mixed(&cast) else { return };
    let stage = Stage { murder: &murder, door: "fe1", homes: Some(["be1", "be1"]) };
    let carrying = stage.play(&scripts(), is_of(version()));
    drop(murder);
    compare_with_cyrus(direct(), &carrying, &table_of("carrying"), |disputed| {
        let murder = mixed(&cast).expect("a Cyrus");
        let stage = Stage { murder: &murder, door: "fe1", homes: Some(["be1", "be1"]) };
        (direct().clone(), stage.play(&scripts(), disputed))
    });
}

/// A word without a script is announced untried.
#[test]
fn every_word_of_the_capability_list_has_a_script() {
    let murder = of_ours(1, "frontend1");
    let scripts = scripts();
    let tried: BTreeSet<&str> = scripts.iter().flat_map(|script| script.covers.iter().copied()).collect();
    for node in ["backend1", "frontend1"] {
        let mut before = murder.imap(node);
        let mut lines = before.must("CAPABILITY").expect("an answer").lines;
        lines.extend(murder.login(node, "ann00").must("CAPABILITY").expect("an answer").lines);
        let words = lines.iter().flat_map(|line| line.split(' ').skip(2));
        let untried: Vec<&str> = words
            .filter(|word| !tried.iter().any(|tried| tried == word || is_with_value(word, tried)))
            .collect();
        assert!(untried.is_empty(), "{node}: {untried:?}");
    }
}

#[test]
fn what_a_cyrus_announces_and_a_backend_does_not_is_meant() {
    let Some(murder) = mixed(&[("mupdate", Ours), ("be1", Cyrus)]) else { return };
    let of_cyrus = announced(&murder, "be1");
    drop(murder);
    let ours = announced(&of_ours(1, "backend1"), "backend1");
    let missing: BTreeSet<&str> = of_cyrus.difference(&ours).map(String::as_str).collect();
    let rows = UNANNOUNCED.lines().filter_map(|line| line.split(": ").next());
    let meant: BTreeSet<&str> = rows.flat_map(|words| words.split(' ')).collect();
    let unmeant: Vec<&&str> = missing.difference(&meant).collect();
    assert!(unmeant.is_empty(), "{unmeant:?}");
}

/// What a user hears after the login, without values.
fn announced(murder: &Murder, node: &str) -> BTreeSet<String> {
    let lines = murder.login(node, "ann00").must("CAPABILITY").expect("an answer").lines;
    let words = lines.iter().flat_map(|line| line.split(' ').skip(2));
    words
        .map(|word| match word.split_once('=') {
            Some((name @ ("APPENDLIMIT" | "MUPDATE"), _)) => name.to_owned(),
            _ => word.to_owned(),
        })
        .collect()
}

/// Words that a Cyrus announces, and a backend of ours does not, and why.
const UNANNOUNCED: &str = "\
AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=LOGIN AUTH=PLAIN LOGINDISABLED: before the login only
AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS: before the login only
DIGEST=SHA1 X-CREATEDMODSEQ SCAN XMOVE: items of Cyrus's own, beside OBJECTID, CONDSTORE and MOVE
MAILBOX-REFERRALS: a frontend's
NO_ATOMIC_RENAME: RENAME of a tree is done whole
URLAUTH URLAUTH=BINARY: not served (docs/FROM-CYRUS.md)
X-QUOTA=STORAGE X-QUOTA=MESSAGE X-QUOTA=X-ANNOTATION-STORAGE X-QUOTA=X-NUM-FOLDERS: as QUOTA=RES-… has them
X-REPLICATION X-REPLICATION-ARCHIVE: between Cyrus's nodes
X-SIEVE-MAILBOX: there is no Sieve";

/// `APPENDLIMIT=5` is tried as `APPENDLIMIT=`.
fn is_with_value(word: &str, tried: &str) -> bool {
    tried.ends_with('=') && word.starts_with(tried)
}

/// The codes are those that `protocol` prints.
#[test]
fn every_response_code_is_heard_in_a_script() {
    let source = include_str!("../../crates/protocol/src/imap/reply.rs");
    let codes = source.lines().filter_map(|line| {
        let (_, printed) = line.trim().strip_prefix("Code::")?.split_once("=> ")?;
        let (_, text) = printed.split_once('"')?;
        let words = text.split(['"', '{', '(', '\\']).next()?;
        Some(words.trim().to_owned())
    });
    let codes: BTreeSet<String> = codes.collect();
    assert!(codes.len() > 40, "{codes:?}");
    let lines = direct().iter().flatten().flat_map(|answer| answer.untagged.iter().chain([&answer.result]));
    let said: String = lines.map(|line| format!("{line}\n")).collect();
    let unheard: BTreeSet<&str> = (codes.iter().map(String::as_str))
        .filter(|code| !said.contains(&format!("[{code} ")) && !said.contains(&format!("[{code}]")))
        .collect();
    let expected: BTreeSet<&str> = UNHEARD.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(unheard, expected);
}

/// Codes of which no script hears, and why.
const UNHEARD: &str = "\
ANNOTATE TOOBIG: values of 64 KiB (crates/backend has tests)
ANNOTATE TOOMANY: a thousand annotations
AUTHORIZATIONFAILED: a proxy's login, or somebody whom an operator denies
CAPABILITY: said at a login, which the player does not show
COMPRESSIONACTIVE: behind COMPRESS
INUSE: a mailbox that an operator's tool holds
LIMIT: hundreds of keywords or searches
METADATA MAXSIZE: values of 64 KiB
METADATA TOOMANY: a thousand annotations
NOTIFICATIONOVERFLOW: more changes than are kept for a client that does not read
NOTSAVED: more messages than a session keeps
PRIVACYREQUIRED: connections without TLS
REFERRAL: a frontend's, which the frontends' scripts hear
SERVERBUG: a broken store
TOOBIG: maxmessagesize
TOOMANY: more messages than batches are made of
UNAVAILABLE: a node that is down
XKICKED: between our nodes
XMOVED: between our nodes
XTAKEN: between our nodes";

/// What our backend answers, asked directly.
fn direct() -> &'static Answers {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let murder = of_ours(1, "backend1");
        Stage { murder: &murder, door: "backend1", homes: None }.play(&scripts(), |_| true)
    })
}

/// What a Cyrus answers, asked directly; none where there is none here.
fn of_cyrus() -> Option<&'static Answers> {
    static ANSWERS: OnceLock<Option<Answers>> = OnceLock::new();
    let answers = ANSWERS.get_or_init(|| {
        let murder = mixed(&[("mupdate", Ours), ("be1", Cyrus)])?;
        let stage = Stage { murder: &murder, door: "be1", homes: None };
        Some(stage.play(&scripts(), is_of(version())))
    });
    answers.as_ref()
}

/// A murder of ours with the users of the scripts, who log in at `door`.
fn of_ours(backends: usize, door: &str) -> Murder {
    let plan =
        OPTIONS.iter().fold(Plan::nodes(1, backends), |plan, (key, value)| plan.option("*", key, value));
    with_users(plan).option(door, "allowallsubscribe", "no").start()
}

/// The same of both kinds of nodes, where there is a Cyrus.
fn mixed(cast: &[(&str, Who)]) -> Option<Murder> {
    let door = cast.last().map(|(node, _)| *node)?;
    let plan = OPTIONS
        .iter()
        .fold(Plan::mixed(Profile::Defaults, cast)?, |plan, (key, value)| plan.option("*", key, value));
    let mut murder = with_users(plan).option(door, "allowallsubscribe", "no").prepare();
    let lab = murder.lab.as_ref().expect("a Cyrus");
    for (node, _) in cast.iter().filter(|(_, who)| *who == Cyrus) {
        OPTIONS.iter().for_each(|(key, value)| lab.set_option(node, key, value));
        if *node == door {
            lab.set_option(node, "allowallsubscribe", "no");
            users().for_each(|name| lab.account(node, &name, &murder.password(&name)));
        }
    }
    cast.iter().for_each(|(node, _)| murder.start(node));
    Some(murder)
}

/// What makes all words announced, and ours and Cyrus's alike where their defaults are not. (Who logs in at a backend itself, or at a
/// frontend, cannot subscribe to what that node knows nothing of.)
const OPTIONS: [(&str, &str); 5] = [
    ("allowusermoves", "yes"),
    ("annotation_allow_undefined", "yes"),
    ("munge8bit", "no"),
    ("reject8bit", "no"),
    ("password_iterations", "4096"),
];

fn with_users(plan: Plan) -> Plan {
    users().fold(plan, |plan, name| plan.account(&name))
}

fn is_of(version: (u32, u32)) -> impl Fn(&Script) -> bool + Sync {
    move |script| script.since.is_some_and(|since| since <= version)
}

/// Cyrus's.
fn version() -> (u32, u32) {
    lab::version().unwrap_or((3, 6))
}

/// What is meant to differ with that version: `cyrus.txt` holds with all, `cyrus-3.10-3.12.txt` with these.
fn table_of(comparison: &str) -> String {
    let with = match version() {
        (3, ..=6) => "3.6",
        (3, ..=10) => "3.10",
        _ => "3.12",
    };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/differ/meant");
    let mut tables = String::new();
    for file in fs::read_dir(dir).expect("the tables").flatten() {
        let name = file.file_name().into_string().expect("a name");
        let mut words = name.trim_end_matches(".txt").split('-');
        if words.next() == Some(comparison)
            && (words.clone().next().is_none() || words.any(|word| word == with))
        {
            tables += &fs::read_to_string(file.path()).expect("a table");
            tables.push('\n');
        }
    }
    tables
}

fn exactly(answer: &Answer, command: &str) -> Vec<String> {
    alike::exact(answer, command)
}

fn by_meaning(answer: &Answer, command: &str) -> Vec<String> {
    alike::meaning(answer, command)
}

/// Fails with all steps that differ and should not, as rows of the table.
fn compare(one: &Answers, other: &Answers, view: fn(&Answer, &str) -> Vec<String>, table: &str) {
    let mut table = Table::read(table);
    let mut complaints = disputes(one, other, view, &mut table);
    complaints.extend(table.end());
    complain(&complaints);
}

/// The same for what a real Cyrus answers. Its processes tell each other of changes by files and signals, and on a busy host one of them
/// may hear of something a step later than the next time. So the scripts in dispute are played again, at nodes that are new: a step that
/// is not as the table says both times differs.
fn compare_with_cyrus(
    one: &Answers,
    other: &Answers,
    rows: &str,
    again: impl FnOnce(&(dyn Fn(&Script) -> bool + Sync)) -> (Answers, Answers),
) {
    let mut table = Table::read(rows);
    let mut complaints = disputes(one, other, by_meaning, &mut table);
    complaints.extend(table.end());
    if complaints.is_empty() {
        return;
    }
    let disputed = |script: &Script| complaints.keys().any(|step| script.has(step));
    let (one, other) = again(&disputed);
    let mut second = disputes(&one, &other, by_meaning, &mut Table::read(rows));
    let is_there = |step: &String| scripts().iter().any(|script| script.has(step));
    complaints.retain(|step, text| match second.remove(step) {
        Some(again) => {
            if again != *text {
                let _ = writeln!(text, "\n  and the second time:\n{again}");
            }
            true
        }
        None => !is_there(step),
    });
    complain(&complaints);
}

/// The steps that differ and should not, each with its row.
fn disputes(
    one: &Answers,
    other: &Answers,
    view: fn(&Answer, &str) -> Vec<String>,
    table: &mut Table,
) -> Complaints {
    let mut complaints = Complaints::new();
    for (script, (one, other)) in scripts().iter().zip(one.iter().zip(other)) {
        for (step, (one, other)) in script.steps.iter().zip(one.iter().zip(other)) {
            let [one, other] = [one, other].map(|answer| view(answer, step.command));
            let step = script.step_name(step);
            complaints.extend(table.judge(&step, &one, &other).map(|row| (step, row)));
        }
    }
    complaints
}

fn complain(complaints: &Complaints) {
    let rows: String = complaints.iter().map(|(step, row)| format!("{step}\n{row}\n")).collect();
    assert!(complaints.is_empty(), "{rows}{} steps differ", complaints.len());
}
