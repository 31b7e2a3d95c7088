//! A message that is sent on: as it is, with a mark on top. RFC 5228 section 4.2.

use mime::Fields;

use super::ACTION;
use super::text::{one_line, same_address};
use crate::limits::HOPS;

/// The message as it goes out. `user`: whose script it was; the mark by which [`is_loop`] knows it again.
pub fn message(message: &[u8], user: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 128);
    out.extend_from_slice(format!("{ACTION}: redirect\r\n{MARK}: <{}>\r\n", one_line(user)).as_bytes());
    let mut header = 0;
    for field in Fields::new(message) {
        header += field.raw.len();
        // The next server's to write.
        if !field.is("Return-Path") {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(message.get(header..).unwrap_or_default());
    out
}

/// Why a message is not sent on: it was here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Loop {
    #[error("it was redirected by this user before")]
    Again,
    #[error("it has passed through too many servers")]
    Hops,
}

/// Whether a message is on its way round: this user's script has sent it on, or it has come through too many servers.
pub fn is_loop(message: &[u8], user: &str) -> Option<Loop> {
    let mut hops = 0;
    for field in Fields::new(message) {
        if field.is("Received") {
            hops += 1;
        }
        if field.is(MARK) {
            let value = String::from_utf8_lossy(&field.unfolded()).into_owned();
            if same_address(value.trim_matches(['<', '>']), &one_line(user)) {
                return Some(Loop::Again);
            }
        }
    }
    (hops > HOPS).then_some(Loop::Hops)
}

const MARK: &str = "X-Sieve-Redirected-From";

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] =
        b"Return-Path: <a@b>\r\nSubject: x\r\n y\r\nreturn-path: <c>\r\n\r\nReturn-Path: body\r\n";

    #[test]
    fn a_redirected_message_is_what_it_was_but_for_its_return_path_and_a_mark() {
        let sent = message(MAIL, "fred@example.org");
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            "X-Sieve-Action: redirect\r\nX-Sieve-Redirected-From: <fred@example.org>\r\nSubject: x\r\n y\r\n\r\nReturn-Path: body\r\n"
        );
    }

    #[test]
    fn a_message_that_comes_back_is_known() {
        let sent = message(MAIL, "Fred@example.org");
        assert_eq!(is_loop(&sent, "fred@example.org"), Some(Loop::Again));
        assert_eq!(is_loop(&sent, "anna@example.org"), None);
        assert_eq!(is_loop(&message(&sent, "anna@example.org"), "fred@example.org"), Some(Loop::Again));
        let far = b"Received: x\r\n".repeat(HOPS);
        assert_eq!(is_loop(&far, "fred"), None);
        assert_eq!(is_loop(&[&far[..], b"Received: y\r\n"].concat(), "fred"), Some(Loop::Hops));
    }
}
