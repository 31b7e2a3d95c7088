//! What a search tells of what it found: RFC 3501, RFC 4731 (ESEARCH), RFC 5182 (SAVE), RFC 5256 and RFC 5267 (SORT), RFC 6203
//! (RELEVANCY), RFC 7162 (MODSEQ), RFC 9394 (PARTIAL).

use std::ops::Range;

use protocol::imap::command::search::{ESearch, Partial, Returns, print_search, print_sort};
use protocol::imap::set::Ranges;
use protocol::imap::{Tag, UidSet};

use super::scan::{Found, Reach};
use crate::imap::limits::{SAVED, rows};

/// What the answer has to say.
pub struct Asked {
    pub tag: Tag,
    pub uid: bool,
    pub returns: Option<Returns>,
    pub modseqs: bool,
    pub fuzzy: bool,
    /// SORT: what is found stands in an order of its own.
    pub sorted: bool,
}

/// An answer, ready to be sent.
#[derive(Default)]
pub struct Answer {
    pub lines: Vec<u8>,
    /// What `$` is from now on, where that was asked for.
    pub saved: Option<Saved>,
}

/// UIDs; or they were too many.
pub type Saved = Result<Ranges, TooMany>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Asked {
    /// How far must be searched: not beyond the page that is wanted, where nothing is asked of all.
    pub fn reach(&self) -> Reach {
        let Some(returns) = self.returns else { return Reach::All };
        if self.sorted || returns.all || returns.count || returns.relevancy {
            return Reach::All;
        }
        let of_page = returns.partial.map(Partial::reach);
        match (returns.min, returns.max, of_page) {
            (_, false, Some((false, places))) => Reach::First(places),
            (false, _, Some((true, places))) => Reach::Last(places),
            (true, false, None) => Reach::First(1),
            (false, true, None) => Reach::Last(1),
            _ => Reach::All,
        }
    }

    /// `found` is in the order in which it is told. Saved is what RFC 5182 section 2.1 says.
    pub fn answer(&self, found: &[Found]) -> Answer {
        let mut lines = Vec::new();
        let saved = match self.returns {
            Some(returns) => {
                if !returns.is_silent() {
                    self.esearch(returns, found).print(&mut lines);
                }
                returns.save.then(|| save(returns, found))
            }
            None => {
                let modseq = found.iter().map(|found| found.modseq).max().filter(|_| self.modseqs);
                let numbers = found.iter().map(|found| self.number(found));
                match self.sorted {
                    true => print_sort(&mut lines, numbers, modseq),
                    false => print_search(&mut lines, numbers, modseq),
                }
                None
            }
        };
        Answer { lines, saved }
    }

    fn number(&self, found: &Found) -> u32 {
        if self.uid { found.uid } else { found.sequence }
    }

    pub fn esearch(&self, returns: Returns, found: &[Found]) -> ESearch<'_> {
        let number = |found: &Found| self.number(found);
        let set =
            |page: Range<usize>| found.get(page).unwrap_or_default().iter().map(number).collect::<UidSet>();
        let scores = || found.iter().map(|found| found.score).collect::<Vec<u8>>();
        ESearch {
            tag: self.tag.as_str(),
            mailbox: None,
            uid: self.uid,
            count: returns.count.then_some(found.len()),
            min: found.first().filter(|_| returns.min).map(number),
            max: found.last().filter(|_| returns.max).map(number),
            all: (returns.all && !found.is_empty()).then(|| set(0..found.len())),
            relevancy: (returns.relevancy && self.fuzzy && !found.is_empty()).then(scores),
            modseq: told(returns, found, returns.all || returns.count)
                .map(|found| found.modseq)
                .max()
                .filter(|_| self.modseqs),
            partial: returns.partial.map(|page| (page, set(page.window(found.len())))),
        }
    }
}

/// The messages that an answer names or counts: RFC 4731 section 3.2 has their mod-sequence. With MIN or MAX alone, those.
fn told(returns: Returns, found: &[Found], all: bool) -> impl Iterator<Item = &Found> {
    let page = returns.partial.map_or(0..0, |page| page.window(found.len()));
    found.iter().enumerate().filter_map(move |(at, message)| {
        let told =
            all || page.contains(&at) || (returns.min && at == 0) || (returns.max && at + 1 == found.len());
        told.then_some(message)
    })
}

