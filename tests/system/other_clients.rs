//! Clients that this project did not write: Python's imaplib, poplib and smtplib, and curl.

use std::process::Command;

use system_tests::{Murder, Plan, python};

fn murder() -> Murder {
    Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start()
}

fn common(murder: &Murder, services: &[&str]) -> Vec<String> {
    let mut args =
        vec![murder.cluster.ca.display().to_string(), murder.node("frontend1").ports.address.to_string()];
    args.extend(services.iter().map(|s| murder.node("frontend1").ports.get(s).to_string()));
    args
}

fn run(script: &str, args: &[String]) -> String {
    python(script, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn imaplib_appends_searches_copies_and_expunges() {
    if !test_host::has(&["python3"]) {
        return;
    }
    let murder = murder();
    let script = r#"
import imaplib, ssl, sys
ca, host, port, tls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
def session(user):
    m = imaplib.IMAP4_SSL(host, tls, ssl_context=context)
    m.login(user, user + '-pw')
    return m
m = session('alice')
assert m.create('Drafts')[0] == 'OK'
text = b'From: a@b\r\nSubject: hello =?utf-8?q?w=C3=B6rld?=\r\n\r\nbody text\r\n'
for n in range(5):
    typ, data = m.append('Drafts', r'(\Seen)' if n % 2 else None, None, text)
    assert typ == 'OK' and b'APPENDUID' in data[0], (typ, data)
assert m.select('Drafts') == ('OK', [b'5'])
typ, found = m.search(None, 'UNSEEN', 'SUBJECT', 'hello')
assert found == [b'1 3 5'], found
typ, data = m.fetch('1:2', '(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)')
assert typ == 'OK' and len(data) == 2, data
assert m.copy('1:3', 'INBOX')[0] == 'OK'
assert m.store('1:2', '+FLAGS', r'\Deleted')[0] == 'OK'
assert m.expunge() == ('OK', [b'1', b'1'])
assert m.uid('MOVE', '3', 'INBOX')[0] == 'OK'
assert m.select('INBOX') == ('OK', [b'4'])
assert m.rename('Drafts', 'Old')[0] == 'OK'
assert m.status('Old', '(MESSAGES UIDNEXT UNSEEN)')[1] == [b'Old (MESSAGES 2 UIDNEXT 6 UNSEEN 1)']
assert m.delete('Old')[0] == 'OK'
m.logout()
m = imaplib.IMAP4(host, port)
assert 'LOGINDISABLED' in m.capabilities, m.capabilities
assert m.starttls(context)[0] == 'OK'
m.authenticate('PLAIN', lambda _: b'\0bob\0bob-pw')
assert m.select()[0] == 'OK'
m.logout()
print('good')
"#;
    assert_eq!(run(script, &common(&murder, &["imap", "imaps"])).trim(), "good");
}

#[test]
fn smtplib_delivers_and_poplib_fetches_and_deletes() {
    if !test_host::has(&["python3"]) {
        return;
    }
    let murder = murder();
    let script = r#"
import poplib, smtplib, ssl, sys
ca, host, lmtp, pop3, pop3s = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
context = ssl.create_default_context(cafile=ca)
s = smtplib.LMTP(host, lmtp)
refused = s.sendmail('me@example.org', ['alice', 'bob', 'nobody'], 'Subject: one\n\n.dot first\nlast\n')
assert list(refused) == ['nobody'] and refused['nobody'][0] == 550, refused
s.quit()
for user, tls in (('alice', True), ('bob', False)):
    if tls:
        p = poplib.POP3_SSL(host, pop3s, context=context)
    else:
        p = poplib.POP3(host, pop3)
        p.stls(context)
    p.user(user)
    p.pass_(user + '-pw')
    assert p.stat()[0] == 1
    assert p.retr(1)[1][-2:] == [b'.dot first', b'last']
    assert len(p.uidl()[1]) == 1 and p.top(1, 1)[1][-1] == b'.dot first'
    p.dele(1)
    p.quit()
    p = poplib.POP3_SSL(host, pop3s, context=context)
    p.user(user)
    p.pass_(user + '-pw')
    assert p.stat() == (0, 0)
    p.quit()
print('good')
"#;
    assert_eq!(run(script, &common(&murder, &["lmtp", "pop3", "pop3s"])).trim(), "good");
}

#[test]
fn curl_reads_and_appends() {
    if !test_host::has(&["curl"]) {
        return;
    }
    let murder = murder();
    assert!(murder.deliver("frontend1", &["alice"], "curled")[0].starts_with("250"));
    let (address, ports) = (murder.node("frontend1").ports.address, murder.node("frontend1").ports);
    let curl = |url: String| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--max-time", "20", "-u", "alice:alice-pw", "--cacert"]);
        let out = command.arg(&murder.cluster.ca).arg(url).output().expect("curl is installed");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert!(
        curl(format!("imaps://{address}:{}/INBOX;MAILINDEX=1", ports.imaps)).contains("The text of curled.")
    );
    assert!(curl(format!("pop3s://{address}:{}/1", ports.pop3s)).contains("The text of curled."));
    assert!(curl(format!("imaps://{address}:{}/", ports.imaps)).contains("INBOX"));
}
