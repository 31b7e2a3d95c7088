//! An NNTP connection to a backend: which command waits for its answer, whether the lines of one are still coming, and whether an
//! article is being sent. Lines of an answer pass through in pieces, however long they are: nothing is collected.

use bytes::{Bytes, BytesMut};
use protocol::line::{Line, Lines};

use super::{OutOfStep, line};
use crate::limits::{NNTP_COMMAND, REPLY_LINE};

/// What comes from a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first line of an answer. `block`: lines follow, up to [`Event::End`].
    Status { code: u16, text: String, block: bool },
    /// A piece of the lines that follow, as they came, with doubled dots. It may end within a line.
    Piece(Bytes),
    /// The dot at the end of them.
    End,
}

/// The owner of a connection's state. One command is under way at a time: an answer is read to its end before the next goes out.
#[derive(Debug)]
pub struct Wire {
    owed: Owed,
    lines: Lines,
    /// Within lines that follow: the next byte begins one.
    at_start: bool,
    /// Within lines that follow: the last byte of a piece was a CR.
    after_cr: bool,
    /// It said 400, or something that was not asked for.
    over: bool,
}

/// What will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Nothing,
    /// A status; after 211 lines follow if `list`.
    Status {
        list: bool,
    },
    /// The rest of the lines.
    Block,
    /// IHAVE was answered with 335: the article, then its status.
    Article,
    /// A challenge was sent.
    Challenge,
}

impl Default for Wire {
    /// A connection that has only been made: the greeting is owed.
    fn default() -> Wire {
        Wire {
            owed: Owed::Status { list: false },
            lines: Lines::new(REPLY_LINE),
            at_start: true,
            after_cr: false,
            over: false,
        }
    }
}

impl Wire {
    /// A command, without its line end.
    pub fn command(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.owed != Owed::Nothing || self.over {
            return Err(OutOfStep::Busy);
        }
        if text.len() > NNTP_COMMAND {
            return Err(OutOfStep::Beyond);
        }
        line(text, out)?;
        let word = text.split(' ').next().unwrap_or_default();
        self.owed = Owed::Status { list: word.eq_ignore_ascii_case("LISTGROUP") };
        Ok(())
    }

    /// The answer to a challenge.
    pub fn say(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.owed != Owed::Challenge {
            return Err(OutOfStep::Beyond);
        }
        line(text, out)?;
        self.owed = Owed::Status { list: false };
        Ok(())
    }

    /// Bytes of the article, with its dots doubled.
    pub fn article(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.owed != Owed::Article {
            return Err(OutOfStep::Beyond);
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The article was sent to the end of its last line.
    pub fn article_ended(&mut self, out: &mut BytesMut) -> Result<(), OutOfStep> {
        self.article(b".\r\n", out)?;
        self.owed = Owed::Status { list: false };
        Ok(())
    }

    /// The next event, consumed from `input`; `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, OutOfStep> {
        let event = match self.owed {
            Owed::Block => Ok(self.piece(input)),
            Owed::Nothing | Owed::Status { .. } | Owed::Article | Owed::Challenge => self.status(input),
        };
        event.inspect_err(|_| self.over = true)
    }

    fn status(&mut self, input: &mut BytesMut) -> Result<Option<Event>, OutOfStep> {
        let text = match self.lines.next(input).map_err(|_| OutOfStep::Endless)? {
            None => return Ok(None),
            Some(Line::TooLong) => return Err(OutOfStep::Endless),
            Some(Line::Text(text)) => String::from_utf8_lossy(&text).into_owned(),
        };
        let (code, text) = text.split_at_checked(3).ok_or(OutOfStep::Malformed)?;
        let code: u16 = match code.bytes().all(|byte| byte.is_ascii_digit()) {
            true => code.parse().map_err(|_| OutOfStep::Malformed)?,
            false => return Err(OutOfStep::Malformed),
        };
        if !(text.is_empty() || text.starts_with(' ')) {
            return Err(OutOfStep::Malformed);
        }
        let text = text.trim().to_owned();
        if code == GOODBYE {
            self.over = true;
            self.owed = Owed::Nothing;
            return Ok(Some(Event::Status { code, text, block: false }));
        }
        let Owed::Status { list } = self.owed else { return Err(OutOfStep::Unasked) };
        let block = has_block(code, list);
        self.owed = match code {
            _ if block => Owed::Block,
            SEND_ARTICLE => Owed::Article,
            CHALLENGE => Owed::Challenge,
            _ => Owed::Nothing,
        };
        (self.at_start, self.after_cr) = (true, false);
        Ok(Some(Event::Status { code, text, block }))
    }

    /// As much as there is up to the end, or the end itself.
    fn piece(&mut self, input: &mut BytesMut) -> Option<Event> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            let newline = rest.iter().position(|&byte| byte == b'\n');
            let text = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
            // The end is CRLF, dot, CRLF and nothing less: an article may have bare line feeds.
            let dot = self.at_start && (text == b".\r" || text == b"." && newline.is_none());
            match newline {
                Some(_) if dot && taken == 0 => {
                    let _ = input.split_to(text.len() + 1);
                    self.owed = Owed::Nothing;
                    return Some(Event::End);
                }
                // What may be the end, or is it, comes by itself.
                Some(_) | None if dot => break,
                Some(at) => {
                    // The two halves of a line end may come apart.
                    self.at_start = text.ends_with(b"\r") || at == 0 && taken == 0 && self.after_cr;
                    taken += at + 1;
                }
                None => {
                    taken += text.len();
                    self.at_start = false;
                }
            }
        }
        let piece = (taken > 0).then(|| input.split_to(taken).freeze())?;
        self.after_cr = piece.ends_with(b"\r");
        Some(Event::Piece(piece))
    }

    /// Whether every command has had its answer, to the end.
    pub fn is_at_rest(&self, unread: &[u8]) -> bool {
        self.owed == Owed::Nothing && !self.over && unread.is_empty()
    }
}

