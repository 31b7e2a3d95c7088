//! A real Cyrus is the MUPDATE master: our slave follows it and feeds our proxies, our backends tell it what they have.

use std::{collections::BTreeSet, process::Output};

use system_tests::{
    Plan,
    Who::{Cyrus, Ours},
    eventually,
    lab::Profile,
};

const CAST: [(&str, system_tests::Who); 4] =
    [("mupdate", Cyrus), ("be1", Ours), ("be2", Cyrus), ("fe1", Ours)];
const ALL: [&str; 4] = ["mupdate", "be1", "be2", "fe1"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn our_backend_and_a_cyrus_one_register_with_a_cyrus_master_and_our_proxies_reach_both() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        let murder = plan.start();
        let name = |internal: &str| murder.external(internal);
        for (node, user) in [("be1", "alice"), ("be2", "bob")] {
            let mut admin = murder.admin(node);
            for mailbox in ["", ".Sent", ".a-b", ".a", ".a.b"] {
                admin.must(&format!("CREATE {}", name(&format!("user.{user}{mailbox}")))).unwrap();
            }
            murder.agree(&ALL);
            let mut must = |command: &str, mailbox: &str, more: &str| {
                let mailbox = name(&format!("user.{user}{mailbox}"));
                admin.must(format!("{command} {mailbox} {more}").trim_end()).unwrap();
            };
            must("SETACL", ".Sent", "carol lrs");
            must("RENAME", ".Sent", &name(&format!("user.{user}.Gesendet")));
            must("SETACL", ".a-b", "cyrus lrswipkxtecda");
            must("DELETE", ".a-b", "");
            // Cyrus 3.6 tells no partition after a RENAME; this makes it good, and changes nothing with ours.
            let done = murder.tool(node, "ctl_mboxlist", &["-m"]);
            assert!(done.status.success(), "{}", text(&done));
            let list = murder.agree(&ALL);
            assert!(list.keys().any(|one| one.starts_with(&format!("DELETED.user.{user}.a-b."))), "{list:?}");
        }
        // An administrator's CREATE through our frontend, on each of the two.
        let mut admin = murder.admin("fe1");
        for (server, mailbox) in [("be1", "user.carol"), ("be2", "user.dave")] {
            admin.must(&format!("CREATE {} {server}.murder.test!default", name(mailbox))).unwrap();
            let seen = admin.must(&format!("LIST \"\" {}", name(mailbox))).unwrap();
            assert_eq!(seen.lines.len(), 1, "visible at once: {seen:?}");
        }
        let list = murder.agree(&ALL);
        assert_eq!(list["user.carol"].server, "be1.murder.test");
        assert_eq!(list["user.dave"].server, "be2.murder.test");

        let replies = murder.deliver("fe1", &["alice", "bob", "nobody"], "both");
        let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
        assert_eq!(codes.iter().filter(|code| **code == "250").count(), 2, "{replies:?}");
        assert_eq!(codes.iter().filter(|code| **code == "550").count(), 1, "{replies:?}");
        for user in ["alice", "bob"] {
            let mut session = murder.login("fe1", user);
            assert!(session.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
            let listed = session.must("LIST \"\" *").unwrap().lines;
            assert!(listed.iter().any(|line| line.contains("Gesendet")), "{listed:?}");
        }
    }
}

#[test]
fn our_slave_follows_a_cyrus_master_through_its_restart() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let mut murder = plan.prepare();
    murder.set_option("fe1", "mupdate_retry_delay", "2");
    for node in ALL {
        murder.start(node);
    }
    murder.admin("be1").must("CREATE user/alice").unwrap();
    let before = murder.agree(&ALL);
    murder.stop("mupdate");
    assert_eq!(murder.list("fe1"), before);
    assert_eq!(murder.deliver("fe1", &["alice"], "meanwhile")[0].get(..3), Some("250"));
    // A name that nobody can prove to be missing is refused for now only.
    assert_eq!(murder.deliver("fe1", &["zoe"], "nobody")[0].get(..1), Some("4"));
    let refused = murder.admin("be1").command("CREATE user/bob").unwrap();
    assert!(refused.result.starts_with("NO"), "{refused:?}");
    murder.start("mupdate");
    eventually("it can be created", || murder.admin("be1").must("CREATE user/bob").ok());
    let list = murder.agree(&ALL);
    assert!(list.contains_key("user.bob"));
}

#[test]
fn our_backend_and_a_cyrus_master_are_made_to_agree() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        // What ctl_mboxlist takes away is never destroyed, whatever this says.
        let murder = plan.option("be1", "delete_mode", "immediate").start();
        let mut admin = murder.admin("be1");
        for mailbox in
            ["user.alice", "user.alice.a", "user.alice.a-b", "user.alice.ab", "user.bob", "user.carol"]
        {
            admin.must(&format!("CREATE {}", murder.external(mailbox))).unwrap();
        }
        let truth = murder.agree(&ALL);
        let mut master = murder.mupdate("mupdate");
        master.must("DELETE \"user.alice.a\"");
        master.must("ACTIVATE \"user.gone\" \"be1.murder.test!default\" \"anyone\tlrs\t\"");
        master.must("ACTIVATE \"user.alice.a-b\" \"be1.murder.test!default\" \"anyone\tlrs\t\"");
        master.must("DEACTIVATE \"user.alice.ab\" \"be1.murder.test!default\"");
        master.must("ACTIVATE \"user.carol\" \"be2.murder.test!default\" \"carol\tlrs\t\"");
        let told = murder.tool("be1", "ctl_mboxlist", &["-mw"]);
        assert!(told.status.success(), "{}", text(&told));
        let told: BTreeSet<String> =
            String::from_utf8_lossy(&told.stdout).lines().map(str::to_owned).collect();
        let lines = [
            "Force Activate: user.alice.a",
            "Force Activate: user.alice.a-b",
            "Force Activate: user.alice.ab",
            "Remove Local Mailbox: user.carol",
            "Remove from MUPDATE: user.gone",
        ];
        assert_eq!(told, lines.map(str::to_owned).into());
        let done = murder.tool("be1", "ctl_mboxlist", &["-m", "-a"]);
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(murder.agree(&ALL), truth);

        master.must("ACTIVATE \"user.carol\" \"be2.murder.test!default\" \"carol\tlrs\t\"");
        let done = murder.tool("be1", "ctl_mboxlist", &["-m"]);
        assert!(done.status.success(), "{}", text(&done));
        let held = murder.list("be1");
        assert!(!held.contains_key("user.carol"));
        assert!(held.keys().any(|name| name.starts_with("DELETED.user.carol.")), "{held:?}");
    }
}
