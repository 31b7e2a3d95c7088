//! The password file under several writers, and under a writer that is killed.

use std::fs;
use std::process::{Command, Stdio};

use identity::passwords::{Hash, PasswordDb};

#[test]
fn what_one_handle_writes_another_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("murder/passwords");
    let (one, other) = (PasswordDb::new(&path), PasswordDb::new(&path));
    assert!(!other.verify("fred", b"secret").unwrap());
    one.set("fred", "secret").unwrap();
    assert!(other.verify("fred", b"secret").unwrap());
    one.set("fred", "new").unwrap();
    assert!(!other.verify("fred", b"secret").unwrap());
    assert!(other.verify("fred", b"new").unwrap());
    assert_eq!(other.list().unwrap(), ["fred"]);
    assert!(one.delete("fred").unwrap());
    assert!(!one.delete("fred").unwrap());
    assert!(!other.verify("fred", b"new").unwrap());
}

#[test]
fn no_password_stands_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passwords");
    PasswordDb::new(&path).set("fred", "correct horse").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("fred\tSCRAM-SHA-256$") && !text.contains("correct horse"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn bad_names_and_lines_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passwords");
    let db = PasswordDb::new(&path);
    assert!(db.set("a\tb", "x").is_err());
    assert!(db.set("", "x").is_err());
    assert!(db.set("fred", "").is_err());
    db.set("fred", "x").unwrap();
    fs::write(&path, fs::read_to_string(&path).unwrap() + "jim\tplain\n").unwrap();
    let error = db.list().unwrap_err().to_string();
    assert!(error.contains("passwords:3:"), "{error}");
}

#[test]
fn concurrent_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passwords");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for user in 0..5 {
                    PasswordDb::new(path).set(&format!("u{writer}-{user}"), "x").unwrap();
                }
            });
        }
    });
    assert_eq!(PasswordDb::new(&path).list().unwrap().len(), 20);
}

/// Not a test of its own: the writer that the next one kills.
#[test]
#[ignore = "runs as a child of the test below"]
fn writer_to_be_killed() {
    let db = PasswordDb::new(std::env::var("PASSWORD_FILE").unwrap());
    for round in 0.. {
        db.set(&format!("k{}", round % 50), "x").unwrap();
        println!("{round}");
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_file_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passwords");
    let db = PasswordDb::new(&path);
    db.set("keep", "me").unwrap();
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "passwords::writer_to_be_killed"])
            .env("PASSWORD_FILE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed in the middle of its work, once it has begun.
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        lines.by_ref().map_while(Result::ok).find(|line| line.ends_with('5')).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(db.verify("keep", b"me").unwrap());
        db.set("after", "it").unwrap();
    }
    assert!(db.list().unwrap().len() > 2);
}

#[test]
fn a_password_that_was_kept_with_few_rounds_is_kept_with_more_after_the_next_login() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passwords");
    let db = PasswordDb::new(&path);
    db.set_iterations(4096);
    for user in ["fred", "jane"] {
        db.set(user, "secret").unwrap();
    }
    db.set_iterations(5000);
    let rounds = |user: &str| db.keys(user, Hash::Sha256).unwrap().0.iterations;
    assert!(!db.verify("fred", b"wrong").unwrap());
    assert_eq!((rounds("fred"), rounds("nobody")), (4096, 4096));
    assert!(db.verify("fred", b"secret").unwrap());
    assert_eq!((rounds("fred"), rounds("jane")), (5000, 4096));
    // Those who do not exist look like those who do.
    assert_eq!((rounds("eve"), rounds("ivan")), (5000, 4096));
    assert!(db.verify("fred", b"secret").unwrap() && !db.verify("fred", b"wrong").unwrap());
    // One a second: the whole file is written for each.
    assert!(db.verify("jane", b"secret").unwrap());
    assert_eq!(rounds("jane"), 4096);
}
