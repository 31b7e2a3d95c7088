//! A mailbox as it goes from server to server: what is known of it, and its messages or those that changed.
//!
//! ```text
//! C: S3 SYNCAPPLY LOCAL_MAILBOX %(UNIQUEID … MBOXNAME … LAST_UID … RECORD (%(UID …) …))
//! S: * MAILBOX %(UNIQUEID … MBOXNAME … SYNC_CRC … LAST_UID …)
//! ```

use crate::grammar::{Cursor, ParseError, Parsed, number, number64};
use crate::name::MailboxName;

use super::dlist::{self, Writer};
use super::record::{Annotation, Record};
use super::{Crc, Peer, UniqueId};

/// A MAILBOX. Times are epoch seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub uniqueid: UniqueId,
    pub name: MailboxName,
    /// MBOXTYPE, Cyrus's type letters; none: mail.
    pub kind: Option<String>,
    /// Of all live messages, those that are not told among them.
    pub crc: Option<Crc>,
    pub last_uid: u32,
    pub highestmodseq: u64,
    /// Messages above it are \Recent to the owner's next session, and when that was set.
    pub recentuid: u32,
    pub recenttime: i64,
    pub last_append: i64,
    pub pop3_last_login: i64,
    pub pop3_show_after: i64,
    pub uidvalidity: u32,
    pub partition: String,
    /// In Cyrus's internal form.
    pub acl: String,
    pub options: Options,
    pub quotaroot: Option<MailboxName>,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    /// Expunges up to this one are no longer remembered; none: the other side does not say (Cyrus up to 3.12).
    pub deletedmodseq: Option<u64>,
    /// Of the mailbox itself: all of them.
    pub annotations: Vec<Annotation>,
    /// What the other side must have for this to be the difference to it.
    pub since: Option<Since>,
    /// None: only what is known of the mailbox was asked for.
    pub records: Option<Vec<Record>>,
    /// What servers of ours tell one another besides.
    pub ours: Option<Ours>,
}

/// A state of the other side's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    pub highestmodseq: u64,
    pub crc: Crc,
}

/// Option bits, as Cyrus numbers them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options(pub u64);

/// What Cyrus has no key for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ours {
    /// Messages that are not told are not there.
    pub whole: bool,
    /// Annotations that the header of the mailbox has; those beside it are its index's, and one of them without a value hides one here.
    pub header: Vec<Annotation>,
    /// When the mailbox itself last changed, epoch seconds.
    pub mtime: u64,
    /// UIDs that are gone, by modification sequence; of an update those that went since.
    pub gone: Vec<Gone>,
    /// UIDs of expunged messages that are kept no longer: their records go.
    pub forgotten: Vec<(u32, u32)>,
    /// Names that it had, newest first.
    pub history: Vec<FormerName>,
}

/// UIDs that went in one change, `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    pub first: u32,
    pub last: u32,
    pub modseq: u64,
    /// Epoch seconds.
    pub time: i64,
}

/// A name that a mailbox had before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormerName {
    pub name: String,
    pub mtime: u64,
    pub uidvalidity: u32,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    pub kind: String,
    pub partition: String,
}

