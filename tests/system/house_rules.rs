//! The rules of the house, as a test: what a reader may rely on without looking.

mod circles;
mod layers;
mod limits;
mod options;
mod reading;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below a directory, with their text.
pub fn sources(dir: &str) -> Vec<(String, String)> {
    let (mut found, mut waiting) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let shown = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{dir} has sources");
    found
}

/// A file without its unit tests.
pub fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn the_protocol_crate_knows_no_files_sockets_clock_or_chance() {
    for (path, text) in sources("crates/protocol/src") {
        for banned in ["tokio", "std::fs", "std::net", "std::env", "Instant::now", "SystemTime", "rand::"] {
            assert!(!code(&text).contains(banned), "{path} has {banned}");
        }
    }
}

#[test]
fn the_store_and_the_reader_of_messages_know_no_clients_protocol() {
    let above = ["lmtp", "mupdate", "service", "upstream", "backend"];
    for (name, below) in
        [("store", &above[..]), ("mime", &["protocol", "config", "mailboxes", "store", "tokio"][..])]
    {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        let banned = above.iter().chain(below);
        let found: Vec<_> =
            banned.filter(|other| manifest.contains(&format!("\n{other}.workspace"))).collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
    }
    for (path, text) in sources("crates/store/src") {
        assert_eq!(clients_protocol(&text), None, "{path} knows a protocol");
    }
    for knowing in
        ["use protocol::{flag::Flag,\n    imap::{print, Refusal}};", "fn f(_: protocol::lmtp::Path) {}"]
    {
        assert!(clients_protocol(knowing).is_some(), "{knowing}");
    }
}

/// A client's protocol that a file names, in its imports or in its code.
fn clients_protocol(text: &str) -> Option<&'static str> {
    let imports = circles::paths(text);
    ["imap", "lmtp", "pop3", "mupdate", "managesieve"].into_iter().find(|grammar| {
        let mut named = imports.iter().map(|(path, _)| path);
        named.any(|path| path.starts_with(&["protocol".to_owned(), (*grammar).to_owned()]))
            || text.contains(&format!("protocol::{grammar}"))
    })
}

/// Where unsafe code may stand, and why it must.
const UNSAFE: &[(&str, &str)] = &[
    ("crates/krb5/src/native/", "calls the Kerberos libraries, which are in C"),
    ("crates/master/src/os.rs", "fork and exec, and the user table"),
    ("crates/service/src/inherit.rs", "descriptors that come as numbers"),
];

#[test]
fn unsafe_code_stands_in_a_few_named_places_and_each_says_why_it_is_sound() {
    let word = concat!("uns", "afe");
    let starts = ["{ ", "{\n", "fn ", "impl "].map(|next| format!("{word} {next}"));
    let mut used = Vec::new();
    for (path, text) in sources("crates") {
        if path.contains("/tests/") || !starts.iter().any(|start| code(&text).contains(start)) {
            continue;
        }
        let place = UNSAFE.iter().find(|(place, _)| path.starts_with(place));
        used.extend(place);
        assert!(place.is_some(), "{path} has {word} code");
        assert!(text.contains("// SAFETY:"), "{path} does not say why its {word} code is sound");
    }
    for place in UNSAFE {
        assert!(used.contains(&place), "{place:?} is no exception any more");
    }
}

#[test]
fn a_main_fits_on_a_screen() {
    for (path, text) in sources("crates") {
        if path.ends_with("src/main.rs") || path.contains("/src/bin/") {
            assert!(text.lines().count() <= 60, "{path} has {} lines", text.lines().count());
        }
    }
}

#[test]
fn files_and_functions_keep_their_size() {
    for (path, text) in sources("crates") {
        if path.contains("/tests/") || path.contains("/benches/") {
            continue;
        }
        let body = code(&text);
        assert!(body.lines().count() <= 600, "{path} has {} lines", body.lines().count());
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, line) in body.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let start = line.trim_start();
            if [
                "fn ",
                "pub fn ",
                "pub(crate) fn ",
                "pub(super) fn ",
                "async fn ",
                "pub async fn ",
                "pub(crate) async fn ",
                "pub(super) async fn ",
            ]
            .iter()
            .any(|s| start.starts_with(s))
                && !line.ends_with('}')
                && !line.ends_with(';')
            {
                open.insert(indent, number);
            } else if start == "}"
                && let Some(from) = open.remove(&indent)
            {
                let lines = number - from;
                assert!(lines <= 80, "{path}:{} is a function of {lines} lines", from + 1);
            }
        }
    }
}

#[test]
fn tests_await_events_and_never_sleep() {
    let mut all = sources("crates");
    all.extend(sources("tests"));
    for (path, text) in all {
        // In a simulation time is made, and a disk that takes its time waits for no real clock.
        if path.contains("house_rules") || path.starts_with("tests/simulation/src/") {
            continue;
        }
        let tests = if path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("tests/") {
            text.as_str()
        } else {
            text.split_once("#[cfg(test)]\nmod tests").map(|(_, tests)| tests).unwrap_or_default()
        };
        assert!(!tests.contains("sleep("), "{path} sleeps in a test");
    }
}

/// What writes, makes, removes, opens to others or gives away files.
const WRITING: &[&str] = &[
    "File::create",
    "File::options",
    "OpenOptions",
    "DirBuilder",
    "fs::write",
    "fs::rename",
    "fs::copy",
    "fs::hard_link",
    "fs::remove_",
    "fs::create_dir",
    "symlink(",
    "chown(",
    "set_permissions",
    "mknod",
    "UnixListener::bind",
    "UnixDatagram::bind",
    "StdDatagram::bind(",
];

