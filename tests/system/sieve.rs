//! Users' rules: uploaded at a frontend, run by the backend when mail comes in at a frontend, seen at a frontend.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use system_tests::{Murder, Plan};
use test_host::sink::{Behaviour, Sink};

/// A ManageSieve session past its login.
pub struct Sieve(BufReader<TcpStream>);

impl Sieve {
    pub fn login(murder: &Murder, node: &str, user: &str) -> Sieve {
        let socket = TcpStream::connect(murder.address(node, "sieve")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut sieve = Sieve(BufReader::new(socket));
        assert!(sieve.answer().starts_with("OK"));
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{}", murder.password(user)));
        sieve.must(&format!("AUTHENTICATE \"PLAIN\" \"{plain}\""));
        sieve
    }

    pub fn must(&mut self, command: &str) {
        let answer = self.ask(command);
        assert!(answer.starts_with("OK"), "{command}: {answer}");
    }

    fn ask(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.answer()
    }

    pub fn put(&mut self, name: &str, script: &str) -> String {
        self.ask(&format!("PUTSCRIPT \"{name}\" {{{}+}}\r\n{script}", script.len()))
    }

    /// All lines of an answer, those of literals too, that must end with OK.
    pub fn lines(&mut self, command: &str) -> Vec<String> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection stays");
            if let Some(size) = line.trim_end().rsplit_once('{').and_then(|(_, rest)| rest.strip_suffix('}'))
            {
                let mut literal = vec![0; size.parse().unwrap()];
                self.0.read_exact(&mut literal).unwrap();
                lines.push(String::from_utf8(literal).unwrap());
                continue;
            }
            match line.starts_with("OK") {
                true => return lines,
                false => assert!(!line.starts_with("NO") && !line.starts_with("BYE"), "{command}: {line}"),
            }
            lines.push(line.trim_end().to_owned());
        }
    }

    /// The line that ends an answer; capabilities and literals before it are passed over.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection stays");
            let line = line.trim_end().to_owned();
            if let Some(size) = line.rsplit_once('{').and_then(|(_, rest)| rest.strip_suffix('}')) {
                let mut literal = vec![0; size.parse().unwrap()];
                self.0.read_exact(&mut literal).unwrap();
                if ["OK", "NO", "BYE"].iter().any(|word| line.starts_with(word)) {
                    let mut end = String::new();
                    self.0.read_line(&mut end).unwrap();
                    return format!("{line}{}", String::from_utf8_lossy(&literal));
                }
                continue;
            }
            if ["OK", "NO", "BYE"].iter().any(|word| line.starts_with(word)) {
                return line;
            }
        }
    }
}

fn murder(sink: &Sink) -> Murder {
    Plan::nodes(1, 2)
        .option("*", "allowplaintext", "yes")
        .option("*", "smtp_backend", "host")
        .option("*", "smtp_host", &sink.host())
        .user("alice", "backend1")
        .user("bob", "backend1")
        .user("carol", "backend2")
        .start()
}

fn messages(murder: &Murder, user: &str, mailbox: &str) -> String {
    let status = murder.login("frontend1", user).must(&format!("STATUS {mailbox} (MESSAGES)")).unwrap();
    status.lines.concat()
}

#[test]
fn a_rule_that_is_uploaded_at_a_frontend_works_for_the_next_message() {
    let sink = Sink::start(Behaviour::default());
    let murder = murder(&sink);
    let mut sieve = Sieve::login(&murder, "frontend1", "alice");
    let refused = sieve.put("rules", "require \"fileinto\";\r\nnonsense;\r\n");
    assert!(refused.starts_with("NO") && refused.contains("line 2"), "{refused}");
    let script = "require [\"fileinto\", \"mailbox\", \"copy\", \"vacation\"];
        if header :contains \"subject\" \"m1\" { fileinto :create \"Lists\"; }
        redirect :copy \"alice@far.org\";
        vacation :addresses \"alice@example.org\" \"away\";";
    assert_eq!(&sieve.put("rules", script)[..2], "OK");
    assert!(murder.deliver("frontend1", &["alice"], "m0")[0].starts_with("250"));
    assert_eq!(messages(&murder, "alice", "INBOX"), "* STATUS INBOX (MESSAGES 1)", "it is not active yet");
    sieve.must("SETACTIVE \"rules\"");
    Sieve::login(&murder, "frontend1", "carol").put("r", "require \"reject\"; reject \"no\";");
    Sieve::login(&murder, "frontend1", "carol").must("SETACTIVE \"r\"");
    let replies = murder.deliver("frontend1", &["alice", "bob", "carol"], "m1");
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["250", "250", "550"], "{replies:?}");
    assert!(replies[2].starts_with("550 5.7.1 no"), "{replies:?}");
    assert_eq!(messages(&murder, "alice", "Lists"), "* STATUS Lists (MESSAGES 1)");
    assert_eq!(messages(&murder, "alice", "INBOX"), "* STATUS INBOX (MESSAGES 1)");
    assert_eq!(messages(&murder, "bob", "INBOX"), "* STATUS INBOX (MESSAGES 1)");
    assert_eq!(messages(&murder, "carol", "INBOX"), "* STATUS INBOX (MESSAGES 0)");
    let sent = sink.next();
    assert_eq!(sent.commands.last().unwrap(), "RCPT TO:<alice@far.org>");
    assert!(sent.message.starts_with("X-Sieve-Action: redirect\n"), "{sent:?}");
    assert_eq!(sink.rest(), [], "nobody who was not written to answers");
    // Deactivated, it does nothing any more.
    sieve.must("SETACTIVE \"\"");
    assert!(murder.deliver("frontend1", &["alice"], "m1x")[0].starts_with("250"));
    assert_eq!(messages(&murder, "alice", "INBOX"), "* STATUS INBOX (MESSAGES 2)");
}

#[test]
fn rules_and_what_they_remember_survive_a_killed_backend() {
    let sink = Sink::start(Behaviour::default());
    let mut murder = murder(&sink);
    let mut sieve = Sieve::login(&murder, "frontend1", "alice");
    let script = "require [\"vacation\", \"imap4flags\"]; addflag \"ruled\"; \
                  vacation :addresses \"alice@example.org\" \"away\";";
    assert_eq!(&sieve.put("rules", script)[..2], "OK");
    sieve.must("SETACTIVE \"rules\"");
    let to_her = |id: &str| {
        format!(
            "Message-ID: <{id}@a>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0100\r\nTo: alice@example.org\r\n\r\nx\r\n"
        )
    };
    let send = |murder: &Murder, id: &str| {
        murder.lmtp("frontend1").deliver("ann@example.org", &["alice"], &to_her(id)).unwrap()
    };
    assert!(send(&murder, "1")[0].starts_with("250"));
    assert_eq!(sink.next().commands.last().unwrap(), "RCPT TO:<ann@example.org>");
    drop(sieve);
    murder.kill("backend1", "backend");
    murder.stop("backend1");
    murder.start("backend1");
    assert!(send(&murder, "2")[0].starts_with("250"));
    let mut imap = murder.login("frontend1", "alice");
    imap.must("SELECT INBOX").unwrap();
    let found = imap.must("SEARCH KEYWORD ruled").unwrap();
    assert!(found.lines.contains(&"* SEARCH 1 2".to_owned()), "{found:?}");
    assert_eq!(sink.rest(), [], "the sender had an answer");
}
