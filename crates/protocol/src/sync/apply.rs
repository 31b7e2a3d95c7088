//! SYNCAPPLY: what the other side is to have.
//!
//! ```text
//! apply = verb SP value
//! ```
//!
//! `MESSAGE` is read in runs, as APPEND is: its bytes are streamed to files ([`Upload`]).

use crate::grammar::{Cursor, Keyword, ParseError, Parsed, argument, atom};
use crate::name::MailboxName;

use super::dlist::{self, File, Writer};
use super::moving::{self, Begin, MoveId, Prepare, Round};
use super::user::{MailboxAnnotation, Quota, Script, Seen, Subscription, name};
use super::{Guid, Mailbox, Peer};

/// What is to be done. The forms with `LOCAL_` leave the MUPDATE master alone: those of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apply {
    /// What the sender would send besides, if the other side said that it takes it.
    Capabilities(Vec<String>),
    /// MESSAGE without any.
    NoMessages,
    Reserve(Reserve),
    LocalMailbox(Box<Mailbox>),
    LocalUnmailbox(MailboxName),
    LocalRename(Rename),
    Quota(Quota),
    Unquota(MailboxName),
    Subscribe(Subscription),
    Unsubscribe(Subscription),
    Seen(Seen),
    Annotation(MailboxAnnotation),
    /// Its value says nothing.
    Unannotation(MailboxAnnotation),
    Sieve(Script),
    Unsieve(Script),
    ActivateSieve(Script),
    UnactivateSieve(Script),
    /// Replication (MAILBOX, UNMAILBOX, RENAME, UNUSER, EXPUNGE), which is not served: a word of it.
    Replication(&'static str),
    Begin(Begin),
    Round(Round),
    Prepare(Prepare),
    Commit(MoveId),
    Abort(MoveId),
    State(MoveId),
}

/// RESERVE: which of these messages are in one of these mailboxes already? The others are told as MISSING, and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    pub partition: String,
    pub names: Vec<MailboxName>,
    pub guids: Vec<Guid>,
}

/// LOCAL_RENAME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    pub from: MailboxName,
    pub to: MailboxName,
    pub partition: String,
}

