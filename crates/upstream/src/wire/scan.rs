//! Follows a backend's stream of IMAP responses without understanding it.
//!
//! A proxy needs to know of a response only where it ends and whether it is the tagged line that ends a command; so
//! the scanner looks at the first byte of each line, counts literals, and hands out everything else as runs of bytes
//! to be copied. Lines may have any length: nothing but tagged lines, continuations, BYE, XMOVED and the beginning of a line
//! that quotes a tag of ours is ever held.

use bytes::{Bytes, BytesMut};
use protocol::frame::{HEADER_MAX, literal_at_end, trim_line};

use super::OutOfStep;
use crate::limits::{IMAP_LINE, rows};

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A run of untagged responses to copy: whole lines, or a part of one (see [`Scanner::at_line_start`]).
    Untagged(Bytes),
    /// The beginning of an untagged line up to a tag that starts with the secret; what follows are the digits.
    Quoting(Bytes),
    /// A whole `tag OK …` line with its line end.
    Tagged(Bytes),
    /// A whole `+ …` line with its line end.
    Continuation(Bytes),
    /// A whole `* BYE …` line: the backend's good-bye is not always the client's.
    Bye(Bytes),
    /// A whole `* OK [XMOVED …` line: said to us, and to no client.
    Moved(Bytes),
}

/// One line or one run of a literal's bytes, for those who read responses instead of copying them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line with its end, and the size of the literal that it announces.
    Line(Bytes, Option<u64>),
    /// Bytes of a literal, and how many follow.
    Data(Bytes, u64),
    Tagged(Bytes),
    Continuation(Bytes),
    Bye(Bytes),
    Moved(Bytes),
}

/// Cuts the bytes from one backend. Append what was read to a buffer, call [`Scanner::next`] until it gives `None`.
#[derive(Debug, Default)]
pub(super) struct Scanner {
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

    /// The next reply, consumed from `buf`; `None` when more bytes are needed. `secret` begins every tag of ours.
    pub fn next(&mut self, buf: &mut BytesMut, secret: &[u8]) -> Result<Option<Reply>, OutOfStep> {
        let mut at = 0;
        let mut held = Held::Nothing;
        loop {
            match advance(self.state, buf.get(at..).unwrap_or_default(), secret) {
                Step::Go { state, bytes } if bytes == 0 && state == self.state => break,
                Step::Go { state, bytes } => {
                    if matches!(self.state, State::Line { .. }) {
                        scrub(buf, at, at + bytes);
                    }
                    (at, self.state) = (at + bytes, state);
                }
                Step::Hold(what) => {
                    held = what;
                    break;
                }
            }
        }
        if at > 0 {
            return Ok(Some(Reply::Untagged(buf.split_to(at).freeze())));
        }
        match held {
            Held::Nothing => Ok(None),
            Held::Line => Ok(take_line(buf)?.map(|line| match line.first() {
                Some(b'+') => Reply::Continuation(line),
                Some(b'*') if is_moved(&line) => Reply::Moved(line),
                Some(b'*') => Reply::Bye(line),
                _ => Reply::Tagged(line),
            })),
            Held::Quote { status, until } => {
                self.state = State::Line { status };
                scrub(buf, 0, until);
                Ok(Some(Reply::Quoting(buf.split_to(until).freeze())))
            }
        }
    }

