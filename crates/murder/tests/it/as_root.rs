//! `murder` run by root on a node whose directories are the cyrus user's: what that user plants there leads nowhere.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// In the place of the cyrus user.
const CYRUS: u32 = 65534;

/// A node's files: configdirectory of the cyrus user, the rest of root.
struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    /// None, and told aloud, where the test is not root.
    fn new() -> Option<Node> {
        if !rustix::process::geteuid().is_root() {
            test_host::skip("only root can work for another user");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let node = Node { dir };
        for name in ["conf", "conf/murder", "conf/msg"] {
            fs::create_dir(node.path(name)).unwrap();
            chown(node.path(name), Some(CYRUS), Some(CYRUS)).unwrap();
        }
        let conf = format!(
            "configdirectory: {}\nservername: here\npartition-default: /tmp\nstatus_listen: 1\n",
            node.path("conf").display()
        );
        fs::write(node.path("imapd.conf"), conf).unwrap();
        fs::write(node.path("secret"), "precious").unwrap();
        Some(node)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_murder"));
        command.arg(words[0]).arg("-C").arg(self.path("imapd.conf")).args(&words[1..]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn murder(&self, words: &[&str]) -> Output {
        let mut child = self.command(words).spawn().unwrap();
        // Who asks for no password may be gone already.
        let _ = child.stdin.take().unwrap().write_all(b"new password\n");
        child.wait_with_output().unwrap()
    }

    /// What is root's is as it was, and nothing was made beside it.
    #[track_caller]
    fn is_untouched(&self, what: &str) {
        let meta = fs::metadata(self.path("secret")).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (0, 0, 0o644), "{what}");
        assert_eq!(fs::read_to_string(self.path("secret")).unwrap(), "precious", "{what}");
        assert!(!self.path("made").exists(), "{what}");
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

type Plant = (&'static str, fn(&Node, &Path));

const PLANTS: &[Plant] = &[
    ("a link to a file of root's", |node, at| symlink(node.path("secret"), at).unwrap()),
    ("a link to where root could make a file", |node, at| symlink(node.path("made"), at).unwrap()),
    ("a FIFO", |_, at| {
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
        chown(at, Some(CYRUS), Some(CYRUS)).unwrap();
    }),
    // As a kernel with fs.protected_hardlinks=0 lets anybody make it.
    ("another name of a file of root's", |node, at| fs::hard_link(node.path("secret"), at).unwrap()),
];

/// A command and the files below configdirectory that it writes.
const COMMANDS: &[(&[&str], &[&str])] = &[
    (&["passwd", "fred"], &["murder/passwords", "murder/passwords.lock", "murder/passwords.new"]),
    (&["passwd", "-d", "fred"], &["murder/passwords", "murder/passwords.lock", "murder/passwords.new"]),
    (&["deny", "fred"], &["user_deny.db", "user_deny.db.NEW", "user_deny.db.new"]),
    (&["deny", "-l"], &["user_deny.db"]),
    (&["allow", "fred"], &["user_deny.db", "user_deny.db.NEW", "user_deny.db.new"]),
    (&["drain"], &["msg/drain", "msg/drain.new"]),
    (&["drain", "--end"], &["msg/drain"]),
];

#[test]
fn what_the_cyrus_user_plants_leads_root_to_no_file_of_its_own() {
    let Some(node) = Node::new() else { return };
    for (words, files) in COMMANDS {
        for file in *files {
            for (plant, make) in PLANTS {
                let what = format!("murder {}, {file} is {plant}", words.join(" "));
                assert!(node.murder(&["passwd", "fred"]).status.success());
                assert!(node.murder(&["deny", "fred"]).status.success());
                let at = node.path("conf").join(file);
                let _ = fs::remove_file(&at);
                make(&node, &at);
                let output = node.murder(words);
                assert!(
                    output.status.success() || told(&output).contains(file) || !told(&output).is_empty(),
                    "{what}"
                );
                node.is_untouched(&what);
                let _ = fs::remove_file(&at);
            }
        }
    }
    for name in ["conf/murder/passwords", "conf/user_deny.db", "conf/msg"] {
        assert_eq!(fs::metadata(node.path(name)).unwrap().uid(), CYRUS, "{name}");
    }
}

#[test]
fn a_directory_that_became_a_link_is_followed_as_the_cyrus_user_only() {
    let Some(node) = Node::new() else { return };
    fs::create_dir(node.path("roots")).unwrap();
    for (name, words) in [("murder", ["passwd", "fred"]), ("msg", ["drain", "--wait=0"])] {
        fs::remove_dir_all(node.path("conf").join(name)).unwrap();
        symlink(node.path("roots"), node.path("conf").join(name)).unwrap();
        let output = node.murder(&words);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(told(&output).contains("Permission denied"), "{}", told(&output));
        assert_eq!(fs::read_dir(node.path("roots")).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_node_that_never_ran_gets_its_directory_and_its_password_file() {
    let Some(node) = Node::new() else { return };
    let conf = format!(
        "configdirectory: {}\nservername: here\npartition-default: /tmp\ncyrus_user: nobody\n",
        node.path("fresh/conf").display()
    );
    fs::write(node.path("imapd.conf"), conf).unwrap();
    let output = node.murder(&["passwd", "fred"]);
    assert!(output.status.success(), "{}", told(&output));
    for (name, uid) in [("fresh", 0), ("fresh/conf", CYRUS), ("fresh/conf/murder/passwords", CYRUS)] {
        assert_eq!(fs::metadata(node.path(name)).unwrap().uid(), uid, "{name}");
    }
    // A file elsewhere, in a directory of root's, is given to the daemons' user.
    let path = node.path("passwords");
    fs::write(
        node.path("imapd.conf"),
        format!("configdirectory: {}\npassword_db: {}\n", node.path("conf").display(), path.display()),
    )
    .unwrap();
    for _ in 0..2 {
        let output = node.murder(&["passwd", "fred"]);
        assert!(output.status.success(), "{}", told(&output));
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (CYRUS, 0o600));
    }
}

#[test]
fn a_pid_file_that_nobody_holds_stops_nobody() {
    let Some(node) = Node::new() else { return };
    // It has nothing to do with mail, and its number stands in the file of a master that is long gone.
    let mut other = Command::new("cat").stdin(Stdio::piped()).uid(CYRUS).spawn().unwrap();
    let pid_file = node.path("conf/master.pid");
    fs::write(&pid_file, format!("{}\n", other.id())).unwrap();
    let output = node.murder(&["drain", "--stop"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("none is running"), "{}", told(&output));
    assert!(other.try_wait().unwrap().is_none());
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
}