impl Apply {
    /// Reads what stands behind `SYNCAPPLY SP`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Apply> {
        let (at, word) = atom(at)?;
        let word = Keyword::of(word.as_bytes());
        if let Some(verb) = REPLICATION.iter().find(|verb| verb.as_bytes() == word.as_bytes()) {
            return argument(dlist::skip)(at).map(|(at, ())| (at, Apply::Replication(verb)));
        }
        match word.as_bytes() {
            b"CAPABILITIES" => with(at, capabilities, Apply::Capabilities),
            b"MESSAGE" => with(at, |at| dlist::list(at, |_| Err(NO_BYTES.into())), |()| Apply::NoMessages),
            b"RESERVE" => with(at, Reserve::parse, Apply::Reserve),
            b"LOCAL_MAILBOX" => with(at, applied, |mailbox| Apply::LocalMailbox(Box::new(mailbox))),
            b"LOCAL_UNMAILBOX" => with(at, name, Apply::LocalUnmailbox),
            b"LOCAL_RENAME" => with(at, Rename::parse, Apply::LocalRename),
            b"QUOTA" => with(at, Quota::parse, Apply::Quota),
            b"UNQUOTA" => with(at, name, Apply::Unquota),
            b"SUB" => with(at, Subscription::parse, Apply::Subscribe),
            b"UNSUB" => with(at, Subscription::parse, Apply::Unsubscribe),
            b"SEEN" => with(at, Seen::parse, Apply::Seen),
            b"ANNOTATION" => with(at, MailboxAnnotation::parse, Apply::Annotation),
            b"UNANNOTATION" => with(at, MailboxAnnotation::parse, Apply::Unannotation),
            b"SIEVE" => with(at, Script::parse, Apply::Sieve),
            b"UNSIEVE" => with(at, Script::parse, Apply::Unsieve),
            b"ACTIVATE_SIEVE" => with(at, Script::parse, Apply::ActivateSieve),
            b"UNACTIVATE_SIEVE" => with(at, Script::parse, Apply::UnactivateSieve),
            b"XBEGIN" => with(at, Begin::parse, Apply::Begin),
            b"XROUND" => with(at, Round::parse, Apply::Round),
            b"XPREPARE" => with(at, Prepare::parse, Apply::Prepare),
            b"XCOMMIT" => with(at, moving::id, Apply::Commit),
            b"XABORT" => with(at, moving::id, Apply::Abort),
            b"XSTATE" => with(at, moving::id, Apply::State),
            _ => Err(ParseError::Unrecognized.into()),
        }
    }

    /// Prints `tag SYNCAPPLY …` with its line end. `peer`: what of a mailbox it knows. What is not served is not printed either.
    pub fn write(&self, tag: &str, peer: Peer, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{tag} SYNCAPPLY").as_bytes());
        let mut out = Writer::command(out);
        let key = out.key(self.verb());
        match self {
            Apply::Capabilities(words) => key.list(|out| words.iter().for_each(|word| out.text(word))),
            Apply::NoMessages => key.list(|_| {}),
            Apply::Reserve(reserve) => reserve.write(key),
            Apply::LocalMailbox(mailbox) => mailbox.write(key, peer),
            Apply::LocalUnmailbox(name) | Apply::Unquota(name) => key.text(name.as_str()),
            Apply::LocalRename(rename) => rename.write(key),
            Apply::Quota(quota) => quota.write(key),
            Apply::Subscribe(one) | Apply::Unsubscribe(one) => one.write(key),
            Apply::Seen(seen) => seen.write(key),
            Apply::Annotation(note) | Apply::Unannotation(note) => note.write(key),
            Apply::Sieve(script)
            | Apply::Unsieve(script)
            | Apply::ActivateSieve(script)
            | Apply::UnactivateSieve(script) => script.write(key),
            Apply::Replication(_) => key.nil(),
            Apply::Begin(begin) => begin.write(key),
            Apply::Round(round) => round.write(key),
            Apply::Prepare(prepare) => prepare.write(key),
            Apply::Commit(id) | Apply::Abort(id) | Apply::State(id) => moving::write_id(id, key),
        }
        out.end();
    }

    fn verb(&self) -> &'static str {
        match self {
            Apply::Capabilities(_) => "CAPABILITIES",
            Apply::NoMessages => "MESSAGE",
            Apply::Reserve(_) => "RESERVE",
            Apply::LocalMailbox(_) => "LOCAL_MAILBOX",
            Apply::LocalUnmailbox(_) => "LOCAL_UNMAILBOX",
            Apply::LocalRename(_) => "LOCAL_RENAME",
            Apply::Quota(_) => "QUOTA",
            Apply::Unquota(_) => "UNQUOTA",
            Apply::Subscribe(_) => "SUB",
            Apply::Unsubscribe(_) => "UNSUB",
            Apply::Seen(_) => "SEEN",
            Apply::Annotation(_) => "ANNOTATION",
            Apply::Unannotation(_) => "UNANNOTATION",
            Apply::Sieve(_) => "SIEVE",
            Apply::Unsieve(_) => "UNSIEVE",
            Apply::ActivateSieve(_) => "ACTIVATE_SIEVE",
            Apply::UnactivateSieve(_) => "UNACTIVATE_SIEVE",
            Apply::Replication(verb) => verb,
            Apply::Begin(_) => "XBEGIN",
            Apply::Round(_) => "XROUND",
            Apply::Prepare(_) => "XPREPARE",
            Apply::Commit(_) => "XCOMMIT",
            Apply::Abort(_) => "XABORT",
            Apply::State(_) => "XSTATE",
        }
    }
}

/// `SP value`
fn with<'a, T>(
    at: Cursor<'a>,
    value: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
    what: impl FnOnce(T) -> Apply,
) -> Parsed<'a, Apply> {
    argument(value)(at).map(|(at, value)| (at, what(value)))
}

fn capabilities(at: Cursor<'_>) -> Parsed<'_, Vec<String>> {
    let mut words = Vec::new();
    let (at, ()) = dlist::list(at, |at| super::push(at, dlist::string, &mut words))?;
    Ok((at, words))
}

/// A mailbox whose messages are told, none or some.
fn applied(at: Cursor<'_>) -> Parsed<'_, Mailbox> {
    match Mailbox::parse(at)? {
        (_, Mailbox { records: None, .. }) => Err(ParseError::Missing.into()),
        found => Ok(found),
    }
}

impl Reserve {
    fn parse(at: Cursor<'_>) -> Parsed<'_, Reserve> {
        let (mut partition, mut names, mut guids) = (None, None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"PARTITION" => super::set(at, dlist::string, &mut partition),
            b"MBOXNAME" => {
                let names = names.insert(Vec::new());
                dlist::list(at, |at| super::push(at, name, names))
            }
            b"GUID" => {
                let guids = guids.insert(Vec::new());
                dlist::list(at, |at| super::push(at, Guid::parse, guids))
            }
            _ => dlist::skip(at),
        })?;
        let (Some(partition), Some(names), Some(guids)) = (partition, names, guids) else {
            return Err(ParseError::Missing.into());
        };
        Ok((at, Reserve { partition, names, guids }))
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("PARTITION").text(&self.partition);
            out.key("MBOXNAME").list(|out| self.names.iter().for_each(|name| out.text(name.as_str())));
            out.key("GUID").list(|out| self.guids.iter().for_each(|guid| out.text(guid.to_string())));
        });
    }
}

