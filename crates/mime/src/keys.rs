//! What SORT and THREAD compare of a message (RFC 5256, RFC 5957), as its frame in the cache keeps it.
//!
//! Texts are kept as they are compared ([`casemap`]): two of them are in the order of their bytes. Each is cut to
//! [`LONGEST_KEY`] bytes.

use super::fold::{casemap, cut};
use super::values::{Reader, Writer};
use super::words::header_text;
use super::{Address, BaseSubject, Kind, Part, Structure, message_ids};

/// What SORT compares. Texts are UTF-8 in the collation `i;unicode-casemap`, so that they compare as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortKeys<'c> {
    /// DATE: seconds since 1970, UTC. None where there is no Date field that can be read: INTERNALDATE then counts.
    pub sent: Option<i64>,
    /// SUBJECT: the base subject of RFC 5256 section 2.1.
    pub base_subject: &'c [u8],
    /// Whether the subject had a mark of a reply or of forwarding, as THREAD=REFERENCES asks.
    pub is_reply: bool,
    /// FROM, TO, CC: the mailbox part of the first address; empty where there is none. Of a group it is its name.
    pub from: &'c [u8],
    pub to: &'c [u8],
    pub cc: &'c [u8],
    /// DISPLAYFROM, DISPLAYTO: the name of the first address, or where it has none `mailbox@host`. Of a group it is its
    /// name.
    pub display_from: &'c [u8],
    pub display_to: &'c [u8],
    /// A hint: whether a part is there to be saved rather than read.
    pub has_attachment: bool,
}

/// What THREAD=REFERENCES and REFS go by: message-ids without angle brackets, as [`message_ids`] gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadKeys<'c> {
    pub message_id: Option<&'c [u8]>,
    /// From the eldest to the one that is answered: the first and the last 99 of the References field. Where that has
    /// none, the first of In-Reply-To.
    pub references: Ids<'c>,
    /// All of the In-Reply-To field, up to a hundred.
    pub in_reply_to: Ids<'c>,
}

/// A list of message-ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids<'c> {
    left: u32,
    bytes: &'c [u8],
}

impl<'c> Iterator for Ids<'c> {
    type Item = &'c [u8];

    fn next(&mut self) -> Option<&'c [u8]> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(self.bytes);
        let id = reader.slice()?;
        self.bytes = reader.rest();
        Some(id)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.left).ok())
    }
}

