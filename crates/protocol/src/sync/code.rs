//! How a command of replication ends: `S3 OK success`, or `S3 NO IMAP_SYNC_CHECKSUM Checksum Failure`.

use std::fmt;

/// Why a command was refused, as Cyrus's source of a move tells cases apart: by the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    InvalidUser,
    MailboxNonexistent,
    MailboxLocked,
    /// Its name or its unique id is another mailbox's.
    MailboxMoved,
    MailboxNotSupported,
    /// The copies differ.
    SyncChecksum,
    /// The other copy is not as the command expects it.
    SyncChanged,
    SyncBadSieve,
    ProtocolError,
    BadParameters,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Ok,
    No {
        /// None: a text that is no code; Cyrus calls that "remote denied".
        code: Option<Code>,
        text: String,
    },
    /// `BAD`: the other side does not know the command, or does not take us as an administrator.
    Bad(String),
}

impl Code {
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The text behind the word.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Code::InvalidUser => ("IMAP_INVALID_USER", "Invalid user"),
            Code::MailboxNonexistent => ("IMAP_MAILBOX_NONEXISTENT", "No Such Mailbox"),
            Code::MailboxLocked => ("IMAP_MAILBOX_LOCKED", "Mailbox locked"),
            Code::MailboxMoved => ("IMAP_MAILBOX_MOVED", "Mailbox exists with another name or uniqueid"),
            Code::MailboxNotSupported => {
                ("IMAP_MAILBOX_NOTSUPPORTED", "Operation is not supported on mailbox")
            }
            Code::SyncChecksum => ("IMAP_SYNC_CHECKSUM", "Checksum Failure"),
            Code::SyncChanged => ("IMAP_SYNC_CHANGED", "Changed since last sync"),
            Code::SyncBadSieve => ("IMAP_SYNC_BADSIEVE", "Sieve script compilation failure"),
            Code::ProtocolError => ("IMAP_PROTOCOL_ERROR", "Protocol error"),
            Code::BadParameters => ("IMAP_PROTOCOL_BAD_PARAMETERS", "Bad parameters"),
        }
    }

    const ALL: [Code; 10] = [
        Code::InvalidUser,
        Code::MailboxNonexistent,
        Code::MailboxLocked,
        Code::MailboxMoved,
        Code::MailboxNotSupported,
        Code::SyncChecksum,
        Code::SyncChanged,
        Code::SyncBadSieve,
        Code::ProtocolError,
        Code::BadParameters,
    ];
}

/// `IMAP_SYNC_CHECKSUM Checksum Failure`: the text of a NO.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = self.row();
        write!(f, "{word} {text}")
    }
}

impl Ended {
    /// Reads what stands behind the tag of a tagged line (with its line end or without); none: it is no end of a command.
    pub fn parse(line: &[u8]) -> Option<Ended> {
        let line = String::from_utf8_lossy(crate::frame::trim_line(line));
        let (word, text) = line.split_once(' ').unwrap_or((&line, ""));
        match word.to_ascii_uppercase().as_str() {
            "OK" => Some(Ended::Ok),
            "BAD" => Some(Ended::Bad(text.to_owned())),
            "NO" => {
                let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
                let code = Code::ALL.into_iter().find(|code| code.word() == first);
                let text = if code.is_some() { rest } else { text };
                Some(Ended::No { code, text: text.to_owned() })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_first_word() {
        for code in Code::ALL {
            let line = format!("NO {code}\r\n");
            let ended = Ended::No { code: Some(code), text: code.text().to_owned() };
            assert_eq!(Ended::parse(line.as_bytes()), Some(ended));
        }
        assert_eq!(Ended::parse(b"OK success"), Some(Ended::Ok));
        let unknown = Ended::No { code: None, text: "Unknown error".to_owned() };
        assert_eq!(Ended::parse(b"NO Unknown error\r\n"), Some(unknown));
        assert_eq!(
            Ended::parse(b"BAD Unrecognized command"),
            Some(Ended::Bad("Unrecognized command".to_owned()))
        );
        assert_eq!(Ended::parse(b"BYE"), None);
    }
}