/// Who does it all the same, and why that is no way to root's files.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/master/src/log.rs", "opens /dev/null"),
    ("crates/murder/src/config/convert.rs", "makes the new file that its user named on the command line"),
    ("crates/murder/src/demo/mod.rs", "removes the directory that it made for itself alone"),
    ("crates/service/src/disk.rs", "writes in a daemon, which is not root where the directory is not root's"),
];

#[test]
fn root_writes_below_configdirectory_by_one_crate_that_becomes_its_owner() {
    // These run as root, wholly or until they have become somebody else.
    for dir in ["master", "murder", "service", "transport", "identity", "logs", "supervision"] {
        for (path, text) in sources(&format!("crates/{dir}/src")) {
            let found = WRITING.iter().find(|word| code(&text).contains(**word));
            let allowed = ALLOWED.iter().any(|(file, _)| *file == path);
            assert!(found.is_none() || allowed, "{path} has {}: the crate `files` does that", found.unwrap());
            assert!(found.is_some() || !allowed, "{path} needs no exception");
        }
    }
    // All other programs become the owner of configdirectory before they do anything there.
    let starts = [
        ("crates/service/src/run.rs", "Builder::new_multi_thread"),
        ("crates/ctl-mboxlist/src/start.rs", "block_on"),
    ];
    for (path, threads) in starts {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{path} has no {words}"));
        assert!(at("files::become_owner(") < at(threads), "{path}");
    }
    let mut programs = 0;
    for (path, text) in sources("crates") {
        let program = path.ends_with("/src/main.rs") || path.contains("/src/bin/");
        if program
            && !["master", "murder", "manual"].iter().any(|name| path.starts_with(&format!("crates/{name}/")))
        {
            // What checks a script reads no configuration, and writes what it is told to.
            let starts = [
                "service::run(",
                "start::run(",
                "mupdate::daemon::Cli",
                "mupdate::tester::Cli",
                "sievec::check(",
                "sievec::print(",
            ];
            assert!(starts.iter().any(|start| text.contains(start)), "{path} starts in a way of its own");
            programs += 1;
        }
    }
    assert!(programs >= 9, "{programs} programs were looked at");
}

#[test]
fn nothing_is_left_for_later() {
    for dir in ["crates", "tests", "benches"] {
        for (path, text) in sources(dir) {
            if path.contains("house_rules") {
                continue;
            }
            for mark in ["TODO", "FIXME", "todo!(", "unimplemented!("] {
                assert!(!text.contains(mark), "{path} has {mark}");
            }
        }
    }
}

#[test]
fn what_the_documents_name_exists() {
    let tests: String = ["crates", "tests"].into_iter().flat_map(sources).map(|(_, text)| text).collect();
    let mut named = 0;
    for document in
        ["README.md", "docs/ARCHITECTURE.md", "docs/OPERATIONS.md", "docs/FROM-CYRUS.md", "docs/SECURITY.md"]
    {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let file = word.contains("/src/") || word.contains("/tests/") || word.starts_with("docs/");
            if file && !word.contains(['*', ' ', '<']) {
                let found =
                    [word.to_owned(), format!("crates/{word}")].iter().any(|path| root().join(path).exists());
                assert!(found, "{document} names {word}");
                named += 1;
            }
            // A test's name is a sentence.
            if !word.ends_with("_total")
                && word.matches('_').count() >= 4
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                assert!(tests.contains(&format!("fn {word}(")), "{document} names the test {word}");
                named += 1;
            }
        }
    }
    assert!(named > 20, "{named} names were looked at");
}

#[test]
fn no_program_panics_when_nobody_reads_what_it_prints() {
    // `println!` and its like panic when the other end of a pipe is gone: `murder who | head`.
    for (path, text) in sources("crates") {
        let exempt = ["/tests/", "build.rs", "crates/manual/", "/benches/", "/examples/"];
        if exempt.iter().any(|part| path.contains(part)) {
            continue;
        }
        for word in ["println!(", "print!(", "eprintln!(", "eprint!("] {
            let used =
                code(&text).lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!used, "{path} has {word}: service::say! and its like do not panic");
        }
    }
}

#[test]
fn every_metric_stands_in_the_table_of_the_manual_and_every_row_is_a_metric() {
    let is_metric = |word: &str| {
        let known = ["murder_", "process_", "cyrus_master_"].iter().any(|start| word.starts_with(start));
        known && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let mut counted: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in sources("crates") {
        if path.contains("/tests/") {
            continue;
        }
        let words = code(&text).split('"').filter(|word| is_metric(word));
        words.for_each(|word| drop(counted.insert(word.to_owned(), path.clone())));
    }
    let manual = fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: Vec<&str> = rows.map(|(name, _)| name).filter(|name| is_metric(name)).collect();
    for (name, path) in &counted {
        assert!(told.contains(&name.as_str()), "{name} of {path} is not in docs/OPERATIONS.md");
    }
    for name in &told {
        assert!(counted.contains_key(*name), "{name} of docs/OPERATIONS.md is no metric");
    }
    assert!(told.len() > 40, "{} metrics", told.len());
    // Each metric says what it means where it is counted: `# HELP` on the page.
    let described: String = [
        "service/src/metrics.rs",
        "directory/src/serve/gauges.rs",
        "mupdate/src/server/mod.rs",
        "master/src/exposition.rs",
    ]
    .map(|file| fs::read_to_string(root().join("crates").join(file)).unwrap())
    .concat();
    for name in told {
        assert!(described.contains(&format!("\"{name}\"")), "{name} has no help text");
    }
}
