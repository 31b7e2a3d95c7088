//! The status line of an answer, as a frontend reads it: `3DIGIT [SP text]` (RFC 3977 section 3.2).

/// A status line without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    /// What stands behind the code and its blank.
    pub text: String,
}

impl Status {
    /// None: it is no answer.
    pub fn parse(line: &[u8]) -> Option<Status> {
        let (code, rest) = line.split_at_checked(3)?;
        if !code.iter().all(u8::is_ascii_digit) || !matches!(code.first(), Some(b'1'..=b'5')) {
            return None;
        }
        let text = match rest {
            [] => &[],
            [b' ', text @ ..] => text,
            _ => return None,
        };
        let code = str::from_utf8(code).ok()?.parse().ok()?;
        Some(Status { code, text: String::from_utf8_lossy(text).into_owned() })
    }

    /// 1xx, 2xx and 3xx.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_read() {
        let read = |line: &[u8]| Status::parse(line).map(|status| (status.code, status.text));
        assert_eq!(read(b"211 3 1 3 comp.test"), Some((211, "3 1 3 comp.test".to_owned())));
        assert_eq!(read(b"480"), Some((480, String::new())));
        for line in [&b""[..], b"21", b"2111 x", b"+OK", b"600 x", b"21a x"] {
            assert_eq!(read(line), None, "{line:?}");
        }
    }
}
