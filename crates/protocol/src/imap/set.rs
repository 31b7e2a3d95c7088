//! Sequence sets (RFC 3501 section 9, `sequence-set`; RFC 5182, `$`) and the sets of UIDs in answers (RFC 4315, `uid-set`).

use std::fmt;

use nom::Parser;
use nom::combinator::value;
use nom::sequence::preceded;

use crate::grammar::{Cursor, ParseError, Parsed, byte, number};

/// What a client writes: `1:4,7,9:*`. Numbers or UIDs, according to the command; or `$`, the messages that a search has saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Named);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Ranges(Vec<(Bound, Bound)>),
    /// `$` (RFC 5182)
    Saved,
}

/// One end of a range. `None` is `*`, the largest in use.
type Bound = Option<u32>;

impl SequenceSet {
    /// `sequence-set = range *("," range) / "$"`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, SequenceSet> {
        if at.peek() == Some(b'$') {
            let (at, saved) = value(SequenceSet(Named::Saved), byte(b'$')).parse(at)?;
            let joined = matches!(at.peek(), Some(b',' | b':'));
            return if joined { Err(ParseError::Invalid("sequence").into()) } else { Ok((at, saved)) };
        }
        let (mut at, first) = range(at)?;
        let mut ranges = vec![first];
        while at.peek() == Some(b',') {
            let (rest, next) = preceded(byte(b','), range).parse(at)?;
            ranges.push(next);
            if ranges.len() > MAX_RANGES {
                return Err(ParseError::Invalid("sequence, too long,").into());
            }
            at = rest;
        }
        Ok((at, SequenceSet(Named::Ranges(ranges))))
    }

    /// One message: `seq-number = nz-number / "*"`.
    pub fn one(at: Cursor<'_>) -> Parsed<'_, SequenceSet> {
        let (at, bound) = bound(at)?;
        Ok((at, SequenceSet(Named::Ranges(vec![(bound, bound)]))))
    }

    /// Whether it is `$`: what that is, only the session knows.
    pub fn is_saved(&self) -> bool {
        self.0 == Named::Saved
    }

    /// As written; none for `$`.
    fn written(&self) -> &[(Bound, Bound)] {
        match &self.0 {
            Named::Ranges(ranges) => ranges,
            Named::Saved => &[],
        }
    }

    /// The whole of it, in order and without overlaps, `*` being `last`.
    pub fn resolve(&self, last: u32) -> Ranges {
        let mut ranges: Vec<(u32, u32)> = (self.written().iter())
            .map(|&(a, b)| (a.unwrap_or(last), b.unwrap_or(last)))
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, end) in ranges {
            match merged.last_mut() {
                Some((_, last)) if first <= last.saturating_add(1) => *last = end.max(*last),
                _ => merged.push((first, end)),
            }
        }
        Ranges(merged)
    }

    /// Ranges as the client wrote them.
    pub fn ranges(&self) -> usize {
        self.written().len()
    }

    /// Numbers that it names at most, whatever `*` is.
    pub fn named(&self) -> usize {
        let len = |&(a, b): &(Bound, Bound)| match (a, b) {
            (Some(a), Some(b)) => a.abs_diff(b) as usize + 1,
            (None, None) => 1,
            (None, Some(_)) | (Some(_), None) => u32::MAX as usize,
        };
        self.written().iter().map(len).fold(0, usize::saturating_add)
    }

    /// Whether `*` stands in it.
    pub fn has_star(&self) -> bool {
        self.written().iter().any(|(a, b)| a.is_none() || b.is_none())
    }

    /// Whether a number above `last` is named: such a message does not exist.
    pub fn exceeds(&self, last: u32) -> bool {
        let beyond = |bound: &Bound| bound.is_some_and(|n| n > last) || (bound.is_none() && last == 0);
        self.written().iter().any(|(a, b)| beyond(a) || beyond(b))
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, bound: Bound| match bound {
            Some(n) => write!(f, "{n}"),
            None => f.write_str("*"),
        };
        if self.is_saved() {
            return f.write_str("$");
        }
        for (at, &(first, last)) in self.written().iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write(f, first)?;
            if first != last {
                f.write_str(":")?;
                write(f, last)?;
            }
        }
        Ok(())
    }
}

/// Ascending ranges that do not touch, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Numbers in them.
    pub fn named(&self) -> usize {
        self.0.iter().map(|&(first, last)| first.abs_diff(last) as usize + 1).fold(0, usize::saturating_add)
    }

    /// What is here and in other ascending ranges.
    pub fn common(&self, others: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let (mut ours, mut theirs) = (self.0.iter().peekable(), others.iter().peekable());
        let mut common = Vec::new();
        while let (Some(&&(a, b)), Some(&&(c, d))) = (ours.peek(), theirs.peek()) {
            let (first, last) = (a.max(c), b.min(d));
            if first <= last {
                common.push((first, last));
            }
            match b <= d {
                true => ours.next(),
                false => theirs.next(),
            };
        }
        common
    }
}

/// Of ascending numbers.
impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Ranges {
        Ranges(UidSet::from_iter(numbers).0)
    }
}

