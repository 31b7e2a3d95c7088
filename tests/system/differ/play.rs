//! Scripts, and how they are played: who says what, and what is answered.

use std::collections::BTreeMap;

use murder::clients::{Imap, Reply};
use system_tests::Murder;

/// What is asked, step by step: `who: command`. `me` and `me2` are sessions of one user, `you` is another user's, `nobody` has not
/// logged in. `<me>`, `<you>` and `<k>` are names of this script's own, and `there<k>` is a shared mailbox that `me`
/// may do everything with; `%name` is a message of messages.txt as a literal and `%{text}` a text as one. `<x=UIDNEXT>` keeps
/// what the session was told last behind that word, and `<x>` says it again.
pub struct Script {
    pub name: &'static str,
    /// Words of the capability list that it tries.
    pub covers: Vec<&'static str>,
    /// The first Cyrus that has what it asks for; none where no Cyrus does, or where it is ours to choose.
    pub since: Option<(u32, u32)>,
    /// It shows everybody something: it is played when all others are over.
    last: bool,
    pub steps: Vec<Step>,
}

pub struct Step {
    who: &'static str,
    pub command: &'static str,
    /// The command with a number where the script has it several times.
    pub name: String,
}

/// What came back for one step, with literals as strings.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub untagged: Vec<String>,
    pub result: String,
}

/// Where scripts are played.
pub struct Stage<'m> {
    pub murder: &'m Murder,
    /// The node that is asked.
    pub door: &'static str,
    /// Backends for `me`, and for `you` and some of `me`'s mailboxes; none where a backend is asked itself.
    pub homes: Option<[&'static str; 2]>,
}

pub fn scripts() -> Vec<Script> {
    SCRIPTS.iter().map(|(name, text)| script(name, text)).collect()
}

/// The users of all scripts.
pub fn users() -> impl Iterator<Item = String> {
    (0..SCRIPTS.len()).flat_map(|k| [me(k), you(k)])
}

fn me(k: usize) -> String {
    format!("ann{k:02}")
}

fn you(k: usize) -> String {
    format!("bob{k:02}")
}

fn script(name: &'static str, text: &'static str) -> Script {
    let mut script = Script { name, covers: Vec::new(), since: Some((3, 6)), last: false, steps: Vec::new() };
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("@ ") {
            Some("ours") => script.since = None,
            Some("last") => script.last = true,
            Some(words) if words.starts_with("since 3.") => {
                let minor = words.trim_start_matches("since 3.").parse();
                script.since = Some((3, minor.unwrap_or_else(|_| panic!("{name}: {line}"))));
            }
            Some(words) => {
                let words = words.strip_prefix("covers ").unwrap_or_else(|| panic!("{name}: {line}"));
                script.covers.extend(words.split(' '));
            }
            None => {
                let (who, command) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line}"));
                let count = times.entry((who, command)).or_default();
                *count += 1;
                let name = match count {
                    1 => format!("{who}: {command}"),
                    times => format!("{who}: {command} ({times})"),
                };
                script.steps.push(Step { who, command, name });
            }
        }
    }
    script
}

impl Script {
    /// As a table names it.
    pub fn step_name(&self, step: &Step) -> String {
        format!("{}: {}", self.name, step.name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.steps.iter().any(|step| self.step_name(step) == name)
    }
}

impl Stage<'_> {
    /// The answers to all scripts that are asked for, in their order; none for those that are not.
    pub fn play(&self, scripts: &[Script], wanted: impl Fn(&Script) -> bool + Sync) -> Vec<Vec<Answer>> {
        let mine = |rest: usize| scripts.iter().enumerate().filter(move |(k, _)| k % PLAYERS == rest);
        // All before the first script: until its ACL is set, everybody may see a shared mailbox that is new.
        side_by_side(|rest| {
            let mut admin = self.murder.admin(self.door);
            mine(rest).for_each(|(k, _)| self.furnish(k, &mut admin));
            Vec::<()>::new()
        });
        let played = |(k, script): (usize, &Script)| match wanted(script) {
            true => (k, self.script(k, script)),
            false => (k, Vec::new()),
        };
        let mut all =
            side_by_side(|rest| mine(rest).filter(|(_, script)| !script.last).map(played).collect());
        all.extend(scripts.iter().enumerate().filter(|(_, script)| script.last).map(played));
        all.sort_by_key(|(k, _)| *k);
        all.into_iter().map(|(_, answers)| answers).collect()
    }

