//! Mail servers on the same host, with the lines of docs/OPERATIONS.md, as the accounts that they run as.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use system_tests::{Murder, Plan, eventually, message};

/// The lines of one mail server in the manual: the first block of code behind its heading.
fn manual(heading: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
    let text = fs::read_to_string(file).unwrap();
    let section = text.split(&format!("### {heading}\n")).nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    block.split_once('\n').unwrap().1.to_owned()
}

/// The number of a user (field 2 of passwd) or a group.
fn id(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// A backend whose directories are as the manual's table has them, and the path of its socket.
fn delivering() -> Option<(Murder, PathBuf, u32)> {
    let mail = id("/etc/group", "mail").filter(|_| rustix::process::geteuid().is_root());
    let Some(mail) = mail else {
        eprintln!("SKIPPED: only root can be the mail server's account, and there must be a group mail");
        return None;
    };
    let system = Plan::nodes(1, 1).user("alice", "backend1").start();
    let socket = system.node("backend1").lmtp_socket();
    for directory in socket.ancestors().skip(1).take_while(|path| *path != Path::new("/tmp")) {
        chown(directory, None, Some(mail)).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o750)).unwrap();
    }
    Some((system, socket, mail))
}

fn messages_of_alice(system: &Murder) -> usize {
    let told = system.login("backend1", "alice").must("STATUS INBOX (MESSAGES)").unwrap().lines.concat();
    told.split("MESSAGES ").nth(1).unwrap().trim_end_matches(')').parse().unwrap()
}

/// What exim does with a message for alice, with this configuration for its own.
fn exim(directory: &Path, configuration: &str) -> Output {
    let etc = directory.join("etc");
    fs::create_dir_all(&etc).unwrap();
    fs::write(etc.join("exim4.conf"), configuration).unwrap();
    for name in ["spool", "log"] {
        fs::create_dir_all(directory.join(name)).unwrap();
        chown(directory.join(name), id("/etc/passwd", "Debian-exim"), None).unwrap();
    }
    // Exim gives its rights up under another configuration than its own: in this mount namespace it is its own.
    let script = "mount --bind \"$1\" /etc/exim4 && exec exim -odf -f sender@example.org alice@demo.test";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&etc);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message("exim").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn exim_delivers_with_the_manuals_transport_and_only_in_the_group_mail() {
    let here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !here("exim") || !here("unshare") || id("/etc/passwd", "Debian-exim").is_none() {
        eprintln!("SKIPPED: exim4 is not installed");
        return;
    }
    let Some((system, socket, _)) = delivering() else { return };
    let block = manual("Exim").replace("/var/lib/murder/socket/lmtp", socket.to_str().unwrap());
    let (transport, router) = block.split_once("# a router").unwrap();
    let router = router.split_once('\n').unwrap().1;
    let directory = tempfile::Builder::new().prefix("exim").tempdir_in("/tmp").unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = directory.path().display();
    let configuration = |transport: &str| {
        format!(
            "spool_directory = {dir}/spool\nlog_file_path = {dir}/log/%slog\nprimary_hostname = mail.demo.test\n\
             domainlist local_domains = demo.test\nkeep_environment =\nbegin routers\n{router}\nbegin transports\n\
             {transport}\nbegin retry\n* * F,2h,15m\n"
        )
    };
    let log = || fs::read_to_string(directory.path().join("log/mainlog")).unwrap_or_default();
    let done = exim(directory.path(), &configuration(transport));
    assert!(done.status.success() && log().contains("=> alice"), "{done:?}\n{}", log());
    assert_eq!(messages_of_alice(&system), 1);
    // Without the group the message waits.
    let refused =
        exim(directory.path(), &configuration(&transport.replace("group = mail", "group = nogroup")));
    assert!(log().contains("== alice") && log().contains("Permission denied"), "{refused:?}\n{}", log());
    assert_eq!(messages_of_alice(&system), 1);
}

/// What a socket answers to these lines, said as an account of its own that is in these groups.
fn dialogue(socket: &Path, groups: &[u32], lines: &[&str]) -> std::io::Result<Vec<String>> {
    let as_another = || {
        let groups: Vec<Gid> = groups.iter().map(|id| Gid::from_raw(*id)).collect();
        // Of this thread alone, which ends.
        set_thread_groups(&groups)?;
        set_thread_gid(Gid::from_raw(61_234))?;
        set_thread_uid(Uid::from_raw(61_234))?;
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let mut said = Vec::new();
        for line in std::iter::once(&"").chain(lines) {
            if !line.is_empty() {
                stream.write_all(format!("{line}\r\n").as_bytes())?;
            }
            loop {
                let mut answer = String::new();
                answers.read_line(&mut answer)?;
                let more = answer.as_bytes().get(3) == Some(&b'-');
                said.push(answer.trim_end().to_owned());
                if !more {
                    break;
                }
            }
        }
        Ok(said)
    };
    std::thread::scope(|scope| scope.spawn(as_another).join().unwrap())
}

#[test]
fn postfixs_dialogue_passes_the_socket_in_the_group_mail_and_in_no_other() {
    let Some((system, socket, mail)) = delivering() else { return };
    assert!(manual("Postfix").contains("adduser postfix mail\n"));
    // As Postfix's lmtp(8) speaks: the size with MAIL, one message for all recipients, an answer for each.
    let said = dialogue(
        &socket,
        &[mail],
        &[
            "LHLO mail.demo.test",
            "MAIL FROM:<sender@example.org> SIZE=60",
            "RCPT TO:<alice@demo.test>",
            "RCPT TO:<nobody@demo.test>",
            "DATA",
            "From: sender@example.org\r\nSubject: postfix\r\n\r\nhello\r\n.",
            "QUIT",
        ],
    );
    let said = said.unwrap();
    let codes: Vec<&str> =
        said.iter().filter(|line| line.as_bytes()[3] != b'-').map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "250", "250", "250", "550", "354", "250", "221"], "{said:?}");
    assert!(said.iter().any(|line| line.ends_with("SIZE") || line.contains("SIZE ")), "{said:?}");
    eventually("the message is there", || (messages_of_alice(&system) == 1).then_some(()));
    // Another account does not even reach the socket.
    for groups in [&[][..], &[61_235]] {
        let refused = dialogue(&socket, groups, &[]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "{refused}");
    }
}
