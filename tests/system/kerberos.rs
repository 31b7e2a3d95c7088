//! A murder with Kerberos everywhere: Cyrus's clients and fetchmail log in with tickets, and so do the nodes at each other.

mod cyrus;
mod hostile;

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use system_tests::{Murder, Plan};
use test_host::kdc::{self, Kdc};

/// A realm, and a murder whose nodes are all `mailproxy` in it.
struct Site {
    dir: PathBuf,
    murder: Murder,
    /// Where each node has news and KPOP.
    more: Vec<(&'static str, &'static str, SocketAddr)>,
}

/// Cyrus's clients for people, and the services that they use.
const TESTERS: [(&str, &str); 4] =
    [("imtest", "imap"), ("pop3test", "pop3"), ("sivtest", "sieve"), ("nntptest", "nntp")];

impl Site {
    /// Runs a test once more inside a realm; what is returned there is the murder. None: this process has had its part.
    fn of(test: &str) -> Option<Site> {
        if !has_clients() {
            return None;
        }
        let dir = kdc::inside();
        if dir.is_none() {
            realm(test);
        }
        dir.map(Site::start)
    }

    fn start(dir: PathBuf) -> Site {
        let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
        // Nodes have passwords, which would do: with this they may not use them.
        let plan = plan.option("*", "force_sasl_client_mech", "GSSAPI");
        let plan = plan.option("*", "sasl_mech_list", "GSSAPI SCRAM-SHA-256 PLAIN");
        let plan = plan.option("*", "loginuseacl", "yes").option("*", "failedloginpause", "0");
        let plan = plan.option("mupdate", "admins", "cyrus mailproxy");
        let plan = ["backend1", "backend2"].into_iter().fold(plan, |plan, backend| {
            plan.option(backend, "lmtp_admins", "mailproxy")
                .option(backend, "proxyservers", "mailproxy")
                .option(backend, "admins", "cyrus mailproxy")
        });
        let mut site = Site { dir, murder: plan.prepare(), more: Vec::new() };
        site.keys();
        for node in ["frontend1", "backend1"] {
            site.serve(node, "nntp", "nntpd");
            site.serve(node, "kpop", "pop3d -k");
        }
        let line = format!("backend1_ports: nntp={}", site.address("backend1", "nntp").port());
        let file = site.murder.imapd_conf("frontend1");
        let conf = fs::read_to_string(&file).unwrap().replace("backend1_ports:", &line);
        fs::write(&file, conf).unwrap();
        site.murder.cluster.start().unwrap();
        site.murder.create_inboxes();
        site
    }

