//! Dot-stuffing of what is sent, in pieces of any size: RFC 5321 section 4.5.2, RFC 1939 section 3.

/// Turns the bytes of a message into what goes over the wire after `354` (LMTP) or `+OK` (POP3).
#[derive(Debug)]
pub struct Stuffer {
    at_line_start: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Stuffer { at_line_start: true }
    }
}

impl Stuffer {
    /// Appends `piece` to `out`: dots doubled at line starts, line feeds completed to CRLF, stray CRs dropped.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 64);
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
        let (mut stuffer, mut out) = (Stuffer::default(), Vec::new());
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

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[a.\r\n]{0,60}", cut in 0usize..60) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(stuffed(&[&bytes[..cut], &bytes[cut..]]), stuffed(&[bytes]));
        }
    }
}
