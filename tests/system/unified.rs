//! Unified murders: each node is a frontend and a backend.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use system_tests::{Murder, Plan, eventually};

const NODES: [&str; 3] = ["backend1", "backend2", "backend3"];

/// Three unified nodes and an ordinary frontend.
fn unified() -> Murder {
    let all: Vec<String> = NODES.map(|node| format!("{node}.demo.test")).to_vec();
    let plan = Plan::nodes(1, 3).user("fred", "backend1").user("wilma", "backend2").user("bamm", "backend3");
    let plan = NODES.iter().fold(plan, |plan, node| {
        plan.option(node, "mupdate_config", "unified").option(node, "serverlist", &all.join(" "))
    });
    let mut murder = plan.prepare();
    for node in NODES {
        store_lines(&murder, node);
    }
    murder.cluster.start().unwrap();
    murder.create_inboxes();
    murder
}

/// The store of a unified node, on the sockets where its proxies look for it.
fn store_lines(murder: &Murder, node: &str) {
    let node = murder.node(node);
    let (conf, socket) = (node.imapd_conf(), node.conf_dir().join("socket"));
    let lines = ["imap", "pop3", "lmtp", "sieve"].map(|service| {
        format!(
            "  {service}store cmd=\"backend -C {}\" listen=\"{}/backend-{service}\" prefork=1\n",
            conf.display(),
            socket.display()
        )
    });
    let text = fs::read_to_string(node.cyrus_conf()).unwrap();
    let text = text.replacen("SERVICES {\n", &format!("SERVICES {{\n{}", lines.concat()), 1);
    fs::write(node.cyrus_conf(), text).unwrap();
}

fn server_of(murder: &Murder, mailbox: &str) -> String {
    murder.list("mupdate").get(mailbox).map(|row| row.server.clone()).unwrap_or_default()
}

#[test]
fn a_mailbox_made_at_any_unified_node_is_with_its_parent_and_every_node_serves_it_ten_seconds_later_too() {
    let mut murder = unified();
    for (number, node) in NODES.iter().enumerate() {
        let mut fred = murder.login(node, "fred");
        fred.must(&format!("CREATE made{number}")).unwrap();
        fred.must(&format!("SELECT made{number}")).unwrap();
        fred.must(&format!("APPEND made{number} {{1+}}\r\nx")).unwrap();
        assert_eq!(server_of(&murder, &format!("user.fred.made{number}")), "backend1.demo.test");
    }
    // Cyrus 3.6 loses each of them when the change comes back.
    let everywhere = ["mupdate", "backend1", "backend2", "backend3", "frontend1"];
    murder.agree(&everywhere);
    // Through the LMTP proxies of three nodes, as a node whose login is known.
    let replies = murder.deliver("frontend1", &["fred", "wilma", "bamm"], "three");
    assert!(replies.iter().all(|line| line.starts_with("250")), "{replies:?}");
    for node in NODES.iter().chain(&["frontend1"]) {
        let mut fred = murder.login(node, "fred");
        for number in 0..NODES.len() {
            let status = fred.must(&format!("STATUS made{number} (MESSAGES)")).unwrap().lines.join("\n");
            assert!(status.contains("(MESSAGES 1)"), "{node}: {status}");
        }
        let stat = murder.pop3(node, "wilma").must("STAT").unwrap();
        assert!(!stat.starts_with("+OK 0 "), "{node}: {stat}");
    }
    // Own server named, by an admin.
    let mut admin = murder.admin("backend2");
    admin.must("CREATE shared backend2.demo.test!default").unwrap();
    admin.must("CREATE other backend3.demo.test!default").unwrap();
    assert_eq!(server_of(&murder, "shared"), "backend2.demo.test");
    assert_eq!(server_of(&murder, "other"), "backend3.demo.test");
    drop(admin);
    // A restart of a node, and then one less: only its mailboxes are away.
    murder.stop("backend2");
    murder.start("backend2");
    murder.login("backend2", "wilma").must("SELECT INBOX").unwrap();
    murder.stop("backend1");
    let mut wilma = murder.login("backend3", "wilma");
    wilma.must("SELECT INBOX").unwrap();
    drop(wilma);
    eventually("fred's mail is away, and no more", || {
        let mut fred = murder.try_imap("backend2")?;
        fred.login("fred", &murder.password("fred")).ok()?;
        let answer = fred.command("SELECT INBOX").ok()?;
        answer.result.starts_with("NO").then_some(())
    });
}

#[test]
fn what_comes_to_a_unified_node_from_a_proxy_is_not_proxied_again() {
    let murder = unified();
    let password = murder.cluster.secrets.password("proxy").to_owned();
    // A frontend that believes fred's mail to be on backend2.
    let mut stray = murder.imap("backend2");
    stray.must(&acting("fred", &password)).unwrap();
    let refused = stray.command("SELECT INBOX").unwrap().result;
    assert!(refused.starts_with("NO"), "{refused}");
    let list = stray.command("LIST \"\" *").unwrap().lines.join("\n");
    assert!(!list.contains("INBOX"), "{list}");
    // Wilma's is there.
    let mut there = murder.imap("backend2");
    there.must(&acting("wilma", &password)).unwrap();
    there.must("SELECT INBOX").unwrap();
}

/// The login of a frontend that acts for a user.
fn acting(user: &str, password: &str) -> String {
    format!("AUTHENTICATE PLAIN {}", BASE64_STANDARD.encode(format!("{user}\0proxy\0{password}")))
}
