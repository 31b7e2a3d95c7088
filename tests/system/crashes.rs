//! `kill -9` of any daemon while mail is delivered and read: `master` brings it back, and nothing that was acknowledged is
//! missing or doubled.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use murder::clients::Pop3;
use system_tests::{Murder, Plan, eventually, message};

/// Delivers to alice and bob without pause, each message again until it is accepted (as an MTA does), while `program` on
/// `node` is killed `times` over. Then every message is there, once.
fn nothing_is_lost_when_killed(node: &str, program: &str, times: usize) {
    nothing_is_lost(node, program, times, Next::WhenMailFlows);
}

/// How often to kill: so many times, or as often as `MURDER_KILLS` says.
fn kills(times: usize) -> usize {
    let asked = std::env::var("MURDER_KILLS").ok();
    asked.map_or(times, |kills| kills.parse().expect("MURDER_KILLS is a number"))
}

/// When the next kill comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    WhenMailFlows,
    /// As soon as the process has said that it is ready.
    WhenReady,
}

fn nothing_is_lost(node: &str, program: &str, times: usize, next: Next) {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    let done = AtomicBool::new(false);
    let accepted = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let (murder, done, accepted) = (&murder, &done, &accepted);
            scope.spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::SeqCst) {
                    let id = format!("s{sender}-{number}");
                    for to in ["alice", "bob"] {
                        deliver_until_accepted(murder, to, &id);
                    }
                    accepted.lock().expect("no poison").push(id);
                    number += 1;
                }
            });
        }
        // Also when the rounds fail: the scope waits for the senders.
        let _stop = OnDrop(&done);
        for round in 0..kills(times) {
            let before = accepted.lock().expect("no poison").len();
            if next == Next::WhenMailFlows || round == 0 {
                eventually("mail flows", || {
                    (accepted.lock().expect("no poison").len() > before + 8).then_some(())
                });
            }
            murder.kill(node, program);
            eventually(&format!("{program} is back ({round})"), || {
                let pids = murder.pids(node, program);
                let mut back =
                    pids.iter().filter(|pid| next == Next::WhenMailFlows || is_ready(&murder, node, **pid));
                back.next().map(drop)
            });
        }
    });
    let accepted: BTreeSet<String> = accepted.into_inner().expect("no poison").into_iter().collect();
    for user in ["alice", "bob"] {
        let mut imap = eventually("login works again", || {
            let mut imap = murder.try_imap("frontend1")?;
            imap.login(user, &murder.password(user)).ok()?;
            imap.command("SELECT INBOX").ok()?.is_ok().then_some(imap)
        });
        let fetched = imap.must("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").unwrap();
        let mut found: Vec<String> = fetched
            .literals
            .iter()
            .map(|l| {
                String::from_utf8_lossy(l)
                    .trim()
                    .trim_start_matches("Message-ID: <")
                    .replace("@example.org>", "")
            })
            .collect();
        found.sort();
        let unique: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(unique.len(), found.len(), "{user} has no message twice");
        assert!(
            accepted.is_subset(&unique),
            "{user} misses {:?}",
            accepted.difference(&unique).collect::<Vec<_>>()
        );
    }
}

/// Whether `master` has logged that this process is ready.
fn is_ready(murder: &Murder, node: &str, pid: u32) -> bool {
    let node = murder.cluster.nodes.iter().find(|one| one.name.starts_with(node)).expect("a node");
    let log = std::fs::read_to_string(node.log()).unwrap_or_default();
    log.lines().any(|line| line.contains(" ready after ") && line.ends_with(&format!("pid {pid}")))
}

/// Ends what waits for the flag.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn deliver_until_accepted(murder: &Murder, to: &str, id: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let attempt = murder
            .try_lmtp("frontend1")
            .and_then(|mut lmtp| lmtp.deliver("sender@example.org", &[to], &message(id)).ok());
        match attempt.as_deref() {
            Some([reply]) if reply.starts_with("250") => return,
            Some([reply]) => assert!(reply.starts_with('4'), "a permanent refusal in a crash: {reply}"),
            _ => {}
        }
        assert!(Instant::now() < until, "{id} to {to} was never accepted");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_backend_loses_and_doubles_nothing() {
    nothing_is_lost_when_killed("backend1", "backend", 3);
}

#[test]
fn a_killed_lmtpproxy_loses_and_doubles_nothing() {
    nothing_is_lost_when_killed("frontend1", "lmtpproxy", 3);
}

#[test]
fn a_killed_mupdate_master_and_slave_stop_no_mail() {
    nothing_is_lost_when_killed("mupdate", "mupdate", 2);
    nothing_is_lost_when_killed("frontend1", "mupdate", 2);
}

#[test]
fn a_backend_that_crashes_again_and_again_is_never_given_up_and_loses_nothing() {
    nothing_is_lost("backend1", "backend", 8, Next::WhenReady);
}