impl Mailbox {
    /// Reads `%(UNIQUEID …)`. What no mailbox can be without is [`ParseError::Missing`]: what Cyrus refuses as well. `RECORD` alone may
    /// be missing, as it is in answers.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Mailbox> {
        let mut read = Reading::default();
        let (at, ()) = dlist::fields(at, |key, at| read.field(key, at))?;
        let mailbox = read.finish().ok_or(ParseError::Missing)?;
        Ok((at, mailbox))
    }

    /// Prints `%(…)`. The checksums stand where they are known.
    pub fn write(&self, out: &mut Writer<'_>, peer: Peer) {
        out.fields(|out| {
            self.write_numbers(out);
            out.key("PARTITION").text(&self.partition);
            out.key("ACL").text(&self.acl);
            out.key("OPTIONS").text(self.options.letters());
            if let Some(root) = &self.quotaroot {
                out.key("QUOTAROOT").text(root.as_str());
            }
            out.key("CREATEDMODSEQ").number(self.createdmodseq);
            out.key("FOLDERMODSEQ").number(self.foldermodseq);
            if !self.annotations.is_empty() {
                out.key("ANNOTATIONS").list(|out| {
                    self.annotations.iter().for_each(|annotation| annotation.write(out));
                });
            }
            if let Some(since) = &self.since {
                out.key("SINCE_MODSEQ").number(since.highestmodseq);
                out.key("SINCE_CRC").number(since.crc.messages);
                out.key("SINCE_CRC_ANNOT").number(since.crc.annotations);
            }
            if peer == Peer::Ours {
                self.deletedmodseq.into_iter().for_each(|modseq| out.key("DELETEDMODSEQ").number(modseq));
                self.ours.iter().for_each(|ours| ours.write(self.options, out));
            }
            if let Some(records) = &self.records {
                out.key("RECORD").list(|out| records.iter().for_each(|record| record.write(out, peer)));
            }
        });
    }

    fn write_numbers(&self, out: &mut Writer<'_>) {
        out.key("UNIQUEID").text(self.uniqueid.as_str());
        out.key("MBOXNAME").text(self.name.as_str());
        if let Some(kind) = &self.kind {
            out.key("MBOXTYPE").text(kind);
        }
        if let Some(crc) = &self.crc {
            out.key("SYNC_CRC").number(crc.messages);
            out.key("SYNC_CRC_ANNOT").number(crc.annotations);
        }
        out.key("LAST_UID").number(self.last_uid);
        out.key("HIGHESTMODSEQ").number(self.highestmodseq);
        out.key("RECENTUID").number(self.recentuid);
        out.key("RECENTTIME").time(self.recenttime);
        out.key("LAST_APPENDDATE").time(self.last_append);
        out.key("POP3_LAST_LOGIN").time(self.pop3_last_login);
        out.key("POP3_SHOW_AFTER").time(self.pop3_show_after);
        out.key("UIDVALIDITY").number(self.uidvalidity);
    }
}

/// What has been read of a mailbox.
#[derive(Default)]
struct Reading {
    uniqueid: Option<UniqueId>,
    name: Option<String>,
    kind: Option<String>,
    crc: Option<u32>,
    crc_annotations: Option<u32>,
    last_uid: Option<u32>,
    highestmodseq: Option<u64>,
    recentuid: Option<u32>,
    recenttime: Option<i64>,
    last_append: Option<i64>,
    pop3_last_login: Option<i64>,
    pop3_show_after: i64,
    uidvalidity: Option<u32>,
    partition: Option<String>,
    acl: Option<String>,
    options: Option<Options>,
    quotaroot: Option<String>,
    createdmodseq: u64,
    foldermodseq: u64,
    deletedmodseq: Option<u64>,
    annotations: Vec<Annotation>,
    since: Option<u64>,
    since_crc: Option<u32>,
    since_annotations: Option<u32>,
    records: Option<Vec<Record>>,
    ours: Option<Ours>,
    bits: Option<u64>,
}