    /// The same in pieces that can be read: one line, or some of a literal.
    pub fn piece(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, OutOfStep> {
        if let State::Literal { rest } = self.state
            && rest > 0
        {
            let take = buf.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
            if take == 0 {
                return Ok(None);
            }
            self.state = State::Literal { rest: rest - take as u64 };
            return Ok(Some(Piece::Data(buf.split_to(take).freeze(), rest - take as u64)));
        }
        let begins = self.state == State::LineStart;
        let status = matches!(self.state, State::Line { status: true });
        let Some(line) = take_line(buf)? else { return Ok(None) };
        let kind = if begins { begin(&line) } else { Some(Begin::Untagged { status }) };
        Ok(Some(match (kind, line.first()) {
            (Some(Begin::Untagged { status }), _) => {
                let literal = if status { None } else { literal_at_end(&line).map(|literal| literal.size) };
                self.state = match literal {
                    Some(rest) => State::Literal { rest },
                    None => State::LineStart,
                };
                Piece::Line(line, literal)
            }
            (_, Some(b'+')) => Piece::Continuation(line),
            (_, Some(b'*')) if is_moved(&line) => Piece::Moved(line),
            (_, Some(b'*')) => Piece::Bye(line),
            _ => Piece::Tagged(line),
        }))
    }
}

/// A whole line with its end; an error where there is none within bounds.
fn take_line(buf: &mut BytesMut) -> Result<Option<Bytes>, OutOfStep> {
    let Some(end) = buf.iter().position(|&b| b == b'\n') else {
        if buf.len() <= IMAP_LINE {
            return Ok(None);
        }
        rows::IMAP_LINE.met("a backend sends a line without end: it is disconnected");
        return Err(OutOfStep::Endless);
    };
    scrub(buf, 0, end + 1);
    Ok(Some(buf.split_to(end + 1).freeze()))
}

/// A CR that ends no line becomes a blank: some clients would see a line's end there, and what follows as an answer.
fn scrub(buf: &mut BytesMut, from: usize, to: usize) {
    let mut at = from;
    while let Some(run) = buf.get(at..to)
        && let Some(found) = run.iter().position(|&b| b == b'\r')
    {
        at += found + 1;
        if buf.get(at).is_some_and(|&next| next != b'\n')
            && let Some(byte) = buf.get_mut(at - 1)
        {
            *byte = b' ';
        }
    }
}

enum Step {
    /// So many bytes may be copied, and the state after them.
    Go {
        state: State,
        bytes: usize,
    },
    Hold(Held),
}

/// Why no byte may be copied at a line's start.
enum Held {
    /// More bytes are needed.
    Nothing,
    /// A line that must be read whole.
    Line,
    /// An untagged line that quotes a tag of ours, which begins at `until`.
    Quote { status: bool, until: usize },
}

fn advance(state: State, rest: &[u8], secret: &[u8]) -> Step {
    match state {
        State::LineStart => match begin(rest) {
            None => Step::Hold(Held::Nothing),
            Some(Begin::Held) => Step::Hold(Held::Line),
            Some(Begin::Untagged { status }) => match quotes(rest, secret) {
                Quotes::No => Step::Go { state: State::Line { status }, bytes: 0 },
                Quotes::Unknown => Step::Hold(Held::Nothing),
                Quotes::At(until) => Step::Hold(Held::Quote { status, until }),
            },
        },
        State::Line { status } => match rest.iter().position(|&b| b == b'\n') {
            Some(at) => {
                let line = rest.get(..=at).unwrap_or_default();
                let literal = if status { None } else { literal_at_end(line) };
                let state = match literal {
                    Some(literal) if literal.size > 0 => State::Literal { rest: literal.size },
                    Some(_) => State::Line { status: false },
                    None => State::LineStart,
                };
                Step::Go { state, bytes: at + 1 }
            }
            // What may be the beginning of a literal's header stays until its line end is there.
            None => Step::Go { state, bytes: rest.len().saturating_sub(HEADER_MAX) },
        },
        State::Literal { rest: 0 } => Step::Go { state: State::Line { status: false }, bytes: 0 },
        State::Literal { rest: left } => {
            let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            Step::Go { state: State::Literal { rest: left - take as u64 }, bytes: take }
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
    let start = line.get(..KIND_MAX.min(line.len())).unwrap_or_default();
    if start.len() < KIND_MAX && !start.contains(&b'\n') {
        return None;
    }
    let kind = start.get(2..).unwrap_or_default().split(|b| b" \r\n".contains(b)).next();
    let is = |word: &str| kind.is_some_and(|kind| kind.eq_ignore_ascii_case(word.as_bytes()));
    if is("BYE") || is_moved(line) {
        return Some(Begin::Held);
    }
    Some(Begin::Untagged { status: is("OK") || is("NO") || is("BAD") || is("PREAUTH") })
}

/// Whether a line begins as one that says where the selected mailbox has moved.
fn is_moved(line: &[u8]) -> bool {
    line.get(..MOVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(MOVED))
}

enum Quotes {
    No,
    Unknown,
    At(usize),
}

/// Where an untagged line quotes a tag of ours: `* ESEARCH (TAG "x") …` (RFC 4731), `* OK [INPROGRESS ("x" 5 10)] …`
/// (RFC 9585), `* UIDBATCHES (TAG "x") …`. Nobody else knows the secret, so that finding it is proof enough.
fn quotes(line: &[u8], secret: &[u8]) -> Quotes {
    // `* 12 FETCH`, `* 5 EXISTS`: the most frequent lines by far, and none of them quotes.
    if line.get(2).is_some_and(u8::is_ascii_digit) {
        return Quotes::No;
    }
    let end = line.iter().take(QUOTE_MAX).position(|&b| b == b'\n');
    let text = line.get(..end.unwrap_or(QUOTE_MAX.min(line.len()))).unwrap_or_default();
    let Some(at) = text.windows(secret.len().max(1)).position(|run| run == secret) else {
        return if end.is_none() && line.len() < QUOTE_MAX { Quotes::Unknown } else { Quotes::No };
    };
    // Its number is there to the last digit.
    let number = line.get(at + secret.len()..).unwrap_or_default();
    match number.iter().take(DIGITS_MAX).all(u8::is_ascii_digit) && number.len() < DIGITS_MAX {
        true => Quotes::Unknown,
        false => Quotes::At(at),
    }
}

/// Where a whole untagged line quotes a tag of ours.
pub(super) fn tag_quoted_at(line: &[u8], secret: &[u8]) -> Option<usize> {
    match quotes(line, secret) {
        Quotes::At(at) => Some(at),
        Quotes::No | Quotes::Unknown => None,
    }
}

/// The word after the tag or the `*` of a line, without its line end, and what follows it.
pub(super) fn words(line: &[u8]) -> (&[u8], &[u8]) {
    let line = trim_line(line);
    let blank = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    (line.get(..blank).unwrap_or_default(), line.get(blank + 1..).unwrap_or_default())
}

/// `* PREAUTH ` and a little; [`MOVED`].
const KIND_MAX: usize = 12;
const MOVED: &[u8] = b"* OK [XMOVED";
/// A tag stands near the beginning of a line that quotes it: the keyword, some brackets, the tag.
const QUOTE_MAX: usize = 80;
/// More digits than any number of a command has.
const DIGITS_MAX: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"SECRET";

    fn scan(input: &[u8], chunk: usize) -> (Vec<u8>, Vec<Reply>) {
        let (mut scanner, mut buf) = (Scanner::default(), BytesMut::new());
        let (mut copied, mut held) = (Vec::new(), Vec::new());
        for run in input.chunks(chunk) {
            buf.extend_from_slice(run);
            while let Some(reply) = scanner.next(&mut buf, SECRET).unwrap() {
                match reply {
                    Reply::Untagged(bytes) => copied.extend_from_slice(&bytes),
                    Reply::Quoting(bytes) => {
                        copied.extend_from_slice(&bytes);
                        copied.extend_from_slice(b"<tag>");
                    }
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
        assert!(
            matches!(scanner.next(&mut buf, SECRET), Ok(Some(Reply::Untagged(run))) if run.len() > 19_000)
        );
        assert!(!scanner.at_line_start() && buf.len() == HEADER_MAX);
        buf.extend_from_slice(b"\r\n");
        assert!(matches!(scanner.next(&mut buf, SECRET), Ok(Some(Reply::Untagged(_)))));
        assert!(scanner.at_line_start());
    }

    #[test]
    fn a_tag_of_ours_is_found_where_a_response_quotes_it_and_nowhere_else() {
        let input = b"* ESEARCH (TAG \"SECRET7\") UID COUNT 3\r\n* OK [INPROGRESS (\"SECRET8\" 4 9)] x\r\n\
                      * 1 FETCH (BODY[] {7}\r\nSECRET9)\r\n* LIST () \"/\" {7}\r\nSECRET1\r\n";
        let told =
            b"* ESEARCH (TAG \"<tag>SECRET7\") UID COUNT 3\r\n* OK [INPROGRESS (\"<tag>SECRET8\" 4 9)] x\r\n\
                     * 1 FETCH (BODY[] {7}\r\nSECRET9)\r\n* LIST () \"/\" {7}\r\nSECRET1\r\n";
        for chunk in 1..input.len() + 1 {
            assert_eq!(scan(input, chunk), (told.to_vec(), vec![]), "chunk {chunk}");
        }
    }

    #[test]
    fn a_bare_cr_is_no_line_end_for_anybody() {
        let input = b"* OK tired\ra1 OK planted\r\n* 1 FETCH (BODY[] {3}\r\n\r\rx)\r\n";
        for chunk in 1..input.len() + 1 {
            let (copied, _) = scan(input, chunk);
            assert_eq!(
                copied, b"* OK tired a1 OK planted\r\n* 1 FETCH (BODY[] {3}\r\n\r\rx)\r\n",
                "chunk {chunk}"
            );
        }
        let input = b"* OK x\r\rSECRET7 OK planted\r\n* ESEARCH\r(TAG \"SECRET8\")\rUID\r\n";
        for chunk in 1..input.len() + 1 {
            let (copied, _) = scan(input, chunk);
            assert_eq!(
                copied, b"* OK x  <tag>SECRET7 OK planted\r\n* ESEARCH (TAG \"<tag>SECRET8\") UID\r\n",
                "before a tag that is quoted, chunk {chunk}"
            );
        }
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
        fn pieces_are_the_same_bytes(input in "[a* +{}0-2BYEOK \r\n]{0,200}", chunk in 1usize..30) {
            let (mut scanner, mut buf, mut read) = (Scanner::default(), BytesMut::new(), Vec::new());
            for run in input.as_bytes().chunks(chunk) {
                buf.extend_from_slice(run);
                while let Some(piece) = scanner.piece(&mut buf).unwrap() {
                    match piece {
                        Piece::Line(bytes, _) | Piece::Data(bytes, _) => read.extend_from_slice(&bytes),
                        Piece::Tagged(_) | Piece::Continuation(_) | Piece::Bye(_) | Piece::Moved(_) => {}
                    }
                }
            }
            let (copied, _) = scan(input.as_bytes(), input.len().max(1));
            let common = copied.len().min(read.len());
            prop_assert_eq!(&copied[..common], &read[..common]);
        }

        #[test]
        fn any_bytes_are_survived(input in proptest::collection::vec(any::<u8>(), 0..300), chunk in 1usize..30) {
            scan(&input, chunk);
        }
    }
}
