//! One program replaced in a running Cyrus node: our daemons under Cyrus's `master`, and a daemon of Cyrus's under ours.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    eventually,
    lab::{self, Lab, Profile},
    lists::{self, List},
    mupdate::Mupdate,
};

/// A banner up to its last line, or a greeting.
fn greeting(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("* OK"))
}

/// Runs one of our tools for a Cyrus node, as Cyrus's user, with this for its input.
fn ours(murder: &Murder, node: &str, tool: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = lab::as_cyrus(murder.installed(tool));
    command.args(args).arg("-C").arg(murder.imapd_conf(node));
    piped(command, input)
}

fn piped(mut command: Command, input: &[u8]) -> Vec<u8> {
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(input).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

fn our_list(murder: &Murder, node: &str) -> List {
    let dump = ours(murder, node, "ctl_mboxlist", &["-d"], b"");
    lists::read(&String::from_utf8_lossy(&dump), &murder.cluster.topology.host(node))
}

/// The accounts of a Cyrus node, for a program of ours on it.
fn set_passwords(murder: &Murder, node: &str) {
    for user in ["cyrus", "backend", "frontend", "alice", "bob"] {
        ours(murder, node, "murder", &["passwd", user], format!("{user}\n").as_bytes());
    }
}

/// Puts programs of ours in the place of Cyrus's, in a node that runs.
fn replace(murder: &Murder, node: &str, programs: &[(&str, &str)]) {
    let lab = murder.lab.as_ref().unwrap();
    for (theirs, ours) in programs {
        lab.edit(node, &format!("cmd=\"{theirs} "), &format!("cmd=\"{} ", murder.installed(ours).display()));
    }
    lab.reload(node);
}

#[test]
fn our_mupdate_becomes_the_master_of_a_cyrus_murder_by_one_line_of_cyrus_conf() {
    let cast = [("mupdate", Cyrus), ("be1", Cyrus), ("fe1", Cyrus)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let mut murder = plan.prepare();
    murder.set_option("fe1", "mupdate_retry_delay", "2");
    for (node, _) in cast {
        murder.start(node);
    }
    murder.admin("be1").must("CREATE user/alice").unwrap();
    murder.agree(&["mupdate", "be1", "fe1"]);

    set_passwords(&murder, "mupdate");
    let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]).stdout;
    ours(&murder, "mupdate", "ctl_mboxlist", &["-u"], &dump);
    replace(&murder, "mupdate", &[("mupdate", "mupdate")]);
    let address = murder.address("mupdate", "mupdate");
    let is_ours = || greeting(address).filter(|line| line.contains("\"murder-")).map(drop);
    eventually("our mupdate answers", is_ours);

    let follows = |murder: &Murder, what: &str| {
        eventually(what, || (our_list(murder, "mupdate") == murder.list("fe1")).then_some(()));
        murder.agree(&["fe1", "be1"])
    };
    eventually("mailboxes are created", || murder.admin("be1").must("CREATE user/bob").ok());
    assert_eq!(follows(&murder, "the Cyrus slave follows").len(), 2);
    // A crash is its master's business, as for any service of Cyrus's.
    let pids = murder.pids("mupdate", "mupdate");
    assert_eq!(pids.len(), 1);
    murder.kill("mupdate", "mupdate");
    eventually("it is started anew", || murder.admin("be1").must("CREATE user/carol").ok());
    assert_ne!(murder.pids("mupdate", "mupdate"), pids);
    assert_eq!(follows(&murder, "the Cyrus slave follows again").len(), 3);
    murder.stop("mupdate");
    assert!(murder.pids("mupdate", "mupdate").is_empty(), "it ends with its master");
}

#[test]
fn a_master_on_two_address_families_is_one_process_with_one_list() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &[("mupdate", Cyrus), ("be1", Ours)]) else { return };
    let mut murder = plan.prepare();
    set_passwords(&murder, "mupdate");
    let lab: &Lab = murder.lab.as_ref().unwrap();
    let ours = murder.installed("mupdate");
    lab.edit("mupdate", "cmd=\"mupdate ", &format!("cmd=\"{} ", ours.display()));
    // For Cyrus's master two addresses are two services, as they are with listen="mupdate" and both families.
    let conf = murder.imapd_conf("mupdate");
    let second =
        format!("second cmd=\"{} -C {} -m\" listen=\"[::1]:3905\" prefork=1", ours.display(), conf.display());
    lab.edit("mupdate", "SERVICES {\n", &format!("SERVICES {{\n  {second}\n"));
    murder.start("mupdate");
    murder.start("be1");
    murder.admin("be1").must("CREATE user/alice").unwrap();
    let address = murder.address("mupdate", "mupdate");
    let mut families = vec![address];
    // not every machine has it
    families.extend(TcpListener::bind("[::1]:0").ok().map(|_| SocketAddr::from((Ipv6Addr::LOCALHOST, 3905))));
    for family in families {
        eventually("the family is served", || greeting(family));
        assert_eq!(Mupdate::plain(family, "backend", "backend").everything().len(), 1, "{family}");
    }
}

