//! A master that lost its list, got back an old one, or is another machine: backends fill it again, and frontends serve
//! what they had meanwhile, while nobody types a command.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use system_tests::{Murder, Plan, eventually, lists};

/// A small murder, and what both backends have.
fn murder() -> (Murder, lists::List) {
    let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
    let murder = plan.option("*", "mupdate_retry_delay", "3").start();
    let mut alice = murder.login("frontend1", "alice");
    for command in ["CREATE Work", "SETACL Work bob lr", "CREATE Gone", "DELETE Gone"] {
        alice.must(command).unwrap();
    }
    let list = murder.agree(&["mupdate", "frontend1", "backend1", "backend2"]);
    assert_eq!(list.len(), 4, "{list:?}");
    (murder, list)
}

fn list_of_master(murder: &Murder) -> PathBuf {
    murder.node("mupdate").conf_dir().join("murder/mupdate/list.sled")
}

/// While `meanwhile` runs, every user is served, and nobody is told that a mailbox does not exist.
fn nobody_misses_a_mailbox(murder: &mut Murder, meanwhile: impl FnOnce(&mut Murder)) {
    let done = AtomicBool::new(false);
    let addresses = (murder.address("frontend1", "imaps"), murder.address("frontend1", "lmtp"));
    let passwords = ["alice", "bob"].map(|user| murder.password(user));
    let trust = murder.trust.clone();
    std::thread::scope(|scope| {
        let (done, passwords, trust) = (&done, &passwords, &trust);
        let clients = scope.spawn(move || {
            let mut rounds = 0;
            while !done.load(Ordering::SeqCst) || rounds < 3 {
                for (user, password) in ["alice", "bob"].iter().zip(passwords) {
                    let mut imap = murder::clients::Imap::tls(addresses.0, trust).unwrap();
                    imap.login(user, password).unwrap();
                    imap.must("SELECT INBOX").unwrap();
                    let listed = imap.must("LIST \"\" *").unwrap().lines;
                    assert!(listed.join("").contains("INBOX"), "{user}: {listed:?}");
                    let mut lmtp = murder::clients::Lmtp::connect(addresses.1).unwrap();
                    let id = format!("{user}{rounds}");
                    let replies =
                        lmtp.deliver("s@example.org", &[user], &system_tests::message(&id)).unwrap();
                    assert!(replies[0].starts_with("250"), "{user}: {replies:?}");
                }
                rounds += 1;
            }
        });
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let stop = Stop(done);
        meanwhile(murder);
        drop(stop);
        clients.join().unwrap();
    });
}

fn is_as_before(murder: &Murder, before: &lists::List) {
    let mut now = lists::List::new();
    eventually("the master has every mailbox again", || {
        now = murder.list("mupdate");
        (now == *before).then_some(())
    });
    murder.agree(&["mupdate", "frontend1", "backend1", "backend2"]);
    let mut alice = murder.login("frontend1", "alice");
    eventually("alice can make a folder again", || alice.command("CREATE New").ok()?.is_ok().then_some(()));
    murder.agree(&["mupdate", "frontend1", "backend1", "backend2"]);
}

fn log(murder: &Murder, node: &str) -> String {
    fs::read_to_string(murder.node(node).log()).unwrap()
}

#[test]
fn a_master_whose_database_is_gone_is_filled_again_by_its_backends() {
    let (mut murder, before) = murder();
    nobody_misses_a_mailbox(&mut murder, |murder| {
        murder.stop("mupdate");
        fs::remove_dir_all(list_of_master(murder)).unwrap();
        murder.start("mupdate");
        is_as_before(murder, &before);
    });
    for backend in ["backend1", "backend2"] {
        let log = log(&murder, backend);
        assert_eq!(log.matches("another list than before").count(), 1, "{log}");
        assert_eq!(log.matches("was told of all mailboxes: ").count(), 1, "{log}");
    }
}

