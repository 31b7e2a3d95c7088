//! A real Cyrus frontend follows our MUPDATE master.

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    eventually,
    lab::Profile,
    relay::Relay,
};

const CAST: [(&str, system_tests::Who); 3] = [("mupdate", Ours), ("be1", Ours), ("fe1", Cyrus)];

/// What an administrator does in a day.
fn work(murder: &Murder, node: &str, user: &str) {
    let mut admin = murder.admin(node);
    let name = |suffix: &str| murder.external(&format!("user.{user}{suffix}"));
    for suffix in ["", ".Sent", ".Sent.2026", ".a-b", ".a", ".Old"] {
        admin.must(&format!("CREATE {}", name(suffix))).unwrap();
    }
    admin.must(&format!("CREATE \"{}\"", name(".two words"))).unwrap();
    admin.must(&format!("SETACL {} bob lrs", name(".Sent"))).unwrap();
    admin.must(&format!("SETACL {} -anyone p", name(".Sent"))).unwrap();
    admin.must(&format!("RENAME {} {}", name(".Old"), name(".New"))).unwrap();
    admin.must(&format!("DELETE {}", name(".a-b"))).unwrap();
}

#[test]
fn a_cyrus_slave_holds_our_masters_list_from_its_start_and_through_every_change() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        let mut murder = plan.prepare();
        murder.start("mupdate");
        murder.start("be1");
        work(&murder, "be1", "alice");
        murder.start("fe1");
        murder.agree(&["mupdate", "be1", "fe1"]);
        work(&murder, "be1", "bob");
        let list = murder.agree(&["mupdate", "be1", "fe1"]);
        assert_eq!(list.keys().filter(|name| name.starts_with("user.bob")).count(), 6, "{list:?}");
        assert_eq!(list.keys().filter(|name| name.starts_with("DELETED.")).count(), 2, "{list:?}");
        assert_eq!(murder.mupdate("mupdate").everything(), murder.mupdate("fe1").everything());
    }
}

#[test]
fn a_cyrus_frontend_serves_the_mail_of_our_backend() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        let murder = plan.start();
        // At the backend: a Cyrus frontend dies of a CREATE that names a server, with Cyrus's backends too.
        murder.admin("be1").must(&format!("CREATE {}", murder.external("user.alice"))).unwrap();
        murder.agree(&["mupdate", "be1", "fe1"]);
        let replies = murder.deliver("fe1", &["alice", "nobody"], "through");
        let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
        assert!(codes.contains(&"250") && codes.contains(&"550"), "{replies:?}");

        let mut alice = murder.login("fe1", "alice");
        let sent = if profile == Profile::Classic { "INBOX.Sent" } else { "Sent" };
        alice.must(&format!("CREATE {sent}")).unwrap();
        let listed = alice.must("LIST \"\" *").unwrap().lines;
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
        let fetched = alice.must("FETCH 1 (FLAGS BODY[TEXT])").unwrap();
        assert_eq!(String::from_utf8_lossy(&fetched.literals[0]), "The text of through.\r\n");
        alice.must("STORE 1 +FLAGS (\\Flagged)").unwrap();
        alice.must(&format!("COPY 1 {sent}")).unwrap();
        let status = alice.must(&format!("STATUS {sent} (MESSAGES)")).unwrap().lines;
        assert!(status.iter().any(|line| line.contains("MESSAGES 1")), "{status:?}");
        assert_eq!(alice.must("SEARCH FLAGGED").unwrap().lines, ["* SEARCH 1"]);
        alice.must(&format!("SETACL {sent} bob lrs")).unwrap();
        alice.must(&format!("RENAME {sent} {sent}2")).unwrap();
        alice.must(&format!("DELETE {sent}2")).unwrap();
        let mut pop3 = murder.pop3("fe1", "alice");
        assert!(pop3.retrieve(1).unwrap().contains("The text of through."));
        murder.agree(&["mupdate", "be1", "fe1"]);
    }
}

