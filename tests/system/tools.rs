//! The tools of a node, against a running and a stopped one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use system_tests::{Murder, Plan};

#[test]
fn a_dump_restores_a_masters_list_exactly() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").user("bob", "backend1").start();
    let running = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    murder.stop("frontend1");
    murder.stop("backend1");
    murder.stop("mupdate");
    let stopped = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    assert_eq!(String::from_utf8_lossy(&running), String::from_utf8_lossy(&stopped));
    let dump = murder.cluster.dir.join("dump.json");
    std::fs::write(&dump, &stopped).unwrap();
    std::fs::remove_dir_all(murder.node("mupdate").conf_dir().join("murder/mupdate")).unwrap();
    let mut undump = murder.program("ctl_mboxlist");
    undump.arg("-C").arg(murder.node("mupdate").imapd_conf()).arg("-u");
    let status = undump.stdin(std::fs::File::open(&dump).unwrap()).status().unwrap();
    assert!(status.success());
    let restored = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    let names = |dump: &[u8]| {
        let list: serde_json::Value = serde_json::from_slice(dump).expect("JSON");
        let list = list.as_object().expect("an object").clone();
        list.into_iter().map(|(name, e)| (name, e["server"].clone(), e["acl"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(&restored), names(&stopped));
    murder.cluster.start().unwrap();
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
}

#[test]
fn a_dry_run_of_the_resynchronisation_says_what_it_would_do() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let said = murder.tool("backend1", "ctl_mboxlist", &["-m", "-w"]);
    assert_eq!((said.status.code(), String::from_utf8_lossy(&said.stdout).as_ref()), (Some(0), ""));
    murder.stop("mupdate");
    std::fs::remove_dir_all(murder.node("mupdate").conf_dir().join("murder/mupdate")).unwrap();
    murder.stop("backend1");
    murder.start("mupdate");
    let said = murder.tool("backend1", "ctl_mboxlist", &["-mw"]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "Force Activate: user.alice\n");
    assert!(murder.tool("backend1", "ctl_mboxlist", &["-m"]).status.success());
    let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    assert!(String::from_utf8_lossy(&dump).contains("\"user.alice\""));
}

#[test]
fn wrong_lines_of_both_files_are_all_named_and_nothing_starts() {
    let murder = Plan::nodes(1, 1).prepare();
    for node in ["mupdate", "backend1", "frontend1"] {
        wrong_lines_are_named(&murder, node);
    }
}

fn wrong_lines_are_named(murder: &Murder, node: &str) {
    let node = murder.node(node);
    let mut imapd = std::fs::read_to_string(node.imapd_conf()).unwrap();
    imapd.push_str("allowplaintext: Perhaps\nclient_timeout: soon\n");
    let first = imapd.lines().count() - 1;
    std::fs::write(node.imapd_conf(), imapd).unwrap();
    let mut cyrus = std::fs::read_to_string(node.cyrus_conf()).unwrap();
    cyrus.push_str("SERVICES {\n  bad-name cmd=\"x\"\n}\n");
    let wrong = cyrus.lines().count() - 1;
    std::fs::write(node.cyrus_conf(), cyrus).unwrap();
    let mut check = murder.program("master");
    check.arg("-t").arg("-C").arg(node.imapd_conf()).arg("-M").arg(node.cyrus_conf());
    let said = check.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(78), "{text}");
    for place in
        [format!("imapd.conf:{first}"), format!("imapd.conf:{}", first + 1), format!("cyrus.conf:{wrong}")]
    {
        assert!(text.contains(&place), "{place} is named in:\n{text}");
    }
}

#[test]
fn a_backends_list_is_rebuilt_from_its_spool() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    assert!(murder.deliver("frontend1", &["alice"], "kept")[0].starts_with("250"));
    let mut alice = murder.login("frontend1", "alice");
    alice.must("CREATE Work").unwrap();
    alice.must("SETACL Work bob lr").unwrap();
    alice.must("SUBSCRIBE Work").unwrap();
    alice.must("SELECT INBOX").unwrap();
    alice.must("STORE 1 +FLAGS (\\Flagged $kept)").unwrap();
    murder.stop("backend1");
    for entry in std::fs::read_dir(murder.node("backend1").conf_dir().join("murder/backend")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sled") {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let rebuilt = murder.tool("backend1", "reconstruct", &[]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    murder.start("backend1");
    let mut alice = murder.login("frontend1", "alice");
    assert!(alice.must("GETACL Work").unwrap().lines.join("").contains("bob lr"));
    assert!(alice.must("LSUB \"\" *").unwrap().lines.join("").contains("Work"));
    alice.must("SELECT INBOX").unwrap();
    let flags = alice.must("FETCH 1 FLAGS").unwrap().lines.join("");
    assert!(flags.contains("\\Flagged") && flags.contains("$kept"), "{flags}");
}

