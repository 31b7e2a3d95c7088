//! What a news server's overview (RFC 3977 section 8.3) shows of an article and ENVELOPE has taken to pieces: From and References
//! as they stand. Kept of messages that have a Newsgroups field, and of no others.

use super::Fields;
use super::values::{Reader, Writer};

/// The fields, unfolded; empty where they are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview<'c> {
    pub from: &'c [u8],
    pub references: &'c [u8],
    /// Whether it was posted to several groups.
    pub is_crosspost: bool,
}

impl<'c> Overview<'c> {
    /// As [`section`] wrote it.
    pub(super) fn read(section: &'c [u8]) -> Option<Overview<'c>> {
        let mut reader = Reader::new(section);
        Some(Overview {
            from: reader.slice()?,
            references: reader.slice()?,
            is_crosspost: reader.byte()? != 0,
        })
    }
}

/// Two texts, each with its length, then 1 where Newsgroups names several groups, else 0; none: it is no article, or they are long.
pub(super) fn section(header: &[u8]) -> Option<Vec<u8>> {
    let groups = Fields::first(header, "newsgroups")?;
    let value = |name| Fields::first(header, name).map(|field| field.unfolded()).unwrap_or_default();
    let (from, references) = (value("from"), value("references"));
    if from.len() + references.len() > LONGEST {
        return None;
    }
    let mut out = Writer::new(Vec::new());
    out.string(&from);
    out.string(&references);
    let mut section = out.into_bytes();
    section.push(u8::from(groups.value.contains(&b',')));
    Some(section)
}

/// Bytes of both that are kept.
const LONGEST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::super::cache::cached;
    use super::*;

    #[test]
    fn an_article_keeps_from_and_references_as_they_stand() {
        let article = cached("From: a@b (A)\r\nNewsgroups: x\r\nReferences: <1@x>\r\n <2@x>\r\n\r\n");
        let overview = Overview { from: b"a@b (A)", references: b"<1@x> <2@x>", is_crosspost: false };
        assert_eq!(article.overview(), Some(overview));
        assert_eq!(cached("From: a@b\r\n\r\n").overview(), None, "it is no article");
    }
}
