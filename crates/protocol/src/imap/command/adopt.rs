//! XADOPT: a session goes on at the backend that its selected mailbox has moved to, without a SELECT that the client would notice.
//!
//! ```text
//! given    = "* OK [XMOVED" SP server SP state "]"       from the backend that had the mailbox, to a frontend of ours
//! xadopt   = "XADOPT" SP state                           from that frontend, which logs in as the user, to the one that has it now
//! state    = name SP uniqueid SP uidvalidity SP modseq SP complete SP keywords SP how SP uids SP ghosts SP recent SP recent-until SP saved
//! name     = 1*(2HEXDIG)      the internal name          how  = "-" / *("E" / "A")       EXAMINE, ANNOTATE
//! uids, ghosts, recent, saved = "-" / uid-set
//! ```
//!
//! The state says what the client was told, and gives no right: whoever brings it is logged in, and may read the mailbox or not.

use std::fmt;

use nom::Parser;

use crate::grammar::{Cursor, ParseError, Parsed, argument, run};
use crate::imap::SequenceSet;
use crate::imap::set::Ranges;

/// What the client of a session knows of its selected mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// Internal.
    pub name: String,
    pub uniqueid: String,
    pub uidvalidity: u32,
    /// The client was told of all changes up to this one.
    pub modseq: u64,
    /// HIGHESTMODSEQ of the last state in which all of `ghosts` were there.
    pub complete: u64,
    /// How many keywords the client was told of.
    pub keywords: usize,
    /// Opened by EXAMINE.
    pub examined: bool,
    /// Opened with ANNOTATE.
    pub annotate: bool,
    /// UIDs of the messages that it counts, and that were there when it was told last.
    pub uids: Ranges,
    /// Of those that it counts although they are gone, ascending.
    pub ghosts: Ranges,
    /// What is \\Recent in the session, and up to which UID that is decided.
    pub recent: Ranges,
    pub recent_until: u32,
    /// What `$` names (RFC 5182).
    pub saved: Ranges,
}

impl Adoption {
    /// What is printed, and nothing else.
    pub fn parse(words: &str) -> Option<Adoption> {
        let mut words = words.split(' ');
        let mut next = || words.next();
        let adoption = Adoption {
            name: unhex(next()?)?,
            uniqueid: next()?.to_owned(),
            uidvalidity: next()?.parse().ok()?,
            modseq: next()?.parse().ok()?,
            complete: next()?.parse().ok()?,
            keywords: next()?.parse().ok()?,
            examined: false,
            annotate: false,
            uids: Ranges::default(),
            ghosts: Ranges::default(),
            recent: Ranges::default(),
            recent_until: 0,
            saved: Ranges::default(),
        };
        let how = next()?;
        if how != "-" && !how.bytes().all(|letter| matches!(letter, b'E' | b'A')) {
            return None;
        }
        let adoption = Adoption {
            examined: how.contains('E'),
            annotate: how.contains('A'),
            uids: set(next()?)?,
            ghosts: set(next()?)?,
            recent: set(next()?)?,
            recent_until: next()?.parse().ok()?,
            saved: set(next()?)?,
            ..adoption
        };
        next().is_none().then_some(adoption)
    }
}

impl fmt::Display for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.examined, self.annotate) {
            (false, false) => "-",
            (true, false) => "E",
            (false, true) => "A",
            (true, true) => "EA",
        };
        self.name.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(
            f,
            " {} {} {} {} {} {how} {} {} {} {} {}",
            self.uniqueid,
            self.uidvalidity,
            self.modseq,
            self.complete,
            self.keywords,
            Set(&self.uids),
            Set(&self.ghosts),
            Set(&self.recent),
            self.recent_until,
            Set(&self.saved),
        )
    }
}

struct Set<'a>(&'a Ranges);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("-") } else { write!(f, "{}", self.0) }
    }
}

/// `XADOPT SP state`
pub fn xadopt(at: Cursor<'_>) -> Parsed<'_, Adoption> {
    let (at, words) = argument(run(|byte| byte == b' ' || byte.is_ascii_graphic())).parse(at)?;
    let adoption = str::from_utf8(words).ok().and_then(Adoption::parse);
    Ok((at, adoption.ok_or(ParseError::Invalid("state"))?))
}

fn unhex(word: &str) -> Option<String> {
    let digits: Vec<u8> = word.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high * 16 + low),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok().filter(|name| !name.is_empty())
}

fn set(word: &str) -> Option<Ranges> {
    if word == "-" {
        return Some(Ranges::default());
    }
    let mut at = Cursor::new(word.as_bytes(), crate::imap::Limits::NONE);
    let set = at.read(SequenceSet::parse).ok()?;
    // Neither `*` nor `$` says anything here.
    (at.rest().is_empty() && !set.is_saved() && !set.has_star()).then(|| set.resolve(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Ranges> {
        prop::collection::btree_set(1u32..200, 0..40).prop_map(|uids| uids.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(
            name in "user\\.[a-z^&é.\\] +-]{1,12}",
            numbers in (1u32.., any::<u64>(), any::<u64>(), 0usize..129, any::<u32>()),
            how in (any::<bool>(), any::<bool>()),
            sets in (ranges(), ranges(), ranges(), ranges()),
        ) {
            let (uidvalidity, modseq, complete, keywords, recent_until) = numbers;
            let ((examined, annotate), (uids, ghosts, recent, saved)) = (how, sets);
            let adoption = Adoption {
                name, uniqueid: "a-1".into(), uidvalidity, modseq, complete, keywords, examined, annotate, uids, ghosts, recent,
                recent_until, saved,
            };
            let text = adoption.to_string();
            // It stands in a response code.
            prop_assert!(!text.contains(']'));
            prop_assert_eq!(Adoption::parse(&text), Some(adoption));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in "[a-z0-9:,*$ +EA-]{0,60}") {
            let _ = Adoption::parse(&text);
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let good = "757365722e66726564 u-1 7 90 90 2 - 1:5,9 - 9 9 -";
        assert!(Adoption::parse(good).is_some());
        for (part, wrong) in [
            (" 7 ", " x "),
            ("757", "75z"),
            ("757", "57"),
            (" - 1:5", " Z 1:5"),
            ("1:5,9", "1:*"),
            ("1:5,9", "$"),
            ("1:5,9", "0"),
        ] {
            assert_eq!(Adoption::parse(&good.replacen(part, wrong, 1)), None, "{wrong}");
        }
        assert_eq!(Adoption::parse(&format!("{good} more")), None);
        assert_eq!(Adoption::parse("757365722e66726564 u-1 7"), None);
    }
}