impl Rename {
    fn parse(at: Cursor<'_>) -> Parsed<'_, Rename> {
        let (mut from, mut to, mut partition) = (None, None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"OLDMBOXNAME" => super::set(at, name, &mut from),
            b"NEWMBOXNAME" => super::set(at, name, &mut to),
            b"PARTITION" => super::set(at, dlist::string, &mut partition),
            _ => dlist::skip(at),
        })?;
        let (Some(from), Some(to), Some(partition)) = (from, to, partition) else {
            return Err(ParseError::Missing.into());
        };
        Ok((at, Rename { from, to, partition }))
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("OLDMBOXNAME").text(self.from.as_str());
            out.key("NEWMBOXNAME").text(self.to.as_str());
            out.key("PARTITION").text(&self.partition);
        });
    }
}

/// A SYNCAPPLY MESSAGE, run by run of its text: each ends in the header of a file, or ends the command.
///
/// ```text
/// C: S2 SYNCAPPLY MESSAGE (%{default <guid> 532}      the first run
/// C: <532 octets> %{default <guid> 1044}              a further one
/// C: <1044 octets>)                                   the last one
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload;

impl Upload {
    /// Reads the text before the first file, whose header ends it: what stands behind `SYNCAPPLY SP`.
    pub fn first(at: Cursor<'_>) -> Parsed<'_, File> {
        let (at, word) = atom(at)?;
        if !word.eq_ignore_ascii_case("MESSAGE") {
            return Err(NO_BYTES.into());
        }
        let (at, ()) = argument(crate::grammar::parenthesis(b'('))(at)?;
        File::parse(at)
    }

    /// Reads the text behind a file's bytes: the next one's header, or none where the command ends.
    pub fn next(text: &[u8]) -> Result<Option<File>, ParseError> {
        let mut at = Cursor::new(crate::frame::trim_line(text), crate::grammar::Limits::NONE);
        let file = at.read(|at| match at.rest().trim_ascii() {
            b")" => Ok((at.with(&[]), None)),
            _ => argument(File::parse)(at).map(|(at, file)| (at, Some(file))),
        })?;
        if at.at_end() { Ok(file) } else { Err(ParseError::Extra) }
    }

    /// Prints the beginning of the command. Behind it stands for each message [`Upload::put`] and its bytes, then [`Upload::end`].
    pub fn begin(tag: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{tag} SYNCAPPLY MESSAGE (").as_bytes());
    }

    /// Prints the header of a file, which is the first of the command or a later one.
    pub fn put(file: &File, is_first: bool, out: &mut Vec<u8>) {
        if !is_first {
            out.push(b' ');
        }
        file.write(out);
    }

    pub fn end(out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }
}

const NO_BYTES: ParseError = ParseError::Invalid("file literal");
/// What a replica is told, and no destination of a move.
const REPLICATION: [&str; 5] = ["MAILBOX", "UNMAILBOX", "RENAME", "UNUSER", "EXPUNGE"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;
    use crate::location::ServerName;
    use crate::sync::moving::{Digest, Item};
    use crate::sync::{UniqueId, mailbox};

    fn read(text: &[u8]) -> Result<Apply, ParseError> {
        let mut at = Cursor::new(crate::frame::trim_line(text), Limits::NONE);
        let apply = at.read(Apply::parse)?;
        if at.at_end() { Ok(apply) } else { Err(ParseError::Extra) }
    }

    fn any_name() -> impl Strategy<Value = MailboxName> {
        "user\\.[a-z^]{1,5}(\\.[a-z ]{1,5})?".prop_map(|name| MailboxName::parse(&name).unwrap())
    }

    fn item() -> impl Strategy<Value = Item> {
        ("[a-zA-Z0-9-]{1,64}", any_name())
            .prop_map(|(uniqueid, name)| Item { uniqueid: UniqueId::new(&uniqueid).unwrap(), name })
    }

    fn apply() -> impl Strategy<Value = Apply> {
        let id = || "[a-z0-9-]{1,40}".prop_map(|id| UniqueId::new(&id).unwrap());
        let items = || proptest::collection::vec(item(), 0..4);
        let digest = || any::<[u8; 32]>().prop_map(Digest);
        let guids = proptest::collection::vec(any::<[u8; 20]>().prop_map(Guid), 0..4);
        let names = proptest::collection::vec(any_name(), 0..4);
        let digests = proptest::collection::vec((id(), digest()), 0..4);
        prop_oneof![
            proptest::collection::vec("[A-Z-]{1,9}", 0..3).prop_map(Apply::Capabilities),
            Just(Apply::NoMessages),
            (names, guids).prop_map(|(names, guids)| {
                Apply::Reserve(Reserve { partition: "default".into(), names, guids })
            }),
            mailbox::tests::mailbox().prop_map(|mailbox| {
                let records = Some(mailbox.records.unwrap_or_default());
                Apply::LocalMailbox(Box::new(Mailbox { records, ..mailbox }))
            }),
            any_name().prop_map(Apply::LocalUnmailbox),
            (any_name(), any_name()).prop_map(|(from, to)| {
                Apply::LocalRename(Rename { from, to, partition: "default".into() })
            }),
            any_name().prop_map(Apply::Unquota),
            ("[a-z]{1,5}", any_name())
                .prop_map(|(user, name)| Apply::Unsubscribe(Subscription { user, name })),
            ("[a-z]{1,5}", any::<Vec<u8>>()).prop_map(|(user, content)| {
                Apply::Sieve(Script { user, file: "a b".into(), last_update: 5, content })
            }),
            (id(), any_name(), items(), any::<u64>()).prop_map(|(id, root, items, bytes)| {
                let from = ServerName::parse("be1.example.org").unwrap();
                Apply::Begin(Begin { id, from, root, partition: "default".into(), items, bytes })
            }),
            (id(), any::<u32>(), items()).prop_map(|(id, round, items)| Apply::Round(Round {
                id,
                round,
                items
            })),
            (id(), proptest::option::of(digest()), digests).prop_map(|(id, user, digests)| {
                let fence = user.map(|_| "0123:7".to_owned());
                Apply::Prepare(Prepare { id, user, digests, fence })
            }),
            id().prop_map(Apply::Commit),
            id().prop_map(Apply::Abort),
            id().prop_map(Apply::State),
        ]
    }

    #[test]
    fn what_cyrus_sends_is_understood() {
        let capabilities = Apply::Capabilities(vec!["SIEVE-MAILBOX".into()]);
        assert_eq!(read(b"CAPABILITIES (SIEVE-MAILBOX)\r\n"), Ok(capabilities));
        let Ok(Apply::Reserve(reserve)) = read(
            b"RESERVE %(PARTITION default MBOXNAME (user.a user.a.b) GUID (0123456789abcdef0123456789abcdef01234567))",
        ) else {
            panic!()
        };
        assert_eq!((reserve.names.len(), reserve.guids.len()), (2, 1));
        let Ok(Apply::Subscribe(one)) = read(b"SUB %(USERID alice MBOXNAME user.alice.x)") else { panic!() };
        assert_eq!((one.user.as_str(), one.name.as_str()), ("alice", "user.alice.x"));
        let Ok(Apply::Seen(seen)) =
            read(b"SEEN %(USERID alice UNIQUEID 2bakz8 LASTREAD 5 LASTUID 3 LASTCHANGE 6 SEENUIDS 1:3)")
        else {
            panic!()
        };
        assert_eq!((seen.lastuid, seen.uids.as_str()), (3, "1:3"));
        assert_eq!(read(b"MAILBOX %(A (1 2))"), Ok(Apply::Replication("MAILBOX")));
        assert_eq!(read(b"FROBNICATE x"), Err(ParseError::Unrecognized));
        assert!(read(b"LOCAL_MAILBOX %(UNIQUEID a)").is_err() && read(b"SUB %(USERID a)").is_err());
        assert!(read(b"SUB").is_err() && read(b"UNQUOTA user.a x").is_err());
    }

    #[test]
    fn messages_come_in_runs() {
        let guid = Guid([7; 20]);
        let files = [5, 0, 9].map(|size| File { partition: "default".into(), guid, size });
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        Upload::begin("S2", &mut out);
        for (n, file) in files.iter().enumerate() {
            Upload::put(file, n == 0, &mut out);
            runs.push(std::mem::take(&mut out));
        }
        Upload::end(&mut out);
        let first = Cursor::new(crate::frame::trim_line(&runs[0][b"S2 SYNCAPPLY ".len()..]), Limits::NONE)
            .read(Upload::first);
        assert_eq!(first, Ok(files[0].clone()));
        assert_eq!(Upload::next(&runs[1]), Ok(Some(files[1].clone())));
        assert_eq!(Upload::next(&runs[2]), Ok(Some(files[2].clone())));
        assert_eq!(Upload::next(&out), Ok(None));
        for bad in [&b"\r\n"[..], b"x)\r\n", b") x\r\n", b" x\r\n", b" %{a b 5}\r\n"] {
            assert!(Upload::next(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn a_command_that_is_printed_is_read_back(apply in apply()) {
            let mut out = Vec::new();
            apply.write("S1", Peer::Ours, &mut out);
            let text = out.strip_prefix(b"S1 SYNCAPPLY ").expect("the command");
            prop_assert_eq!(read(text), Ok(apply));
        }
    }
}
