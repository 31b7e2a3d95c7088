//! Real Cyrus backends tell our MUPDATE master what they have.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Output, Stdio},
};

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    lab::Profile,
};

const CAST: [(&str, system_tests::Who); 4] =
    [("mupdate", Ours), ("be1", Cyrus), ("be2", Cyrus), ("fe1", Ours)];
const ALL: [&str; 4] = ["mupdate", "be1", "be2", "fe1"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Where the master says that a mailbox is.
fn place(murder: &Murder, name: &str) -> String {
    let lines = murder.mupdate("mupdate").must(&format!("FIND \"{name}\""));
    lines.first().map_or_else(String::new, |line| line.split('"').nth(3).unwrap_or_default().to_owned())
}

/// A folder of alice's, as bob names it.
fn shared(profile: Profile, folder: &str) -> String {
    match profile {
        Profile::Classic => format!("user.alice.{folder}"),
        Profile::Defaults | Profile::Virtdomains => format!("Other Users/alice/{folder}"),
    }
}

#[test]
fn a_cyrus_backend_creates_renames_shares_deletes_and_moves_mailboxes() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        let murder = plan.start();
        let mut admin = murder.admin("be1");
        let name = |internal: &str| murder.external(internal);
        for mailbox in ["user.alice", "user.alice.Sent", "user.alice.a-b", "user.alice.a", "news", "news.all"]
        {
            admin.must(&format!("CREATE {}", name(mailbox))).unwrap();
        }
        if profile == Profile::Virtdomains {
            for mailbox in ["user/olga@other.test", "user/olga/Sent@other.test", "user/olga/a-b@other.test"] {
                admin.must(&format!("CREATE {mailbox}")).unwrap();
            }
            assert_eq!(place(&murder, "other.test!user.olga.Sent"), "be1.murder.test!default");
        }
        murder.agree(&ALL);
        admin.must(&format!("SETACL {} bob lrs", name("user.alice.Sent"))).unwrap();
        admin.must(&format!("DELETEACL {} anyone", name("news.all"))).unwrap();
        murder.agree(&ALL);
        admin.must(&format!("RENAME {} {}", name("user.alice.Sent"), name("user.alice.Gesendet"))).unwrap();
        admin.must(&format!("RENAME {} {}", name("news"), name("tidings"))).unwrap();
        // Cyrus 3.6 tells the master no partition after a RENAME, until it is resynchronised: our nodes live with that.
        murder.agree(&["mupdate", "fe1"]);
        assert!(place(&murder, "tidings").starts_with("be1.murder.test!"));
        murder
            .login("fe1", "bob")
            .must(&format!("STATUS \"{}\" (MESSAGES)", shared(profile, "Gesendet")))
            .unwrap();
        let done = murder.tool("be1", "ctl_mboxlist", &["-m"]);
        assert!(done.status.success(), "{}", text(&done));
        murder.agree(&ALL);
        admin.must(&format!("SETACL {} cyrus lrswipkxtecda", name("user.alice.a-b"))).unwrap();
        admin.must(&format!("DELETE {}", name("user.alice.a-b"))).unwrap();
        let done = murder.tool("be1", "ctl_mboxlist", &["-m"]);
        assert!(done.status.success(), "{}", text(&done));
        let list = murder.agree(&ALL);
        assert!(list.keys().any(|one| one.starts_with("DELETED.user.alice.a-b.")), "{list:?}");
        assert!(list.contains_key("tidings.all") && !list.contains_key("news.all"), "{list:?}");

        assert_eq!(murder.deliver("fe1", &["alice"], "moved")[0].split(' ').next(), Some("250"));
        admin.must(&format!("XFER {} be2.murder.test", name("user.alice"))).unwrap();
        let list = murder.agree(&ALL);
        let of_alice = list.iter().filter(|(one, _)| one.contains("user.alice"));
        let servers: BTreeSet<_> = of_alice.map(|(_, row)| row.server.as_str()).collect();
        assert_eq!(servers, ["be2.murder.test"].into());
        assert!(list.values().all(|row| !row.reserved), "{list:?}");
        let mut alice = murder.login("fe1", "alice");
        assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
        let fetched = alice.must("FETCH 1 BODY[TEXT]").unwrap();
        assert_eq!(String::from_utf8_lossy(&fetched.literals[0]), "The text of moved.\r\n");
    }
}

