//! Dumps of a list: JSON as `ctl_mboxlist -d` of Cyrus 3.6 prints it, entry by entry on a line each.
//!
//! ```text
//! {
//! "user.fred": {"name": "user.fred", "mtime": "1700000000", …, "acl": {"fred": "lrs"}, "name_history": []},
//! …
//! }
//! ```
//!
//! All numbers are strings. An entry without a `server` is the dumping server's own. Two keys are ours, written only
//! where Cyrus's would lose something: `moving` (where a move is taking the mailbox) and `acl_text` (an ACL that is no
//! plain list of identifiers and rights). Reading goes on past an entry that cannot be used, and says why.

use std::fmt::Write as _;
use std::sync::Arc;

use protocol::{location::Location, location::ServerName, name::MailboxName};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::entry::{Entry, Flags, Local, OldName, State};
use crate::limits::{MAX_NAME, MAX_PARTITION};

/// What stands before the first entry, between two, and after the last.
pub const BEGIN: &str = "{\n";
pub const BETWEEN: &str = ",\n";
pub const END: &str = "\n}\n";

/// One entry's line, without the separators.
pub fn line(name: &MailboxName, entry: &Entry) -> String {
    let mut out = format!("{}: {{", quote(name.as_str()));
    let mut field = |key: &str, value: &str| {
        let separator = if out.ends_with('{') { "" } else { ", " };
        let _ = write!(out, "{separator}\"{key}\": {value}");
    };
    let none = Local::default();
    let local = entry.local.as_deref().unwrap_or(&none);
    let mtime = if local.mtime > 0 { local.mtime } else { entry.mtime };
    field("name", &quote(name.as_str()));
    field("mtime", &number(mtime));
    field("uidvalidity", &number(local.uidvalidity.into()));
    field("createdmodseq", &number(local.createdmodseq));
    field("foldermodseq", &number(local.foldermodseq));
    field("mbtype", &quote(&letters(entry)));
    if let Some(partition) = entry.location.partition() {
        field("partition", &quote(partition));
    }
    if entry.local.is_none() {
        field("server", &quote(entry.server()));
    }
    match acl_pairs(&entry.acl) {
        Some(pairs) => field("acl", &object(pairs.iter().map(|(id, rights)| (*id, quote(rights))))),
        None => field("acl_text", &quote(&entry.acl)),
    }
    if !local.uniqueid.is_empty() {
        field("uniqueid", &quote(&local.uniqueid));
    }
    if let Some(moving) = &entry.moving {
        field("moving", &quote(moving.as_str()));
    }
    let history: Vec<String> = local.name_history.iter().map(old_name).collect();
    field("name_history", &format!("[{}]", history.join(", ")));
    out.push('}');
    out
}

/// A dump taken apart.
#[derive(Debug, Default)]
pub struct Undump {
    pub entries: Vec<(MailboxName, Entry)>,
    /// What was missing or wrong, a line each; entries that could not be used are not among `entries`.
    pub complaints: Vec<String>,
}

/// A text that is no dump.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse error at line {line}: {message}")]
pub struct ParseError {
    pub line: usize,
    pub message: String,
}

/// Reads a dump. Entries without a `server` are taken to be `servername`'s.
///
/// # Errors
/// Where the text stops being JSON of this form. Nothing of it is used then.
pub fn read(text: &str, servername: &ServerName) -> Result<Undump, ParseError> {
    let Pairs(raw): Pairs<Raw> = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The line is said once, in front.
        let end = message.rfind(" at line ").unwrap_or(message.len());
        ParseError { line: error.line(), message: message.get(..end).unwrap_or_default().to_owned() }
    })?;
    let mut undump = Undump::default();
    for (name, raw) in raw {
        match usable(&name, raw, servername, &mut undump.complaints) {
            Ok((name, entry)) => undump.entries.push((name, entry)),
            Err(complaint) => undump.complaints.push(complaint),
        }
    }
    Ok(undump)
}

