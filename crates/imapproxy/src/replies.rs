//! Follows a backend's stream of responses without understanding it.
//!
//! A proxy needs to know of a response only where it ends and whether it is the tagged line that ends a command; so
//! the scanner looks at the first byte of each line, counts literals, and hands out everything else as runs of bytes
//! to be copied. Lines may have any length: nothing but tagged lines, continuations and BYE is ever held.

use bytes::{Bytes, BytesMut};
use protocol::frame::{literal_at_end, trim_line};

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// A run of untagged responses to copy: whole lines, or a part of one (see [`Scanner::at_line_start`]).
    Untagged(Bytes),
    /// A whole `tag OK …` line with its line end.
    Tagged(Bytes),
    /// A whole `+ …` line with its line end.
    Continuation(Bytes),
    /// A whole `* BYE …` line: the backend's good-bye is not always the client's.
    Bye(Bytes),
}

/// A line that must be held whole is longer than [`LINE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tagged line without end")]
pub struct Endless;

/// Cuts the bytes from one backend. Append what was read to a buffer, call [`Scanner::next`] until it gives `None`.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    /// Within an untagged line. A status line (`* OK …`) ends in free text, which may look like a literal's header.
    Line {
        status: bool,
    },
    Literal {
        rest: u64,
    },
}

impl Scanner {
    /// Whether all that was handed out so far ends at a line's end, so that lines of others may follow.
    pub fn at_line_start(&self) -> bool {
        self.state == State::LineStart
    }

    /// The next reply, consumed from `buf`; `None` when more bytes are needed.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Reply>, Endless> {
        let (mut at, mut state) = (0, self.state);
        while let Some((next, step)) = advance(state, buf.get(at..).unwrap_or_default()) {
            if step == 0 && next == state {
                break;
            }
            (at, state) = (at + step, next);
        }
        self.state = state;
        if at > 0 {
            return Ok(Some(Reply::Untagged(buf.split_to(at).freeze())));
        }
        if state != State::LineStart {
            return Ok(None);
        }
        let Some(end) = buf.iter().position(|&b| b == b'\n') else {
            return if buf.len() > LINE_MAX { Err(Endless) } else { Ok(None) };
        };
        let kind = match buf.first() {
            Some(b'+') => Reply::Continuation,
            Some(b'*') => Reply::Bye,
            _ => Reply::Tagged,
        };
        Ok(Some(kind(buf.split_to(end + 1).freeze())))
    }
}

/// How far untagged text reaches from `state`: the state after it and the bytes of it. `None` at a held line or when
/// bytes are missing.
fn advance(state: State, rest: &[u8]) -> Option<(State, usize)> {
    match state {
        State::LineStart => match begin(rest)? {
            Begin::Untagged { status } => Some((State::Line { status }, 0)),
            Begin::Held => None,
        },
        State::Line { status } => match rest.iter().position(|&b| b == b'\n') {
            Some(at) => {
                let line = rest.get(..=at)?;
                let literal = if status { None } else { literal_at_end(line) };
                let next = match literal {
                    Some(literal) if literal.size > 0 => State::Literal { rest: literal.size },
                    Some(_) => State::Line { status: false },
                    None => State::LineStart,
                };
                Some((next, at + 1))
            }
            // What may be the beginning of a literal's header stays until its line end is there.
            None if rest.len() > HEADER_MAX => Some((state, rest.len() - HEADER_MAX)),
            None => None,
        },
        State::Literal { rest: 0 } => Some((State::Line { status: false }, 0)),
        State::Literal { .. } if rest.is_empty() => None,
        State::Literal { rest: left } => {
            let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            Some((State::Literal { rest: left - take as u64 }, take))
        }
    }
}

enum Begin {
    Untagged { status: bool },
    Held,
}

/// What kind of line begins; `None` while that cannot be told.
fn begin(line: &[u8]) -> Option<Begin> {
    if *line.first()? != b'*' {
        return Some(Begin::Held);
    }
    let whole = line.contains(&b'\n');
    if !whole && line.len() < KIND_MAX {
        return None;
    }
    let kind = trim_line(line).get(2..).unwrap_or_default().split(|&b| b == b' ' || b == b'\r').next();
    let is = |word: &str| kind.is_some_and(|kind| kind.eq_ignore_ascii_case(word.as_bytes()));
    if is("BYE") {
        return Some(Begin::Held);
    }
    Some(Begin::Untagged { status: is("OK") || is("NO") || is("BAD") || is("PREAUTH") })
}

/// The condition of a tagged line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Ok,
    No,
    Bad,
}

/// A tagged line, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged<'a> {
    pub tag: &'a [u8],
    /// `None` for a word that is none of OK, NO and BAD.
    pub condition: Option<Condition>,
    /// From the condition's text on, without the line end: `[CODE x] text`.
    pub text: &'a [u8],
}

