//! SORT and THREAD: RFC 5256, with RFC 5257 (ANNOTATION), RFC 5267 (ESORT), RFC 5957 (SORT=DISPLAY), RFC 6203 (RELEVANCY), and Cyrus's SORT=MODSEQ, SORT=UID
//! and THREAD=REFS.

use nom::Parser;
use nom::combinator::{map, opt};
use nom::sequence::terminated;

use super::annotate::{self, SortKey};
use super::search::{Key, Returns, key, opt_returns, put_number};
use crate::grammar::{Cursor, Keyword, ParseError, Parsed, argument, atom, keyword, list, space, text};

/// `SORT [SP "RETURN" SP "(" option … ")"] SP "(" criterion *(SP criterion) ")" SP charset 1*(SP key)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    pub uid: bool,
    /// With RETURN: the answer is an ESEARCH.
    pub returns: Option<Returns>,
    pub criteria: Vec<Criterion>,
    /// Upper case.
    pub charset: String,
    pub key: Key,
}

/// `["REVERSE" SP] by`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    pub reverse: bool,
    pub by: By,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Annotation(SortKey),
    Arrival,
    Cc,
    Date,
    DisplayFrom,
    DisplayTo,
    From,
    Modseq,
    Relevancy,
    Size,
    Subject,
    To,
    Uid,
}

/// `THREAD SP algorithm SP charset 1*(SP key)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub uid: bool,
    pub algorithm: Algorithm,
    /// Upper case.
    pub charset: String,
    pub key: Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    OrderedSubject,
    References,
    /// References without the merge by subject, the threads by their newest message.
    Refs,
}