fn usable(
    text: &str,
    raw: Raw,
    servername: &ServerName,
    complaints: &mut Vec<String>,
) -> Result<(MailboxName, Entry), String> {
    if text.len() > MAX_NAME {
        return Err(format!("mailbox name too long: {text}"));
    }
    let name = MailboxName::parse(text).map_err(|_| format!("not a mailbox name: {text}"))?;
    let mut missing = |what: &str, is_missing: bool| {
        if is_missing {
            complaints.push(format!("missing {what} for {text}"));
        }
    };
    missing("uidvalidity", raw.uidvalidity.is_none());
    missing("createdmodseq", raw.createdmodseq.is_none());
    missing("foldermodseq", raw.foldermodseq.is_none());
    missing("mbtype", raw.mbtype.is_none());
    let letters = raw.mbtype.clone().unwrap_or_else(|| "e".to_owned());
    let remote = raw.server.is_some() || letters.contains('r');
    let server = match &raw.server {
        Some(server) => {
            ServerName::parse(server).map_err(|_| format!("not a server for {text}: {server}"))?
        }
        None => servername.clone(),
    };
    let location = match &raw.partition {
        Some(partition) if partition.len() > MAX_PARTITION => {
            return Err(format!("partition name too long for {text}: {partition}"));
        }
        Some(partition) => Location::new(&server, partition),
        // A frontend's entry may lack one; a backend's cannot.
        None if remote => Location::parse(server.as_str()).map_err(|error| format!("{text}: {error}"))?,
        None => return Err(format!("missing partition for {text}")),
    };
    if !remote && raw.uniqueid.is_none() {
        return Err(format!("missing uniqueid for {text}"));
    }
    let acl = match (raw.acl_text.clone(), raw.acl.as_ref()) {
        (Some(text), _) => text,
        (None, Some(Pairs(pairs))) => {
            pairs.iter().fold(String::new(), |acl, (id, r)| acl + id + "\t" + r + "\t")
        }
        (None, None) => String::new(),
    };
    let moving =
        raw.moving.as_deref().map(Location::parse).transpose().map_err(|e| format!("{text}: {e}"))?;
    Ok((
        name,
        Entry {
            state: if letters.contains('z') { State::Reserved } else { State::Active },
            location,
            acl: acl.into(),
            mtime: raw.mtime.unwrap_or(Number(0)).0,
            seq: 0,
            moving,
            local: (!remote).then(|| Arc::new(local(&raw, &letters))),
        },
    ))
}

fn local(raw: &Raw, letters: &str) -> Local {
    let value = |number: Option<Number>| number.map_or(0, |number| number.0);
    let flags = FLAGS.iter().filter(|(letter, _)| letters.contains(*letter));
    Local {
        flags: flags.fold(Flags::default(), |all, (_, flag)| all | *flag),
        mbtype: letters.chars().filter(|c| !"dmrzil".contains(*c)).collect(),
        uniqueid: raw.uniqueid.clone().unwrap_or_default(),
        uidvalidity: u32::try_from(value(raw.uidvalidity)).unwrap_or(0),
        createdmodseq: value(raw.createdmodseq),
        foldermodseq: value(raw.foldermodseq),
        mtime: value(raw.mtime),
        name_history: raw.name_history.iter().map(RawName::to_old_name).collect(),
    }
}

/// Type and flags: `e`, `er` for one on another server, `erz` for a reserved one.
fn letters(entry: &Entry) -> String {
    let local = entry.local.as_deref();
    let mut out = local.map(|l| l.mbtype.clone()).filter(|t| !t.is_empty()).unwrap_or_else(|| "e".to_owned());
    let flag = |flag| local.is_some_and(|local| local.flags.has(flag));
    let all = [
        ('d', flag(Flags::DELETED)),
        ('m', entry.moving.is_some()),
        ('r', local.is_none()),
        ('z', !entry.is_active()),
        ('i', flag(Flags::INTERMEDIATE)),
        ('l', flag(Flags::LEGACY_DIRS)),
    ];
    out.extend(all.iter().filter(|(_, set)| *set).map(|(letter, _)| *letter));
    out
}

