//! One message of a mailbox, and its annotations (RFC 5257), as they go from server to server.

use crate::flag::Flag;
use crate::grammar::{Cursor, ParseError, Parsed, number, number64};

use super::dlist::{self, Writer};
use super::{Guid, Peer};

/// A RECORD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub uid: u32,
    pub modseq: u64,
    /// When it last changed, epoch seconds.
    pub last_updated: i64,
    /// Without \Expunged.
    pub flags: Vec<Flag>,
    /// It is expunged, and kept.
    pub expunged: bool,
    /// INTERNALDATE, epoch seconds.
    pub internaldate: i64,
    /// Bytes.
    pub size: u64,
    pub guid: Guid,
    /// When it came into the mailbox, epoch seconds; not 0.
    pub savedate: Option<i64>,
    /// The modification sequence that it was made with; not 0.
    pub createdmodseq: Option<u64>,
    /// Cyrus's id of its conversation; not 0.
    pub thread: Option<u64>,
    pub annotations: Vec<Annotation>,
}

/// An annotation of a message or of a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    pub entry: String,
    /// Whose it is; empty: everybody's.
    pub user: String,
    /// None: removed.
    pub value: Option<Vec<u8>>,
    /// When it changed; 0: not told.
    pub modseq: u64,
}

/// Message 0, without anything.
impl Default for Record {
    fn default() -> Self {
        Record {
            uid: 0,
            modseq: 0,
            last_updated: 0,
            flags: Vec::new(),
            expunged: false,
            internaldate: 0,
            size: 0,
            guid: Guid([0; 20]),
            savedate: None,
            createdmodseq: None,
            thread: None,
            annotations: Vec::new(),
        }
    }
}