#[test]
fn a_killed_imapproxy_comes_back() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
    murder.kill("frontend1", "imapproxy");
    eventually("alice can log in again", || {
        let mut imap = murder.try_imap("frontend1")?;
        imap.login("alice", &murder.password("alice")).ok()
    });
}

#[test]
fn a_killed_pop3proxy_comes_back() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    assert!(murder.deliver("frontend1", &["alice"], "kept")[0].starts_with("250"));
    let one = || {
        let mut pop3 = Pop3::tls(murder.address("frontend1", "pop3s"), &murder.trust).ok()?;
        pop3.must("USER alice").ok()?;
        pop3.must(&format!("PASS {}", murder.password("alice"))).ok()?;
        let count = pop3.must("STAT").ok()?;
        // The maildrop is free again once this session has ended.
        pop3.must("QUIT").ok()?;
        count.starts_with("+OK 1 ").then_some(())
    };
    one().expect("alice has her message");
    murder.kill("frontend1", "pop3proxy");
    eventually("alice has her message again", one);
}

#[test]
fn a_cluster_keeps_its_mail_through_a_restart_of_everything() {
    let mut murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    assert!(murder.deliver("frontend1", &["alice", "bob"], "kept").iter().all(|r| r.starts_with("250")));
    murder.login("frontend1", "alice").must("CREATE Work").unwrap();
    assert!(murder.cluster.stop().is_empty(), "all nodes end by themselves");
    for (node, program) in [("mupdate", "mupdate"), ("backend1", "backend"), ("backend2", "backend")] {
        for file in ["commits.0", "commits.1"] {
            let log = std::fs::read(folder_of_list(&murder, node, program).join(file)).unwrap();
            assert!(!log.starts_with(b"commits"), "{node} has nothing to play back");
        }
    }
    murder.cluster.start().unwrap();
    for user in ["alice", "bob"] {
        let lines = murder.login("frontend1", user).must("SELECT INBOX").unwrap().lines;
        assert!(lines.contains(&"* 1 EXISTS".to_owned()), "{user}: {lines:?}");
    }
    murder.login("frontend1", "alice").must("SELECT Work").unwrap();
}

/// A murder with a message and thirty folders of alice's.
fn with_folders() -> Murder {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    assert!(murder.deliver("frontend1", &["alice"], "kept")[0].starts_with("250"));
    let mut alice = murder.login("frontend1", "alice");
    for n in 0..30 {
        alice.must(&format!("CREATE f{n}")).unwrap();
    }
    murder
}

fn folder_of_list(murder: &Murder, node: &str, program: &str) -> PathBuf {
    murder.node(node).conf_dir().join("murder").join(program).join("list.sled")
}

/// A user makes and removes folders at his backend without pause, while daemons die. What was answered OK holds; after
/// any other answer both may be.
fn churn(murder: &Murder, user: &str, backend: &str, done: &AtomicBool, changes: &AtomicUsize) -> Folders {
    let mut folders = Folders::new();
    let mut imap = murder.login(backend, user);
    for step in 0.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("f{}", step % 11);
        let wanted = folders.get(&name) != Some(&Some(true));
        let command = if wanted { format!("CREATE {name}") } else { format!("DELETE {name}") };
        let ok = imap.command(&command).ok().is_some_and(|answer| answer.is_ok());
        folders.insert(name, ok.then_some(wanted));
        changes.fetch_add(usize::from(ok), Ordering::SeqCst);
    }
    folders
}

/// Whether each folder exists, where that is known.
type Folders = BTreeMap<String, Option<bool>>;

#[test]
fn what_backends_were_promised_is_in_every_list_whichever_daemon_is_killed() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    let (done, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let known: Vec<(&str, Folders)> = std::thread::scope(|scope| {
        let (murder, done, changes) = (&murder, &done, &changes);
        let users = [("alice", "backend1"), ("bob", "backend2")]
            .map(|(user, backend)| scope.spawn(move || (user, churn(murder, user, backend, done, changes))));
        let stop = OnDrop(done);
        let victims = [("mupdate", "mupdate"), ("frontend1", "mupdate"), ("frontend1", "imapproxy")];
        for (round, (node, program)) in victims.into_iter().cycle().take(6).enumerate() {
            let mut random = [0];
            getrandom::fill(&mut random).unwrap();
            let enough = changes.load(Ordering::SeqCst) + 3 + usize::from(random[0] % 24);
            eventually("folders are made", || (changes.load(Ordering::SeqCst) >= enough).then_some(()));
            murder.kill(node, program);
            eventually(&format!("{program} of {node} is back ({round})"), || {
                (!murder.pids(node, program).is_empty()).then_some(())
            });
        }
        drop(stop);
        users.map(|user| user.join().unwrap()).into()
    });
    // A name that a backend could not free, since the master was dead, stays reserved: that is no mailbox.
    murder.agree(&["mupdate", "frontend1"]);
    for (user, folders) in known {
        let surely = |there| folders.iter().filter(move |(_, is)| **is == Some(there)).map(|(name, _)| name);
        eventually(&format!("the proxy lists what {user} has"), || {
            let mut imap = murder.try_imap("frontend1")?;
            imap.login(user, &murder.password(user)).ok()?;
            let lines = imap.command("LIST \"\" f%").ok()?.lines;
            let listed = |name: &String| lines.iter().any(|line| line.ends_with(&format!(" {name}")));
            (surely(true).all(listed) && !surely(false).any(listed)).then_some(())
        });
    }
}

