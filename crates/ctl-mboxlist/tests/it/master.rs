//! A MUPDATE master of a few lines, which keeps a list and writes down what it was told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Name → state, location and ACL.
type Entries = BTreeMap<String, (bool, String, String)>;

#[derive(Clone)]
pub struct Master {
    pub port: u16,
    entries: Arc<Mutex<Entries>>,
    /// Changes, as commands without tags and literals.
    told: Arc<Mutex<Vec<String>>>,
}

impl Master {
    pub fn start(entries: &[(&str, bool, &str, &str)]) -> Master {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let entries: Entries = entries
            .iter()
            .map(|(name, active, at, acl)| {
                ((*name).to_owned(), (*active, (*at).to_owned(), (*acl).to_owned()))
            })
            .collect();
        let master = Master {
            port: listener.local_addr().unwrap().port(),
            entries: Arc::new(Mutex::new(entries)),
            told: Arc::default(),
        };
        let serving = master.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A client that leaves in the middle ends its own conversation only.
                let _ = serving.serve(client);
            }
        });
        master
    }

    /// What was changed since it was last asked.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn serve(&self, mut out: TcpStream) -> std::io::Result<()> {
        let mut input = BufReader::new(out.try_clone()?);
        out.write_all(b"* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n")?;
        while let Some(words) = command(&mut input)? {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut lines = String::new();
            match words.as_slice() {
                [_, "LIST", prefix] => self.list(words[0], |_, at| at.starts_with(prefix), &mut lines),
                [_, "FIND", name] => self.list(words[0], |other, _| other == *name, &mut lines),
                [_, "ACTIVATE", name, at, acl] => {
                    let entry = (true, (*at).to_owned(), (*acl).to_owned());
                    self.entries.lock().unwrap().insert((*name).to_owned(), entry);
                    self.told.lock().unwrap().push(words[1..].join(" "));
                }
                [_, "DELETE", name] => {
                    self.entries.lock().unwrap().remove(*name);
                    self.told.lock().unwrap().push(words[1..].join(" "));
                }
                _ => {}
            }
            out.write_all(format!("{lines}{} OK \"done\"\r\n", words[0]).as_bytes())?;
        }
        Ok(())
    }

    fn list(&self, tag: &str, wanted: impl Fn(&str, &str) -> bool, lines: &mut String) {
        let literal = |text: &str| format!("{{{}+}}\r\n{text}", text.len());
        for (name, (active, at, acl)) in self.entries.lock().unwrap().iter().filter(|(n, e)| wanted(n, &e.1))
        {
            let word = if *active { "MAILBOX" } else { "RESERVE" };
            lines.push_str(&format!("{tag} {word} {} {}", literal(name), literal(at)));
            if *active {
                lines.push_str(&format!(" {}", literal(acl)));
            }
            lines.push_str("\r\n");
        }
    }
}

/// A command's words, its literals among them.
fn command(input: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut words = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        let (text, literal) = match line.rsplit_once('{').filter(|_| line.ends_with("+}")) {
            Some((text, size)) => (text, size.trim_end_matches("+}").parse::<usize>().ok()),
            None => (line, None),
        };
        words.extend(text.split_whitespace().map(|word| word.trim_matches('"').to_owned()));
        let Some(size) = literal else { return Ok(Some(words)) };
        let mut bytes = vec![0; size];
        input.read_exact(&mut bytes)?;
        words.push(String::from_utf8_lossy(&bytes).into_owned());
    }
}