impl Record {
    /// Reads `%(UID … RECORD)`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Record> {
        let (mut record, mut has) = (Record::default(), [false; 7]);
        let (at, ()) = dlist::fields(at, |key, at| {
            let (at, is) = match key {
                b"UID" => super::take(at, number, &mut record.uid).map(|at| (at, 0))?,
                b"MODSEQ" => super::take(at, number64, &mut record.modseq).map(|at| (at, 1))?,
                b"LAST_UPDATED" => {
                    super::take(at, dlist::time, &mut record.last_updated).map(|at| (at, 2))?
                }
                b"FLAGS" => (record.parse_flags(at)?.0, 3),
                b"INTERNALDATE" => {
                    super::take(at, dlist::time, &mut record.internaldate).map(|at| (at, 4))?
                }
                b"SIZE" => super::take(at, number64, &mut record.size).map(|at| (at, 5))?,
                b"GUID" => super::take(at, Guid::parse, &mut record.guid).map(|at| (at, 6))?,
                b"SAVEDATE" => return super::set(at, dlist::time, &mut record.savedate),
                b"CREATEDMODSEQ" => return super::set(at, number64, &mut record.createdmodseq),
                b"ANNOTATIONS" => return record.parse_annotations(at),
                _ => return dlist::skip(at),
            };
            if let Some(has) = has.get_mut(is) {
                *has = true;
            }
            Ok((at, ()))
        })?;
        record.savedate = record.savedate.filter(|date| *date != 0);
        record.createdmodseq = record.createdmodseq.filter(|modseq| *modseq != 0);
        let is_whole = has.iter().all(|has| *has) && record.uid > 0;
        if is_whole { Ok((at, record)) } else { Err(ParseError::Missing.into()) }
    }

    fn parse_flags<'a>(&mut self, at: Cursor<'a>) -> Parsed<'a, ()> {
        dlist::list(at, |at| {
            let (rest, word) = dlist::text(at)?;
            if word.eq_ignore_ascii_case(b"\\Expunged") {
                self.expunged = true;
                return Ok((rest, ()));
            }
            let mut flag = Cursor::new(&word, crate::grammar::Limits::NONE);
            let read = flag.read(Flag::parse).ok().filter(|_| flag.at_end());
            match read {
                Some(flag) => self.flags.push(flag),
                // A system flag that is not known here, \Recent among them, is not this mailbox's.
                None if word.first() == Some(&b'\\') => {}
                None => return Err(ParseError::Invalid("flag").into()),
            }
            Ok((rest, ()))
        })
    }

    fn parse_annotations<'a>(&mut self, at: Cursor<'a>) -> Parsed<'a, ()> {
        dlist::list(at, |at| {
            let (at, note) = Annotation::parse(at)?;
            let digits = note.value.as_deref().and_then(|value| str::from_utf8(value).ok());
            let number =
                |radix| digits.and_then(|digits| u64::from_str_radix(digits, radix).ok()).filter(|n| *n > 0);
            match (note.entry.as_str(), note.user.as_str()) {
                (SAVEDATE, "") => self.savedate = number(10).map(u64::cast_signed).or(self.savedate),
                (CREATEDMODSEQ, "") => self.createdmodseq = number(10).or(self.createdmodseq),
                (THREAD, "") => self.thread = number(16).or(self.thread),
                _ => self.annotations.push(note),
            }
            Ok((at, ()))
        })
    }

    pub fn write(&self, out: &mut Writer<'_>, peer: Peer) {
        out.fields(|out| {
            out.key("UID").number(self.uid);
            out.key("MODSEQ").number(self.modseq);
            out.key("LAST_UPDATED").time(self.last_updated);
            out.key("FLAGS").list(|out| {
                if self.expunged {
                    out.word("\\Expunged");
                }
                for flag in &self.flags {
                    out.word(&flag.to_string());
                }
            });
            out.key("INTERNALDATE").time(self.internaldate);
            out.key("SIZE").number(self.size);
            out.key("GUID").text(self.guid.to_string());
            if peer == Peer::Ours {
                self.savedate.into_iter().for_each(|date| out.key("SAVEDATE").time(date));
                self.createdmodseq.into_iter().for_each(|modseq| out.key("CREATEDMODSEQ").number(modseq));
            }
            let own = || self.own_annotations().filter(|(entry, _)| peer == Peer::Cyrus || *entry == THREAD);
            if !self.annotations.is_empty() || own().next().is_some() {
                out.key("ANNOTATIONS").list(|out| {
                    for (entry, value) in own() {
                        let (entry, value) = (entry.to_owned(), Some(value.into_bytes()));
                        Annotation { entry, value, ..Annotation::default() }.write(out);
                    }
                    self.annotations.iter().for_each(|annotation| annotation.write(out));
                });
            }
        });
    }

    /// What Cyrus treats as an annotation of everybody's.
    fn own_annotations(&self) -> impl Iterator<Item = (&'static str, String)> {
        let savedate = self.savedate.map(|date| (SAVEDATE, date.to_string()));
        let createdmodseq = self.createdmodseq.map(|modseq| (CREATEDMODSEQ, modseq.to_string()));
        let thread = self.thread.map(|thread| (THREAD, format!("{thread:016x}")));
        [savedate, createdmodseq, thread].into_iter().flatten()
    }

    /// Calls for all that count in SYNC_CRC_ANNOT: entry, user, value.
    pub fn with_annotations(&self, mut each: impl FnMut(&str, &str, &[u8])) {
        for (entry, value) in self.own_annotations() {
            // The thread alone goes with its zeroes and counts without them.
            let value = if entry == THREAD { value.trim_start_matches('0') } else { &value };
            each(entry, "", value.as_bytes());
        }
        for Annotation { entry, user, value, .. } in &self.annotations {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                each(entry, user, value);
            }
        }
    }
}

impl Annotation {
    /// Reads `%(ENTRY … USERID … VALUE … [MODSEQ …])`. A value of NIL is none.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Annotation> {
        let (mut note, mut entry, mut user) = (Annotation::default(), None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ENTRY" => super::set(at, dlist::string, &mut entry),
            b"USERID" => {
                let (at, name) = dlist::optional(at)?;
                user = Some(String::from_utf8_lossy(&name.unwrap_or_default()).into_owned());
                Ok((at, ()))
            }
            b"VALUE" => {
                let (at, value) = dlist::optional(at)?;
                note.value = value.map(std::borrow::Cow::into_owned);
                Ok((at, ()))
            }
            b"MODSEQ" => super::take(at, number64, &mut note.modseq).map(|at| (at, ())),
            _ => dlist::skip(at),
        })?;
        let (Some(entry), Some(user)) = (entry, user) else { return Err(ParseError::Missing.into()) };
        Ok((at, Annotation { entry, user, ..note }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ENTRY").text(&self.entry);
            out.key("USERID").text(&self.user);
            out.key("VALUE").optional(self.value.as_deref());
            out.key("MODSEQ").number(self.modseq);
        });
    }
}

