//! `master` started by root on directories of the cyrus user: what that user plants there leads nowhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use crate::node::{Node, read, user_of};

/// In the place of the cyrus user.
const CYRUS: u32 = 65534;
const IMAP: &str = "SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n";

/// A node of that user's, whose name is the second. None, and told aloud, where the test is not root.
fn node() -> Option<(Node, String)> {
    let Some(user) = user_of(CYRUS).filter(|_| rustix::process::geteuid().is_root()) else {
        test_host::skip("only root can work for another user");
        return None;
    };
    let node = Node::new(IMAP);
    node.give_to(CYRUS);
    fs::write(node.path("secret"), "precious").unwrap();
    fs::create_dir(node.path("roots")).unwrap();
    Some((node, user))
}

/// What is root's is as it was.
#[track_caller]
fn is_untouched(node: &Node, what: &str) {
    let meta = fs::metadata(node.path("secret")).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o644), "{what}");
    assert_eq!(read(&node.path("secret")), "precious", "{what}");
    assert_eq!(fs::read_dir(node.path("roots")).unwrap().count(), 0, "{what}");
    assert_eq!(fs::metadata(node.path("roots")).unwrap().uid(), 0, "{what}");
}

#[test]
fn what_the_cyrus_user_plants_leads_master_to_no_file_of_roots() {
    let Some((node, user)) = node() else { return };
    let log = node.path("var/log");
    for file in ["var/master.pid", "var/socket/imap", "var/socket", "var/murder", "var/proc", "var/log"] {
        for plant in ["a link to a file", "a link to a directory", "a link to nowhere", "another name"] {
            let what = format!("{file} is {plant}");
            let at = node.path(file);
            let _ = fs::create_dir_all(at.parent().unwrap());
            chown(node.path("var/socket"), Some(CYRUS), Some(CYRUS)).ok();
            match plant {
                "a link to a file" => symlink(node.path("secret"), &at).unwrap(),
                "a link to a directory" => symlink(node.path("roots"), &at).unwrap(),
                "a link to nowhere" => symlink(node.path("roots/made"), &at).unwrap(),
                // As a kernel with fs.protected_hardlinks=0 lets anybody make it.
                _ => fs::hard_link(node.path("secret"), &at).unwrap(),
            }
            let mut command = node.command();
            command.env("CYRUS_USER", &user).arg("-L").arg(&log);
            // It ends by itself where a line of START that it cannot do without fails.
            node.cyrus_conf(&format!("START {{\n end cmd=\"ctl_cyrusdb -r -fail\"\n}}\n{IMAP}"));
            command.output().unwrap();
            is_untouched(&node, &what);
            // And up to where it is somebody else.
            node.cyrus_conf(&format!("{IMAP}DAEMON {{\n end cmd=\"say\" wait=y\n}}\n"));
            command.output().unwrap();
            is_untouched(&node, &what);
            for entry in fs::read_dir(node.path("var")).unwrap().flatten() {
                let _ = fs::remove_file(entry.path());
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[test]
fn what_master_makes_as_root_is_the_cyrus_users() {
    let Some((node, user)) = node() else { return };
    let mut master = crate::node::Master::spawn(node.command().env("CYRUS_USER", &user));
    master.expect("ready for work");
    for name in ["var/master.pid", "var/socket", "var/socket/imap", "var/murder/master", "var/proc"] {
        assert_eq!(fs::metadata(node.path(name)).unwrap().uid(), CYRUS, "{name}");
    }
    // Whoever may connect may deliver.
    assert_eq!(fs::metadata(node.path("var/socket")).unwrap().mode() & 0o777, 0o750);
    master.stop();
}

#[test]
fn the_pid_file_that_an_earlier_version_wrote_as_root_is_taken_over_unless_it_is_held() {
    let Some((node, user)) = node() else { return };
    let path = node.path("var/master.pid");
    fs::write(&path, "1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let held = fs::File::options().read(true).write(true).open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let output = node.command().env("CYRUS_USER", &user).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("is another master still running?"));
    assert_eq!(read(&path), "1\n");
    drop(held);
    let mut master = crate::node::Master::spawn(node.command().env("CYRUS_USER", &user));
    master.expect("ready for work");
    assert_eq!(read(&path).trim(), master.pid().as_raw_nonzero().to_string());
    assert_eq!(fs::metadata(&path).unwrap().uid(), CYRUS);
    master.stop();
}