/// Cuts a program's list in the middle, as a failing disk would.
fn cut(murder: &Murder, node: &str, program: &str) {
    let path = folder_of_list(murder, node, program).join("db");
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn folders_of_alice(murder: &Murder) -> Option<usize> {
    let mut alice = murder.try_imap("frontend1")?;
    alice.login("alice", &murder.password("alice")).ok()?;
    Some(alice.command("LIST \"\" f%").ok()?.lines.len())
}

fn with_its_list_cut(node: &str, program: &str) {
    let mut murder = with_folders();
    murder.stop(node);
    cut(&murder, node, program);
    murder.start(node);
    eventually("alice has her mail and her folders", || {
        let mut alice = murder.try_imap("frontend1")?;
        alice.login("alice", &murder.password("alice")).ok()?;
        let listed = alice.command("LIST \"\" f%").ok()?.lines.len();
        let selected = alice.command("SELECT INBOX").ok()?.lines.contains(&"* 1 EXISTS".to_owned());
        (listed == 30 && selected).then_some(())
    });
    assert!(murder.deliver("frontend1", &["alice"], "after")[0].starts_with("250"));
    // Nor has the master forgotten anything.
    let dump = String::from_utf8(murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout).unwrap();
    assert!((0..30).all(|n| dump.contains(&format!("\"user.alice.f{n}\""))), "{dump}");
    murder.login("frontend1", "alice").must("CREATE new").unwrap();
}

#[test]
fn a_slave_with_a_damaged_list_learns_it_anew() {
    with_its_list_cut("frontend1", "mupdate");
}

#[test]
fn a_proxy_with_a_damaged_list_learns_it_anew() {
    with_its_list_cut("frontend1", "imapproxy");
}

#[test]
fn a_pop3_and_an_lmtp_proxy_with_a_damaged_list_learn_it_anew() {
    with_its_list_cut("frontend1", "pop3proxy");
    with_its_list_cut("frontend1", "lmtpproxy");
}

#[test]
fn a_backend_with_a_damaged_list_rebuilds_it_from_the_spool() {
    with_its_list_cut("backend1", "backend");
}

/// What a master forgot would be forgotten by every frontend, so that one with a damaged list waits for a dump.
#[test]
fn a_master_with_a_damaged_list_does_not_start_until_it_is_restored_and_mail_goes_on() {
    let mut murder = with_folders();
    assert!(murder.tool("mupdate", "ctl_cyrusdb", &["-c"]).status.success());
    murder.stop("mupdate");
    cut(&murder, "mupdate", "mupdate");
    let node = murder.cluster.node_mut("mupdate").unwrap();
    assert!(node.spawn().and_then(|()| node.wait_ready()).is_err(), "the master does not start");
    let log = std::fs::read_to_string(node.log()).unwrap();
    assert!(log.contains("damaged") && log.contains("ctl_mboxlist -u < "), "{log}");
    assert!(murder.deliver("frontend1", &["alice"], "meanwhile")[0].starts_with("250"));
    assert_eq!(folders_of_alice(&murder), Some(30));
    assert!(murder.login("frontend1", "alice").command("CREATE new").unwrap().result.starts_with("NO"));

    std::fs::remove_dir_all(folder_of_list(&murder, "mupdate", "mupdate")).unwrap();
    let dump = murder.node("mupdate").conf_dir().join("db.backup1/mupdate.json");
    let mut undump = murder.program("ctl_mboxlist");
    undump.arg("-C").arg(murder.node("mupdate").imapd_conf()).arg("-u");
    assert!(undump.stdin(std::fs::File::open(dump).unwrap()).status().unwrap().success());
    murder.start("mupdate");
    let mut alice = murder.login("frontend1", "alice");
    eventually("CREATE works again", || alice.command("CREATE new").unwrap().is_ok().then_some(()));
    assert_eq!(folders_of_alice(&murder), Some(30));
    assert!(murder.deliver("frontend1", &["alice"], "after")[0].starts_with("250"));
}
