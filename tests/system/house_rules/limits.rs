//! What bounds a session stands in a table (`bounds::table!`), which the code takes its numbers from and docs/LIMITS.md is made of.

use std::collections::BTreeSet;
use std::fs;

use super::{code, root, sources};

/// Code without tables: who runs it waits for it, and no peer feeds it.
const TOOLS: &[(&str, &str)] = &[
    ("crates/config/", "reads files when a program starts; turns options into times"),
    ("crates/murder/", "the operator's command, and clusters for tests"),
    ("crates/ctl-mboxlist/", "tools of a node"),
    ("crates/manual/", "a step of the build"),
    ("crates/bounds/", "what tables are made of"),
    ("crates/mupdate/src/tester/", "mupdatetest, which an operator runs"),
];

/// Constants that are compared with a length, and bound nothing of a session.
const FORMATS: &[(&str, &str)] = &[
    ("crates/protocol/", "grammars; the bounds that clients can reach stand in the tables of their sessions"),
    ("crates/sieve/src/message/edits.rs", "the lines of a header"),
    ("crates/store/src/keys.rs", "a row of a file"),
    ("crates/store/src/text/segment.rs", "a table of a file"),
    ("crates/mime/", "the structure of a message, which is read on a blocking thread"),
    ("crates/mailboxes/src/blocks.rs", "how names lie in memory"),
    ("crates/submission/src/compose/", "what a mail looks like"),
    ("crates/master/src/daemon.rs", "a word of a protocol of ours"),
    ("crates/transport/src/proxy_header.rs", "the grammar of the PROXY protocol"),
    ("crates/upstream/src/wire/scan.rs", "the grammar of a line"),
];

/// Queues and gates whose bound is not a constant of a table at that place, and why they have one all the same.
const BOUNDED_OTHERWISE: &[(&str, &str, &str)] = &[
    ("crates/identity/src/auth/pace.rs", "Semaphore::new(kind.together)", "a `Kind` is made of rows"),
    ("crates/logs/src/lines.rs", "mpsc::channel()", "a test reads it"),
    ("crates/mailboxes/src/behind.rs", "unbounded_channel()", "rows are announced first: `BEHIND`"),
    ("crates/store/src/commit/checkpoint.rs", "mpsc::channel()", "one answer"),
    ("crates/store/src/commit/mod.rs", "mpsc::channel()", "jobs have a permit each: `QUEUE`; one answer"),
];

#[test]
fn no_time_and_no_bound_stands_outside_the_tables() {
    let all = sources("crates");
    let tables = tables(&all);
    assert!(tables.len() > 15, "{} tables were read", tables.len());
    let mut used: Vec<&(&str, &str, &str)> = Vec::new();
    for (path, text) in &all {
        if is_test(path) || tables.iter().any(|table| table.path == *path) {
            continue;
        }
        for breach in breaches(path, code(text), &names_for(&tables, path)) {
            let otherwise = BOUNDED_OTHERWISE.iter().find(|(file, what, _)| file == path && *what == breach);
            assert!(otherwise.is_some(), "{path}: {breach}: its number belongs into a table (limits.rs)");
            used.extend(otherwise);
        }
    }
    for exception in BOUNDED_OTHERWISE {
        assert!(used.contains(&exception), "{exception:?} is no exception any more");
    }
}

#[test]
fn every_row_is_a_number_that_the_code_uses() {
    let all = sources("crates");
    let tables = tables(&all);
    for table in &tables {
        let home = crate_of(&table.path);
        for (name, value) in &table.constants {
            // A path: the number of a grammar, which is used there.
            let used = value.contains("::") && !value.contains("Duration::")
                || all.iter().any(|(path, text)| {
                    *path != table.path && path.starts_with(home) && words(text).any(|word| word == name)
                });
            assert!(used, "{}: {name} is used nowhere", table.path);
        }
    }
    let document = fs::read_to_string(root().join("docs/LIMITS.md")).unwrap();
    for table in &tables {
        let heading = format!("\n## {}\n", table.title);
        assert!(
            document.contains(&heading),
            "docs/LIMITS.md has no part {}: see manual::limits",
            table.title
        );
    }
}

#[test]
fn the_rule_of_limits_tells_every_way_to_break_it() {
    let rows = BTreeSet::from(["QUEUE".to_owned(), "MOST".to_owned()]);
    let found = |text: &str| breaches("crates/x/src/lib.rs", text, &rows);
    for breach in [
        "timeout(Duration::from_secs(2), read)",
        "const LOOK: Duration = Duration::from_millis(100);",
        "std::time::Duration::from_secs(4 * 3600)",
        "Duration::from_secs(SECONDS)",
        "Duration::new(5, 0)",
        "mpsc::channel(64)",
        "mpsc::channel::<Vec<u8>>(64)",
        "mpsc::unbounded_channel()",
        "broadcast::channel(OTHER)",
        "Arc::new(Semaphore::new(4))",
        "const QUEUE: usize = 9;\nlet (a, b) = mpsc::channel(QUEUE);",
        "if known.len() >= OTHER {",
        "const MOST: usize = 9;\nif known.len() >= MOST {",
        "while lot.len() < self::OTHER",
    ] {
        assert_eq!(found(breach).len(), 1, "{breach}");
    }
    for good in [
        "timeout(PATIENCE, read)",
        "Duration::from_secs(seconds)",
        "Duration::from_secs(60 * u64::from(*minutes))",
        "Duration::ZERO",
        "mpsc::channel(QUEUE)",
        "mpsc::channel(limits::QUEUE)",
        "oneshot::channel()",
        "Semaphore::new(QUEUE)",
        "if known.len() >= MOST {",
        "if known.len() >= limit {",
        "// timeout(Duration::from_secs(2), read)",
    ] {
        assert_eq!(found(good), [""; 0], "{good}");
    }
}