/// Identifiers and rights, if that is all the ACL says and it says each once.
fn acl_pairs(acl: &str) -> Option<Vec<(&str, &str)>> {
    if acl.is_empty() {
        return Some(Vec::new());
    }
    let mut words = acl.strip_suffix('\t')?.split('\t');
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    while let Some(id) = words.next() {
        let rights = words.next()?;
        if id.is_empty() || pairs.iter().any(|(other, _)| *other == id) {
            return None;
        }
        pairs.push((id, rights));
    }
    Some(pairs)
}

fn old_name(old: &OldName) -> String {
    object([
        ("name", quote(&old.name)),
        ("mtime", number(old.mtime)),
        ("uidvalidity", number(old.uidvalidity.into())),
        ("createdmodseq", number(old.createdmodseq)),
        ("foldermodseq", number(old.foldermodseq)),
        ("mbtype", quote(&old.mbtype)),
        ("partition", quote(&old.partition)),
    ])
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<String> =
        fields.into_iter().map(|(key, value)| format!("{}: {value}", quote(key))).collect();
    format!("{{{}}}", fields.join(", "))
}

fn number(number: u64) -> String {
    format!("\"{number}\"")
}

/// A JSON string.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An entry as written.
#[derive(serde::Deserialize)]
#[serde(expecting = "the fields of an entry")]
struct Raw {
    mtime: Option<Number>,
    uidvalidity: Option<Number>,
    createdmodseq: Option<Number>,
    foldermodseq: Option<Number>,
    mbtype: Option<String>,
    partition: Option<String>,
    server: Option<String>,
    acl: Option<Pairs<String>>,
    acl_text: Option<String>,
    uniqueid: Option<String>,
    moving: Option<String>,
    #[serde(default)]
    name_history: Vec<RawName>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "the fields of an old name")]
struct RawName {
    name: String,
    mtime: Option<Number>,
    uidvalidity: Option<Number>,
    createdmodseq: Option<Number>,
    foldermodseq: Option<Number>,
    mbtype: Option<String>,
    partition: Option<String>,
}

impl RawName {
    fn to_old_name(&self) -> OldName {
        let value = |number: Option<Number>| number.map_or(0, |number| number.0);
        OldName {
            name: self.name.clone(),
            mtime: value(self.mtime),
            uidvalidity: u32::try_from(value(self.uidvalidity)).unwrap_or(0),
            createdmodseq: value(self.createdmodseq),
            foldermodseq: value(self.foldermodseq),
            mbtype: self.mbtype.clone().unwrap_or_default(),
            partition: self.partition.clone().unwrap_or_default(),
        }
    }
}

/// A number, written as one or as a string.
#[derive(Clone, Copy)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(u64),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Number(number)),
            Either::Text(text) => {
                text.parse().map(Number).map_err(|_| D::Error::custom(format!("not a number: {text}")))
            }
        }
    }
}

/// An object in the order of its text: the order of an ACL's identifiers is kept.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Pairs<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