#[test]
fn a_cyrus_slave_follows_our_master_again_after_its_restart() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let mut murder = plan.prepare();
    murder.set_option("fe1", "mupdate_retry_delay", "2");
    for node in ["mupdate", "be1", "fe1"] {
        murder.start(node);
    }
    work(&murder, "be1", "alice");
    let before = murder.agree(&["mupdate", "be1", "fe1"]);
    murder.stop("mupdate");
    assert_eq!(murder.list("fe1"), before, "nothing is forgotten while the master is away");
    murder.start("mupdate");
    work(&murder, "be1", "bob");
    murder.agree(&["mupdate", "be1", "fe1"]);
    murder.kill("mupdate", "mupdate");
    eventually("the master is back", || murder.admin("be1").must("CREATE user/carol").ok());
    murder.agree(&["mupdate", "be1", "fe1"]);
}

#[test]
fn a_cyrus_slave_catches_up_after_a_cut_in_the_network() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let mut murder = plan.prepare();
    let cable = behind_a_relay(&murder);
    murder.set_option("fe1", "mupdate_retry_delay", "2");
    for node in ["mupdate", "be1", "fe1"] {
        murder.start(node);
    }
    work(&murder, "be1", "alice");
    let before = murder.agree(&["mupdate", "be1", "fe1"]);
    // A short one is not even noticed; a long one ends the stream, and the slave comes back.
    for (user, long) in [("bob", false), ("carol", true)] {
        let connections = cable.connections();
        cable.cut();
        work(&murder, "be1", user);
        assert!(murder.list("fe1").keys().all(|name| !name.contains(user)));
        assert!(before.keys().all(|name| murder.list("fe1").contains_key(name)));
        if long {
            eventually("the slave tries again", || (cable.connections() > connections).then_some(()));
        }
        cable.mend();
        murder.agree(&["mupdate", "be1", "fe1"]);
    }
}

#[test]
fn a_change_beside_a_kick_reaches_a_cyrus_slave_at_once() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let mut murder = plan.prepare();
    let cable = behind_a_relay(&murder);
    for node in ["mupdate", "be1", "fe1"] {
        murder.start(node);
    }
    let kick = murder.node("fe1").conf_dir().join("socket/mupdate.target");
    let (mut master, mut slave) = (murder.mupdate("mupdate"), murder.mupdate("fe1"));
    let mut rounds = 0;
    for round in 0..200 {
        // The change is made as soon as the OK to the kick's NOOP is under way, and would travel in one packet with it:
        // Cyrus's slave sleeps up to 20 seconds on a line that shares a read with an OK.
        cable.hold();
        let began = Instant::now();
        let _kicker = UnixStream::connect(&kick).unwrap();
        let answer = eventually("the kick is answered", || Some(cable.held()).filter(|held| *held > 0));
        master.must(&format!("ACTIVATE \"user.k{round}\" \"be1.murder.test!default\" \"anyone\tlrs\t\""));
        let until = Instant::now() + Duration::from_millis(15);
        while Instant::now() < until && cable.held() == answer {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let (held, passed) = (cable.held(), cable.mend_and_see());
        // On a busy machine the two may meet after all, and the round proves nothing.
        let in_time = began.elapsed() < Duration::from_millis(40);
        assert!(!in_time || held == answer, "the change went out right behind the OK");
        let find = format!("FIND \"user.k{round}\"");
        let _again = (passed != answer).then(|| UnixStream::connect(&kick));
        let began = Instant::now();
        eventually("the change is at the slave", || (!slave.must(&find).is_empty()).then_some(()));
        if in_time && passed == answer {
            assert!(began.elapsed().as_secs() < 5, "in round {round} it took {:?}", began.elapsed());
            rounds += 1;
            if rounds == 10 {
                return;
            }
        }
    }
    assert!(rounds > 0, "this machine was too busy for a single round");
}

/// Has the frontend reach its master through a cable that can be cut.
fn behind_a_relay(murder: &Murder) -> Relay {
    let master = murder.address("mupdate", "mupdate");
    let cable = Relay::new(master);
    murder.set_option("fe1", "mupdate_server", &format!("mupdate.murder.test:{}", cable.port()));
    cable
}