pub fn sort(at: Cursor<'_>, uid: bool) -> Parsed<'_, Sort> {
    let (at, ()) = space(at)?;
    let (at, returns) = opt_returns(at)?;
    let (at, criteria) = list(CRITERIA, criterion)(at)?;
    if criteria.is_empty() {
        return Err(ParseError::Invalid("Sort criterion").into());
    }
    let (at, (charset, key)) = argument(program)(at)?;
    Ok((at, Sort { uid, returns, criteria, charset, key }))
}

pub fn thread(at: Cursor<'_>, uid: bool) -> Parsed<'_, Thread> {
    let (at, word) = argument(atom)(at)?;
    let algorithm = match Keyword::of(word.as_bytes()).as_bytes() {
        b"ORDEREDSUBJECT" => Algorithm::OrderedSubject,
        b"REFERENCES" => Algorithm::References,
        b"REFS" => Algorithm::Refs,
        _ => return Err(ParseError::Invalid("Thread algorithm").into()),
    };
    let (at, (charset, key)) = argument(program)(at)?;
    Ok((at, Thread { uid, algorithm, charset, key }))
}

/// `charset 1*(SP key)`
fn program(at: Cursor<'_>) -> Parsed<'_, (String, Key)> {
    let (at, charset) = terminated(map(text, |charset| charset.to_ascii_uppercase()), space).parse(at)?;
    map(key::keys, |key| (charset.clone(), key)).parse(at)
}

fn criterion(at: Cursor<'_>) -> Parsed<'_, Criterion> {
    let (at, reverse) = opt(terminated(keyword("REVERSE"), space)).parse(at)?;
    let (at, word) = atom(at).map_err(|_| WRONG)?;
    let by = match Keyword::of(word.as_bytes()).as_bytes() {
        b"ANNOTATION" => {
            let (at, key) = argument(annotate::sort)(at)?;
            return Ok((at, Criterion { reverse: reverse.is_some(), by: By::Annotation(key) }));
        }
        b"ARRIVAL" => By::Arrival,
        b"CC" => By::Cc,
        b"DATE" => By::Date,
        b"DISPLAYFROM" => By::DisplayFrom,
        b"DISPLAYTO" => By::DisplayTo,
        b"FROM" => By::From,
        b"MODSEQ" => By::Modseq,
        b"RELEVANCY" => By::Relevancy,
        b"SIZE" => By::Size,
        b"SUBJECT" => By::Subject,
        b"TO" => By::To,
        b"UID" => By::Uid,
        _ => return Err(WRONG.into()),
    };
    Ok((at, Criterion { reverse: reverse.is_some(), by }))
}

const WRONG: ParseError = ParseError::Invalid("Sort criterion");
/// More than there are.
const CRITERIA: usize = 32;

/// A place in a thread as it is printed: see [`print_thread`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Open,
    /// A message; the one before it within the same parentheses is its parent.
    Message(u32),
    Close,
}

/// `* THREAD [SP 1*thread]`, the threads as steps: `(1 2 (3)(4 5))`.
pub fn print_thread(out: &mut Vec<u8>, steps: impl Iterator<Item = Step>) {
    out.extend_from_slice(b"* THREAD");
    let (mut depth, mut after_message) = (0_usize, false);
    for step in steps {
        match step {
            Step::Open => {
                if depth == 0 && out.ends_with(b"D") || after_message {
                    out.push(b' ');
                }
                out.push(b'(');
                (depth, after_message) = (depth + 1, false);
            }
            Step::Message(number) => {
                if after_message {
                    out.push(b' ');
                }
                put_number(out, number);
                after_message = true;
            }
            Step::Close => {
                out.push(b')');
                (depth, after_message) = (depth.saturating_sub(1), false);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::Limits;

    fn read<T>(text: &str, grammar: fn(Cursor<'_>, bool) -> Parsed<'_, T>) -> Result<T, ParseError> {
        Cursor::new(text.as_bytes(), Limits::default()).read(|at| grammar(at, false))
    }

    #[test]
    fn reverse_is_of_the_next_key_only() {
        let parsed = read(" (REVERSE DATE subject) us-ascii UNSEEN 1:3", sort).unwrap();
        let by = |reverse, by| Criterion { reverse, by };
        assert_eq!(parsed.criteria, [by(true, By::Date), by(false, By::Subject)]);
        assert_eq!((parsed.charset.as_str(), parsed.returns), ("US-ASCII", None));
        assert!(matches!(parsed.key, Key::And(keys) if keys.len() == 2));
        let parsed = read(" RETURN (COUNT PARTIAL 1:2) (UID) UTF-8 ALL", sort).unwrap();
        assert!(parsed.returns.unwrap().partial.is_some());
        let parsed = read(" (REVERSE annotation /Comment value.priv SIZE) UTF-8 ALL", sort).unwrap();
        let key = SortKey { entry: "/comment".into(), private: true };
        assert_eq!(parsed.criteria, [by(true, By::Annotation(key)), by(false, By::Size)]);
    }

    #[test]
    fn what_is_no_sort_and_no_thread() {
        for text in [
            " () UTF-8 ALL",
            " (REVERSE) UTF-8 ALL",
            " (FOO) UTF-8 ALL",
            " (DATE) ALL",
            " DATE UTF-8 ALL",
            " (DATE)",
            " (DATE) UTF-8",
            " (ANNOTATION) UTF-8 ALL",
            " (ANNOTATION /a value) UTF-8 ALL",
            "",
        ] {
            assert!(read(text, sort).is_err(), "{text}");
        }
        for text in [" FOO UTF-8 ALL", " REFERENCES UTF-8", " REFERENCES", ""] {
            assert!(read(text, thread).is_err(), "{text}");
        }
        assert_eq!(read(" refs UTF-8 ALL", thread).unwrap().algorithm, Algorithm::Refs);
    }

    #[test]
    fn threads_are_printed_as_rfc_5256_has_them() {
        let steps = |text: &str| -> Vec<u8> {
            let mut out = Vec::new();
            let step = |c: char| match c {
                '(' => Step::Open,
                ')' => Step::Close,
                digit => Step::Message(digit.to_digit(36).unwrap()),
            };
            print_thread(&mut out, text.chars().map(step));
            out
        };
        assert_eq!(steps(""), b"* THREAD\r\n");
        assert_eq!(steps("(2)(36(4n)(a(b)(c)))"), b"* THREAD (2)(3 6 (4 23)(10 (11)(12)))\r\n");
        assert_eq!(steps("((3)(5))"), b"* THREAD ((3)(5))\r\n");
    }
}