impl Reading {
    fn field<'a>(&mut self, key: &[u8], at: Cursor<'a>) -> Parsed<'a, ()> {
        use super::{set, take};
        match key {
            b"UNIQUEID" => set(at, UniqueId::parse, &mut self.uniqueid),
            b"MBOXNAME" => set(at, dlist::string, &mut self.name),
            b"MBOXTYPE" => set(at, dlist::string, &mut self.kind),
            b"SYNC_CRC" => set(at, number, &mut self.crc),
            b"SYNC_CRC_ANNOT" => set(at, number, &mut self.crc_annotations),
            b"LAST_UID" => set(at, number, &mut self.last_uid),
            b"HIGHESTMODSEQ" => set(at, number64, &mut self.highestmodseq),
            b"RECENTUID" => set(at, number, &mut self.recentuid),
            b"RECENTTIME" => set(at, dlist::time, &mut self.recenttime),
            b"LAST_APPENDDATE" => set(at, dlist::time, &mut self.last_append),
            b"POP3_LAST_LOGIN" => set(at, dlist::time, &mut self.pop3_last_login),
            b"POP3_SHOW_AFTER" => take(at, dlist::time, &mut self.pop3_show_after).map(|at| (at, ())),
            b"UIDVALIDITY" => set(at, number, &mut self.uidvalidity),
            b"PARTITION" => set(at, dlist::string, &mut self.partition),
            b"ACL" => set(at, dlist::string, &mut self.acl),
            b"OPTIONS" => set(at, Options::parse, &mut self.options),
            b"QUOTAROOT" => set(at, dlist::string, &mut self.quotaroot),
            b"CREATEDMODSEQ" => take(at, number64, &mut self.createdmodseq).map(|at| (at, ())),
            b"FOLDERMODSEQ" => take(at, number64, &mut self.foldermodseq).map(|at| (at, ())),
            b"DELETEDMODSEQ" => set(at, number64, &mut self.deletedmodseq),
            b"ANNOTATIONS" => {
                self.annotations.clear();
                dlist::list(at, |at| super::push(at, Annotation::parse, &mut self.annotations))
            }
            b"SINCE_MODSEQ" => set(at, number64, &mut self.since),
            b"SINCE_CRC" => set(at, number, &mut self.since_crc),
            b"SINCE_CRC_ANNOT" => set(at, number, &mut self.since_annotations),
            b"RECORD" => {
                let records = self.records.insert(Vec::new());
                dlist::list(at, |at| super::push(at, Record::parse, records))
            }
            b"X-OPTIONS" => set(at, number64, &mut self.bits),
            _ => self.ours.get_or_insert_default().field(key, at),
        }
    }

    fn finish(self) -> Option<Mailbox> {
        let name = |text: String| MailboxName::parse(&text).ok();
        let crc = |messages: Option<u32>, annotations: Option<u32>| {
            Some(Crc { messages: messages?, annotations: annotations? })
        };
        let since = self.since.filter(|modseq| *modseq > 0).map(|highestmodseq| Since {
            highestmodseq,
            crc: crc(self.since_crc, self.since_annotations).unwrap_or(Crc { messages: 0, annotations: 0 }),
        });
        Some(Mailbox {
            uniqueid: self.uniqueid?,
            name: name(self.name?)?,
            kind: self.kind,
            crc: crc(self.crc, self.crc_annotations),
            last_uid: self.last_uid?,
            highestmodseq: self.highestmodseq?,
            recentuid: self.recentuid?,
            recenttime: self.recenttime?,
            last_append: self.last_append?,
            pop3_last_login: self.pop3_last_login?,
            pop3_show_after: self.pop3_show_after,
            uidvalidity: self.uidvalidity?,
            partition: self.partition?,
            acl: self.acl?,
            options: self.bits.map(Options).or(self.options)?,
            quotaroot: self.quotaroot.and_then(name),
            createdmodseq: self.createdmodseq,
            foldermodseq: self.foldermodseq,
            deletedmodseq: self.deletedmodseq,
            annotations: self.annotations,
            since,
            records: self.records,
            ours: self.bits.and(self.ours),
        })
    }
}

impl Options {
    /// Those that Cyrus tells, as letters.
    pub fn letters(self) -> String {
        OPTIONS.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(letter, _)| *letter).collect()
    }

    /// Letters that are not known are passed over.
    fn parse(at: Cursor<'_>) -> Parsed<'_, Options> {
        let (at, letters) = dlist::optional(at)?;
        let letters = letters.unwrap_or_default();
        let set =
            OPTIONS.iter().filter(|(letter, _)| letters.iter().any(|byte| char::from(*byte) == *letter));
        Ok((at, Options(set.fold(0, |bits, (_, bit)| bits | bit))))
    }
}

