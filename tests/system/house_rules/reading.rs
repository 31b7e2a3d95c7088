//! What serves clients reads no file on the threads that serve them: a slow disk would stop everybody.

use super::{code, sources};

#[test]
fn a_daemon_reads_files_in_few_places_none_of_which_makes_its_clients_wait() {
    let files: Vec<(String, String)> =
        SERVING.iter().flat_map(|name| sources(&format!("crates/{name}/src"))).collect();
    let readers = readers(&files);
    for path in &readers {
        assert!(
            ALLOWED.iter().any(|(file, _)| file == path),
            "{path} reads files: at start, at reload or on a blocking thread only, and then it is listed here"
        );
    }
    for (file, _) in ALLOWED {
        assert!(readers.iter().any(|path| path == file), "{file} reads nothing");
    }
}

#[test]
fn a_file_that_is_read_is_seen_and_a_test_or_a_comment_is_none() {
    let files = |text: &str| [("x.rs".to_owned(), text.to_owned())];
    for reads in [
        "let text = std::fs::read_to_string(path)?;",
        "let bytes = fs::read(&path)?;",
        "File::open(path)",
        "files::open(path)?.read_to_end(&mut text)",
        "if fs::metadata(path).is_ok() {}",
        "path.try_exists()",
        "Imapd::load(path, name)",
    ] {
        assert_eq!(readers(&files(reads)), ["x.rs"], "{reads}");
    }
    for other in [
        "// as std::fs::read does",
        "view.exists()",
        "tokio::fs::read(path).await",
        "#[cfg(test)]\nmod tests {\n    fs::read(path)",
    ] {
        assert_eq!(readers(&files(other)), [""; 0], "{other}");
    }
}

/// The files that read other files, of those given with their text.
fn readers(files: &[(String, String)]) -> Vec<&str> {
    let reads = |line: &str| {
        let line = line.replace("tokio::fs::", "");
        !line.trim_start().starts_with("//") && READING.iter().any(|word| line.contains(word))
    };
    let found =
        files.iter().filter(|(path, text)| !path.ends_with("/tests.rs") && code(text).lines().any(reads));
    found.map(|(path, _)| path.as_str()).collect()
}

/// The crates whose code runs between a client and its answer. The store has threads of its own.
const SERVING: &[&str] = &[
    "transport",
    "identity",
    "service",
    "directory",
    "upstream",
    "lmtp",
    "imapproxy",
    "pop3proxy",
    "lmtpproxy",
    "mupdate",
    "backend",
];

const READING: &[&str] = &[
    "fs::read",
    "fs::metadata",
    "fs::canonicalize",
    "File::open",
    "files::open",
    "read_to_string(path",
    "try_exists()",
    "Imapd::load(",
];

/// Who reads all the same, and when.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/transport/src/tls/pem.rs", "at start and reload; towards servers on a blocking thread"),
    ("crates/identity/src/auth/groups.rs", "on a blocking thread"),
    ("crates/identity/src/deny.rs", "on a blocking thread"),
    ("crates/identity/src/passwords/file.rs", "on a blocking thread"),
    ("crates/service/src/notices.rs", "on a blocking thread"),
    ("crates/service/src/context.rs", "at a reload, on a blocking thread"),
    ("crates/service/src/run.rs", "at start"),
    ("crates/service/src/vitals.rs", "on a blocking thread"),
    ("crates/service/src/process.rs", "at start"),
    ("crates/directory/src/serve/seen.rs", "at start"),
    ("crates/lmtp/src/spool.rs", "tokio's file, which reads on a blocking thread"),
    ("crates/mupdate/src/tester/pipe.rs", "a tool"),
    ("crates/backend/src/partitions.rs", "at start"),
    ("crates/backend/src/moving/sizes.rs", "on a blocking thread"),
    ("crates/backend/src/imap/metadata/definitions.rs", "at start"),
];
