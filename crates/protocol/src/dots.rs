//! Dot-stuffing of what is sent, in pieces of any size: RFC 5321 section 4.5.2, RFC 1939 section 3.

/// Turns the bytes of a message into what goes over the wire after `354` (LMTP) or `+OK` (POP3).
#[derive(Debug)]
pub struct Stuffer {
    at_line_start: bool,
    /// CRs that no line feed follows are sent as they are.
    keeps_cr: bool,
    /// The last byte sent is such a CR, or the first half of a line end.
    after_cr: bool,
}

/// For LMTP, where a stray CR is dropped.
impl Default for Stuffer {
    fn default() -> Self {
        Stuffer { at_line_start: true, keeps_cr: false, after_cr: false }
    }
}

impl Stuffer {
    /// For POP3: the octets that are stored, and that LIST counted, with the stray CRs among them.
    pub fn faithful() -> Stuffer {
        Stuffer { keeps_cr: true, ..Stuffer::default() }
    }

    /// Appends `piece` to `out`: dots doubled at line starts, line feeds completed to CRLF.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 64);
        if self.keeps_cr { self.push_faithfully(piece, out) } else { self.push_without_cr(piece, out) }
    }

    fn push_faithfully(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for line in piece.split_inclusive(|&b| b == b'\n') {
            if std::mem::take(&mut self.at_line_start) && line.starts_with(b".") {
                out.push(b'.');
            }
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            out.extend_from_slice(text);
            self.after_cr = text.last().map_or(self.after_cr, |&b| b == b'\r');
            if text.len() < line.len() {
                let end: &[u8] = if std::mem::take(&mut self.after_cr) { b"\n" } else { b"\r\n" };
                out.extend_from_slice(end);
                self.at_line_start = true;
            }
        }
    }

    fn push_without_cr(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for line in piece.split_inclusive(|&b| b == b'\n') {
            let (text, ended) = match line.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (line, false),
            };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let mut runs = text.split(|&b| b == b'\r').filter(|run| !run.is_empty()).peekable();
            if let Some(first) = runs.peek() {
                if std::mem::take(&mut self.at_line_start) && first.starts_with(b".") {
                    out.push(b'.');
                }
                runs.for_each(|run| out.extend_from_slice(run));
            }
            if ended {
                out.extend_from_slice(b"\r\n");
                self.at_line_start = true;
            }
        }
    }

    /// Ends the message: completes its last line, then the lone dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        by(Stuffer::default(), pieces)
    }

    fn by(mut stuffer: Stuffer, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| stuffer.push(piece, &mut out));
        stuffer.finish(&mut out);
        out
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        assert_eq!(stuffed(&[b".a\r\n..\r\nb.\r\n"]), b"..a\r\n...\r\nb.\r\n.\r\n");
        assert_eq!(stuffed(&[b"a\r", b"\n", b".", b"b"]), b"a\r\n..b\r\n.\r\n");
        assert_eq!(stuffed(&[b"a\nb\rc"]), b"a\r\nbc\r\n.\r\n");
        assert_eq!(stuffed(&[]), b".\r\n");
    }

    #[test]
    fn a_faithful_stuffer_keeps_stray_carriage_returns() {
        let faithful = |pieces: &[&[u8]]| by(Stuffer::faithful(), pieces);
        assert_eq!(faithful(&[b"a\rb\r\r\n\r.c\r\n"]), b"a\rb\r\r\n\r.c\r\n.\r\n");
        assert_eq!(faithful(&[b"a\r", b"\n", b".", b"b\r", b"c\n"]), b"a\r\n..b\rc\r\n.\r\n");
        assert_eq!(faithful(&[b"a\r"]), b"a\r\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn a_message_of_whole_lines_keeps_its_length(text in "[a\r]{0,60}", cut in 0usize..60) {
            let message = format!("{text}\r\n");
            let cut = cut.min(message.len());
            let wire = by(Stuffer::faithful(), &[&message.as_bytes()[..cut], &message.as_bytes()[cut..]]);
            prop_assert_eq!(wire.strip_suffix(b".\r\n"), Some(message.as_bytes()));
        }

        #[test]
        fn pieces_do_not_matter(text in "[a.\r\n]{0,60}", cut in 0usize..60) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(stuffed(&[&bytes[..cut], &bytes[cut..]]), stuffed(&[bytes]));
        }
    }
}