impl Ours {
    fn field<'a>(&mut self, key: &[u8], at: Cursor<'a>) -> Parsed<'a, ()> {
        match key {
            b"X-WHOLE" => {
                let (at, whole) = number(at)?;
                self.whole = whole > 0;
                Ok((at, ()))
            }
            b"X-HEADER" => dlist::list(at, |at| super::push(at, Annotation::parse, &mut self.header)),
            b"X-MTIME" => super::take(at, number64, &mut self.mtime).map(|at| (at, ())),
            b"X-GONE" => dlist::list(at, |at| super::push(at, Gone::parse, &mut self.gone)),
            b"X-FORGOTTEN" => dlist::list(at, |at| super::push(at, range, &mut self.forgotten)),
            b"X-HISTORY" => dlist::list(at, |at| super::push(at, FormerName::parse, &mut self.history)),
            _ => dlist::skip(at),
        }
    }

    fn write(&self, options: Options, out: &mut Writer<'_>) {
        out.key("X-OPTIONS").number(options.0);
        if self.whole {
            out.key("X-WHOLE").number(1u32);
        }
        out.key("X-HEADER").list(|out| self.header.iter().for_each(|annotation| annotation.write(out)));
        out.key("X-MTIME").number(self.mtime);
        out.key("X-GONE").list(|out| {
            for gone in &self.gone {
                out.list(|out| {
                    out.number(gone.first);
                    out.number(gone.last);
                    out.number(gone.modseq);
                    out.time(gone.time);
                });
            }
        });
        out.key("X-FORGOTTEN").list(|out| {
            for (first, last) in &self.forgotten {
                out.list(|out| {
                    out.number(*first);
                    out.number(*last);
                });
            }
        });
        out.key("X-HISTORY").list(|out| self.history.iter().for_each(|former| former.write(out)));
    }
}