impl<'a> Tagged<'a> {
    pub fn parse(line: &'a [u8]) -> Self {
        let mut words = trim_line(line).splitn(3, |&b| b == b' ');
        let (tag, word) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let condition = match word.to_ascii_uppercase().as_slice() {
            b"OK" => Some(Condition::Ok),
            b"NO" => Some(Condition::No),
            b"BAD" => Some(Condition::Bad),
            _ => None,
        };
        Tagged { tag, condition, text: words.next().unwrap_or_default() }
    }

    pub fn is_ok(&self) -> bool {
        self.condition == Some(Condition::Ok)
    }

    /// The words of the response code `name`, if the line carries it: `[APPENDUID 1 5] …` → `1 5`.
    pub fn code(&self, name: &str) -> Option<&'a str> {
        let inside = self.text.strip_prefix(b"[")?;
        let end = inside.iter().position(|&b| b == b']')?;
        let code = std::str::from_utf8(inside.get(..end)?).ok()?;
        let (head, tail) = code.split_once(' ').unwrap_or((code, ""));
        head.eq_ignore_ascii_case(name).then_some(tail)
    }
}

/// `~{` 19 digits `+}` CR LF.
const HEADER_MAX: usize = 25;
/// `* PREAUTH ` and a little.
const KIND_MAX: usize = 12;
/// A tagged line may carry the UID sets of a whole mailbox (COPYUID).
pub const LINE_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(input: &[u8], chunk: usize) -> (Vec<u8>, Vec<Reply>) {
        let (mut scanner, mut buf) = (Scanner::default(), BytesMut::new());
        let (mut copied, mut held) = (Vec::new(), Vec::new());
        for run in input.chunks(chunk) {
            buf.extend_from_slice(run);
            while let Some(reply) = scanner.next(&mut buf).unwrap() {
                match reply {
                    Reply::Untagged(bytes) => copied.extend_from_slice(&bytes),
                    other => held.push(other),
                }
            }
        }
        (copied, held)
    }

    #[test]
    fn only_a_tag_at_a_line_start_ends_a_command() {
        let untagged = b"* 1 FETCH (BODY[] {17}\r\na OK in literal\r\n FLAGS ())\r\n* OK not a literal {5}\r\n* 2 EXISTS\r\n";
        let mut input = untagged.to_vec();
        input.extend_from_slice(b"a OK [READ-WRITE] Completed\r\n");
        for chunk in 1..input.len() + 1 {
            let (copied, held) = scan(&input, chunk);
            assert_eq!(copied, untagged, "chunk {chunk}");
            assert_eq!(held, [Reply::Tagged(Bytes::from_static(b"a OK [READ-WRITE] Completed\r\n"))]);
        }
    }

    #[test]
    fn good_byes_and_continuations_are_held() {
        for chunk in 1..40 {
            let (copied, held) = scan(b"+ go on\r\n* BYE tired\r\n* BYEBYE 1\r\n", chunk);
            assert_eq!(copied, b"* BYEBYE 1\r\n");
            assert_eq!(
                held,
                [
                    Reply::Continuation(Bytes::from_static(b"+ go on\r\n")),
                    Reply::Bye(Bytes::from_static(b"* BYE tired\r\n"))
                ]
            );
        }
    }

    #[test]
    fn a_long_line_passes_in_parts() {
        let (mut scanner, mut buf) = (Scanner::default(), BytesMut::new());
        buf.extend_from_slice(b"* SEARCH ");
        buf.extend_from_slice(&b"1 ".repeat(10_000));
        assert!(matches!(scanner.next(&mut buf), Ok(Some(Reply::Untagged(run))) if run.len() > 19_000));
        assert!(!scanner.at_line_start() && buf.len() == HEADER_MAX);
        buf.extend_from_slice(b"\r\n");
        assert!(matches!(scanner.next(&mut buf), Ok(Some(Reply::Untagged(_)))));
        assert!(scanner.at_line_start());
    }

    #[test]
    fn a_tagged_line_is_taken_apart() {
        let line = Tagged::parse(b"a1 OK [APPENDUID 38505 3955] Completed\r\n");
        assert_eq!((line.tag, line.is_ok(), line.code("appenduid")), (&b"a1"[..], true, Some("38505 3955")));
        assert_eq!(Tagged::parse(b"x no\r\n").condition, Some(Condition::No));
        assert_eq!(Tagged::parse(b"").condition, None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_chunks_do_not_matter(input in "[a* +{}0-2BYEOK \r\n]{0,200}", chunk in 1usize..30) {
            let (copied, held) = scan(input.as_bytes(), chunk);
            let (copied_whole, held_whole) = scan(input.as_bytes(), input.len().max(1));
            prop_assert_eq!(&held, &held_whole);
            // A partial line at the end may stay in the buffer by different amounts.
            let common = copied.len().min(copied_whole.len());
            prop_assert_eq!(&copied[..common], &copied_whole[..common]);
        }

        #[test]
        fn any_bytes_are_survived(input in proptest::collection::vec(any::<u8>(), 0..300), chunk in 1usize..30) {
            scan(&input, chunk);
        }
    }
}
