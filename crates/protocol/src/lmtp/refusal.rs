//! Why a recipient does not get a message: the table from cause to reply that an MTA sees, and the one from a backend's
//! reply to the cause that a frontend passes on.
//!
//! A permanent answer needs proof. What a frontend cannot know better — a backend that does not know a mailbox which
//! the list says it has — is answered as temporary.

use super::intake::Defect;
use super::reply::{Answer, too_large};

/// What became of a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    Refused(Refusal),
}

/// Causes, in the order of the table below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, or a shared mailbox that the sender may not even see.
    UnknownUser,
    /// A shared mailbox that the sender may see but not post to.
    PermissionDenied,
    OverQuota,
    /// The same with `lmtp_over_quota_perm_failure`.
    OverQuotaForever,
    /// The mailbox is being created.
    Reserved,
    /// The mailbox is on its way to another backend.
    Moving,
    /// `userdeny_db`.
    Disabled,
    BadName,
    /// A mailbox for something other than mail.
    NotMail,
    /// The store could not read or write; a detail goes to the log.
    Io,
    /// The backend that the list names does not know the mailbox: the list may be behind.
    Elsewhere,
    /// A backend's answers made no sense or came not at all; what it did is unknown.
    Retry,
    /// No space for the store.
    DiskFull,
    /// No space for the message on its way in.
    SpoolFull,
    /// The backend cannot be reached or refuses us, or the list of mailboxes is not current.
    Unavailable,
    Invalid(Defect),
    /// Larger than `maxmessagesize` (bytes).
    TooLarge {
        max: u64,
    },
    BadAddress,
    /// An address or the header is beyond ASCII, and the recipient's backend does not offer SMTPUTF8 (RFC 6531).
    NoUtf8,
    /// A backend's own words, permanent: (code, enhanced code and text of each line).
    Relayed {
        code: u16,
        lines: Vec<String>,
    },
}

/// When a backend answered: at RCPT it speaks of the address, after DATA of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Recipient,
    Message,
}

impl Refusal {
    /// The reply to the client: code and lines (each with its enhanced code).
    pub fn answer(&self) -> Answer {
        match self {
            Refusal::UnknownUser => {
                Answer::new(550, &["No mailbox here by that name.", "5.1.1 User unknown"])
            }
            Refusal::PermissionDenied => Answer::new(
                550,
                &[
                    "The sender is not allowed to post to that mailbox.",
                    "Ask its owner or your administrator for the right to.",
                    "5.7.1 Permission denied",
                ],
            ),
            Refusal::OverQuota => Answer::new(452, &["4.2.2 Over quota"]),
            Refusal::OverQuotaForever => Answer::new(552, &["5.2.2 Over quota"]),
            Refusal::Reserved => Answer::new(451, &["4.2.1 Mailbox is currently reserved"]),
            Refusal::Moving => Answer::new(451, &["4.2.1 Mailbox has been moved to another server"]),
            Refusal::Disabled => Answer::new(451, &["4.2.1 Delivery to mailbox is disabled"]),
            Refusal::BadName => Answer::new(451, &["4.2.0 Mailbox has an invalid format"]),
            Refusal::NotMail => Answer::new(451, &["4.2.0 Mailbox does not hold mail"]),
            Refusal::Io => Answer::new(451, &["4.3.0 System I/O error"]),
            Refusal::Elsewhere | Refusal::Retry => Answer::new(451, &["4.3.0 Retry operation"]),
            Refusal::DiskFull => Answer::new(451, &["4.3.1 No space for the message"]),
            Refusal::SpoolFull => Answer::new(451, &["4.3.1 cannot create temporary file: no space"]),
            Refusal::Unavailable => Answer::new(451, &["4.4.3 Server(s) unavailable to complete operation"]),
            Refusal::Invalid(defect) => Answer::new(554, &[&format!("5.6.0 {defect}")]),
            Refusal::TooLarge { max } => Answer::new(552, &[&too_large(*max)]),
            Refusal::BadAddress => Answer::new(501, &["5.5.4 Syntax error in parameters"]),
            Refusal::NoUtf8 => Answer::new(
                550,
                &["5.6.7 The recipient's server takes no addresses or header fields beyond ASCII (SMTPUTF8)"],
            ),
            Refusal::Relayed { code, lines } => Answer { code: *code, lines: lines.clone() },
        }
    }

    /// Whether the client should try again.
    pub fn is_temporary(&self) -> bool {
        self.answer().code < 500
    }
}