/// `"(" first SP last ")"`
fn range(at: Cursor<'_>) -> Parsed<'_, (u32, u32)> {
    let (at, numbers) = numbers(at)?;
    match numbers {
        [first, last, ..] if first > 0 && first <= last => Ok((at, (uid(first)?, uid(last)?))),
        _ => Err(ParseError::Invalid("range of UIDs").into()),
    }
}

/// `"(" 1*4number ")"`; those that are missing are 0.
fn numbers(at: Cursor<'_>) -> Parsed<'_, [u64; 4]> {
    let (mut numbers, mut next) = ([0; 4], 0);
    let (at, ()) = dlist::list(at, |at| {
        let (at, number) = number64(at)?;
        *numbers.get_mut(next).ok_or(ParseError::Invalid("list of numbers"))? = number;
        next += 1;
        Ok((at, ()))
    })?;
    Ok((at, numbers))
}

fn uid(number: u64) -> Result<u32, ParseError> {
    u32::try_from(number).map_err(|_| ParseError::Invalid("UID"))
}

impl Gone {
    /// `"(" first SP last SP modseq SP time ")"`
    fn parse(at: Cursor<'_>) -> Parsed<'_, Gone> {
        let (rest, (first, last)) = range(at)?;
        let (_, [_, _, modseq, time]) = numbers(at)?;
        Ok((rest, Gone { first, last, modseq, time: time.cast_signed() }))
    }
}

impl FormerName {
    fn parse(at: Cursor<'_>) -> Parsed<'_, FormerName> {
        use super::{set, take};
        let (mut former, mut name) = (FormerName::default(), None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"MBOXNAME" => set(at, dlist::string, &mut name),
            b"MTIME" => take(at, number64, &mut former.mtime).map(|at| (at, ())),
            b"UIDVALIDITY" => take(at, number, &mut former.uidvalidity).map(|at| (at, ())),
            b"CREATEDMODSEQ" => take(at, number64, &mut former.createdmodseq).map(|at| (at, ())),
            b"FOLDERMODSEQ" => take(at, number64, &mut former.foldermodseq).map(|at| (at, ())),
            b"MBOXTYPE" => take(at, dlist::string, &mut former.kind).map(|at| (at, ())),
            b"PARTITION" => take(at, dlist::string, &mut former.partition).map(|at| (at, ())),
            _ => dlist::skip(at),
        })?;
        Ok((at, FormerName { name: name.ok_or(ParseError::Missing)?, ..former }))
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("MBOXNAME").text(&self.name);
            out.key("MTIME").number(self.mtime);
            out.key("UIDVALIDITY").number(self.uidvalidity);
            out.key("CREATEDMODSEQ").number(self.createdmodseq);
            out.key("FOLDERMODSEQ").number(self.foldermodseq);
            out.key("MBOXTYPE").text(&self.kind);
            out.key("PARTITION").text(&self.partition);
        });
    }
}

/// A letter of OPTIONS, and the bit: UIDs alone as POP3's ids, \Seen that is everybody's, what was delivered once delivered again.
const OPTIONS: [(char, u64); 3] = [('P', 1), ('S', 1 << 2), ('D', 1 << 3)];

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;
    use crate::sync::record::tests::{annotation, record};

    fn ours() -> impl Strategy<Value = Ours> {
        let range = || (1u32..1000, 0u32..1000).prop_map(|(first, more)| (first, first + more));
        let gone = (range(), any::<u64>(), any::<i64>()).prop_map(|((first, last), modseq, time)| Gone {
            first,
            last,
            modseq,
            time,
        });
        let former = ("[a-z.]{1,9}", any::<u64>(), any::<u32>(), any::<[u64; 2]>()).prop_map(
            |(name, mtime, uidvalidity, [createdmodseq, foldermodseq])| FormerName {
                name,
                mtime,
                uidvalidity,
                createdmodseq,
                foldermodseq,
                kind: "e".into(),
                partition: "default".into(),
            },
        );
        let lists = (
            proptest::collection::vec(annotation(), 0..3),
            proptest::collection::vec(gone, 0..3),
            proptest::collection::vec(range(), 0..3),
            proptest::collection::vec(former, 0..3),
        );
        (any::<(bool, u64)>(), lists).prop_map(|((whole, mtime), (header, gone, forgotten, history))| Ours {
            whole,
            header,
            mtime,
            gone,
            forgotten,
            history,
        })
    }

    /// Any mailbox, as one of ours tells it.
    pub fn mailbox() -> impl Strategy<Value = Mailbox> {
        let texts =
            ("[a-zA-Z0-9-]{1,64}", "user\\.[a-z^]{1,5}(\\.[ a-z]{1,5})?", "([a-z:-]{1,5}\tlrs\t){0,3}");
        let numbers = (any::<[u32; 3]>(), any::<[u64; 5]>(), any::<[i64; 4]>(), any::<[u32; 4]>());
        let lists = (
            proptest::collection::vec(annotation(), 0..3),
            proptest::option::of(proptest::collection::vec(record(), 0..4)),
        );
        (texts, numbers, lists, any::<[bool; 5]>(), ours()).prop_map(|(texts, numbers, lists, has, ours)| {
            let (uniqueid, name, acl) = texts;
            let (small, large, [recenttime, last_append, pop3_last_login, pop3_show_after], sums) = numbers;
            let [has_kind, has_crc, has_root, has_since, has_deleted] = has;
            let crc = |a, b| Crc { messages: a, annotations: b };
            let name = MailboxName::parse(&name).unwrap();
            Mailbox {
                uniqueid: UniqueId::new(&uniqueid).unwrap(),
                kind: has_kind.then(|| "e".to_owned()),
                crc: has_crc.then_some(crc(sums[0], sums[1])),
                last_uid: small[0],
                highestmodseq: large[0],
                recentuid: small[1],
                recenttime,
                last_append,
                pop3_last_login,
                pop3_show_after,
                uidvalidity: small[2],
                partition: "default".into(),
                acl,
                options: Options(large[1]),
                quotaroot: has_root.then(|| name.clone()),
                createdmodseq: large[2],
                foldermodseq: large[3],
                deletedmodseq: has_deleted.then_some(large[4]),
                annotations: lists.0,
                since: has_since
                    .then_some(Since { highestmodseq: large[0].max(1), crc: crc(sums[2], sums[3]) }),
                records: lists.1,
                ours: Some(ours),
                name,
            }
        })
    }

    #[test]
    fn a_mailbox_of_cyrus_is_read_whatever_else_stands_in_it() {
        let text = b"%(UNIQUEID 2bakz8xxq8q9nmtfx MBOXNAME user.alice SYNC_CRC 5 SYNC_CRC_ANNOT 12345678 LAST_UID 3 HIGHESTMODSEQ 12 \
            RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 1764000000 POP3_LAST_LOGIN 0 POP3_SHOW_AFTER 0 XCONVMODSEQ 0 RACLMODSEQ 3 \
            UIDVALIDITY 1763999990 PARTITION default ACL \"alice\tlrswipkxtecdan\t\" OPTIONS PA QUOTAROOT user.alice CREATEDMODSEQ 1 \
            FOLDERMODSEQ 1 ANNOTATIONS (%(ENTRY /specialuse USERID alice VALUE {5+}\r\n\\Sent MODSEQ 0)) USERGROUPS (%(A B)) JMAPID NIL \
            RECORD ())";
        let mailbox = Cursor::new(text, Limits::NONE).read(Mailbox::parse).unwrap();
        assert_eq!((mailbox.name.as_str(), mailbox.last_uid, mailbox.options), ("user.alice", 3, Options(1)));
        assert_eq!(mailbox.crc, Some(Crc { messages: 5, annotations: 12_345_678 }));
        assert_eq!(mailbox.quotaroot.as_ref().map(MailboxName::as_str), Some("user.alice"));
        assert_eq!(mailbox.annotations[0].value.as_deref(), Some(&b"\\Sent"[..]));
        assert_eq!((mailbox.records, mailbox.ours, mailbox.since), (Some(vec![]), None, None));
    }

    #[test]
    fn what_no_mailbox_can_be_without_is_missed() {
        let whole = "UNIQUEID a,MBOXNAME user.a,LAST_UID 1,HIGHESTMODSEQ 2,RECENTUID 3,RECENTTIME 4,LAST_APPENDDATE 5,POP3_LAST_LOGIN \
            6,UIDVALIDITY 7,PARTITION p,ACL \"\",OPTIONS \"\"";
        let read = |text: String| Cursor::new(text.as_bytes(), Limits::NONE).read(Mailbox::parse);
        assert!(read(format!("%({})", whole.replace(',', " "))).is_ok());
        for left_out in whole.split(',') {
            let rest: Vec<_> = whole.split(',').filter(|key| *key != left_out).collect();
            assert_eq!(read(format!("%({})", rest.join(" "))), Err(ParseError::Missing), "{left_out}");
        }
        assert!(
            read(format!("%({})", whole.replace(',', " ").replace("UNIQUEID a", "UNIQUEID ../a"))).is_err()
        );
    }

    proptest! {
        #[test]
        fn a_mailbox_that_is_printed_is_read_back(mailbox in mailbox()) {
            let mut out = Vec::new();
            mailbox.write(&mut Writer::command(&mut out), Peer::Ours);
            let mut at = Cursor::new(out.trim_ascii_start(), Limits::NONE);
            prop_assert_eq!(at.read(Mailbox::parse), Ok(mailbox));
            prop_assert!(at.at_end());
        }

        #[test]
        fn cyrus_is_told_all_that_it_knows_of_a_mailbox(mut mailbox in mailbox()) {
            let mut out = Vec::new();
            mailbox.write(&mut Writer::response(&mut out), Peer::Cyrus);
            let mut at = Cursor::new(out.trim_ascii_start(), Limits::NONE);
            (mailbox.ours, mailbox.deletedmodseq) = (None, None);
            mailbox.options = Options(mailbox.options.0 & 0b1101);
            prop_assert_eq!(at.read(Mailbox::parse), Ok(mailbox));
        }
    }
}