/// RFC 3977 section 3.2, RFC 2980 section 2: after which codes lines follow.
fn has_block(code: u16, list: bool) -> bool {
    match code {
        100 | 101 | 215 | 220 | 221 | 222 | 224 | 225 | 230 | 231 => true,
        211 => list,
        _ => false,
    }
}

const GOODBYE: u16 = 400;
const SEND_ARTICLE: u16 = 335;
const CHALLENGE: u16 = 383;

#[cfg(test)]
mod tests {
    use super::*;

    /// A wire that was greeted.
    fn greeted() -> (Wire, BytesMut) {
        let mut wire = Wire::default();
        let greeting = wire.next(&mut BytesMut::from("200 ready\r\n")).unwrap();
        assert_eq!(greeting, Some(Event::Status { code: 200, text: "ready".into(), block: false }));
        (wire, BytesMut::new())
    }

    /// All that is heard of an answer that comes in these pieces.
    fn heard(wire: &mut Wire, pieces: &[&[u8]]) -> Result<(Vec<u16>, Vec<u8>, bool), OutOfStep> {
        let (mut input, mut codes, mut lines, mut ended) = (BytesMut::new(), Vec::new(), Vec::new(), false);
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(event) = wire.next(&mut input)? {
                match event {
                    Event::Status { code, .. } => codes.push(code),
                    Event::Piece(bytes) => lines.extend_from_slice(&bytes),
                    Event::End => ended = true,
                }
            }
        }
        Ok((codes, lines, ended))
    }

    #[test]
    fn an_article_is_the_same_wherever_it_is_cut() {
        let answer = b"220 1 <a@b>\r\nSubject: x\r\n\r\n..dot\r\n. \r\nx.\n.\n\n.\r\n\r\r\n.\r\n";
        let body = b"Subject: x\r\n\r\n..dot\r\n. \r\nx.\n.\n\n.\r\n\r\r\n".to_vec();
        for cut in 0..=answer.len() {
            for second in cut..=answer.len() {
                let (mut wire, mut out) = greeted();
                wire.command("ARTICLE 1", &mut out).unwrap();
                let pieces = [&answer[..cut], &answer[cut..second], &answer[second..]];
                assert_eq!(heard(&mut wire, &pieces), Ok((vec![220], body.clone(), true)), "{cut} {second}");
                assert!(wire.is_at_rest(b""));
            }
        }
    }

    #[test]
    fn lines_follow_a_211_of_listgroup_and_not_that_of_group() {
        let (mut wire, mut out) = greeted();
        wire.command("GROUP a", &mut out).unwrap();
        assert_eq!(heard(&mut wire, &[b"211 1 1 1 a\r\n"]), Ok((vec![211], vec![], false)));
        wire.command("listgroup a", &mut out).unwrap();
        assert_eq!(wire.command("DATE", &mut out), Err(OutOfStep::Busy));
        let (codes, lines, ended) = heard(&mut wire, &[b"211 1 1 1 a\r\n1\r\n.\r\n"]).unwrap();
        assert_eq!((codes, &lines[..], ended), (vec![211], &b"1\r\n"[..], true));
    }

    #[test]
    fn an_article_goes_out_when_it_was_asked_for() {
        let (mut wire, mut out) = greeted();
        assert_eq!(wire.article(b"x", &mut out), Err(OutOfStep::Beyond));
        wire.command("IHAVE <a@b>", &mut out).unwrap();
        heard(&mut wire, &[b"335 go\r\n"]).unwrap();
        assert!(!wire.is_at_rest(b"") && wire.command("DATE", &mut out).is_err());
        wire.article(b"x\r\n", &mut out).unwrap();
        wire.article_ended(&mut out).unwrap();
        assert_eq!(wire.article(b"x", &mut out), Err(OutOfStep::Beyond));
        assert_eq!(heard(&mut wire, &[b"235 ok\r\n"]).unwrap().0, [235]);
        assert!(wire.is_at_rest(b"") && out.ends_with(b"x\r\n.\r\n"));
    }

    #[test]
    fn what_is_no_answer_is_out_of_step() {
        for (asked, input, error) in [
            (false, &b"200 unasked\r\n"[..], OutOfStep::Unasked),
            (true, b"+OK\r\n", OutOfStep::Malformed),
            (true, b"20\r\n", OutOfStep::Malformed),
            (true, b"2000 x\r\n", OutOfStep::Malformed),
            (true, b"\xff\xff\xff\xff\r\n", OutOfStep::Malformed),
        ] {
            let (mut wire, mut out) = greeted();
            if asked {
                wire.command("DATE", &mut out).unwrap();
            }
            assert_eq!(heard(&mut wire, &[input]), Err(error), "{input:?}");
            assert!(!wire.is_at_rest(b""));
        }
        let (mut wire, mut out) = greeted();
        assert_eq!(wire.command("DATE\r\nQUIT", &mut out), Err(OutOfStep::Beyond));
        assert_eq!(heard(&mut wire, &[b"400 tired\r\n"]), Ok((vec![400], vec![], false)), "at any time");
        assert!(!wire.is_at_rest(b"") && wire.command("DATE", &mut out).is_err());
    }
}