struct Table {
    path: String,
    title: String,
    /// Names and values.
    constants: Vec<(String, String)>,
}

/// All tables. A file that has one has nothing else.
fn tables(all: &[(String, String)]) -> Vec<Table> {
    let with =
        all.iter().filter(|(path, text)| text.contains("\nbounds::table! {") && !path.contains("/bounds/"));
    let read = |(path, text): &(String, String)| {
        let (before, table) = text.split_once("\nbounds::table! {").unwrap();
        let (table, after) = table.split_once("\n}\n").unwrap();
        let bare = |line: &&str| !line.is_empty() && !line.starts_with("//!") && !line.starts_with("use ");
        assert!(before.lines().find(bare).is_none() && after.is_empty(), "{path} has more than a table");
        let title = table.split('"').nth(3).unwrap().to_owned();
        // `pub(crate) NAME: type = value, unit, "source";`
        let rows = table.lines().filter(|line| !line.trim_start().starts_with("//"));
        let rows = rows.filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let (_, value) = rest.split_once(" = ")?;
            let value = value.split_once(", ").map_or(value, |(value, _)| value);
            Some((name.split_whitespace().last()?.to_owned(), value.to_owned()))
        });
        Table { path: path.clone(), title, constants: rows.collect() }
    };
    with.map(read).collect()
}

/// The rows that a file may take numbers from: its own crate's.
fn names_for(tables: &[Table], path: &str) -> BTreeSet<String> {
    let own = tables.iter().filter(|table| crate_of(&table.path) == crate_of(path));
    own.flat_map(|table| &table.constants).map(|(name, _)| name.clone()).collect()
}

/// `crates/name/`.
fn crate_of(path: &str) -> &str {
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at + 1);
    &path[..end]
}

fn is_test(path: &str) -> bool {
    ["/tests/", "/tests.rs", "/benches/", "/examples/", "/store/kill.rs"]
        .iter()
        .any(|part| path.contains(part))
}

/// What a file bounds by a number of its own.
fn breaches(path: &str, text: &str, rows: &BTreeSet<String>) -> Vec<String> {
    let tool = TOOLS.iter().any(|(start, _)| path.starts_with(start));
    let format = FORMATS.iter().any(|(start, _)| path.starts_with(start));
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let is_row = |argument: &str| {
        let name = last_word(argument);
        rows.contains(name) && !text.contains(&format!("const {name}: "))
    };
    let mut found = Vec::new();
    if tool {
        return found;
    }
    // A time is made of what was read or reckoned, or it is a row.
    for call in calls(&text, &["Duration::from_", "Duration::new("]) {
        let argument = call.split_once('(').map_or("", |(_, argument)| argument);
        if !words(argument).any(|word| word.starts_with(char::is_lowercase)) {
            found.push(call);
        }
    }
    let queues =
        ["mpsc::channel", "mpsc::sync_channel", "unbounded_channel", "broadcast::channel", "Semaphore::new"];
    for call in calls(&text, &queues) {
        let argument = call.rsplit_once('(').map_or("", |(_, argument)| argument.trim_end_matches(')'));
        if !is_row(argument) {
            found.push(call);
        }
    }
    for (_, rest) in text.match_indices("len()").map(|(at, _)| text[at..].split_at(5)).filter(|_| !format) {
        let rest = rest.trim_start_matches([')', ' ', '\n']);
        let bound = rest.trim_start_matches(['<', '>', '=']);
        if bound.len() == rest.len() {
            continue;
        }
        let bound: String =
            bound.trim_start().chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
        let name = last_word(&bound);
        if name.len() > 1
            && !name.contains(char::is_lowercase)
            && name.starts_with(char::is_uppercase)
            && !is_row(name)
        {
            found.push(format!("len() and {bound}"));
        }
    }
    found
}

/// The calls of functions whose names so begin, each to its first closing bracket.
fn calls(text: &str, starts: &[&str]) -> Vec<String> {
    let places = starts.iter().flat_map(|start| text.match_indices(start)).map(|(at, _)| at);
    let call = |at: usize| {
        let rest = &text[at..];
        let whole = rest.split_once(')').map_or(rest, |(call, _)| call);
        // Not a mere mention, as in an import.
        whole.split_once('(').filter(|(name, _)| !name.contains([' ', ';', ','])).map(|_| format!("{whole})"))
    };
    places.filter_map(call).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn last_word(text: &str) -> &str {
    words(text).last().unwrap_or_default()
}