    /// The keys of all nodes in one file: by their names, which nodes ask for, and by their address, which a client without names does.
    fn keys(&self) {
        let name = |node: &str| self.murder.node(node).name.clone();
        let address = self.murder.node("mupdate").ports.address.to_string();
        let mut services = vec![format!("mupdate/{}", name("mupdate"))];
        for host in [name("backend1"), name("backend2"), address.clone()] {
            services.extend(["imap", "pop", "lmtp", "sieve", "nntp"].map(|one| format!("{one}/{host}")));
        }
        services.push(format!("mupdate/{address}"));
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        Kdc::of_parent(&self.dir.join("realm")).keytab(&self.dir.join("keys"), &services);
        fs::set_permissions(self.dir.join("keys"), fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Has a node listen for one more service.
    fn serve(&mut self, node: &'static str, name: &'static str, command: &str) {
        let address = SocketAddr::new(self.murder.node(node).ports.address, test_host::port());
        let (file, imapd) = (self.murder.node(node).cyrus_conf(), self.murder.imapd_conf(node));
        let line = format!(
            "SERVICES {{\n  {name} cmd=\"{command} -C {}\" listen=\"{address}\" prefork=1\n",
            imapd.display()
        );
        let conf = fs::read_to_string(&file).unwrap().replacen("SERVICES {\n", &line, 1);
        fs::write(&file, conf).unwrap();
        self.more.push((node, name, address));
    }

    fn address(&self, node: &str, service: &str) -> SocketAddr {
        let own = self.more.iter().find(|(at, name, _)| *at == node && *name == service);
        own.map_or_else(|| self.murder.address(node, service), |(_, _, address)| *address)
    }

    /// What one of Cyrus's clients prints that has this user's ticket.
    fn client(&self, user: &str, tool: &str, at: SocketAddr, more: &[&str]) -> String {
        let mut command = Command::new(Path::new(PROGRAMS).join(tool));
        command.args(["-m", "GSSAPI", "-p", &at.port().to_string()]).args(more).arg(at.ip().to_string());
        command.env("KRB5CCNAME", self.dir.join(user)).env_remove("KRB5_CLIENT_KTNAME");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let _ = running.stdin.take().unwrap().write_all(hostile::END.as_bytes());
        let output = running.wait_with_output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Has fetchmail fetch what alice has got; what it prints, and what it has fetched. `how` is the middle of a line of its own.
    fn fetchmail(&self, at: SocketAddr, how: &str) -> (String, String) {
        let (rc, mail, services) =
            (self.dir.join("fetchmailrc"), self.dir.join("mail"), self.dir.join("services"));
        let line = format!(
            "poll {} {how} user alice password x sslproto '' fetchall mda \"cat >>{}\"\n",
            at.ip(),
            mail.display()
        );
        fs::write(&rc, line).unwrap();
        fs::set_permissions(&rc, fs::Permissions::from_mode(0o600)).unwrap();
        let _ = fs::remove_file(&mail);
        // fetchmail wants KPOP's port by its name.
        fs::write(&services, format!("kpop {}/tcp\n", at.port())).unwrap();
        let run = "mount --bind \"$1\" /etc/services && exec fetchmail --nodetach -v -f \"$2\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", run, "sh"]).arg(&services).arg(&rc);
        command.env("KRB5CCNAME", self.dir.join("alice")).env_remove("KRB5_CLIENT_KTNAME");
        command.env("FETCHMAILHOME", &self.dir).env("HOME", &self.dir);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (said, fs::read_to_string(&mail).unwrap_or_default())
    }
}

/// Whether Cyrus's clients are installed, with the mechanism; says so aloud where they are not.
fn has_clients() -> bool {
    let are_there = Path::new(PROGRAMS).join("imtest").exists() && Path::new(MECHANISM).exists();
    if !are_there {
        test_host::skip("it needs Cyrus's clients: Debian's cyrus-clients and libsasl2-modules-gssapi-mit");
    }
    are_there
}

/// Starts the realm, and in it the test.
fn realm(test: &str) {
    let dir = tempfile::Builder::new().prefix("mk").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(realm) = Kdc::start(&dir.path().join("realm")) else { return };
    let (keys, client) = (dir.path().join("keys"), dir.path().join("keys-of-mailproxy"));
    for user in ["alice", "mailproxy"] {
        realm.user(user);
        realm.ticket(user, &dir.path().join(user));
    }
    realm.client_keytab(&client, "mailproxy");
    fs::set_permissions(&client, fs::Permissions::from_mode(0o644)).unwrap();
    system_tests::programs();
    let variables: [(&str, &Path); 3] =
        [("KRB5_CONFIG", &realm.config()), ("KRB5_KTNAME", &keys), ("KRB5_CLIENT_KTNAME", &client)];
    kdc::run_inside(&format!("kerberos::{test}"), dir.path(), &variables);
}

#[test]
fn clients_and_nodes_log_in_with_tickets_on_every_protocol() {
    let Some(site) = Site::of("clients_and_nodes_log_in_with_tickets_on_every_protocol") else { return };
    assert!(site.murder.deliver("frontend1", &["alice", "bob"], "one")[0].starts_with("250"));
    for node in ["frontend1", "backend1"] {
        for (tool, service) in TESTERS {
            let at = site.address(node, service);
            let said = site.client("alice", tool, at, &[]);
            assert!(said.contains("\nAuthenticated."), "{tool} at {node}: {said}");
            assert!(said.contains("Security strength factor: 0"), "no layer but TLS: {said}");
            let refused = site.client("alice", tool, at, &["-u", "bob"]);
            assert!(refused.contains("Authentication failed"), "{tool} as bob at {node}: {refused}");
        }
    }
    // These are for nodes: alice's ticket is right, and she is none.
    for (tool, node) in [("mupdatetest", "mupdate"), ("lmtptest", "backend1")] {
        let at = site.address(node, tool.trim_end_matches("test"));
        let said = site.client("mailproxy", tool, at, &[]);
        assert!(said.contains("\nAuthenticated."), "{tool}: {said}");
        let said = site.client("alice", tool, at, &[]);
        assert!(said.contains("Authentication failed"), "{tool}: {said}");
    }
    // Backends at each other.
    let target = site.murder.node("backend2").name.clone();
    site.murder.admin("frontend1").must(&format!("RENAME user/alice user/alice {target}!default")).unwrap();
    let mut alice = site.murder.login("frontend1", "alice");
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
}

#[test]
fn fetchmail_fetches_by_gssapi_and_kpop_and_whoever_stays_silent_is_greeted() {
    let Some(site) = Site::of("fetchmail_fetches_by_gssapi_and_kpop_and_whoever_stays_silent_is_greeted")
    else {
        return;
    };
    for node in ["frontend1", "backend1"] {
        let at = site.address(node, "kpop");
        let said = site.client("alice", "pop3test", at, &[]);
        assert!(said.contains("\nAuthenticated.") && said.contains("SASL GSSAPI"), "{node}: {said}");
        assert!(!said.contains("S: USER"), "no password without TLS: {said}");
    }
    if !test_host::has(&["fetchmail", "unshare"]) || !rustix::process::geteuid().is_root() {
        return test_host::skip("it needs fetchmail, and root, who gives it a services file of its own");
    }
    for node in ["frontend1", "backend1"] {
        let by_port = |service| format!("port {}", site.address(node, service).port());
        for (service, how) in [
            ("pop3", format!("proto pop3 auth gssapi {}", by_port("pop3"))),
            ("imap", format!("proto imap auth gssapi {}", by_port("imap"))),
            ("kpop", "proto kpop auth kerberos_v5".to_owned()),
        ] {
            let id = format!("{service}-{node}");
            assert!(site.murder.deliver("frontend1", &["alice"], &id)[0].starts_with("250"));
            let (said, mail) = site.fetchmail(site.address(node, service), &how);
            assert!(mail.contains(&format!("The text of {id}.")), "{id}: {said}");
        }
    }
}

/// Where Debian's package cyrus-clients has its programs.
const PROGRAMS: &str = "/usr/lib/cyrus/bin";
/// The mechanism of Cyrus's library, which has a package of its own.
const MECHANISM: &str = "/usr/lib/x86_64-linux-gnu/sasl2/libgssapiv2.so";