    /// Makes the users and mailboxes of a script.
    fn furnish(&self, k: usize, admin: &mut Imap) {
        let (me, you) = (me(k), you(k));
        let there = format!("there{k:02}");
        for (name, place) in [(&format!("user/{me}"), 0), (&format!("user/{you}"), 1), (&there, 1)] {
            admin.must(&format!("CREATE {name}{}", self.at(place))).expect("a mailbox is made");
        }
        for command in [format!("SETACL {there} {me} lrswipkxtea"), format!("DELETEACL {there} anyone")] {
            admin.must(&command).expect("an ACL is set");
        }
    }

    fn script(&self, k: usize, script: &Script) -> Vec<Answer> {
        let mut player = Player { stage: self, k, sessions: BTreeMap::new(), kept: BTreeMap::new() };
        script.steps.iter().map(|step| player.step(step)).collect()
    }

    fn at(&self, place: usize) -> String {
        let host = |homes: [&str; 2]| homes.get(place).map(|home| self.murder.cluster.topology.host(home));
        self.homes.and_then(host).map(|host| format!(" {host}!default")).unwrap_or_default()
    }
}

/// Does the parts of some work at the same time.
fn side_by_side<T: Send>(part: impl Fn(usize) -> Vec<T> + Sync) -> Vec<T> {
    let part = &part;
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..PLAYERS).map(|rest| scope.spawn(move || part(rest))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a player ends well")).collect()
    })
}

struct Player<'s> {
    stage: &'s Stage<'s>,
    k: usize,
    sessions: BTreeMap<&'static str, Session>,
    kept: BTreeMap<&'static str, String>,
}

struct Session {
    imap: Imap,
    /// All that it was told.
    told: Vec<String>,
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Answer {
        let mut session = self.sessions.remove(step.who).unwrap_or_else(|| self.open(step.who));
        if let Some((variable, word)) = keeping(step.command) {
            let value = session.told.iter().rev().find_map(|line| behind(line, word));
            self.kept.insert(variable, value.unwrap_or_else(|| panic!("{}: no {word} was told", step.name)));
            self.sessions.insert(step.who, session);
            return Answer::default();
        }
        let text = self.written(step.command);
        let told = match step.command.split_once(" while ") {
            Some(("IDLE", other)) => self.idle(&mut session, other),
            _ => session.imap.command(&text).map(Answer::of),
        };
        match told {
            Ok(mut answer) => {
                // Ten wrong commands in a row end a session.
                if answer.result.starts_with("BAD")
                    && let Ok(reply) = session.imap.command("NOOP")
                {
                    answer.untagged.extend(Answer::of(reply).untagged);
                }
                session.told.extend(answer.untagged.iter().chain([&answer.result]).cloned());
                if !text.starts_with("LOGOUT") {
                    self.sessions.insert(step.who, session);
                }
                answer
            }
            Err(end) => Answer { untagged: Vec::new(), result: end.to_string() },
        }
    }

    /// IDLE, while another session says something.
    fn idle(&mut self, session: &mut Session, other: &'static str) -> std::io::Result<Answer> {
        let (who, command) = other.split_once(": ").expect("who: command");
        let idle = session.imap.idle()?;
        let step = Step { who, command, name: other.to_owned() };
        let meanwhile = self.step(&step).result;
        let mut answer = Answer::of(idle.done()?);
        answer.untagged.push(format!("* OK meanwhile {meanwhile}"));
        Ok(answer)
    }

