//! What clients see while a part is down, full or behind.

use system_tests::{Plan, eventually};

#[test]
fn a_backend_that_is_down_costs_only_its_own_mailboxes() {
    let mut murder = Plan::nodes(1, 2)
        .user("alice", "backend1")
        .user("bob", "backend2")
        .option("*", "client_timeout", "2s")
        .start();
    murder.stop("backend2");
    let mut bob = murder.login("frontend1", "bob");
    for command in ["SELECT INBOX", "STATUS INBOX (MESSAGES)", "LSUB \"\" *"] {
        let reply = bob.command(command).unwrap();
        assert!(reply.result.starts_with("NO [UNAVAILABLE]"), "{command}: {}", reply.result);
    }
    // its mailboxes are still listed, from the frontend's own list
    assert!(bob.must("LIST \"\" *").unwrap().lines.join("").contains("INBOX"));
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
    let replies = murder.deliver("frontend1", &["alice", "bob"], "m");
    let temporary = replies.iter().filter(|r| r.starts_with("451 4.4.3")).count();
    assert_eq!((temporary, replies.iter().filter(|r| r.starts_with("250")).count()), (1, 1), "{replies:?}");
    murder.start("backend2");
    eventually("bob's mailbox is back", || bob.command("SELECT INBOX").unwrap().is_ok().then_some(()));
    eventually("mail for bob goes through", || {
        murder.deliver("frontend1", &["bob"], "n")[0].starts_with("250").then_some(())
    });
}

#[test]
fn a_backend_that_hangs_costs_only_its_own_mailboxes() {
    let murder = Plan::nodes(1, 2)
        .user("alice", "backend1")
        .user("bob", "backend2")
        .option("*", "client_timeout", "2s")
        .start();
    let signal_all = |signal| {
        for pid in murder.pids("backend2", "backend") {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
            rustix::process::kill_process(pid, signal).expect("it lives");
        }
    };
    signal_all(rustix::process::Signal::STOP);
    let mut bob = murder.login("frontend1", "bob");
    for command in ["SELECT INBOX", "STATUS INBOX (MESSAGES)"] {
        let reply = bob.command(command).unwrap();
        assert!(reply.result.starts_with("NO [UNAVAILABLE]"), "{command}: {}", reply.result);
    }
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
    let replies = murder.deliver("frontend1", &["alice", "bob"], "m");
    let temporary = replies.iter().filter(|r| r.starts_with("451 4.4.3")).count();
    assert_eq!((temporary, replies.iter().filter(|r| r.starts_with("250")).count()), (1, 1), "{replies:?}");
    signal_all(rustix::process::Signal::CONT);
    eventually("bob's mailbox is back", || bob.command("SELECT INBOX").unwrap().is_ok().then_some(()));
}

#[test]
fn without_the_mupdate_master_mail_is_read_and_delivered_and_create_is_refused() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    murder.stop("mupdate");
    let mut alice = murder.login("frontend1", "alice");
    let refused = alice.command("CREATE New").unwrap();
    assert!(refused.result.starts_with("NO"), "{}", refused.result);
    assert!(murder.deliver("frontend1", &["alice"], "m")[0].starts_with("250"));
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
    // whether nobody has no mailbox cannot be proven now
    let reply = &murder.deliver("frontend1", &["nobody"], "m")[0];
    assert!(reply.starts_with("451"), "{reply}");
    murder.start("mupdate");
    eventually("CREATE works again", || alice.command("CREATE New").unwrap().is_ok().then_some(()));
    eventually("an unknown user is refused for good again", || {
        murder.deliver("frontend1", &["nobody"], "m")[0].starts_with("550 5.1.1").then_some(())
    });
}