/// What our `ctl_mboxlist` would say in the place of a Cyrus backend's: of the same mailboxes, to the same master.
fn our_synchronisation(murder: &Murder, node: &str, flags: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("imapd.conf");
    let text = std::fs::read_to_string(murder.imapd_conf(node)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("configdirectory:"));
    let lines: Vec<&str> = lines.collect();
    std::fs::write(&conf, format!("configdirectory: {}\n{}\n", dir.path().display(), lines.join("\n")))
        .unwrap();
    let tool = || {
        let mut tool = murder.program("ctl_mboxlist");
        tool.arg("-C").arg(&conf);
        tool
    };
    let mut undump = tool().arg("-u").stdin(Stdio::piped()).spawn().unwrap();
    undump.stdin.take().unwrap().write_all(&murder.tool(node, "ctl_mboxlist", &["-d"]).stdout).unwrap();
    assert!(undump.wait().unwrap().success());
    tool().arg(flags).output().unwrap()
}

#[test]
fn a_cyrus_backend_makes_our_master_agree_with_what_it_has() {
    for profile in Profile::ALL {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        let mut murder = plan.start();
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
        let ours = our_synchronisation(&murder, "be1", "-mw");
        let ours = String::from_utf8_lossy(&ours.stdout);
        assert_eq!(text(&told), ours, "ours says what Cyrus's says");
        let told: BTreeSet<String> = text(&told).lines().map(str::to_owned).collect();
        let lines = [
            "Force Activate: user.alice.a",
            "Force Activate: user.alice.a-b",
            "Force Activate: user.alice.ab",
            "Remove Local Mailbox: user.carol",
            "Remove from MUPDATE: user.gone",
        ];
        assert_eq!(told, lines.map(str::to_owned).into());
        assert_eq!(place(&murder, "user.gone"), "be1.murder.test!default", "-w changes nothing");

        let done = murder.tool("be1", "ctl_mboxlist", &["-m", "-a"]);
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(murder.agree(&ALL), truth);

        // Without -a the master is right about where a mailbox is; the copy is put away.
        murder
            .mupdate("mupdate")
            .must("ACTIVATE \"user.carol\" \"be2.murder.test!default\" \"carol\tlrs\t\"");
        let done = murder.tool("be1", "ctl_mboxlist", &["-m"]);
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(place(&murder, "user.carol"), "be2.murder.test!default");
        assert!(!murder.list("be1").contains_key("user.carol"));

        // As at each start of a Cyrus node, with a master that lost everything.
        murder.stop("be1");
        murder.mupdate("mupdate").everything().iter().for_each(|line| {
            let name = line.split('"').nth(1).unwrap().to_owned();
            murder.mupdate("mupdate").must(&format!("DELETE \"{name}\""));
        });
        murder.start("be1");
        murder.agree(&ALL);
        assert_eq!(place(&murder, "user.alice.a-b"), "be1.murder.test!default");
    }
}

#[test]
fn two_cyrus_backends_that_claim_one_mailbox_are_shown_until_one_gives_way() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("be2", Cyrus)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let murder = plan.start();
    for node in ["be1", "be2"] {
        murder.admin(node).must("LOCALCREATE user/both").unwrap();
    }
    // Each says that it is right, again and again, as backends do that were restored from one backup.
    for node in ["be1", "be2", "be1", "be2"] {
        let done = murder.tool(node, "ctl_mboxlist", &["-m", "-a"]);
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(place(&murder, "user.both"), format!("{node}.murder.test!default"), "the later wins");
    }
    let conf = murder.imapd_conf("mupdate");
    let status = || text(&murder.program("murder").args(["status", "-C"]).arg(&conf).output().unwrap());
    let conflict =
        "CONFLICT user.both: be2.murder.test!default took over from be1.murder.test!default, 3 times";
    assert!(status().contains(conflict), "{}", status());
    let log = std::fs::read_to_string(murder.node("mupdate").log()).unwrap();
    assert_eq!(log.matches("two servers claim one mailbox").count(), 1, "one warning for a pair");
    // The mailbox goes at one of them, and with it from the master; the other then tells its own.
    murder.mupdate("mupdate").must("DELETE \"user.both\"");
    assert!(!status().contains("CONFLICT"), "{}", status());
}
