//! Whose place a path is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use files::way;

const ALICE: u32 = 65001;
const BOB: u32 = 65002;

fn root_in(dir: &Path) -> bool {
    let root = rustix::process::geteuid().is_root();
    if root {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    } else {
        test_host::skip("only root can give files to others");
    }
    root
}

#[test]
fn a_place_is_whose_it_is_first_and_links_of_root_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    if !root_in(dir.path()) {
        return;
    }
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("alice/bob")).unwrap();
    chown(at("alice"), Some(ALICE), Some(ALICE)).unwrap();
    chown(at("alice/bob"), Some(BOB), Some(BOB)).unwrap();
    symlink("alice", at("by-root")).unwrap();
    symlink("/etc", at("by-bob")).unwrap();
    lchown(at("by-bob"), Some(BOB), Some(BOB)).unwrap();
    symlink("loop", at("loop")).unwrap();
    let whose = |name: &str| way(&at(name)).unwrap().owner.map(|owner| owner.uid);
    assert_eq!(whose("file"), None);
    assert_eq!(whose("missing/file"), None);
    assert_eq!(whose("alice/bob/file"), Some(ALICE));
    assert_eq!(way(&at("by-root/x")).unwrap().path, at("alice/x"));
    assert_eq!(whose("by-root/x"), Some(ALICE));
    assert_eq!(whose("by-bob/passwd"), Some(BOB));
    assert!(way(&at("loop/x")).is_err());
    assert_eq!(way(Path::new("/dev/stdout")).unwrap().owner, None);
}

#[test]
fn root_does_not_write_where_others_may_replace_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    if !root_in(dir.path()) {
        return;
    }
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    for (mode, gid, refused) in
        [(0o777, 0, Some("anybody")), (0o1777, 0, None), (0o775, ALICE, Some("its group")), (0o775, 0, None)]
    {
        chown(&open, Some(0), Some(gid)).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let told = files::replace(&open.join("file"), 0o600, b"").err().map(|error| error.to_string());
        match refused {
            Some(who) => assert!(told.as_ref().is_some_and(|told| told.contains(who)), "{mode:o}: {told:?}"),
            None => assert_eq!(told, None, "{mode:o}"),
        }
    }
    // A directory of another user's in one that a group may write in is that user's.
    fs::create_dir(open.join("alice")).unwrap();
    chown(open.join("alice"), Some(ALICE), Some(ALICE)).unwrap();
    chown(&open, Some(0), Some(BOB)).unwrap();
    assert_eq!(way(&open.join("alice/file")).unwrap().owner.unwrap().uid, ALICE);
}