    fn open(&self, who: &'static str) -> Session {
        let (murder, door) = (self.stage.murder, self.stage.door);
        let imap = match who {
            "me" | "me2" => murder.login(door, &me(self.k)),
            "you" => murder.login(door, &you(self.k)),
            "admin" => murder.admin(door),
            "nobody" => murder.imap(door),
            other => panic!("nobody is called {other}"),
        };
        Session { imap, told: Vec::new() }
    }

    /// A command with its names and literals.
    fn written(&self, command: &str) -> String {
        let mut text = command.replace("<k>", &format!("{:02}", self.k));
        text = text.replace("<me>", &me(self.k)).replace("<you>", &you(self.k));
        for (variable, value) in &self.kept {
            text = text.replace(&format!("<{variable}>"), value);
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let word = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            let (name, behind) = after.split_at(word);
            let begins = before.ends_with([' ', '~', '(']);
            if let Some((literal, behind)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
                out.push_str(&format!("{{{}+}}\r\n{literal}", literal.len()));
                rest = behind;
            } else if let Some(message) = message(name).filter(|_| begins) {
                out.push_str(&format!("{{{}+}}\r\n{message}", message.len()));
                rest = behind;
            } else {
                out.push('%');
                rest = after;
            }
        }
        out.push_str(rest);
        out
    }
}

impl Answer {
    fn of(reply: Reply) -> Answer {
        let mut answer = Answer { untagged: Vec::new(), result: reply.result };
        let mut literals = reply.literals.into_iter();
        let mut open: Option<String> = None;
        for line in reply.lines {
            let whole = open.take().unwrap_or_default() + &line;
            match whole.rsplit_once('{').filter(|_| murder_literal(&line)) {
                Some((before, _)) => {
                    let text = literals.next().unwrap_or_default();
                    let text = String::from_utf8_lossy(&text).replace('\\', "\\\\").replace('"', "\\\"");
                    open = Some(format!("{}\"{text}\"", before.trim_end_matches('~')));
                }
                None => answer.untagged.push(whole),
            }
        }
        answer
    }
}

/// Whether a literal follows a line.
fn murder_literal(line: &str) -> bool {
    let Some((_, size)) = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')) else { return false };
    !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit())
}

/// `<x=UIDNEXT>`
fn keeping(command: &'static str) -> Option<(&'static str, &'static str)> {
    command.strip_prefix('<')?.strip_suffix('>')?.split_once('=')
}

/// The word behind another.
fn behind(line: &str, word: &str) -> Option<String> {
    let (_, rest) = line.rsplit_once(&format!("{word} "))?;
    let rest = rest.trim_start_matches('(');
    let end = rest.find([' ', ')', ']']).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

/// A message of messages.txt.
fn message(name: &str) -> Option<String> {
    let (_, found) = MESSAGES.split_once(&format!("== {name}\n"))?;
    let text = found.split_once("\n== ").map_or(found, |(text, _)| text);
    Some(text.replace('\n', "\r\n").replace("<nul>", "\0") + "\r\n")
}

const PLAYERS: usize = 2;

const MESSAGES: &str = include_str!("messages.txt");

macro_rules! scripts {
    ($($name:literal),*) => { &[$(($name, include_str!(concat!("scripts/", $name, ".txt")))),*] };
}

const SCRIPTS: &[(&str, &str)] = scripts![
    "acl",
    "annotate",
    "append",
    "bad",
    "catenate",
    "condstore",
    "copy",
    "create",
    "esearch",
    "extended",
    "fetch",
    "levels",
    "list",
    "login",
    "metadata",
    "modern",
    "move",
    "notify",
    "parts",
    "qresync",
    "quota",
    "removal",
    "repeated",
    "replace",
    "search",
    "select",
    "session",
    "sort",
    "status",
    "store",
    "subscribe",
    "thread",
    "uidbatches",
    "uidonly",
    "unicode",
    "uses",
    "words"
];