#[test]
fn a_replica_that_never_synchronised_gives_temporary_answers_only() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").prepare();
    murder.start("frontend1");
    let reply = &murder.deliver("frontend1", &["alice"], "m")[0];
    assert!(reply.starts_with("451"), "{reply}");
    let mut alice = murder.login("frontend1", "alice");
    for command in ["SELECT INBOX", "STATUS INBOX (MESSAGES)", "CREATE x"] {
        let reply = alice.command(command).unwrap();
        assert!(reply.result.starts_with("NO [UNAVAILABLE]"), "{command}: {}", reply.result);
    }
    murder.start("mupdate");
    murder.start("backend1");
    murder.create_inboxes_when_possible();
    eventually("mail goes through", || {
        murder.deliver("frontend1", &["alice"], "m")[0].starts_with("250").then_some(())
    });
}

#[test]
fn a_backend_started_without_its_master_serves_mail_and_resynchronises_by_itself() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    murder.stop("backend1");
    murder.stop("mupdate");
    murder.start("backend1");
    let mut alice = murder.login("backend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    assert!(alice.command("CREATE New").unwrap().result.starts_with("NO"));
    // a master that lost its list learns it from the backend
    std::fs::remove_dir_all(murder.node("mupdate").conf_dir().join("murder/mupdate")).unwrap();
    murder.start("mupdate");
    eventually("the master knows the mailbox again", || {
        let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]);
        String::from_utf8_lossy(&dump.stdout).contains("\"user.alice\"").then_some(())
    });
    alice.must("CREATE New").unwrap();
}

#[test]
fn over_quota_is_said_at_once_and_ends_when_there_is_room() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut admin = murder.admin("frontend1");
    admin.must("SETQUOTA user/alice (STORAGE 1)").unwrap();
    let big = format!("{}{}", system_tests::message("big"), "0123456789abcdef\r\n".repeat(200));
    // the first message passes any quota that is not yet full
    let first = &murder.lmtp("frontend1").deliver("s@example.org", &["alice"], &big).unwrap()[0];
    assert!(first.starts_with("250"), "{first}");
    let second = &murder.deliver("frontend1", &["alice"], "small")[0];
    assert!(second.starts_with("452 4.2.2"), "{second}");
    let mut alice = murder.login("frontend1", "alice");
    let refused = alice.command("APPEND INBOX {5+}\r\nA: b\n").unwrap();
    assert!(refused.result.starts_with("NO [OVERQUOTA]"), "{}", refused.result);
    alice.must("SELECT INBOX").unwrap();
    alice.must("STORE 1 +FLAGS.SILENT \\Deleted").unwrap();
    alice.must("EXPUNGE").unwrap();
    assert!(murder.deliver("frontend1", &["alice"], "small")[0].starts_with("250"));
}

#[test]
fn wrong_passwords_and_unknown_users_get_one_answer() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").option("*", "failedloginpause", "0").start();
    let mut answers = Vec::new();
    for (user, password) in [("alice", "wrong"), ("nobody", "wrong")] {
        answers.push(murder.imap("frontend1").command(&format!("LOGIN {user} {password}")).unwrap().result);
    }
    assert!(answers[0].starts_with("NO"), "{answers:?}");
    assert_eq!(answers[0], answers[1]);
}

