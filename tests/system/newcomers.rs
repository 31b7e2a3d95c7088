//! Users who have no INBOX when they come to a frontend: by a login, or by mail.

use std::sync::Barrier;

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    eventually,
    lab::Profile,
};

/// Frontends and backends that make INBOXes.
fn plan(frontends: usize, newcomers: &[&str]) -> Plan {
    let plan = Plan::nodes(frontends, 2)
        .option("*", "autocreate_quota", "10240")
        .option("*", "autocreate_post", "yes")
        .option("*", "autocreate_inbox_folders", "Sent|Work")
        .option("*", "autocreate_subscribe_folders", "Sent")
        .option("*", "autocreate_acl", "Work wilma lrs");
    newcomers.iter().fold(plan, |plan, name| plan.account(name))
}

/// Where an INBOX is, by the master.
fn server_of(murder: &Murder, user: &str) -> Option<String> {
    murder.list("mupdate").get(&format!("user.{user}")).map(|row| row.server.clone())
}

#[test]
fn a_newcomer_at_a_frontend_has_inbox_folders_and_quota_in_the_session_that_he_begins() {
    let murder = plan(2, &["fred", "gina"]).start();
    let mut fred = murder.login("frontend1", "fred");
    fred.must("SELECT INBOX").unwrap();
    fred.must("STATUS Sent (MESSAGES)").unwrap();
    let subscribed = fred.must("LSUB \"\" *").unwrap().lines.join("\n");
    assert!(subscribed.contains("INBOX") && subscribed.contains("Sent"), "{subscribed}");
    let quota = fred.must("GETQUOTAROOT INBOX").unwrap().lines.join("\n");
    assert!(quota.contains("(STORAGE 0 10240)"), "{quota}");
    let acl = fred.must("GETACL Work").unwrap().lines.join("\n");
    assert!(acl.contains("wilma lrs"), "{acl}");
    murder.login("frontend2", "fred").must("SELECT INBOX").unwrap();
    // By POP3 at the other frontend.
    let stat = murder.pop3("frontend2", "gina").must("STAT").unwrap();
    assert!(stat.contains("0 0"), "{stat}");
    murder.login("frontend1", "gina").must("SELECT Work").unwrap();
    // Neither the administrator nor a frontend's own identity is anybody's mail.
    murder.admin("frontend1").must("CREATE news").unwrap();
    let list = murder.agree(&["mupdate", "backend1", "backend2", "frontend1", "frontend2"]);
    let owners: Vec<&String> = list.keys().filter(|name| name.matches('.').count() == 1).collect();
    assert_eq!(owners, ["user.fred", "user.gina"]);
    let home = server_of(&murder, "fred");
    for folder in ["user.fred.Sent", "user.fred.Work"] {
        assert_eq!(list.get(folder).map(|row| row.server.clone()), home, "{folder}");
    }
}

#[test]
fn mail_for_a_newcomer_is_delivered_where_the_options_say_so_and_comes_back_where_they_do_not() {
    let murder = plan(2, &["hugo", "ina"])
        .option("*", "autocreate_users", "hugo")
        .option("frontend2", "autocreate_post", "no")
        .start();
    let reply = |node: &str, user: &str| murder.deliver(node, &[user], user).remove(0);
    assert!(reply("frontend2", "hugo").starts_with("550 5.1.1"));
    assert!(reply("frontend1", "ina").starts_with("550 5.1.1"), "not one of autocreate_users");
    assert!(reply("frontend1", "hugo").starts_with("250"));
    assert!(reply("frontend2", "hugo").starts_with("250"), "there is an INBOX now");
    let mut hugo = murder.login("frontend2", "hugo");
    let status = hugo.must("STATUS INBOX (MESSAGES)").unwrap().lines.join("\n");
    // The second is the first once more.
    assert!(status.contains("(MESSAGES 1)"), "{status}");
    let refused = murder.login("frontend1", "ina").command("SELECT INBOX").unwrap().result;
    assert_eq!(refused, "NO [NONEXISTENT] Mailbox does not exist");
}

