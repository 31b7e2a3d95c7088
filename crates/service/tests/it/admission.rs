//! Who is let in, who is on, and who is sent away: a daemon of its own (`examples/echo.rs`), as an operator has it.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};

use identity::passwords::PasswordDb;

use crate::process::{Daemon, SYSTEMD, line};

const PLAIN: &str = "allowplaintext: yes\nfailedloginpause: 0\npassword_iterations: 10000\nunix_group_enable: no\nadmins: cyrus\n";

fn daemon(listener: &str, conf: &str) -> Daemon {
    daemon_with(listener, conf, &[])
}

fn daemon_with(listener: &str, conf: &str, environment: &[(&str, &str)]) -> Daemon {
    let environment = [&[("MURDER_LISTENERS", listener)], environment].concat();
    let daemon = Daemon::start(SYSTEMD, &format!("{PLAIN}{conf}"), &environment);
    daemon.hear("READY=1");
    let passwords = PasswordDb::new(daemon.dir.path().join("murder/passwords"));
    for user in ["fred", "jane", "cyrus"] {
        passwords.set(user, "secret").unwrap();
    }
    daemon
}

const IMAP: &str = r#"[{"name":"imap","program":"imapd"}]"#;
const BALANCED: &str = r#"[{"name":"imap","program":"imapd","args":["-H"]}]"#;

/// Asks the daemon's own socket.
fn desk(daemon: &Daemon, request: &str) -> String {
    let mut socket = UnixStream::connect(daemon.dir.path().join("murder/echo/metrics.sock")).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned()
}