#[test]
fn a_dump_restored_on_a_backend_without_a_list_hides_nothing_of_what_is_in_its_spool() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").user("bob", "backend1").start();
    let dump = murder.tool("backend1", "ctl_mboxlist", &["-d"]).stdout;
    murder.login("frontend1", "alice").must("CREATE Work").unwrap();
    murder.stop("backend1");
    let list = murder.node("backend1").conf_dir().join("murder/backend/list.sled");
    std::fs::remove_dir_all(&list).unwrap();
    let path = murder.cluster.dir.join("dump.json");
    std::fs::write(&path, dump).unwrap();
    let mut undump = murder.program("ctl_mboxlist");
    undump.arg("-C").arg(murder.node("backend1").imapd_conf()).arg("-u");
    assert!(undump.stdin(std::fs::File::open(&path).unwrap()).status().unwrap().success());
    murder.start("backend1");
    let listed = murder.agree(&["mupdate", "backend1", "frontend1"]);
    assert_eq!(listed.into_keys().collect::<Vec<_>>(), ["user.alice", "user.alice.Work", "user.bob"]);
    murder.login("frontend1", "alice").must("SELECT Work").unwrap();
}

#[test]
fn expiry_ends_delayed_deletes() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut alice = murder.login("frontend1", "alice");
    alice.must("CREATE Gone").unwrap();
    alice.must("DELETE Gone").unwrap();
    let kept = murder.tool("backend1", "ctl_mboxlist", &["-d"]).stdout;
    assert!(String::from_utf8_lossy(&kept).contains("DELETED.user.alice.Gone."));
    let expired = murder.tool("backend1", "cyr_expire", &["-E", "1", "-D", "0", "-X", "0"]);
    assert!(expired.status.success(), "{}", String::from_utf8_lossy(&expired.stderr));
    for node in ["backend1", "mupdate"] {
        let dump = murder.tool(node, "ctl_mboxlist", &["-d"]).stdout;
        let list: serde_json::Value = serde_json::from_slice(&dump).expect("JSON");
        let left = list.as_object().expect("an object").iter().filter(|(name, entry)| {
            name.starts_with("DELETED.") && !entry["mbtype"].as_str().unwrap_or_default().contains('d')
        });
        assert_eq!(left.count(), 0, "{node}: {list}");
    }
}

#[test]
fn squatter_indexes_what_lines_of_a_cyrus_conf_name() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").user("bob", "backend1").start();
    for (arguments, said) in [
        (&["-v"][..], "Indexed 2 mailboxes\n"),
        (&["-s", "-v"], "Indexed 2 mailboxes\n"),
        (&["-v", "-i", "-r", "user"], "Indexed 2 mailboxes\n"),
        (&["-v", "-u", "bob"], "Indexed 1 mailboxes\n"),
        (&["-v", "-R", "-n", "squatter"], ""),
    ] {
        let squatter = murder.tool("backend1", "squatter", arguments);
        assert!(squatter.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&squatter.stderr));
        assert_eq!(String::from_utf8_lossy(&squatter.stdout), said, "{arguments:?}");
    }
    assert!(murder.tool("frontend1", "squatter", &[]).status.success());
    assert_eq!(murder.tool("backend1", "squatter", &["user/nobody"]).status.code(), Some(1));
}

#[test]
fn what_daemons_and_tools_write_has_the_mode_that_umask_leaves() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").option("backend1", "umask", "027").start();
    assert!(murder.deliver("frontend1", &["alice"], "a")[0].starts_with("250"));
    assert!(murder.tool("backend1", "ctl_cyrusdb", &["-c"]).status.success());
    let node = murder.node("backend1");
    let message = files(&node.dir.join("spool")).into_iter().find(|path| path.ends_with("1.")).unwrap();
    for file in [message, node.conf_dir().join("db.backup1/backend.json")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{}", file.display());
        let folder = std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(folder & 0o777, 0o750, "{}", file.display());
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn config_list_shows_what_is_set_beside_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("imapd.conf");
    std::fs::write(&file, "configdirectory: /v\nmaxlogins_per_user: many\nservername: be1.example.org\n")
        .unwrap();
    let mut command = std::process::Command::new(system_tests::programs().join("murder"));
    let output = command.args(["config", "list", "--set", "-C"]).arg(&file).output().unwrap();
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(78), "{shown}{told}");
    assert!(shown.contains(&format!("Set to 'be1.example.org' in {}:3.", file.display())), "{shown}");
    assert!(told.contains(":2: maxlogins_per_user"), "{told}");
}