const SAVEDATE: &str = "/vendor/cmu/cyrus-imapd/savedate";
const CREATEDMODSEQ: &str = "/vendor/cmu/cyrus-imapd/createdmodseq";
const THREAD: &str = "/vendor/cmu/cyrus-imapd/thrid";

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;

    fn flag() -> impl Strategy<Value = Flag> {
        prop_oneof![
            Just(Flag::Answered),
            Just(Flag::Flagged),
            Just(Flag::Deleted),
            Just(Flag::Seen),
            Just(Flag::Draft),
            "[a-zA-Z$][a-zA-Z0-9_.-]{0,8}".prop_map(Flag::Keyword),
        ]
    }

    pub fn annotation() -> impl Strategy<Value = Annotation> {
        let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
        ("/[a-z]{1,4}/[a-z]{1,4}", "[a-z@ .]{0,6}", value, any::<u64>())
            .prop_map(|(entry, user, value, modseq)| Annotation { entry, user, value, modseq })
    }

    /// Any message.
    pub fn record() -> impl Strategy<Value = Record> {
        let numbers = (1u32.., any::<u64>(), any::<i64>(), any::<i64>(), any::<u64>(), any::<[u8; 20]>());
        let above = || proptest::option::of(1u64..);
        let own = (proptest::option::of(1i64..), above(), above());
        let flags = (proptest::collection::vec(flag(), 0..4), any::<bool>());
        (numbers, own, flags, proptest::collection::vec(annotation(), 0..3)).prop_map(
            |((uid, modseq, last_updated, internaldate, size, guid), own, (flags, expunged), annotations)| {
                let (savedate, createdmodseq, thread) = own;
                Record {
                    uid,
                    modseq,
                    last_updated,
                    flags,
                    expunged,
                    internaldate,
                    size,
                    guid: Guid(guid),
                    savedate,
                    createdmodseq,
                    thread,
                    annotations,
                }
            },
        )
    }

    #[test]
    fn a_record_of_cyrus_is_read() {
        let text = b"%(UID 3 MODSEQ 12 LAST_UPDATED 1764000000 FLAGS (\\Expunged \\Seen $Forwarded \\Recent) INTERNALDATE 1763999999 \
            SIZE 532 GUID 0123456789abcdef0123456789abcdef01234567 NEW %(A (1 2)) ANNOTATIONS (%(ENTRY \
            /vendor/cmu/cyrus-imapd/savedate USERID \"\" VALUE 1764000001 MODSEQ 0) %(ENTRY /comment USERID alice VALUE {3}\r\na\0b \
            MODSEQ 11)))";
        let record = Cursor::new(text, Limits::NONE).read(Record::parse).unwrap();
        assert_eq!((record.uid, record.modseq, record.size, record.expunged), (3, 12, 532, true));
        assert_eq!(record.flags, [Flag::Seen, Flag::Keyword("$Forwarded".into())]);
        assert_eq!((record.savedate, record.createdmodseq), (Some(1_764_000_001), None));
        let [note] = record.annotations.as_slice() else { panic!("{record:?}") };
        assert_eq!(
            (note.user.as_str(), note.value.as_deref(), note.modseq),
            ("alice", Some(&b"a\0b"[..]), 11)
        );
    }

    #[test]
    fn a_record_without_one_of_its_keys_is_none() {
        let whole = "UID 3,MODSEQ 1,LAST_UPDATED 2,FLAGS (),INTERNALDATE 4,SIZE 5,GUID 0123456789abcdef0123456789abcdef01234567";
        let read = |text: String| Cursor::new(text.as_bytes(), Limits::NONE).read(Record::parse);
        assert!(read(format!("%({})", whole.replace(',', " "))).is_ok());
        for left_out in whole.split(',') {
            let rest: Vec<_> = whole.split(',').filter(|key| *key != left_out).collect();
            assert_eq!(read(format!("%({})", rest.join(" "))), Err(ParseError::Missing), "{left_out}");
        }
        assert!(read("%(UID 0)".into()).is_err());
    }

    proptest! {
        #[test]
        fn a_record_that_is_printed_is_read_back(record in record(), ours: bool) {
            let (mut out, peer) = (Vec::new(), if ours { Peer::Ours } else { Peer::Cyrus });
            record.write(&mut Writer::command(&mut out), peer);
            let mut at = Cursor::new(out.trim_ascii_start(), Limits::NONE);
            prop_assert_eq!(at.read(Record::parse), Ok(record));
            prop_assert!(at.at_end());
        }
    }
}