#[test]
fn a_master_that_is_killed_while_it_is_filled_has_everything_in_the_end() {
    let (mut murder, _) = murder();
    let mut alice = murder.login("backend1", "alice");
    (0..200).for_each(|n| drop(alice.must(&format!("CREATE f{n}")).unwrap()));
    let before = murder.agree(&["mupdate", "frontend1", "backend1", "backend2"]);
    murder.stop("mupdate");
    fs::remove_dir_all(list_of_master(&murder)).unwrap();
    murder.start("mupdate");
    for round in 0..4 {
        let told = || log(&murder, "backend1").matches("Force Activate: ").count();
        let seen = told();
        eventually("it is being filled, or has been", || {
            (told() > seen || murder.list("mupdate").len() == before.len()).then_some(())
        });
        murder.kill("mupdate", "mupdate");
        eventually(&format!("it is back ({round})"), || {
            (!murder.pids("mupdate", "mupdate").is_empty()).then_some(())
        });
    }
    is_as_before(&murder, &before);
}

#[test]
fn a_backend_that_is_away_meanwhile_keeps_its_place_at_the_frontends_until_it_is_back() {
    let (mut murder, before) = murder();
    murder.stop("backend2");
    murder.stop("mupdate");
    fs::remove_dir_all(list_of_master(&murder)).unwrap();
    murder.start("mupdate");
    let of_alice = before.iter().filter(|(name, _)| name.contains("alice")).count();
    eventually("the master has what backend1 has", || {
        (murder.list("mupdate").len() == of_alice).then_some(())
    });
    eventually("the frontend holds the rest", || {
        log(&murder, "frontend1").contains("would lose 1 of its 1").then_some(())
    });
    let reply = &murder.deliver("frontend1", &["bob"], "m")[0];
    assert!(reply.starts_with("451"), "{reply}");
    murder.start("backend2");
    is_as_before(&murder, &before);
    eventually("bob has mail again", || {
        murder.deliver("frontend1", &["bob"], "n")[0].starts_with("250").then_some(())
    });
}

#[test]
fn a_master_that_got_back_an_old_dump_while_it_runs_is_brought_up_to_date() {
    let (mut murder, _) = murder();
    let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    let before = changes_after_the_dump(&murder);
    nobody_misses_a_mailbox(&mut murder, |murder| {
        let path = murder.cluster.dir.join("dump.json");
        fs::write(&path, &dump).unwrap();
        let mut undump = murder.program("ctl_mboxlist");
        undump.arg("-C").arg(murder.node("mupdate").imapd_conf()).arg("-u");
        assert!(undump.stdin(fs::File::open(&path).unwrap()).status().unwrap().success());
        is_as_before(murder, &before);
    });
}

#[test]
fn a_master_whose_disk_was_put_back_to_an_earlier_day_is_brought_up_to_date() {
    let (mut murder, _) = murder();
    murder.stop("mupdate");
    let aside = murder.cluster.dir.join("day-before");
    copy(&list_of_master(&murder), &aside);
    murder.start("mupdate");
    let mut alice = murder.login("frontend1", "alice");
    eventually("changes are taken", || alice.command("CREATE x").unwrap().is_ok().then_some(()));
    alice.must("DELETE x").unwrap();
    let before = changes_after_the_dump(&murder);
    nobody_misses_a_mailbox(&mut murder, |murder| {
        murder.stop("mupdate");
        fs::remove_dir_all(list_of_master(murder)).unwrap();
        copy(&aside, &list_of_master(murder));
        murder.start("mupdate");
        is_as_before(murder, &before);
    });
}

/// What an old list does not know; gives what the master has then.
fn changes_after_the_dump(murder: &Murder) -> lists::List {
    let mut alice = murder.login("frontend1", "alice");
    for command in ["CREATE Later", "DELETE Work", "SETACL INBOX bob lrs"] {
        alice.must(command).unwrap();
    }
    murder.login("frontend1", "bob").must("CREATE Later").unwrap();
    murder.agree(&["mupdate", "frontend1", "backend1", "backend2"])
}

#[test]
fn a_master_that_only_starts_again_or_is_killed_is_told_nothing() {
    let (mut murder, before) = murder();
    murder.stop("mupdate");
    murder.start("mupdate");
    murder.kill("mupdate", "mupdate");
    is_as_before(&murder, &before);
    for backend in ["backend1", "backend2"] {
        eventually("the backend is in touch again", || {
            log(&murder, backend).contains("in touch with the MUPDATE master again").then_some(())
        });
        assert!(!log(&murder, backend).contains("another list than before"), "{}", log(&murder, backend));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to.join(file.file_name())),
            false => drop(fs::copy(file.path(), to.join(file.file_name())).unwrap()),
        }
    }
}
