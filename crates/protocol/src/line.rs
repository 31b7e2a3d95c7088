//! Cutting bytes into command lines, for the protocols without literals (LMTP, POP3).

use bytes::{Buf, BytesMut};

/// Takes lines off a buffer. A line that is too long is told once, and skipped to its end.
#[derive(Debug)]
pub struct Lines {
    max: usize,
    skipped: usize,
    skipping: bool,
}

/// A line, or the news that one is too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its line end (CRLF, or a bare LF as some clients send).
    Text(Vec<u8>),
    TooLong,
}

/// A peer that sends this much without a line end is not speaking the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line without end")]
pub struct Endless;

impl Lines {
    /// `max`: bytes of a line with its end.
    pub fn new(max: usize) -> Lines {
        Lines { max, skipped: 0, skipping: false }
    }

    /// The next line in `buf`, none if more bytes are needed. The buffer never has to hold more than `max` bytes.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Line>, Endless> {
        loop {
            let Some(at) = buf.iter().position(|&b| b == b'\n') else {
                return self.incomplete(buf);
            };
            if std::mem::take(&mut self.skipping) {
                buf.advance(at + 1);
                self.skipped = 0;
                continue;
            }
            let line = buf.split_to(at + 1);
            if line.len() > self.max {
                return Ok(Some(Line::TooLong));
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            return Ok(Some(Line::Text(line.strip_suffix(b"\r").unwrap_or(line).to_vec())));
        }
    }

    fn incomplete(&mut self, buf: &mut BytesMut) -> Result<Option<Line>, Endless> {
        if !self.skipping && buf.len() < self.max {
            return Ok(None);
        }
        let first = !std::mem::replace(&mut self.skipping, true);
        self.skipped += buf.len();
        buf.clear();
        if self.skipped > self.max.saturating_mul(ENDLESS) {
            return Err(Endless);
        }
        Ok(first.then_some(Line::TooLong))
    }
}

/// So many times the longest line are skipped before the peer is given up.
const ENDLESS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_line_feeds() {
        let (mut lines, mut buf) = (Lines::new(16), BytesMut::from("NOOP\r\nQUIT\nHAL"));
        assert_eq!(lines.next(&mut buf), Ok(Some(Line::Text(b"NOOP".to_vec()))));
        assert_eq!(lines.next(&mut buf), Ok(Some(Line::Text(b"QUIT".to_vec()))));
        assert_eq!(lines.next(&mut buf), Ok(None));
    }

    #[test]
    fn a_long_line_is_told_once_and_skipped() {
        let (mut lines, mut buf) = (Lines::new(8), BytesMut::from("123456789"));
        assert_eq!(lines.next(&mut buf), Ok(Some(Line::TooLong)));
        buf.extend_from_slice(b"more and more");
        assert_eq!(lines.next(&mut buf), Ok(None));
        buf.extend_from_slice(b"end\r\nNOOP\r\n");
        assert_eq!(lines.next(&mut buf), Ok(Some(Line::Text(b"NOOP".to_vec()))));
    }

    #[test]
    fn a_line_without_end_ends_the_session() {
        let mut lines = Lines::new(8);
        let outcome =
            (0..1000).map(|_| lines.next(&mut BytesMut::from(&[b'x'; 64][..]))).find(Result::is_err);
        assert_eq!(outcome, Some(Err(Endless)));
    }
}
