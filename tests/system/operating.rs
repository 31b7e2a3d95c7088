//! What an operator does: sees who is on, ends sessions, denies users, drains a node, asks the doctor, looks at the page.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use system_tests::lab::Profile;
use system_tests::relay::Relay;
use system_tests::{Murder, Plan, Who, eventually};

fn two_users() -> Plan {
    Plan::nodes(1, 2)
        // They may move mailboxes to each other.
        .option("backend1", "admins", "cyrus proxy")
        .option("backend2", "admins", "cyrus proxy")
        .user("alice", "backend1")
        .user("bob", "backend2")
}

fn murder(murder: &Murder, node: &str, words: &[&str]) -> Output {
    let mut command = murder.program("murder");
    let (verb, rest) = words.split_first().unwrap();
    command.arg(verb).arg("-C").arg(murder.node(node).imapd_conf()).args(rest);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn who(system: &Murder, node: &str) -> Vec<Value> {
    let output = murder(system, node, &["who", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn who_is_on_is_seen_from_the_frontend_with_the_backends_part_of_each_session() {
    let system = two_users().start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    let _bob = system.pop3("frontend1", "bob");
    let rows = who(&system, "frontend1");
    let of = |user: &str| rows.iter().find(|row| row["user"] == user && row["program"] != "backend").unwrap();
    let (alice_row, bob_row) = (of("alice"), of("bob"));
    assert_eq!((&alice_row["service"], &alice_row["mailbox"]), (&"imaps".into(), &"user.alice".into()));
    assert_eq!((&bob_row["service"], &bob_row["tls"]), (&"pop3s".into(), &true.into()));
    for (row, backend) in [(alice_row, "backend1"), (bob_row, "backend2")] {
        let part = &row["parts"][0];
        assert!(part["node"].as_str().unwrap().starts_with(backend), "{row:#}");
        assert_eq!((&part["user"], &part["authenticated"]), (&row["user"], &"proxy".into()));
    }
    // The backend by itself tells its own.
    let here = murder(&system, "backend1", &["who", "--here", "alice"]);
    assert!(
        text(&here).contains("alice (by proxy)") && text(&here).ends_with("1 sessions\n"),
        "{}",
        text(&here)
    );
    // One session is ended, by its name; the other one stays.
    let session = alice_row["session"].as_str().unwrap();
    assert!(murder(&system, "frontend1", &["kick", session]).status.success());
    assert!(alice.command("NOOP").is_err());
    assert_eq!(murder(&system, "frontend1", &["kick", "nobody"]).status.code(), Some(1));
    eventually("only bob is left", || {
        (who(&system, "frontend1").iter().all(|row| row["user"] != "alice")).then_some(())
    });
}

/// What `murder who` shows of a user, asked on a node.
fn session_of(system: &Murder, node: &str, user: &str) -> Option<Value> {
    who(system, node).into_iter().find(|row| row["user"] == user)
}

#[test]
fn every_node_sees_and_ends_a_session_at_any_frontend_with_the_clients_own_address() {
    let plan = Plan::nodes(2, 2).user("alice", "backend1").user("bob", "backend2");
    // So that a frontend has another address than its clients.
    let system = plan
        .option("frontend1", "client_bind", "yes")
        .option("frontend1", "client_bind_name", "127.0.0.9")
        .start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    let mut bob = system.pop3("frontend1", "bob");
    let here = text(&murder(&system, "frontend1", &["who", "--here", "--json"]));
    let here: Vec<Value> = serde_json::from_str(&here).unwrap();
    for asked in ["frontend1", "frontend2", "backend1", "backend2"] {
        for (user, service, mailbox, backend) in
            [("alice", "imaps", "user.alice", "backend1"), ("bob", "pop3s", "user.bob", "backend2")]
        {
            let row = eventually("the node sees it", || session_of(&system, asked, user));
            let own = here.iter().find(|row| row["user"] == user).unwrap();
            for (key, value) in
                [("node", "frontend1.demo.test"), ("service", service), ("client", "127.0.0.1")]
            {
                assert_eq!(row[key], value, "{asked}: {row:#}");
            }
            for key in ["session", "since", "tls"] {
                assert_eq!(row[key], own[key], "{asked}: {row:#}");
            }
            if user == "alice" {
                assert_eq!(row["mailbox"], mailbox, "{asked}: {row:#}");
            }
            let part = &row["parts"][0];
            assert!(part["node"].as_str().unwrap().starts_with(backend), "{asked}: {row:#}");
            assert_eq!((&part["client"], row["parts"].as_array().unwrap().len()), (&"127.0.0.9".into(), 1));
        }
    }
    // By its name at the frontend, from a backend that has no part of it.
    let session = session_of(&system, "backend2", "alice").unwrap()["session"].as_str().unwrap().to_owned();
    assert_eq!(text(&murder(&system, "backend2", &["kick", &session])), "1 sessions end\n");
    let end = alice.command("NOOP").unwrap_err().to_string();
    assert_eq!(end, "* BYE Session ended by an administrator");
    assert_eq!(text(&murder(&system, "frontend2", &["kick", "bob"])), "1 sessions end\n");
    assert!(bob.must("NOOP").is_err());
}

#[test]
fn a_session_that_idles_with_nothing_open_is_ended_from_another_frontend_too() {
    let system = Plan::nodes(2, 1).user("alice", "backend1").start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("STATUS INBOX (MESSAGES)").unwrap();
    let ended = murder(&system, "frontend2", &["kick", "alice"]);
    assert_eq!(text(&ended), "1 sessions end\n");
    // No command is needed for it: the frontend hears it from the backend.
    assert_eq!(alice.line().unwrap(), "* BYE Session ended by an administrator");
    // The next one on the connection that a backend has kept is another session.
    let mut alice = system.login("frontend1", "alice");
    alice.must("STATUS INBOX (MESSAGES)").unwrap();
    assert_eq!(session_of(&system, "backend1", "alice").unwrap()["node"], "frontend1.demo.test");
}

#[test]
fn nobody_but_a_proxy_says_where_a_session_comes_from() {
    let system = Plan::nodes(1, 1).user("alice", "backend1").start();
    for node in ["frontend1", "backend1"] {
        let mut alice = system.login(node, "alice");
        for command in ["XCLIENT ADDR=192.0.2.9 SESSION=forged", "XKICK cyrus"] {
            let refused = alice.command(command).unwrap().result;
            assert_eq!(refused, "BAD Unrecognized command", "{node}: {command}");
        }
        assert!(!alice.must("CAPABILITY").unwrap().lines.concat().contains("XCLIENT"));
    }
    let mut pop3 = system.pop3("backend1", "alice");
    assert!(pop3.must("XCLIENT ADDR=192.0.2.9 SESSION=forged").is_err());
    let rows = text(&murder(&system, "backend1", &["who", "--json"]));
    assert!(rows.contains("alice") && !rows.contains("192.0.2.9"), "{rows}");
}

#[test]
fn denied_users_are_kept_out_until_they_are_allowed_again() {
    let system = two_users().start();
    let mut alice = system.login("frontend1", "alice");
    let denied = murder(&system, "frontend1", &["deny", "-s", "imap*", "-m", "Ask the desk", "-k", "Alice"]);
    assert_eq!(
        text(&denied),
        "alice is denied imap* on this node, and told: Ask the desk (undone by murder allow alice)\n1 sessions end\n"
    );
    assert!(alice.command("NOOP").is_err());
    let mut again = system.imap("frontend1");
    let refused = again.command(&format!("LOGIN alice {}", system.password("alice"))).unwrap();
    assert!(refused.result.contains("[AUTHORIZATIONFAILED] Ask the desk"), "{}", refused.result);
    system.pop3("frontend1", "alice");
    assert!(text(&murder(&system, "frontend1", &["deny", "-l"])).contains("alice"));
    let allowed = murder(&system, "frontend1", &["allow", "alice"]);
    assert_eq!(text(&allowed), "alice is let in again on this node\n");
    // Without -k what other services have open stays.
    let mut alice = system.login("frontend1", "alice");
    let mut pop3 = system.pop3("frontend1", "alice");
    let denied = text(&murder(&system, "frontend1", &["deny", "-s", "imap*", "-m", "Not now", "alice"]));
    assert!(
        denied.contains(" sessions of alice with other services go on: murder kick alice ends them"),
        "{denied}"
    );
    assert_eq!(alice.line().unwrap(), "* BYE [ALERT] Not now");
    pop3.must("NOOP").expect("it goes on");
    drop(pop3);
    assert!(murder(&system, "frontend1", &["allow", "alice"]).status.success());
    // A backend ends its part, and the frontend the session.
    let mut alice = system.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    assert!(murder(&system, "backend1", &["deny", "-m", "Moved", "alice"]).status.success());
    assert_eq!(alice.line().unwrap(), "* BYE [ALERT] Moved");
    assert!(murder(&system, "backend1", &["allow", "alice"]).status.success());
    assert!(murder(&system, "frontend1", &["deny", "alice"]).status.success());
    assert!(murder(&system, "frontend1", &["allow", "alice"]).status.success());
    assert_eq!(murder(&system, "frontend1", &["allow", "alice"]).status.code(), Some(1));
    assert_eq!(murder(&system, "frontend1", &["deny"]).status.code(), Some(2));
    assert_eq!(murder(&system, "frontend1", &["deny", "a\tb"]).status.code(), Some(1));
}

#[test]
fn cyruss_own_cyr_deny_and_murder_deny_work_on_one_file() {
    let program = Path::new("/usr/lib/cyrus/bin/cyr_deny");
    if !program.exists() || !rustix::process::geteuid().is_root() {
        test_host::skip("cyr_deny is not here, or cannot become the cyrus user");
        return;
    }
    let system = two_users().start();
    // Cyrus's programs become the cyrus user, who must get there.
    let dir = tempfile::Builder::new().prefix("deny").tempdir_in("/tmp").unwrap();
    let conf = dir.path().join("imapd.conf");
    std::fs::write(&conf, format!("configdirectory: {}\n", dir.path().display())).unwrap();
    assert!(Command::new("chown").args(["-R", "cyrus"]).arg(dir.path()).status().unwrap().success());
    let file = dir.path().join("user_deny.db");
    let node = system.node("frontend1");
    node.set_option("userdeny_db_path", file.to_str().unwrap()).unwrap();
    node.signal(rustix::process::Signal::HUP);
    let cyr_deny = |words: &[&str]| Command::new(program).arg("-C").arg(&conf).args(words).output().unwrap();
    eventually("the file is this one", || {
        let own = murder(&system, "frontend1", &["deny", "-l"]);
        own.status.success().then_some(())
    });
    let mut open = system.login("frontend1", "alice");
    assert!(cyr_deny(&["-s", "imap*", "-m", "By Cyrus", "alice"]).status.success());
    assert_eq!(open.line().unwrap(), "* BYE [ALERT] By Cyrus");
    eventually("alice is kept out", || {
        let mut alice = system.imap("frontend1");
        let refused = alice.command(&format!("LOGIN alice {}", system.password("alice"))).unwrap();
        refused.result.contains("By Cyrus").then_some(())
    });
    assert!(murder(&system, "frontend1", &["deny", "-s", "pop3*", "-m", "By us", "bob"]).status.success());
    let listed = text(&cyr_deny(&["-l"]));
    assert!(listed.contains("By Cyrus") && listed.contains("bob") && listed.contains("By us"), "{listed}");
    assert!(cyr_deny(&["-a", "alice"]).status.success());
    system.login("frontend1", "alice");
}

/// The doctor's findings of this check, as `about: message / change`.
fn findings(system: &Murder, node: &str, check: &str) -> Vec<String> {
    let cyrus = system.node(node).cyrus_conf();
    let output = murder(system, node, &["doctor", "--json", "-M", cyrus.to_str().unwrap()]);
    let all: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let errors = all.iter().any(|finding| finding["severity"] == "error");
    assert_eq!(output.status.code(), Some(i32::from(errors)));
    let of_check = all.iter().filter(|finding| check == "*" || finding["check"] == check);
    let part = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    of_check
        .map(|f| format!("{}: {} / {}", part(f, "about"), part(f, "message"), part(f, "change")))
        .collect()
}

#[test]
fn the_doctor_finds_nothing_wrong_with_nodes_that_work() {
    // Scripts need a program that sends mail, which a bare machine lacks.
    let system = two_users().option("*", "sendmail", "/bin/sh").start();
    for node in ["frontend1", "backend1"] {
        assert_eq!(findings(&system, node, "*"), Vec::<String>::new(), "{node}");
    }
    let master = findings(&system, "mupdate", "*");
    assert!(master.iter().all(|finding| finding.contains("there is no password for it")), "{master:?}");
}

/// What an admin wrote on a node, where the doctor is asked, what he says of it.
const MISTAKES: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("backend2", "altnamespace", "no", "frontend1", "options", "altnamespace is 'no' there and 'yes' here"),
    ("backend2", "proxyservers", "somebody", "frontend1", "logins", "proxyservers: … proxy"),
    ("backend2", "lmtp_admins", "cyrus", "frontend1", "logins", "lmtp_admins: … proxy"),
    ("mupdate", "admins", "cyrus backend", "frontend1", "logins", "admins: … frontend"),
    (
        "frontend1",
        "proxy_password",
        "wrong",
        "frontend1",
        "logins",
        "IMAP: backend1.demo.test: wrong password for our own login as proxy: [AUTHENTICATIONFAILED]",
    ),
    (
        "frontend1",
        "mupdate_password",
        "wrong",
        "frontend1",
        "logins",
        "wrong password for our login as frontend",
    ),
];

#[test]
fn the_doctor_names_the_option_and_the_node_to_change() {
    for (wrong, option, value, asked, check, words) in MISTAKES {
        let plan = Plan::nodes(1, 2).option(wrong, option, value);
        let mut system = plan.prepare();
        system.cluster.start().unwrap();
        let found = eventually("the doctor finds it", || {
            let found = findings(&system, asked, check);
            found.iter().any(|finding| finding.contains(words)).then_some(found)
        });
        assert!(found.iter().any(|finding| finding.contains(wrong)), "{option}: {found:?}");
        assert!(findings(&system, "backend1", "ports").is_empty());
    }
}

#[test]
fn of_a_cyrus_backend_the_doctor_knows_what_its_namespace_shows() {
    let cast = [("mupdate", Who::Ours), ("be1", Who::Cyrus), ("fe1", Who::Ours)];
    let Some(plan) = Plan::mixed(Profile::Classic, &cast) else { return };
    let mut system = plan.prepare();
    system.set_option("fe1", "altnamespace", "yes");
    system.set_option("fe1", "serverlist", "be1.murder.test");
    for node in ["mupdate", "be1", "fe1"] {
        system.start(node);
    }
    let found = eventually("the doctor reaches it", || {
        let found = findings(&system, "fe1", "options");
        (!found.is_empty()).then_some(found)
    });
    let words = "be1.murder.test: altnamespace is 'no' there and 'yes' here";
    assert!(found.iter().all(|finding| finding.starts_with(words)), "{found:?}");
    assert_eq!(findings(&system, "fe1", "logins"), Vec::<String>::new());
}

#[test]
fn the_doctor_sees_what_is_wrong_on_this_host() {
    let system = Plan::nodes(1, 1).prepare();
    let node = system.node("frontend1");
    let taken = TcpListener::bind(system.address("frontend1", "imap")).unwrap();
    node.set_option("frontend1_address", "").unwrap();
    for (option, value) in [
        ("frontend1_address", "name.invalid"),
        ("tls_server_key", node.dir.parent().unwrap().join("tls/ca.pem").to_str().unwrap()),
        ("mupdate_password", "wrong"),
        ("temp_path", "/nonexistent/tmp"),
        ("serverlist", "backend1.demo.test nowhere.invalid"),
    ] {
        node.set_option(option, value).unwrap();
    }
    let all = findings(&system, "frontend1", "*").join("\n");
    let pid = std::process::id().to_string();
    for words in [
        "is used by",
        pid.as_str(),
        "name.invalid cannot be resolved",
        "nowhere.invalid cannot be resolved",
        "/nonexistent/tmp",
        "install -d -o",
        "mupdate_server",
        "tls_server_key",
    ] {
        assert!(all.contains(words), "{words} in {all}");
    }
    drop(taken);
    std::fs::write(node.imapd_conf(), "configdirectory: relative\nallowplaintext: perhaps\n").unwrap();
    let all = findings(&system, "frontend1", "*").join("\n");
    assert!(all.contains("not an absolute path") && all.contains("allowplaintext"), "{all}");
}

/// The server's words, with its clock an hour ahead.
fn an_hour_ahead(said: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&said).into_owned();
    let Some((before, rest)) = text.split_once("\"time\":") else { return said };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (time, after) = rest.split_at(digits);
    let time: u64 = time.parse().unwrap();
    format!("{before}\"time\":{}{after}", time + 3600).into_bytes()
}

#[test]
fn the_doctor_sees_clocks_that_differ() {
    // Without TLS, so that the words can be changed on their way.
    let plan = Plan::nodes(1, 1).option("*", "allowstarttls", "no");
    let mut system = plan.option("*", "mupdate_tls", "no").option("*", "backend1_tls", "no").prepare();
    let nodes = [("mupdate", "mupdate"), ("backend1", "imap")];
    let relays = nodes.map(|(node, service)| {
        let relay = Relay::rewriting(system.address(node, service), an_hour_ahead);
        let ports = system.node(node).ports.all().map(|(name, port)| match name == service {
            true => format!("{name}={}", relay.port()),
            false => format!("{name}={port}"),
        });
        let ports: Vec<String> = ports.collect();
        system.set_option("frontend1", &format!("{node}_ports"), &ports.join(" "));
        relay
    });
    system.cluster.start().unwrap();
    let clocks = findings(&system, "frontend1", "clock");
    assert!(relays.iter().all(|relay| relay.connections() > 0));
    for (clock, name) in clocks.iter().zip(["mupdate.demo.test", "backend1.demo.test"]) {
        let about = clock.strip_prefix(&format!("{name}: its clock and ours are 3")).unwrap();
        // A second or two may go by while it asks.
        assert!(about.contains("s apart / run a time daemon on both"), "{clock}");
    }
    assert_eq!(clocks.len(), 2, "{clocks:?}");
    assert_eq!(findings(&system, "backend1", "clock"), Vec::<String>::new());
}

#[test]
fn the_status_tells_of_each_backend_whether_it_answers_and_how_much_room_it_has() {
    let mut system = two_users().start();
    let well = murder(&system, "frontend1", &["status"]);
    for backend in ["backend1.demo.test", "backend2.demo.test"] {
        let line = text(&well).lines().find(|line| line.starts_with(backend)).unwrap().to_owned();
        assert!(line.contains(": answers, ") && line.contains(" MiB free ("), "{line}");
    }
    assert_eq!(well.status.code(), Some(0), "{}", text(&well));
    system.stop("backend2");
    let ill = murder(&system, "frontend1", &["status"]);
    assert!(text(&ill).contains("backend2.demo.test: DOES NOT ANSWER: "), "{}", text(&ill));
    assert!(text(&ill).contains("backend1.demo.test: answers, "), "{}", text(&ill));
    assert_eq!(ill.status.code(), Some(1));
    let here = murder(&system, "frontend1", &["status", "--here", "--json"]);
    assert!(here.status.success() && !text(&here).contains("\"nodes\""), "{}", text(&here));
}

#[test]
fn a_mailbox_is_explained_by_every_list_with_the_time_since_when() {
    let system = two_users().start();
    // As an administrator names it, and as the lists do.
    for name in ["user/alice", "user.alice"] {
        let told = text(&murder(&system, "frontend1", &["explain", name]));
        assert!(told.starts_with("user/alice (user.alice in the lists)\n"), "{told}");
        // Six lists say it, once.
        assert!(told.contains("  active at backend1.demo.test!default, since 20"), "{told}");
        assert!(
            told.contains("    by imapproxy, lmtpproxy, mupdate, pop3proxy, sieveproxy, master\n"),
            "{told}"
        );
        assert_eq!(told.matches("alice lrswipkxtecdan").count(), 1, "{told}");
    }
    let none = murder(&system, "frontend1", &["explain", "user/nobody"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none).contains("  no such mailbox\n    by imapproxy, "), "{}", text(&none));
}

#[test]
fn drain_stops_the_node_whose_master_holds_the_pid_file() {
    let mut system = Plan::nodes(1, 1).prepare();
    let pid_file = system.node("mupdate").dir.join("master.pid");
    system.set_option("mupdate", "master_pid_file", pid_file.to_str().unwrap());
    system.start("mupdate");
    let pid = system.node("mupdate").master_pid().unwrap();
    // What is written there does not count.
    std::fs::write(&pid_file, "1\n").unwrap();
    let stopped = murder(&system, "mupdate", &["drain", "--stop"]);
    assert!(text(&stopped).contains(&format!("master (pid {pid}) stops the node")), "{}", text(&stopped));
    eventually("it has ended", || {
        let again = text(&murder(&system, "mupdate", &["drain", "--stop"]));
        again.contains("none is running").then_some(())
    });
}

#[test]
fn a_drained_node_keeps_its_clients_and_wants_no_others() {
    let port = test_host::port();
    let mut system = two_users().option("frontend1", "status_listen", &format!("127.0.0.1:{port}")).start();
    let page = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(page, "/readyz").1, "ready\n");
    let mut alice = system.login("frontend1", "alice");
    assert!(murder(&system, "frontend1", &["drain"]).status.success());
    assert_eq!(get(page, "/readyz"), (503, "draining\n".to_owned()));
    // It is to be seen wherever somebody looks.
    assert!(get(page, "/").1.contains("draining: new clients are sent elsewhere"));
    let status = text(&murder(&system, "frontend1", &["status"]));
    assert!(status.contains("this node: DRAINING for ") && status.contains("murder drain --end"), "{status}");
    let doctor = text(&murder(
        &system,
        "frontend1",
        &["doctor", "--here", "-M", system.node("frontend1").cyrus_conf().to_str().unwrap()],
    ));
    assert!(doctor.contains("drain: this node: is drained for "), "{doctor}");
    alice.must("NOOP").unwrap();
    // With a client on, the wait is in vain; without one it is not.
    let waited = murder(&system, "frontend1", &["drain", "--wait", "0"]);
    assert_eq!((waited.status.code(), text(&waited).as_str()), (Some(1), "1 clients are on\n"));
    alice.must("LOGOUT").unwrap();
    assert!(murder(&system, "frontend1", &["drain", "--wait", "60"]).status.success());
    // It outlives a restart.
    system.stop("frontend1");
    system.start("frontend1");
    assert_eq!(get(page, "/readyz").1, "draining\n");
    assert!(murder(&system, "frontend1", &["drain", "--end"]).status.success());
    assert_eq!(get(page, "/readyz").1, "ready\n");
    assert_eq!(murder(&system, "frontend1", &["drain", "--end", "--stop"]).status.code(), Some(2));
}

#[test]
fn the_status_page_is_read_by_a_browser() {
    let port = test_host::port();
    let system = two_users().option("frontend1", "status_listen", &format!("127.0.0.1:{port}")).start();
    let page = SocketAddr::from(([127, 0, 0, 1], port));
    let mut alice = system.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    let mut stranger = system.imap("frontend1");
    stranger.command("LOGIN alice wrong").unwrap();
    eventually("the page knows the list", || get(page, "/").1.contains("<td class=n>1<td").then_some(()));
    // Each program tells of itself, in its own time.
    for line in [
        "murder_connections{program=\"imapproxy\",listener=\"imaps\"} 2",
        "murder_list_complete{program=\"imapproxy\"} 1",
        "murder_login_failures_total{program=\"imapproxy\"} 1",
    ] {
        eventually(line, || get(page, "/metrics").1.contains(line).then_some(()));
    }
    eventually("every list is complete", || (!get(page, "/").1.contains("incomplete")).then_some(()));
    let Some(shown) = browse(page) else { return };
    for words in ["frontend1.demo.test", "ready", "imaps", "imapproxy", "backend1.demo.test", "failed logins"]
    {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    assert!(!shown.contains("incomplete") && !shown.contains("complaint\""), "{shown}");
}

/// The page as Chromium has it after rendering, and a picture of it at a phone's width.
fn browse(page: SocketAddr) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let picture = profile.path().join("page.png");
    let run = |what: &[&str]| {
        let mut command = Command::new("chromium");
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=390,1400",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.args(what).arg(format!("http://{page}/")).output()
    };
    if !test_host::has(&["chromium"]) {
        return None;
    }
    let output = run(&["--dump-dom"]).unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let shot = run(&[&format!("--screenshot={}", picture.display())]).unwrap();
    assert!(shot.status.success() && std::fs::metadata(&picture).unwrap().len() > 1000, "{}", text(&shot));
    if let Some(keep) = std::env::var_os("MURDER_SCREENSHOT") {
        std::fs::copy(&picture, Path::new(&keep)).unwrap();
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_reader_that_goes_away_is_no_crash_of_the_tool() {
    let system = Plan::nodes(1, 1).user("alice", "backend1").start();
    let conf = system.node("backend1").imapd_conf();
    let conf = conf.to_str().unwrap();
    let commands: [(&str, &[&str]); 8] = [
        ("murder", &["status", "-C", conf]),
        ("murder", &["who", "-C", conf]),
        ("murder", &["doctor", "-C", conf]),
        ("murder", &["explain", "-C", conf, "user.alice"]),
        ("murder", &["passwd", "-C", conf, "-l"]),
        ("murder", &["config", "list", "-C", conf]),
        ("murder", &["completions", "bash"]),
        ("ctl_mboxlist", &["-C", conf, "-v"]),
    ];
    for (program, words) in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            system.program(program).args(words).stdout(writer.try_clone().unwrap()).output().unwrap();
        let said = text(&output);
        assert!(
            !said.contains("panicked") && output.status.code() != Some(101),
            "{program} {words:?}: {said}"
        );
        // With nobody at standard error either.
        let mut command = system.program(program);
        command.args(words).stdout(writer.try_clone().unwrap()).stderr(writer);
        assert_ne!(command.status().unwrap().code(), Some(101), "{program} {words:?}");
    }
}

#[test]
fn whoever_is_kicked_from_the_backend_that_has_the_mailbox_is_told_why() {
    let system = two_users().start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    // With another backend's mailbox open as well, and in the middle of an IDLE.
    let mut waiting = system.login("frontend1", "alice");
    waiting.must("SELECT INBOX").unwrap();
    let _ = waiting.idle().unwrap();
    let mut direct = system.login("backend1", "alice");
    direct.must("SELECT INBOX").unwrap();
    assert_eq!(text(&murder(&system, "backend1", &["kick", "alice"])), "3 sessions end\n");
    for imap in [&mut alice, &mut waiting, &mut direct] {
        assert_eq!(imap.line().unwrap(), "* BYE Session ended by an administrator");
    }
}