#[test]
fn our_slave_and_our_proxies_run_together_under_a_cyrus_master() {
    for profile in Profile::ALL {
        let cast = [("mupdate", Cyrus), ("be1", Cyrus), ("fe1", Cyrus)];
        let Some(plan) = Plan::mixed(profile, &cast) else { return };
        let murder = plan.start();
        murder.admin("be1").must(&format!("CREATE {}", murder.external("user.alice"))).unwrap();
        murder.agree(&["mupdate", "be1", "fe1"]);
        assert_eq!(murder.deliver("fe1", &["alice"], "before")[0].get(..3), Some("250"));

        set_passwords(&murder, "fe1");
        let programs =
            [("mupdate", "mupdate"), ("imapd", "imapproxy"), ("pop3d", "pop3proxy"), ("lmtpd", "lmtpproxy")];
        replace(&murder, "fe1", &programs);
        let slave = murder.address("fe1", "mupdate");
        eventually("our slave answers", || greeting(slave).filter(|line| line.contains("\"murder-")));
        let imap = murder.address("fe1", "imap");
        eventually("our proxy answers", || greeting(imap).filter(|line| !line.contains("Cyrus IMAP 3")));
        eventually("the list is there", || {
            (our_list(&murder, "fe1") == murder.list("mupdate")).then_some(())
        });

        assert_eq!(murder.deliver("fe1", &["alice", "nobody"], "after").len(), 2);
        let mut alice = murder.login("fe1", "alice");
        assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 2 EXISTS".to_owned()));
        let mut pop3 = murder.pop3("fe1", "alice");
        assert!(pop3.retrieve(2).unwrap().contains("The text of after."));
        let mut admin = murder.admin("fe1");
        admin.must(&format!("CREATE {} be1.murder.test!default", murder.external("user.bob"))).unwrap();
        assert_eq!(admin.must(&format!("LIST \"\" {}", murder.external("user.bob"))).unwrap().lines.len(), 1);
        assert!(murder.deliver("fe1", &["bob"], "new")[0].starts_with("250"));
        // imap and imaps are processes of their own here, each with its own replica.
        assert!(!murder.pids("fe1", "imapproxy").is_empty());
        murder.lab.as_ref().unwrap().stop("fe1");
        for (_, program) in programs {
            assert!(murder.pids("fe1", program).is_empty(), "{program} ends with its master");
        }
    }
}

#[test]
fn cyruss_notifyd_runs_under_our_master() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &[("mupdate", Ours)]) else { return };
    let mut murder = plan.prepare();
    let node = murder.node("mupdate");
    let (dir, conf) = (node.dir.clone(), node.imapd_conf());
    let (told, script, socket) = (dir.join("told"), dir.join("tell"), node.conf_dir().join("socket/notify"));
    std::fs::write(
        &script,
        format!("#!/bin/sh\n(echo \"$@\"; cat) > {0}.new; mv {0}.new {0}\n", told.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    node.set_option("cyrus_user", "cyrus").unwrap();
    node.set_option("notify_external", &script.display().to_string()).unwrap();
    let service = format!(
        "SERVICES {{\n notify cmd=\"/usr/lib/cyrus/bin/notifyd -C {} -m external\" listen=\"{}\" proto=\"udp\" prefork=1\n}}\n",
        conf.display(),
        socket.display()
    );
    std::fs::write(node.cyrus_conf(), service).unwrap();
    let (uid, gid) = lab::cyrus_user();
    own(&dir, uid, gid);
    murder.start("mupdate");

    let tell = |user: &str| {
        let fields = ["external", "MAIL", "normal", user, "INBOX", "0", "You have mail", ""];
        let message: Vec<u8> = fields.iter().flat_map(|field| field.bytes().chain([0])).collect();
        eventually("notifyd has run the script", || {
            // Again each time: what was sent to one that dies is gone.
            UnixDatagram::unbound().unwrap().send_to(&message, &socket).unwrap();
            std::fs::read_to_string(&told).ok().filter(|text| text.contains(user))
        })
    };
    let text = tell("alice");
    assert!(
        text.contains("-c MAIL") && text.contains("-u alice") && text.contains("You have mail"),
        "{text}"
    );
    let pids = murder.pids("mupdate", "notifyd");
    assert_eq!(pids.len(), 1);
    murder.kill("mupdate", "notifyd");
    tell("bob");
    assert_ne!(murder.pids("mupdate", "notifyd"), pids);
    murder.stop("mupdate");
    assert!(murder.pids("mupdate", "notifyd").is_empty());
}

/// Gives a tree to a user.
fn own(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        own(&entry.path(), uid, gid);
    }
}