/// A small file system of its own, which is full soon. None where mounting is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let dir = tempfile::Builder::new().prefix("md").tempdir_in("/tmp").expect("a temporary directory");
        Self::mount_at(dir.path(), size).then_some(SmallDisk(dir))
    }

    fn mount_at(path: &std::path::Path, size: &str) -> bool {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path);
        mount.output().is_ok_and(|out| out.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_mail_for_now_while_reading_goes_on_and_takes_it_again_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("4m") else {
        test_host::skip("a tmpfs cannot be mounted here");
        return;
    };
    let path = disk.0.path().display().to_string();
    let murder =
        Plan::nodes(1, 1).option("backend1", "partition-default", &path).user("alice", "backend1").start();
    let body = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop\r\n".repeat(8000);
    let big = |n: usize| format!("{}{body}", system_tests::message(&format!("big{n}")));
    let deliver =
        |n: usize| murder.lmtp("frontend1").deliver("s@example.org", &["alice"], &big(n)).unwrap().remove(0);
    let mut taken = 0;
    let refused = loop {
        let reply = deliver(taken);
        if !reply.starts_with("250") {
            break reply;
        }
        taken += 1;
        assert!(taken < 100, "the disk is never full");
    };
    assert!(refused.starts_with("451 4.3.1"), "{refused}");
    let mut alice = murder.login("frontend1", "alice");
    let selected = alice.must("SELECT INBOX").unwrap().lines;
    assert!(selected.contains(&format!("* {taken} EXISTS")), "{selected:?}");
    let fetched = alice.must(&format!("FETCH {taken} BODY.PEEK[]")).unwrap().literals.remove(0);
    assert!(String::from_utf8(fetched).unwrap().ends_with(&big(taken - 1)), "it is whole");
    let size = body.len() + 8;
    let append = alice.command(&format!("APPEND INBOX {{{size}+}}\r\nA: b\r\n\r\n{body}")).unwrap();
    assert!(append.result.starts_with("NO [UNAVAILABLE]"), "{}", append.result);
    // Not even a small message finds room, nor a mailbox.
    let filler = disk.0.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 4 << 20]);
    let refused = &murder.deliver("frontend1", &["alice"], "small")[0];
    assert!(refused.starts_with("451 4.3.1"), "{refused}");
    let refused = alice.command("CREATE New").unwrap().result;
    assert!(refused.starts_with("NO [UNAVAILABLE]"), "{refused}");
    alice.must(&format!("FETCH 1:{taken} (FLAGS ENVELOPE)")).unwrap();
    assert!(alice.must("LIST \"\" *").unwrap().lines.join("").contains("INBOX"));
    std::fs::remove_file(filler).unwrap();
    alice.must(&format!("STORE 1:{taken} +FLAGS.SILENT (\\Deleted)")).unwrap();
    alice.must("EXPUNGE").unwrap();
    assert!(murder.tool("backend1", "cyr_expire", &["-E", "1", "-D", "0", "-X", "0"]).status.success());
    eventually("there is room again", || deliver(taken).starts_with("250").then_some(()));
    alice.must("CREATE New").unwrap();
}

/// Ends a mount, also while a daemon still uses it.
struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_master_whose_disk_was_full_takes_changes_again_when_there_is_room_and_has_lost_none() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").prepare();
    let path = murder.node("mupdate").conf_dir().join("murder/mupdate");
    std::fs::create_dir_all(&path).unwrap();
    if !SmallDisk::mount_at(&path, "32m") {
        test_host::skip("a tmpfs cannot be mounted here");
        return;
    }
    let _unmount = Unmount(path.clone());
    murder.cluster.start().unwrap();
    murder.create_inboxes();
    let filler = path.join("filler");
    let _ = std::fs::write(&filler, vec![0; 32 << 20]);
    let acl = format!("anyone\tlrs\t{}\tl\t", "x".repeat(8000));
    let mut tool = murder.mupdate("mupdate");
    let (mut taken, mut end) = (0, String::new());
    while taken < 5000 {
        let change = format!("ACTIVATE \"shared.n{taken}\" \"elsewhere!p\" {{{}+}}\r\n{acl}", acl.len());
        end = tool.ask(&change).1;
        if !end.starts_with("OK") {
            break;
        }
        taken += 1;
    }
    assert!(end.starts_with("NO \"[UNAVAILABLE]"), "after {taken}: {end}");
    // Questions are answered, mail comes and is read, and changes are refused for now.
    assert!(tool.everything().len() > taken);
    assert!(murder.deliver("frontend1", &["alice"], "m")[0].starts_with("250"));
    let mut alice = murder.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    assert!(alice.command("CREATE New").unwrap().result.starts_with("NO"));
    std::fs::remove_file(filler).unwrap();
    eventually("changes are taken again", || alice.command("CREATE New").unwrap().is_ok().then_some(()));
    let list = murder.agree(&["mupdate", "frontend1"]);
    let kept = (0..taken).filter(|n| list.contains_key(&format!("shared.n{n}"))).count();
    assert_eq!(kept, taken);
}
