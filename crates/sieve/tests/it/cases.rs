//! The tables of cases: text files, each case with a script, perhaps a message and a server, and what is expected.
//!
//! ```text
//! === What the case is about
//! --- script
//! --- message            (else: a small one)
//! --- server             mailbox, id, use, metadata, seen, from, to, auth: a line each
//! --- script personal x  (one to include)
//! --- expect             an effect a line, as world.rs writes them; or problems, as `line 1: …`
//! ```

use std::path::Path;

use sieve::{Envelope, Extensions, Location, compile};

use crate::world::World;

#[test]
fn every_case_of_the_tables_ends_as_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let (mut looked, mut failed) = (0, Vec::new());
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for case in text.split("\n=== ").skip(1) {
            looked += 1;
            let case = Case::read(case);
            let found = case.run();
            if found != case.expected {
                failed.push(format!(
                    "{name}: {}\n  expected:\n    {}\n  found:\n    {}",
                    case.title,
                    case.expected.join("\n    "),
                    found.join("\n    ")
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {looked} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(looked > 70, "{looked} cases were looked at");
}

#[derive(Default)]
struct Case {
    title: String,
    script: String,
    message: String,
    world: Server,
    expected: Vec<String>,
}

#[derive(Default)]
struct Server {
    lines: Vec<String>,
    scripts: Vec<((Location, String), String)>,
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
                    case.world.scripts.push(((location, name.to_owned()), body.to_owned()));
                }
                ["message"] => {
                    case.message = format!("{}\r\n", body.trim_end_matches('\n').replace('\n', "\r\n"))
                }
                ["server"] => case.world.lines = lines(),
                ["expect"] => case.expected = lines(),
                _ => panic!("{}: {kind}", case.title),
            }
        }
        case
    }

    fn run(&self) -> Vec<String> {
        let program = match compile(self.script.as_bytes(), Extensions::all()) {
            Ok(compiled) => compiled.program,
            Err(problems) => return problems.iter().map(ToString::to_string).collect(),
        };
        let (mut world, envelope) = self.world.build();
        let message = if self.message.is_empty() { MESSAGE } else { &self.message };
        world.run(program, message.as_bytes(), envelope).1
    }
}

impl Server {
    fn build(&self) -> (World, Envelope) {
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