fn sessions(daemon: &Daemon) -> serde_json::Value {
    serde_json::from_str(&desk(daemon, "GET /sessions HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap()
}

fn kick(daemon: &Daemon, name: &str) -> String {
    let length = name.len();
    desk(daemon, &format!("POST /kick HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{name}"))
}

/// A client that said `first`, and what came back.
fn say(daemon: &Daemon, first: &[u8]) -> (std::io::BufReader<std::net::TcpStream>, String) {
    let mut client = daemon.connect();
    client.get_mut().write_all(first).unwrap();
    let mut said = String::new();
    // A connection that is closed with something unread is reset.
    let _ = client.read_line(&mut said);
    (client, said.trim_end().to_owned())
}

fn login(daemon: &Daemon, user: &str, password: &str) -> (std::io::BufReader<std::net::TcpStream>, String) {
    let mut client = daemon.connect();
    line(&mut client);
    client.get_mut().write_all(format!("LOGIN {user} {password}\r\n").as_bytes()).unwrap();
    let said = line(&mut client);
    (client, said)
}

#[test]
fn who_is_on_is_told_and_can_be_sent_away() {
    let daemon = daemon(IMAP, "");
    let (mut fred, said) = login(&daemon, "fred", "secret");
    assert_eq!(said, "OK");
    let (mut again, _) = login(&daemon, "fred", "secret");
    let (mut jane, _) = login(&daemon, "jane", "secret");
    let on = sessions(&daemon);
    assert_eq!(
        (&on[0]["user"], &on[0]["client"], &on[0]["service"]),
        (&"fred".into(), &"127.0.0.1".into(), &"imap".into())
    );
    assert_eq!(on.as_array().unwrap().len(), 3);
    assert_eq!(kick(&daemon, "nobody"), "0\n");
    assert_eq!(kick(&daemon, on[0]["session"].as_str().unwrap()), "1\n");
    assert_eq!((line(&mut fred), line(&mut fred)), ("bye".to_owned(), String::new()));
    assert_eq!(kick(&daemon, "fred"), "1\n");
    assert_eq!(line(&mut again), "bye");
    jane.get_mut().write_all(b"still here\r\n").unwrap();
    assert_eq!(line(&mut jane), "still here");
    let long = format!("POST /kick HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000));
    assert_eq!(desk(&daemon, &long), "expected a name\n");
    assert_eq!(desk(&daemon, "DELETE /sessions HTTP/1.1\r\nHost: x\r\n\r\n"), "not found\n");
}

#[test]
fn logins_beyond_the_limits_are_refused_but_for_admins() {
    let of_user = daemon(IMAP, "maxlogins_per_user: 1\n");
    let (fred, said) = login(&of_user, "fred", "secret");
    assert_eq!(said, "OK");
    assert_eq!(login(&of_user, "fred", "secret").1, "NO Too many open connections (1 of 1 for fred)");
    assert_eq!(login(&of_user, "jane", "secret").1, "OK");
    let admins: Vec<_> = (0..3).map(|_| login(&of_user, "cyrus", "secret")).collect();
    assert!(admins.iter().all(|(_, said)| said == "OK"));
    drop(fred);
    let free = || login(&of_user, "fred", "secret").1 == "OK";
    while !free() {
        std::thread::yield_now();
    }
    let of_host = daemon(IMAP, "imap_maxlogins_per_host: 2\n");
    let _kept: Vec<_> = ["fred", "jane"].map(|user| login(&of_host, user, "secret")).into();
    assert_eq!(login(&of_host, "jane", "secret").1, "NO Too many open connections (2 of 2 from 127.0.0.1)");
}

#[test]
fn when_descriptors_run_out_sessions_go_on_and_new_ones_wait_until_there_are_some_again() {
    let script = format!("ulimit -n 64; {SYSTEMD}");
    let daemon = Daemon::start(&script, PLAIN, &[("MURDER_LISTENERS", IMAP)]);
    daemon.hear("READY=1");
    let come = || {
        let mut client = daemon.connect();
        let said = line(&mut client);
        (said == "imap at here").then_some(client)
    };
    let mut open = Vec::new();
    while let Some(client) = come() {
        open.push(client);
        assert!(open.len() < 64, "nobody was refused");
    }
    for client in &mut open {
        client.get_mut().write_all(b"still here\r\n").unwrap();
        assert_eq!(line(client), "still here");
    }
    open.truncate(1);
    // One after the other, until the pause is over.
    while come().is_none() {}
    open[0].get_mut().write_all(b"and still\r\n").unwrap();
    assert_eq!(line(&mut open[0]), "and still");
}

#[test]
fn denied_users_hear_what_the_operator_wrote() {
    let daemon = daemon(IMAP, "");
    let file = daemon.dir.path().join("user_deny.db");
    fs::write(
        &file,
        b"fred\t2\xff\x89im*\xff\x89On holiday\ncyrus\t2\xff\x89*\xff\x89no\njane\t2\xff\x89pop3\xff\x89no\n",
    )
    .unwrap();
    assert!(login(&daemon, "fred", "secret").1.ends_with("On holiday"));
    assert!(
        login(&daemon, "fred", "wrong").1.contains("checkpass failed"),
        "who is denied is no secret to tell"
    );
    assert_eq!(
        (login(&daemon, "cyrus", "secret").1, login(&daemon, "jane", "secret").1),
        ("OK".into(), "OK".into())
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(login(&daemon, "fred", "secret").1, "OK");
    fs::create_dir(&file).unwrap();
    assert!(login(&daemon, "fred", "secret").1.contains("temporary failure"), "who knows whom it denies");
}

#[test]
fn addresses_decide_who_is_served() {
    let denied = daemon(IMAP, "deny_addresses: 192.0.2.1 127.0.0.0/8\n");
    assert_eq!(line(&mut denied.connect()), "* BYE Access denied");
    let other = daemon(IMAP, "allow_addresses: 192.0.2.0/24\n");
    assert_eq!(line(&mut other.connect()), "* BYE Access denied");
    let of_another = daemon(IMAP, "pop3_deny_addresses: 127.0.0.1\nimap_allow_addresses: ::1 127.0.0.1\n");
    assert_eq!(line(&mut of_another.connect()), "imap at here");
}

#[test]
fn a_balancer_says_who_the_client_is() {
    let daemon = daemon(BALANCED, "deny_addresses: 192.0.2.66\n");
    let (_kept, said) = say(&daemon, b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143\r\n");
    assert_eq!(said, "imap at here");
    assert_eq!(sessions(&daemon)[0]["client"], "192.0.2.1");
    assert_eq!(say(&daemon, b"PROXY TCP4 192.0.2.66 192.0.2.2 56324 143\r\n").1, "* BYE Access denied");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x00\x50\x00\x8f";
    let (_kept, said) = say(&daemon, v2);
    assert_eq!(said, "imap at here");
    assert_eq!(sessions(&daemon)[1]["client"], "192.0.2.7");
    // No header, no service; and nothing is said to who may be anybody.
    assert_eq!(say(&daemon, b"a LOGIN fred secret\r\n").1, "");
}

#[test]
fn a_header_counts_from_known_balancers_only() {
    let strange = daemon(BALANCED, "proxy_protocol_addresses: 192.0.2.0/24\n");
    assert_eq!(say(&strange, b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143\r\n").1, "");
    let known = daemon(BALANCED, "proxy_protocol_addresses: 127.0.0.1\n");
    assert_eq!(say(&known, b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143\r\n").1, "imap at here");
}

#[test]
fn while_the_operator_says_so_nobody_is_served() {
    for (program, said) in [("pop3d", "-ERR [SYS/TEMP] Back at noon"), ("mupdate", "* BYE \"Back at noon\"")]
    {
        let daemon = daemon(&format!(r#"[{{"name":"x","program":"{program}"}}]"#), "");
        fs::create_dir(daemon.dir.path().join("msg")).unwrap();
        fs::write(daemon.dir.path().join("msg/shutdown"), "Back at noon\nreally\n").unwrap();
        assert_eq!(line(&mut daemon.connect()), said);
    }
}

/// fail2ban 1.0's filter `cyrus-imap`, its parts put in, on lines from which it has taken the date: the hosts that it finds.
fn fail2ban(lines: &[String]) -> Vec<String> {
    let daemon = r"[\[\(]?(?:cyrus/)?(?:imap(d|s)?|pop3(d|s)?)(?:\(\S+\))?[\]\)]?:?";
    let pid = r"(?:\[\d+\])";
    let prefix = format!(
        "{}{}(?:(?:{pid}?:\\s+{daemon}|{daemon}{pid}?:?)\\s+)?(?:\\[ID \\d+ \\S+\\]\\s+)?",
        r"(?:\[\])?\s*(?:<[^.]+\.[^.]+>\s+)?(?:\S+\s+)?",
        r"(?:kernel:\s?\[ *\d+\.\d+\]:?\s+)?(?:@vserver_\S+\s+)?",
    );
    let failure = r"badlogin: [^\[]*\[(?P<host>\S+)\] \S+ .*?\[?SASL\(-13\): (authentication failure|user not found): .*\]?$";
    let rule = regex::Regex::new(&format!("^{prefix}{failure}")).unwrap();
    let host = |line: &String| rule.captures(line).map_or("-".to_owned(), |found| found["host"].to_owned());
    lines.iter().map(host).collect()
}

#[test]
fn failed_logins_are_lines_that_fail2ban_knows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stderr");
    let script = format!(
        r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$ECHO" -C "$CONF" 3<&"$SOCKET" 2>{}"#,
        path.display()
    );
    let conf = format!("{PLAIN}syslog_prefix: cyrus\n");
    let daemon = Daemon::start(&script, &conf, &[("MURDER_LISTENERS", BALANCED)]);
    daemon.hear("READY=1");
    PasswordDb::new(daemon.dir.path().join("murder/passwords")).set("fred", "secret").unwrap();
    for (user, password) in [("fred", "wrong"), ("nobody", "x"), ("fred", "secret")] {
        let (mut client, _) = say(&daemon, b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143\r\n");
        client.get_mut().write_all(format!("LOGIN {user} {password}\r\n").as_bytes()).unwrap();
        line(&mut client);
    }
    let log = fs::read_to_string(&path).unwrap();
    // Behind the time and the level, a line is as in syslog.
    let lines: Vec<String> = log
        .lines()
        .filter(|line| line.contains("login: "))
        .map(|line| line.split_once(' ').unwrap().1.replacen(" info:", ":", 1))
        .collect();
    assert_eq!(lines.len(), 3, "{log}");
    // As SASL's mechanisms have them (see the tests of `auth`).
    let sasl = ["PLAIN (fred)", "SCRAM-SHA-256 (x [SASL(-13)])"].map(|what| {
        format!("cyrus/imap[7]: badlogin: [192.0.2.2] {what} [SASL(-13): authentication failure: checkpass failed]")
    });
    let all = lines.iter().chain(&sasl).map(|line| format!("mail {line}"));
    let hosts = fail2ban(&all.collect::<Vec<_>>());
    let expected = ["192.0.2.1", "192.0.2.1", "-", "192.0.2.2", "192.0.2.2"];
    assert_eq!(hosts, expected, "{lines:?}");
    let good = &lines[2];
    assert!(
        good.starts_with("cyrus/imap[")
            && good.contains("]: login: [192.0.2.1] fred plaintext User logged in SESSIONID=<echo-"),
        "{good}"
    );
}

#[test]
fn a_client_that_hangs_up_while_it_is_slowed_keeps_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let syslog = UnixDatagram::bind(dir.path().join("log")).unwrap();
    syslog.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let path = dir.path().join("log").display().to_string();
    let conf = "imap_failedloginpause: 25\nlog_target: syslog\n";
    let daemon = daemon_with(IMAP, conf, &[("MURDER_SYSLOG", &path)]);
    let attempt = || loop {
        let mut message = [0; 2000];
        let length = syslog.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if let Some((_, text)) = text.split_once("login: ") {
            return text.to_owned();
        }
    };
    let (_kept, _) = login(&daemon, "fred", "wrong");
    assert!(attempt().contains("checkpass failed"));
    let mut client = daemon.connect();
    line(&mut client);
    client.get_mut().write_all(b"LOGIN fred secret\r\n").unwrap();
    drop(client);
    assert_eq!(attempt(), "[127.0.0.1] plaintext fred SASL(-1): cancelled by the client");
}

#[test]
fn the_journal_gets_fields_and_the_facility() {
    let dir = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(dir.path().join("journal")).unwrap();
    journal.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let path = dir.path().join("journal").display().to_string();
    let conf = "syslog_facility: LOCAL6\nlog_target: journald\n";
    let _daemon = daemon_with(IMAP, conf, &[("MURDER_JOURNAL", &path)]);
    let mut message = [0; 2000];
    let length = journal.recv(&mut message).unwrap();
    let text = String::from_utf8_lossy(&message[..length]);
    assert!(text.contains("SYSLOG_FACILITY=22\n") && text.contains("SYSLOG_IDENTIFIER=echo\n"), "{text}");
}

#[test]
fn syslog_gets_the_facility_and_the_name_with_its_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let syslog = UnixDatagram::bind(dir.path().join("log")).unwrap();
    syslog.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let path = dir.path().join("log").display().to_string();
    let conf = "syslog_facility: daemon\nsyslog_prefix: cyrus\nlog_target: syslog\n";
    let _daemon = daemon_with(IMAP, conf, &[("MURDER_SYSLOG", &path)]);
    let mut message = [0; 2000];
    let length = syslog.recv(&mut message).unwrap();
    let text = String::from_utf8_lossy(&message[..length]);
    // 3 is daemon: 3 * 8 + 6 for information, 4 for a warning.
    assert!(text.starts_with("<30>cyrus/echo[") || text.starts_with("<28>cyrus/echo["), "{text}");
}