impl<'c> SortKeys<'c> {
    /// As [`sort_section`] wrote it.
    pub(super) fn read(section: &'c [u8]) -> Option<SortKeys<'c>> {
        let mut reader = Reader::new(section);
        let flags = reader.byte()?;
        let sent = match flags & SENT != 0 {
            true => Some(i64::from_le_bytes(reader.array()?)),
            false => None,
        };
        Some(SortKeys {
            sent,
            is_reply: flags & REPLY != 0,
            has_attachment: flags & ATTACHMENT != 0,
            base_subject: reader.slice()?,
            from: reader.slice()?,
            to: reader.slice()?,
            cc: reader.slice()?,
            display_from: reader.slice()?,
            display_to: reader.slice()?,
        })
    }
}

impl<'c> ThreadKeys<'c> {
    /// As [`thread_section`] wrote it.
    pub(super) fn read(section: &'c [u8]) -> Option<ThreadKeys<'c>> {
        let mut reader = Reader::new(section);
        let mut ids = || {
            let (left, bytes) = (reader.number()?, reader.rest());
            for _ in 0..left {
                reader.slice()?;
            }
            Some(Ids { left, bytes })
        };
        let (own, references, in_reply_to) = (ids()?, ids()?, ids()?);
        Some(ThreadKeys { message_id: { own }.next(), references, in_reply_to })
    }
}

/// ```text
/// flags          1 sent is there, 2 reply, 4 attachment
/// sent           8 bytes, little-endian, where it is there
/// texts          base subject, from, to, cc, display from, display to: each its length and that many bytes
/// ```
pub(super) fn sort_section(structure: &Structure) -> Vec<u8> {
    let envelope = &structure.envelope;
    let subject = envelope.subject.as_deref().map(BaseSubject::of).unwrap_or_default();
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    let mut out = Writer::new(vec![
        flag(structure.sent.is_some(), SENT)
            | flag(subject.is_reply, REPLY)
            | flag(has_attachment(&structure.root), ATTACHMENT),
    ]);
    if let Some(sent) = structure.sent {
        out.raw(&sent.epoch.to_le_bytes());
    }
    out.string(key(&subject.text).as_bytes());
    for list in [&envelope.from, &envelope.to, &envelope.cc] {
        let mailbox = list.first().and_then(|address| address.mailbox.as_deref()).unwrap_or_default();
        out.string(key(&header_text(mailbox)).as_bytes());
    }
    for list in [&envelope.from, &envelope.to] {
        out.string(key(&list.first().map(display).unwrap_or_default()).as_bytes());
    }
    out.into_bytes()
}

/// Three lists: a number, and each message-id with its length. They are the message's own, References and In-Reply-To.
/// `references`: the field's value.
pub(super) fn thread_section(structure: &Structure, references: &[u8]) -> Vec<u8> {
    let field = |value: &Option<super::Raw>| value.clone().unwrap_or_default();
    let own: Vec<_> = message_ids(&field(&structure.envelope.message_id)).take(1).collect();
    let answered: Vec<_> = message_ids(&field(&structure.envelope.in_reply_to)).take(MOST_IDS).collect();
    let mut above = ends(message_ids(references));
    if above.is_empty() {
        above.extend(answered.first().cloned());
    }
    let mut out = Writer::new(Vec::new());
    for ids in [own, above, answered] {
        let mut room = LONGEST_IDS;
        // The last are the nearest: of those that are too many, they stay.
        let fits = ids.iter().rev().take_while(|id| {
            let fits = id.len() <= room;
            room = room.saturating_sub(id.len());
            fits
        });
        let from = ids.len() - fits.count();
        out.list(ids.get(from..).unwrap_or_default(), |out, id| out.string(id));
    }
    out.into_bytes()
}

/// The first and the last of many.
fn ends(ids: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut kept = std::collections::VecDeque::new();
    let mut first = None;
    for id in ids {
        if kept.len() == MOST_IDS {
            let eldest = kept.pop_front();
            if first.is_none() {
                first = eldest;
            }
        }
        kept.push_back(id);
        if first.is_some() && kept.len() == MOST_IDS {
            kept.pop_front();
        }
    }
    first.into_iter().chain(kept).collect()
}

fn key(text: &str) -> String {
    // Mapping makes a text no more than some times as long: what is cut off first is not seen in the key.
    let folded = casemap(cut(text, 4 * LONGEST_KEY));
    cut(&folded, LONGEST_KEY).to_owned()
}

fn display(address: &Address) -> String {
    let part = |raw: &Option<super::Raw>| raw.as_deref().map(header_text).filter(|text| !text.is_empty());
    let mailbox = part(&address.mailbox).unwrap_or_default();
    match (part(&address.name), part(&address.host)) {
        (Some(name), _) => name,
        (None, Some(host)) => format!("{mailbox}@{host}"),
        (None, None) => mailbox,
    }
}

/// Whether it or a part of it says that it is an attachment, or has a file's name and is no text to be shown.
fn has_attachment(part: &Part) -> bool {
    let content = &part.content;
    let kind = content.disposition.as_ref().map(|disposition| &*disposition.kind);
    match &part.kind {
        Kind::Multipart(parts) => parts.iter().any(has_attachment),
        _ if kind == Some(b"ATTACHMENT") => true,
        _ if kind == Some(b"INLINE") => false,
        Kind::Message(_) => true,
        Kind::Leaf => !content.is_text() && content.parameter("NAME").is_some(),
    }
}

const SENT: u8 = 1;
const REPLY: u8 = 2;
const ATTACHMENT: u8 = 4;
/// Bytes of each text that is compared.
pub const LONGEST_KEY: usize = 256;
/// Message-ids of a field, and the bytes of all of them.
const MOST_IDS: usize = 100;
const LONGEST_IDS: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::cached;

