//! A case of the tables: a script, a message and a server, and what is expected of them.
//!
//! ```text
//! === What the case is about
//! --- script
//! --- message            (else: a small one)
//! --- server             mailbox, id, use, metadata, seen, from, to, auth: a line each
//! --- script personal x  (one to include)
//! --- expect             an effect a line, as world.rs writes them; or problems, as `line 1: …`
//! --- pigeonhole         why that server does otherwise (see differential.rs)
//! ```

use std::path::Path;

use sieve::{Envelope, Extensions, Location, compile};

use crate::world::World;

/// All cases of all tables, each with its table's name.
pub fn all() -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let mut cases = Vec::new();
    for file in std::fs::read_dir(directory).expect("a table of cases") {
        let path = file.expect("a table of cases").path();
        let text = std::fs::read_to_string(&path).expect("a table of cases");
        let name = path.file_name().expect("a table of cases").to_string_lossy().into_owned();
        cases.extend(text.split("\n=== ").skip(1).map(|case| (name.clone(), Case::read(case))));
    }
    cases
}

#[derive(Default)]
pub struct Case {
    pub title: String,
    pub script: String,
    /// Empty: the usual one.
    pub message: String,
    pub server: Server,
    pub expected: Vec<String>,
    /// Why Pigeonhole does otherwise.
    pub pigeonhole: Option<String>,
}

#[derive(Default)]
pub struct Server {
    pub lines: Vec<String>,
    pub scripts: Vec<((Location, String), String)>,
}

const MESSAGE: &str = "\
From: Fred <fred@example.com>\r
To: \"Wilma, at home\" <wilma+list@example.org>, barney@Example.NET\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the quarry\r
X-Spam: yes\r
X-Empty:\r
\r
Yabba dabba doo\r
";

impl Case {
    fn read(text: &str) -> Case {
        let mut sections = text.split("\n--- ");
        let mut case = Case { title: sections.next().expect("a title").to_owned(), ..Case::default() };
        for section in sections {
            let (kind, body) = section.split_once('\n').unwrap_or((section, ""));
            let lines = || body.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            match kind.split(' ').collect::<Vec<_>>()[..] {
                ["script"] => case.script = body.to_owned(),
                ["script", location, name] => {
                    let location = if location == "global" { Location::Global } else { Location::Personal };
                    case.server.scripts.push(((location, name.to_owned()), body.to_owned()));
                }
                ["message"] => {
                    case.message = format!("{}\r\n", body.trim_end_matches('\n').replace('\n', "\r\n"))
                }
                ["server"] => case.server.lines = lines(),
                ["pigeonhole"] => case.pigeonhole = Some(body.trim().to_owned()),
                ["expect"] => case.expected = lines(),
                _ => panic!("{}: {kind}", case.title),
            }
        }
        case
    }

    pub fn run(&self) -> Vec<String> {
        let program = match compile(self.script.as_bytes(), Extensions::all()) {
            Ok(compiled) => compiled.program,
            Err(problems) => return problems.iter().map(ToString::to_string).collect(),
        };
        let (mut world, envelope) = self.server.build();
        world.run(program, self.message().as_bytes(), envelope).1
    }

    pub fn message(&self) -> &str {
        if self.message.is_empty() { MESSAGE } else { &self.message }
    }
}

impl Server {
    pub fn build(&self) -> (World, Envelope) {
        let mut world = World { scripts: self.scripts.iter().cloned().collect(), ..World::default() };
        let mut envelope = Envelope {
            from: "fred@example.com".to_owned(),
            to: "wilma+list@example.org".to_owned(),
            auth: None,
        };
        for line in &self.lines {
            let (kind, value) = line.split_once(' ').unwrap_or((line, ""));
            let pair = || {
                value
                    .split_once(' ')
                    .map(|(one, other)| (one.to_owned(), other.to_owned()))
                    .expect("two words")
            };
            match kind {
                "mailbox" => world.mailboxes.push(value.to_owned()),
                "id" => world.ids.push(pair()),
                "use" => world.uses.push(pair()),
                // Handle and id.
                "seen" => world.seen.push(value.replacen(' ', "\0", 1)),
                "metadata" => {
                    let (mailbox, rest) = pair();
                    let (entry, value) = rest.split_once(' ').expect("an entry and its value");
                    let mailbox = if mailbox == "server" { " server".to_owned() } else { mailbox };
                    world.metadata.insert((mailbox, entry.to_owned()), value.to_owned());
                }
                "from" => envelope.from = value.to_owned(),
                "to" => envelope.to = value.to_owned(),
                "auth" => envelope.auth = Some(value.to_owned()),
                other => panic!("{other}"),
            }
        }
        (world, envelope)
    }
}