impl Verdict {
    /// The reply to the client; a success names the session, so that logs of all hops can be joined.
    pub fn answer(&self, session_id: &str) -> Answer {
        match self {
            Verdict::Delivered => Answer::new(250, &[&format!("2.1.5 Success SESSIONID=<{session_id}>")]),
            Verdict::Refused(refusal @ Refusal::OverQuota) => {
                let mut answer = refusal.answer();
                answer.lines.iter_mut().for_each(|line| line.push_str(&format!(" SESSIONID=<{session_id}>")));
                answer
            }
            Verdict::Refused(refusal) => refusal.answer(),
        }
    }

    /// What a backend's reply for a recipient means to the client of a frontend. `max`: our own `maxmessagesize`;
    /// `over_quota_forever`: our own `lmtp_over_quota_perm_failure`.
    pub fn of_backend(answer: &Answer, stage: Stage, over_quota_forever: bool, max: u64) -> Verdict {
        let over_quota = if over_quota_forever { Refusal::OverQuotaForever } else { Refusal::OverQuota };
        let relayed = || Refusal::Relayed { code: answer.code, lines: answer.lines.clone() };
        let refusal = match (answer.code, answer.enhanced()) {
            (250 | 251, _) => return Verdict::Delivered,
            (451, Some((4, 3, 1))) => Refusal::DiskFull,
            (451, Some((4, 3, _))) => Refusal::Io,
            (421, _) | (451, Some((4, 4, _))) => Refusal::Unavailable,
            (451, Some((4, 2, 1))) => Refusal::Moving,
            (451, Some((4, 2, _))) => Refusal::BadName,
            (452, Some((4, 3, _))) => Refusal::DiskFull,
            (452, _) => over_quota,
            // The backend wants a login that it had: ours to repair, not the sender's.
            (430 | 530 | 535, _) => Refusal::Unavailable,
            (400..=499, _) => Refusal::Io,
            // The list said that this backend has the mailbox: it may be the list that is old.
            (550, Some((5, 1, _))) if stage == Stage::Recipient => Refusal::Elsewhere,
            (550, Some((5, 7, _))) if stage == Stage::Recipient => Refusal::PermissionDenied,
            (552, Some((5, 2, 3) | (5, 3, _))) => Refusal::TooLarge { max },
            (552, _) => over_quota,
            // What the two servers say to each other went wrong, not the message.
            (500 | 502..=504, _) => Refusal::Retry,
            (501, _) => Refusal::BadAddress,
            (500..=599, _) => relayed(),
            _ => Refusal::Retry,
        };
        Verdict::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(code: u16, text: &str, stage: Stage) -> String {
        let verdict = Verdict::of_backend(&Answer::new(code, &[text]), stage, false, 10);
        let answer = verdict.answer("s");
        format!("{} {}", answer.code, answer.lines.last().unwrap())
    }

    #[test]
    fn replies_of_backends_as_the_frontend_gives_them() {
        use Stage::{Message, Recipient};
        let table = [
            (250, "2.1.5 ok", Message, "250 2.1.5 Success SESSIONID=<s>"),
            (451, "4.3.0 x", Message, "451 4.3.0 System I/O error"),
            (451, "4.3.1 x", Message, "451 4.3.1 No space for the message"),
            (451, "4.4.5 x", Recipient, "451 4.4.3 Server(s) unavailable to complete operation"),
            (451, "4.2.1 x", Recipient, "451 4.2.1 Mailbox has been moved to another server"),
            (451, "4.2.0 x", Recipient, "451 4.2.0 Mailbox has an invalid format"),
            (452, "4.2.2 x", Message, "452 4.2.2 Over quota SESSIONID=<s>"),
            (421, "4.3.2 x", Recipient, "451 4.4.3 Server(s) unavailable to complete operation"),
            (
                430,
                "Authentication required",
                Recipient,
                "451 4.4.3 Server(s) unavailable to complete operation",
            ),
            (450, "x", Recipient, "451 4.3.0 System I/O error"),
            (550, "5.1.1 User unknown", Recipient, "451 4.3.0 Retry operation"),
            (550, "5.1.1 own words", Message, "550 5.1.1 own words"),
            (550, "5.7.1 x", Recipient, "550 5.7.1 Permission denied"),
            (550, "5.7.1 sieve says no", Message, "550 5.7.1 sieve says no"),
            (552, "5.2.2 x", Message, "452 4.2.2 Over quota SESSIONID=<s>"),
            (552, "5.3.4 x", Message, "552 5.2.3 Message SIZE exceeds fixed maximum message size (10)"),
            (554, "5.6.0 bad", Message, "554 5.6.0 bad"),
            (503, "5.5.1 x", Recipient, "451 4.3.0 Retry operation"),
            (571, "5.7.1 new code", Message, "571 5.7.1 new code"),
            (199, "what", Message, "451 4.3.0 Retry operation"),
        ];
        for (code, text, stage, expected) in table {
            assert_eq!(mapped(code, text, stage), expected, "{code} {text} {stage:?}");
        }
    }
}
