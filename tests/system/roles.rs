//! Several nodes on one host, under one master: each program has the imapd.conf that its line names.

use std::{fs, net::SocketAddr, process::Command};

use murder::clients::{Imap, Pop3};
use system_tests::{Plan, eventually, programs};

use crate::sites::Site;

/// A MUPDATE master, two backends and a frontend, all of them on this host and of one user.
const LAPTOP: &str = "START {
  r1 cmd=\"ctl_cyrusdb -C CONF/m.conf -r\"
  r2 cmd=\"ctl_cyrusdb -C CONF/be1.conf -r\"
  r3 cmd=\"ctl_cyrusdb -C CONF/be2.conf -r\"
  r4 cmd=\"ctl_cyrusdb -C CONF/fe.conf -r\"
}
SERVICES {
  mupdate cmd=\"mupdate -m -C CONF/m.conf\" listen=3905 prefork=1
  slave cmd=\"mupdate -C CONF/fe.conf\" listen=3906 prefork=1
  imap cmd=\"imapd -C CONF/fe.conf\" listen=143 prefork=1
  imap1 cmd=\"imapd -C CONF/be1.conf\" listen=144 prefork=1
  imap2 cmd=\"imapd -C CONF/be2.conf\" listen=145 prefork=1
}
";

fn laptop() -> Site {
    let site = Site::with(LAPTOP);
    let root = site.path("");
    let root = root.display();
    let port = |entry: &str| site.listens[entry].rsplit_once(':').unwrap().1;
    let address = site.listens["imap"].split_once(':').unwrap().0;
    let common = format!(
        "admins: cyrus node proxy\nsasl_pwcheck_method: auxprop\npassword_db: {root}/passwords\nallowplaintext: yes\n\
         cyrus_user: root\nmupdate_username: node\nmupdate_authname: node\nmupdate_password: secret\n\
         proxy_authname: proxy\nproxy_password: secret\nm_address: {address}\nbe1_address: {address}\nbe2_address: {address}\n\
         m_ports: mupdate={}\nbe1_ports: imap={}\nbe2_ports: imap={}\n",
        port("mupdate"),
        port("imap1"),
        port("imap2"),
    );
    let node = |name: &str, lines: &str| {
        let text = format!("configdirectory: {root}/{name}\nservername: {name}.test\n{lines}{common}");
        fs::write(site.path(&format!("{name}.conf")), text).unwrap();
    };
    node("m", "");
    node("fe", "mupdate_server: m.test\nserverlist: be1.test be2.test\n");
    for name in ["be1", "be2"] {
        node(
            name,
            &format!("mupdate_server: m.test\nproxyservers: proxy\npartition-default: {root}/{name}/spool\n"),
        );
    }
    fs::copy(site.path("m.conf"), site.path("imapd.conf")).unwrap();
    let text = fs::read_to_string(site.path("cyrus.conf")).unwrap();
    fs::write(site.path("cyrus.conf"), text.replace("CONF", &root.to_string())).unwrap();
    fs::write(site.path("password"), "secret\n").unwrap();
    for user in ["cyrus", "node", "proxy", "fred", "wilma"] {
        let mut passwd = Command::new(programs().join("murder"));
        passwd.args(["passwd", "-C"]).arg(site.path("m.conf")).arg(user);
        passwd.stdin(fs::File::open(site.path("password")).unwrap());
        let done = passwd.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    site
}

fn login(site: &Site, entry: &str, user: &str) -> Option<Imap> {
    let address: SocketAddr = site.listens[entry].parse().unwrap();
    let mut imap = Imap::plain(address).ok()?;
    imap.login(user, "secret").ok()?;
    Some(imap)
}

#[test]
fn a_whole_murder_runs_under_one_master_on_one_host() {
    let site = laptop();
    let check = site.check();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let running = site.start();
    let mut admin = login(&site, "imap", "cyrus").expect("the administrator logs in at the frontend");
    for (user, backend) in [("fred", "be1.test"), ("wilma", "be2.test")] {
        let create = format!("CREATE user/{user} {backend}!");
        eventually("the INBOX is made", || admin.command(&create).ok()?.is_ok().then_some(()));
    }
    for (user, direct, other) in [("fred", "imap1", "imap2"), ("wilma", "imap2", "imap1")] {
        let mut through = login(&site, "imap", user).expect("a user logs in at the frontend");
        through.must("SELECT INBOX").unwrap();
        login(&site, direct, user).unwrap().must("SELECT INBOX").unwrap();
        assert!(!login(&site, other, user).unwrap().command("SELECT INBOX").unwrap().is_ok());
    }
    // A reload of the one master reaches them all, and disturbs none.
    let mut fred = login(&site, "imap", "fred").unwrap();
    running.hang_up();
    eventually("all reread their settings", || {
        (running.log().matches("settings reloaded from").count() >= 5).then_some(())
    });
    fred.must("NOOP").unwrap();
}

#[test]
fn what_one_node_cannot_be_is_refused_before_anything_starts() {
    let site = laptop();
    let told = |file: &str, lines: &str, status: i32| {
        let path = site.path(file);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{before}{lines}")).unwrap();
        let check = site.check();
        fs::write(&path, before).unwrap();
        assert_eq!(check.status.code(), Some(status));
        String::from_utf8_lossy(&check.stdout).into_owned()
    };
    let said = |file: &str, lines: &str| told(file, lines, 78);
    let text = said("fe.conf", "proxyservers: proxy\n");
    assert!(
        text.contains("slave: mupdate without -m is a frontend's slave, but proxyservers is set in"),
        "{text}"
    );
    assert!(text.contains("imap: imapd keeps mail on this node, but no partition-NAME is set in"), "{text}");
    // Nested partitions run, with a warning.
    let text = told("be1.conf", "partition-more: /srv/more\npartition-again: /srv/more/below\n", 0);
    assert!(text.contains("partition-again: nested with partition-more in line"), "{text}");
    let text = said("cyrus.conf", "SERVICES {\n again cmd=\"mupdate\" listen=1\n}\n");
    assert!(
        text.contains("again: mupdate without -m is a slave") || text.contains("again: a slave"),
        "{text}"
    );
}

#[test]
fn who_administers_an_inbox_may_log_in_as_its_owner_at_every_proxy() {
    let plan = Plan::nodes(1, 1).user("alice", "backend1").user("bob", "backend1");
    let murder = plan.option("frontend1", "loginuseacl", "yes").start();
    murder.login("frontend1", "alice").must("SETACL INBOX bob lra").unwrap();
    let pop3 = || Pop3::tls(murder.address("frontend1", "pop3s"), &murder.trust).unwrap();
    // bob as alice, with bob's password; and not the other way round.
    eventually("the list has the right", || pop3().must("AUTH PLAIN YWxpY2UAYm9iAGJvYi1wdw==").ok());
    assert!(pop3().must("AUTH PLAIN Ym9iAGFsaWNlAGFsaWNlLXB3").is_err());
    let mut imap = murder.imap("frontend1");
    imap.must("AUTHENTICATE PLAIN YWxpY2UAYm9iAGJvYi1wdw==").unwrap();
    imap.must("SELECT INBOX").unwrap();
    assert!(
        !murder.imap("frontend1").command("AUTHENTICATE PLAIN Ym9iAGFsaWNlAGFsaWNlLXB3").unwrap().is_ok()
    );
}
