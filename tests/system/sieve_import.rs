//! Scripts of a Cyrus come over, from its sievedir and from a server that runs, and the active one is active.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use system_tests::{Murder, Plan};

use crate::sieve::Sieve;

fn script(root: &Path, user: &str, name: &str, text: &str) {
    let directory = root.join(&user[..1]).join(user);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.script")), text).unwrap();
    fs::write(directory.join(format!("{name}.bc")), "bytecode").unwrap();
}

fn import(murder: &Murder, args: &[&str]) -> (bool, String) {
    let ran = murder.murder_with("frontend1", "sieve-import", args, b"");
    let told = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (ran.status.success(), told)
}

fn scripts(murder: &Murder, user: &str) -> Vec<String> {
    Sieve::login(murder, "frontend1", user).lines("LISTSCRIPTS")
}

#[test]
fn scripts_of_a_sievedir_come_to_the_backends_of_their_users_and_the_active_one_is_active() {
    let murder = Plan::nodes(1, 2)
        .option("*", "allowplaintext", "yes")
        .user("alice", "backend1")
        .user("bob", "backend1")
        .user("carol", "backend2")
        .start();
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    script(root, "alice", "main", "require \"imap4flags\"; addflag \"ruled\";");
    script(root, "alice", "spare", "keep;\n");
    symlink("main.bc", root.join("a/alice/defaultbc")).unwrap();
    script(root, "carol", "broken", "keep;\nnonsense;\n");
    script(root, "carol", "sound", "keep;");
    symlink("broken.bc", root.join("c/carol/defaultbc")).unwrap();
    script(root, "zed", "main", "keep;");
    let from = ["--sievedir", root.to_str().unwrap()];

    let (well, told) = import(&murder, &[&from[..], &["--dry-run"]].concat());
    assert!(!well && told.contains("carol/broken.script:2: unknown command nonsense"), "{told}");
    assert!(told.contains("carol: the active script is broken, which is not taken"), "{told}");
    assert!(told.contains("zed: there is no such user"), "{told}");
    assert!(told.contains("3 scripts would be stored"), "{told}");
    assert_eq!(scripts(&murder, "alice"), [""; 0], "nothing was done");

    let (well, told) = import(&murder, &from);
    assert!(!well && told.contains("3 scripts stored"), "{told}");
    assert_eq!(scripts(&murder, "alice"), ["\"main\" ACTIVE", "\"spare\""]);
    assert_eq!(scripts(&murder, "carol"), ["\"sound\""]);
    murder.deliver("frontend1", &["alice"], "m1");
    let mut imap = murder.login("frontend1", "alice");
    imap.must("EXAMINE INBOX").unwrap();
    let fetched = imap.must("FETCH 1 (FLAGS)").unwrap().lines.concat();
    assert!(fetched.contains("ruled"), "{fetched}");

    // Once more, nothing is to be done; what was changed meanwhile stays, unless it is to be replaced.
    let alone = [&from[..], &["alice"]].concat();
    let (well, told) = import(&murder, &alone);
    assert!(well && told.contains("0 scripts stored, 0 problems"), "{told}");
    Sieve::login(&murder, "frontend1", "alice").put("spare", "discard;");
    let (well, told) = import(&murder, &alone);
    assert!(!well && told.contains("another spare is at"), "{told}");
    let (well, told) = import(&murder, &[&alone[..], &["--replace"]].concat());
    assert!(well, "{told}");
    assert_eq!(
        Sieve::login(&murder, "frontend1", "alice").lines("GETSCRIPT \"spare\"")[0],
        "keep;\n",
        "{told}"
    );

    // From a server that runs: a user's scripts are there, whatever they are kept in.
    let server = murder.node("backend1").name.clone();
    let (well, told) = import(&murder, &["--from", &server, "alice"]);
    assert!(well && told.contains("0 scripts stored, 0 problems"), "{told}");
    let (well, told) = import(&murder, &["--from", &server, "carol"]);
    assert!(!well && told.contains("carol: "), "{told}");
}