/// Of ascending ranges that do not touch.
impl FromIterator<(u32, u32)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Ranges {
        Ranges(ranges.into_iter().collect())
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UidSet::fmt_ranges(&self.0, f)
    }
}

/// UIDs (or numbers) in an answer, in the order they were pushed: `304,319:320`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    pub fn push(&mut self, uid: u32) {
        match self.0.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => self.0.push((uid, uid)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ranges, both ends included.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut set = UidSet::default();
        uids.into_iter().for_each(|uid| set.push(uid));
        set
    }
}

impl FromIterator<(u32, u32)> for UidSet {
    /// Of ranges that do not touch.
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        UidSet(ranges.into_iter().collect())
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UidSet::fmt_ranges(&self.0, f)
    }
}

impl UidSet {
    fn fmt_ranges(ranges: &[(u32, u32)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &(first, last)) in ranges.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}:{last}")?,
            }
        }
        Ok(())
    }
}

/// Ranges in one set: what a client with a sparse selection of a large mailbox may send.
pub const MAX_RANGES: usize = 50_000;

/// `range = bound [":" bound]`
#[inline]
fn range(at: Cursor<'_>) -> Parsed<'_, (Bound, Bound)> {
    let (at, first) = bound(at)?;
    if at.peek() != Some(b':') {
        return Ok((at, (first, first)));
    }
    let (at, last) = preceded(byte(b':'), bound).parse(at)?;
    Ok((at, (first, last)))
}

/// `bound = nz-number / "*"`
#[inline(always)]
fn bound(at: Cursor<'_>) -> Parsed<'_, Bound> {
    if at.peek() == Some(b'*') {
        return value(None, byte(b'*')).parse(at);
    }
    match number(at) {
        Ok((at, number)) if number > 0 => Ok((at, Some(number))),
        Err(nom::Err::Error(ParseError::Missing)) => Err(ParseError::Missing.into()),
        _ => Err(ParseError::Invalid("sequence").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<SequenceSet, ParseError> {
        Cursor::new(text.as_bytes(), Limits::default()).read(SequenceSet::parse)
    }

    #[test]
    fn sets_resolve_to_ordered_ranges() {
        let ranges = |text: &str, last| parse(text).unwrap().resolve(last).0;
        assert_eq!(ranges("5:3,1,2", 9), [(1, 5)]);
        assert_eq!(ranges("*", 9), [(9, 9)]);
        assert_eq!(ranges("12:*", 9), [(9, 12)]);
        assert_eq!(ranges("1,4294967295,7:8", 9), [(1, 1), (7, 8), (u32::MAX, u32::MAX)]);
    }

    #[test]
    fn a_set_tells_how_much_it_names() {
        let named = |text: &str| parse(text).unwrap().named();
        assert_eq!((named("5:3,1,*"), named("7:*")), (5, u32::MAX as usize));
        assert_eq!(parse("5:3,1,*").unwrap().ranges(), 3);
    }

    #[test]
    fn what_a_search_has_saved_stands_alone() {
        let saved = parse("$").unwrap();
        assert!(saved.is_saved() && saved.to_string() == "$" && saved.resolve(9) == Ranges::default());
        assert!(parse("$,1").is_err() && parse("1,$").is_err() && parse("1:$").is_err());
    }

    #[test]
    fn what_is_no_set() {
        for text in ["", "0", "1:0", "1,,2", "a", "1:", "4294967296", ",1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_join_neighbours_in_order() {
        assert_eq!(UidSet::from_iter([304, 319, 320, 5, 6]).to_string(), "304,319:320,5:6");
    }

    proptest! {
        #[test]
        fn what_two_sets_have_in_common(a in proptest::collection::vec((1u32..60, 1u32..60), 1..6),
                                        b in proptest::collection::vec((1u32..60, 1u32..60), 1..6)) {
            let ranges = |set: Vec<(u32, u32)>| {
                SequenceSet(Named::Ranges(set.into_iter().map(|(a, b)| (Some(a), Some(b))).collect())).resolve(60)
            };
            let (a, b) = (ranges(a), ranges(b));
            let common: Vec<u32> = a.common(&b.0).into_iter().flat_map(|(first, last)| first..=last).collect();
            let want: Vec<u32> = (1..=60).filter(|n| a.contains(*n) && b.contains(*n)).collect();
            prop_assert_eq!(common, want);
        }

        #[test]
        fn what_is_printed_parses_again(ranges in proptest::collection::vec((1u32.., 1u32..), 1..20), star: bool) {
            let mut ranges: Vec<_> = ranges.into_iter().map(|(a, b)| (Some(a), Some(b))).collect();
            if star {
                ranges.push((None, None));
            }
            let set = SequenceSet(Named::Ranges(ranges));
            prop_assert_eq!(parse(&set.to_string()), Ok(set));
        }

        #[test]
        fn resolved_ranges_hold_what_the_set_names(a in 1u32..50, b in 1u32..50, c in 1u32..50, n in 1u32..60) {
            let ranges = parse(&format!("{a}:{b},{c}")).unwrap().resolve(60);
            prop_assert_eq!(ranges.contains(n), (a.min(b)..=a.max(b)).contains(&n) || n == c);
        }
    }
}