#[test]
fn a_newcomer_whom_two_frontends_send_to_two_backends_at_once_has_one_inbox_and_both_find_it() {
    const USERS: [&str; 8] = ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"];
    let murder = plan(2, &USERS)
        .option("frontend1", "defaultserver", "backend1.demo.test")
        .option("frontend2", "defaultserver", "backend2.demo.test")
        .start();
    for (at, user) in USERS.iter().enumerate() {
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            for node in ["frontend1", "frontend2"] {
                let (murder, together) = (&murder, &together);
                scope.spawn(move || {
                    // Half of them are met by a login and a delivery.
                    if at % 2 == 1 && node == "frontend2" {
                        let mut lmtp = murder.lmtp(node);
                        together.wait();
                        let replies = lmtp.deliver("a@b", &[user], &system_tests::message(user)).unwrap();
                        assert!(replies[0].starts_with("250"), "{user}: {replies:?}");
                    } else {
                        let mut imap = murder.imap(node);
                        together.wait();
                        imap.login(user, &murder.password(user)).unwrap();
                        imap.must("SELECT INBOX").unwrap_or_else(|e| panic!("{user} at {node}: {e}"));
                    }
                });
            }
        });
    }
    // No backend has one that the master places elsewhere.
    let list = murder.agree(&["mupdate", "backend1", "backend2", "frontend1", "frontend2"]);
    for user in USERS {
        let home = list[&format!("user.{user}")].server.clone();
        let own: Vec<_> =
            list.iter().filter(|(name, _)| name.starts_with(&format!("user.{user}."))).collect();
        assert_eq!(own.len(), 2, "{own:?}");
        assert!(own.iter().all(|(_, row)| row.server == home), "{own:?}");
    }
}

#[test]
fn newcomers_go_to_backends_that_are_up_and_wait_for_one_where_none_is() {
    let mut murder = plan(1, &["v1", "v2", "v3", "v4", "v5"]).start();
    murder.stop("backend1");
    for user in ["v1", "v2", "v3"] {
        murder.login("frontend1", user).must("SELECT INBOX").unwrap();
        assert_eq!(server_of(&murder, user).as_deref(), Some("backend2.demo.test"));
    }
    murder.admin("frontend1").must("CREATE shared").unwrap();
    murder.stop("backend2");
    // The login goes on, and mail waits at its sender.
    let refused = murder.login("frontend1", "v4").command("SELECT INBOX").unwrap().result;
    assert_eq!(refused, "NO [NONEXISTENT] Mailbox does not exist");
    let reply = murder.deliver("frontend1", &["v5"], "v5").remove(0);
    assert_eq!(reply, "451 4.4.3 Server(s) unavailable to complete operation");
    murder.start("backend1");
    eventually("a backend is there again", || {
        murder.deliver("frontend1", &["v5"], "v5").remove(0).starts_with("250").then_some(())
    });
    murder.login("frontend1", "v4").must("SELECT INBOX").unwrap();
    assert_eq!(server_of(&murder, "v5").as_deref(), Some("backend1.demo.test"));
}

/// A Cyrus backend with autocreate makes an INBOX for whoever logs in and is no admin: also for the frontends' own name.
#[test]
fn a_newcomer_at_a_cyrus_backend_has_an_inbox_and_the_frontends_own_name_has_none() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("fe1", Ours)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let mut murder = plan
        .account("fred")
        .account("gina")
        .option("*", "autocreate_quota", "0")
        .option("*", "autocreate_post", "yes")
        .option("fe1", "admins", "cyrus")
        .option("fe1", "serverlist", "be1.murder.test")
        .prepare();
    let lab = murder.lab.as_ref().expect("a Cyrus");
    for (key, value) in [("autocreate_quota", "0"), ("autocreate_post", "1"), ("admins", "cyrus backend")] {
        lab.set_option("be1", key, value);
    }
    cast.iter().for_each(|(node, _)| murder.start(node));
    eventually("the frontend has learnt of its backend", || {
        let mut admin = murder.admin("fe1");
        admin.command("CREATE news").ok()?.is_ok().then_some(())
    });
    murder.login("fe1", "fred").must("SELECT INBOX").unwrap();
    assert!(murder.deliver("fe1", &["gina"], "gina").remove(0).starts_with("250"));
    let list = murder.agree(&["mupdate", "be1", "fe1"]);
    let owners: Vec<&String> = list.keys().filter(|name| name.starts_with("user.")).collect();
    assert_eq!(owners, ["user.fred", "user.gina"]);
}