const FLAGS: &[(char, Flags)] =
    &[('d', Flags::DELETED), ('i', Flags::INTERMEDIATE), ('l', Flags::LEGACY_DIRS)];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server() -> ServerName {
        ServerName::parse("be1.murder.test").unwrap()
    }

    /// What a backend and a master of Cyrus 3.6.1 print.
    const BACKEND: &str = r#""user.alice": {"name": "user.alice", "mtime": "1795476663", "uidvalidity": "1795476664", "createdmodseq": "1", "foldermodseq": "2", "mbtype": "e", "partition": "default", "acl": {"alice": "lrswipkxtecdan", "anyone": "p"}, "uniqueid": "4ncll2mirs966l6k1m4mvctf", "name_history": []}"#;
    const MASTER: &str = r#""shared": {"name": "shared", "mtime": "1795476663", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "er", "partition": "default", "server": "be1.murder.test", "acl": {"anyone": "lrs"}, "name_history": []}"#;
    const RESERVED: &str = r#""user.r": {"name": "user.r", "mtime": "1795621759", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "erz", "partition": "default", "server": "be1.murder.test", "acl": {}, "name_history": []}"#;

    #[test]
    fn cyruss_own_lines_are_read_and_printed_alike() {
        let text = format!("{BEGIN}{BACKEND}{BETWEEN}{MASTER}{BETWEEN}{RESERVED}{END}");
        let undump = read(&text, &server()).unwrap();
        assert_eq!(undump.complaints, Vec::<String>::new());
        let lines: Vec<String> = undump.entries.iter().map(|(name, entry)| line(name, entry)).collect();
        assert_eq!(lines, [BACKEND, MASTER, RESERVED]);
        assert_eq!(undump.entries[0].1.location.as_str(), "be1.murder.test!default");
        assert!(undump.entries[1].1.local.is_none());
        assert!(read("{\n\n}\n", &server()).unwrap().entries.is_empty());
    }

    #[test]
    fn what_is_missing_is_told_in_cyruss_words() {
        let text = r#"{"user.zed": {"partition": "default", "acl": {"zed": "lrs"}},
            "user.zoe": {"partition": "default", "uniqueid": "abc", "acl": {"zoe": "lrs"}}, "user.yes": {"uniqueid": "x"}}"#;
        let undump = read(text, &server()).unwrap();
        let expected = "missing uidvalidity for user.zed\nmissing createdmodseq for user.zed\n\
            missing foldermodseq for user.zed\nmissing mbtype for user.zed\nmissing uniqueid for user.zed\n\
            missing uidvalidity for user.zoe\nmissing createdmodseq for user.zoe\nmissing foldermodseq for user.zoe\n\
            missing mbtype for user.zoe\nmissing uidvalidity for user.yes\nmissing createdmodseq for user.yes\n\
            missing foldermodseq for user.yes\nmissing mbtype for user.yes\nmissing partition for user.yes";
        assert_eq!(undump.complaints.join("\n"), expected);
        assert_eq!(undump.entries.len(), 1);
    }

    #[test]
    fn a_broken_text_is_told_with_its_line() {
        let error = read("{\n\"a\": {\"acl\": 1}}", &server()).unwrap_err().to_string();
        assert_eq!(error, "parse error at line 2: invalid type: integer `1`, expected an object");
        assert_eq!(read("{bad", &server()).unwrap_err().line, 1);
    }

    proptest! {
        #[test]
        fn a_dump_restores_every_entry(
            name in "[a-z.^!]{1,12}", acl in "([a-zé]{1,4}\t[lrs]{0,3}\t){0,4}|[a-z\t]{0,6}",
            remote in any::<bool>(), reserved in any::<bool>(), flags in 0u32..8, numbers in any::<[u32; 4]>(),
            moving in any::<bool>(),
        ) {
            let name = MailboxName::parse(&name).unwrap();
            let mut entry = Entry::active(Location::parse("be1.murder.test!p1").unwrap(), acl);
            entry.mtime = u64::from(numbers[0]);
            entry.moving = moving.then(|| Location::parse("be9!x").unwrap());
            if reserved {
                entry.state = State::Reserved;
            }
            if !remote {
                let old = OldName { name: "a.b".into(), mtime: 1, mbtype: "e".into(), ..OldName::default() };
                entry = entry.with_local(Local {
                    flags: Flags(flags), mbtype: "c".into(), uniqueid: "u\"1".into(), uidvalidity: numbers[1],
                    createdmodseq: u64::from(numbers[2]) << 20, foldermodseq: u64::from(numbers[3]),
                    mtime: u64::from(numbers[0]), name_history: vec![old],
                });
            }
            let text = format!("{BEGIN}{}{END}", line(&name, &entry));
            let undump = read(&text, &server()).unwrap();
            prop_assert_eq!(&undump.complaints, &Vec::<String>::new());
            prop_assert_eq!(&undump.entries[..], &[(name, entry)][..]);
        }
    }
}