    #[test]
    fn a_cached_message_has_what_sort_compares() {
        let cached = cached(
            "Date: Thu, 1 Jan 1970 01:00:00 +0100\r\nSubject: Re: [list] =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\
            From: =?utf-8?q?J=C3=BCrgen?= <jUrgen@a>, b@c\r\nTo: Team: x@y;, z@z\r\nCc: \"a b\"@c\r\n\r\n",
        );
        let keys = cached.sort_keys().unwrap();
        assert_eq!((keys.sent, keys.is_reply, keys.has_attachment), (Some(0), true, false));
        assert_eq!(keys.base_subject, "GRU\u{308}ßE".as_bytes());
        assert_eq!((keys.from, keys.to, keys.cc), (&b"JURGEN"[..], &b"TEAM"[..], &b"A B"[..]));
        assert_eq!(keys.display_from, "JU\u{308}RGEN".as_bytes());
        assert_eq!(keys.display_to, b"TEAM");
    }

    #[test]
    fn a_message_without_fields_has_empty_keys() {
        let bare = cached("\r\nhello\r\n");
        assert_eq!(bare.sort_keys(), Some(SortKeys::default()));
        let threads = bare.thread_keys().unwrap();
        assert_eq!(
            (threads.message_id, threads.references.count(), threads.in_reply_to.count()),
            (None, 0, 0)
        );
        let plain = cached("From: j@example.org\r\nDate: never\r\n\r\n");
        let keys = plain.sort_keys().unwrap();
        assert_eq!((keys.sent, keys.from, keys.display_from), (None, &b"J"[..], &b"J@EXAMPLE.ORG"[..]));
    }

    #[test]
    fn a_cached_message_knows_what_it_answers() {
        let all = |ids: Ids<'_>| ids.map(|id| String::from_utf8_lossy(id).into_owned()).collect::<Vec<_>>();
        let of = cached(
            "Message-ID: <\"a\"@b>\r\nReferences: <1@x>\r\n <2@x>\r\nIn-Reply-To: <3@x> <4@x>\r\n\r\n",
        );
        let keys = of.thread_keys().unwrap();
        assert_eq!(keys.message_id, Some(&b"a@b"[..]));
        assert_eq!(
            (all(keys.references), all(keys.in_reply_to)),
            (vec!["1@x".into(), "2@x".into()], vec!["3@x".into(), "4@x".into()])
        );
        let of = cached("References: none\r\nIn-Reply-To: <3@x> <4@x>\r\n\r\n");
        assert_eq!(all(of.thread_keys().unwrap().references), ["3@x"]);
        for count in [99, 100, 101, 500] {
            let ids: Vec<String> = (0..count).map(|n| format!("{n}@x")).collect();
            let field: String = ids.iter().map(|id| format!("<{id}> ")).collect();
            let of = cached(&format!("References: {field}\r\n\r\n"));
            let kept = all(of.thread_keys().unwrap().references);
            assert_eq!((kept.len(), &kept[0], kept.last()), (count.min(100), &ids[0], ids.last()), "{count}");
            assert_eq!(kept[1..], ids[ids.len() - kept.len() + 1..]);
        }
        let long = "x".repeat(5000);
        let of = cached(&format!("References: <{long}@1> <{long}@2>\r\n\r\n"));
        assert_eq!(all(of.thread_keys().unwrap().references), [format!("{long}@2")]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let of = cached(&format!("Subject: {}\r\nFrom: {}@a\r\n\r\n", "€".repeat(500), "y".repeat(9000)));
        let keys = of.sort_keys().unwrap();
        assert_eq!((keys.base_subject.len(), keys.from.len()), (255, 256));
        assert!(std::str::from_utf8(keys.base_subject).is_ok());
    }

    #[test]
    fn what_is_there_to_be_saved_is_an_attachment() {
        let part = |fields: &str| {
            let message =
                format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{fields}\r\n\r\n--b--\r\n");
            cached(&message).sort_keys().unwrap().has_attachment
        };
        assert!(part("Content-Disposition: attachment"));
        assert!(part("Content-Type: image/png; name=a.png"));
        assert!(!part("Content-Type: image/png; name=a.png\r\nContent-Disposition: inline"));
        assert!(!part("Content-Type: text/plain"));
    }
}
