//! What a backend says of its own accord to who watches it.

use protocol::grammar::{self, Cursor, ParseError, Parsed, argument, astring, byte, mailbox, nstring};
use protocol::imap::{Code, code};

use super::inbox::Listed;
use crate::grammar::{flag, untagged};

/// A response that means something here.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// What it is of: a newer one with the same key takes its place.
    Told {
        key: Vec<u8>,
        mailbox: String,
        /// It is a STATUS.
        counts: bool,
    },
    Listed(Listed),
    Overflow,
}

impl Line {
    pub fn parse(server: &str, line: &[u8]) -> Option<Line> {
        if let Some(mut at) = untagged(line, "STATUS") {
            let name = at.read(mailbox).ok()?;
            // Of one mailbox the same items.
            let items = at.rest().iter().filter(|byte| !byte.is_ascii_digit());
            let key = [b"STATUS ", name.as_bytes(), b" ", &items.copied().collect::<Vec<u8>>()].concat();
            return Some(Line::Told { key: of(server, &key), mailbox: name, counts: true });
        }
        if let Some(mut at) = untagged(line, "METADATA") {
            let name = at.read(mailbox).ok()?;
            return Some(Line::Told { key: of(server, line), mailbox: name, counts: false });
        }
        if let Some(mut at) = untagged(line, "LIST") {
            let attributes = at.read(grammar::list(64, flag)).ok()?;
            at.read(argument(nstring)).ok()?;
            let name = at.read(argument(mailbox)).ok()?;
            if attributes.iter().any(|word| word.eq_ignore_ascii_case("\\NoAccess")) {
                return Some(Line::Told { key: of(server, line), mailbox: name, counts: false });
            }
            let old = at.read(old_name).ok();
            return Some(Line::Listed(Listed { server: server.to_owned(), attributes, name, old }));
        }
        let told = line.strip_prefix(b"* OK ")?;
        code::without(told, &Code::NotificationOverflow).map(|_| Line::Overflow)
    }
}

/// A key of what one backend says: what another one says takes no place of it.
fn of(server: &str, key: &[u8]) -> Vec<u8> {
    [server.as_bytes(), b" ", key].concat()
}

/// `SP "(" "OLDNAME" SP "(" mailbox ")" ")"`
fn old_name(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, ()) = argument(byte(b'('))(at)?;
    let (at, word) = astring(at)?;
    if !word.eq_ignore_ascii_case(b"OLDNAME") {
        return Err(ParseError::Invalid("extension").into());
    }
    let (at, ()) = argument(byte(b'('))(at)?;
    mailbox(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(attributes: &[&str], name: &str, old: Option<&str>) -> Option<Line> {
        let attributes = attributes.iter().map(|word| word.to_string()).collect();
        let (server, name, old) = ("be1".to_owned(), name.to_owned(), old.map(str::to_owned));
        Some(Line::Listed(Listed { server, attributes, name, old }))
    }

    #[test]
    fn what_a_backend_says_is_read() {
        let parse = |line: &str| Line::parse("be1", line.as_bytes());
        let key = |line: &str| match parse(line) {
            Some(Line::Told { key, mailbox, counts }) => (key, mailbox, counts),
            other => panic!("{other:?}"),
        };
        let (one, two) =
            ("* STATUS \"a b\" (MESSAGES 3 UIDNEXT 9)\r\n", "* STATUS \"a b\" (MESSAGES 4 UIDNEXT 10)\r\n");
        assert_eq!(key(one), key(two));
        assert_eq!((key(one).1.as_str(), key(one).2), ("a b", true));
        assert_ne!(Line::parse("be1", one.as_bytes()), Line::parse("be2", one.as_bytes()));
        assert_ne!(key(one), key("* STATUS \"a b\" (UNSEEN 3)\r\n"));
        assert_ne!(key(one), key("* STATUS b (MESSAGES 3 UIDNEXT 9)\r\n"));
        let named = |line: &str| (key(line).1, key(line).2);
        assert_eq!(named("* METADATA INBOX /shared/comment\r\n"), ("INBOX".to_owned(), false));
        assert_eq!(named("* METADATA \"\" /shared/comment\r\n"), (String::new(), false));
        assert_eq!(named("* LIST (\\NoAccess) \"/\" x\r\n"), ("x".to_owned(), false));
        assert_eq!(parse("* LIST (\\HasNoChildren) \"/\" x\r\n"), listed(&["\\HasNoChildren"], "x", None));
        let renamed = listed(&[], "y", Some("a b"));
        assert_eq!(parse("* LIST () \"/\" y (\"OLDNAME\" (\"a b\"))\r\n"), renamed);
        assert_eq!(parse("* LIST () \"/\" y (OLDNAME (\"a b\"))\r\n"), renamed);
        assert_eq!(parse("* LIST () \"/\" y (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"), listed(&[], "y", None));
        assert_eq!(parse("* OK [NOTIFICATIONOVERFLOW] Too much\r\n"), Some(Line::Overflow));
        for other in ["* 3 EXISTS\r\n", "* OK fine\r\n", "* STATUS\r\n", "* LIST (\r\n", "* BYE x\r\n", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_line_that_is_cut_anywhere_is_read_or_not_and_harms_nothing() {
        for line in [
            &b"* LIST (\\HasNoChildren \\Sent) \"/\" \"a b\" (\"OLDNAME\" ({3}\r\nx\"y))\r\n"[..],
            b"* STATUS {3}\r\na\"b (MESSAGES 3 UIDNEXT 9)\r\n",
            b"* OK [NOTIFICATIONOVERFLOW] Too much\r\n",
            b"* METADATA \"\" /shared/comment\r\n",
        ] {
            for end in 0..line.len() {
                let _ = Line::parse("be1", &line[..end]);
                let _ = Line::parse("be1", &line[end..]);
            }
        }
    }
}