/// RFC 5182 section 2.1, RFC 9394 section 3.1: MIN, MAX and a page alone are saved alone, else all.
fn save(returns: Returns, found: &[Found]) -> Saved {
    let alone = returns.partial.is_some() || (returns.min || returns.max) && !returns.all && !returns.count;
    let mut uids: Vec<u32> = told(returns, found, !alone).map(|found| found.uid).collect();
    // Those of SORT are in its order.
    uids.sort_unstable();
    let saved: Ranges = uids.into_iter().collect();
    if saved.len() > SAVED {
        rows::SAVED.met("a search found too many messages to save them");
        return Err(TooMany);
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::{Body, Command, Limits};

    fn asked(text: &str) -> Asked {
        let frame = format!("t UID SEARCH RETURN ({text}) ALL");
        let command = Command::parse(frame.as_bytes(), Limits::default()).unwrap();
        let Body::Search(search) = command.body else { panic!() };
        Asked {
            tag: command.tag,
            uid: true,
            returns: search.returns,
            modseqs: true,
            fuzzy: true,
            sorted: false,
        }
    }

    /// UIDs with their mod-sequences.
    fn found(messages: &[(u32, u64)]) -> Vec<Found> {
        let message = |(at, (uid, modseq)): (usize, &(u32, u64))| Found {
            sequence: at as u32 + 1,
            uid: *uid,
            modseq: *modseq,
            score: 100,
        };
        messages.iter().enumerate().map(message).collect()
    }

    #[test]
    fn each_item_stands_where_it_was_asked_for_and_there_is_one() {
        let messages = found(&[(3, 9), (5, 30), (6, 20), (9, 10)]);
        let line = |text: &str, found: &[Found]| {
            let line = String::from_utf8(asked(text).answer(found).lines).unwrap();
            line.trim_end().trim_start_matches("* ESEARCH (TAG \"t\") UID").trim_start().to_owned()
        };
        for (text, expected) in [
            ("", "ALL 3,5:6,9 MODSEQ 30"),
            ("MIN", "MIN 3 MODSEQ 9"),
            ("MIN MAX", "MIN 3 MAX 9 MODSEQ 10"),
            ("MAX COUNT", "COUNT 4 MAX 9 MODSEQ 30"),
            ("PARTIAL 2:3", "MODSEQ 30 PARTIAL (2:3 5:6)"),
            ("PARTIAL -1:-2 MIN", "MIN 3 MODSEQ 20 PARTIAL (-1:-2 6,9)"),
            ("PARTIAL 7:9", "PARTIAL (7:9 NIL)"),
            ("ALL RELEVANCY", "ALL 3,5:6,9 RELEVANCY (100 100 100 100) MODSEQ 30"),
            ("SAVE COUNT", "COUNT 4 MODSEQ 30"),
        ] {
            assert_eq!(line(text, &messages), expected, "{text}");
        }
        for (text, expected) in [
            ("", ""),
            ("MIN MAX", ""),
            ("COUNT", "COUNT 0"),
            ("PARTIAL -1:-2", "PARTIAL (-1:-2 NIL)"),
            ("RELEVANCY ALL", ""),
        ] {
            assert_eq!(line(text, &[]), expected, "{text}");
        }
        assert_eq!(asked("SAVE").answer(&messages).lines, b"");
    }

    #[test]
    fn what_is_saved_is_what_was_asked_for() {
        let messages = found(&[(3, 9), (5, 30), (6, 20), (9, 10)]);
        for (text, expected) in [
            ("SAVE", "3,5:6,9"),
            ("SAVE ALL MIN", "3,5:6,9"),
            ("SAVE MIN COUNT", "3,5:6,9"),
            ("SAVE MIN", "3"),
            ("SAVE MIN MAX", "3,9"),
            ("SAVE PARTIAL 2:3", "5:6"),
            ("SAVE PARTIAL 2:2 MAX", "5,9"),
            ("SAVE PARTIAL 2:2 COUNT", "5"),
        ] {
            let saved = asked(text).answer(&messages).saved.unwrap().unwrap();
            let uids: UidSet = saved.iter().flat_map(|(first, last)| first..=last).collect();
            assert_eq!(uids.to_string(), expected, "{text}");
        }
        assert!(asked("ALL").answer(&messages).saved.is_none());
        let sparse = found(&(0..2 * SAVED as u32 + 2).map(|n| (2 * n + 1, 1)).collect::<Vec<_>>());
        assert_eq!(asked("SAVE").answer(&sparse).saved, Some(Err(TooMany)));
    }

    #[test]
    fn nothing_is_looked_at_beyond_what_is_asked_for() {
        for (text, expected) in [
            ("", Reach::All),
            ("MIN", Reach::First(1)),
            ("MAX", Reach::Last(1)),
            ("MIN MAX", Reach::All),
            ("PARTIAL 11:20", Reach::First(20)),
            ("PARTIAL 11:20 MIN", Reach::First(20)),
            ("PARTIAL 11:20 MAX", Reach::All),
            ("PARTIAL -1:-100", Reach::Last(100)),
            ("PARTIAL -1:-100 MAX", Reach::Last(100)),
            ("PARTIAL -1:-100 COUNT", Reach::All),
            ("SAVE", Reach::All),
        ] {
            assert_eq!(asked(text).reach(), expected, "{text}");
        }
    }
}
