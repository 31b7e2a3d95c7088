//! Why a mail was not sent.

use std::io;
use std::time::Duration;

use protocol::lmtp::reply::Answer;

use crate::limits::SHOWN;

/// After any of these the mail server has not taken the mail, as far as is known: only after [`SendError::Lost`] at the end of
/// the message may it have.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("{0}: cannot be started: {1} (see the option sendmail)")]
    Program(String, io::Error),
    #[error("{server}: connect: {error} (see the option smtp_host)")]
    Connect { server: String, error: io::Error },
    #[error("{server}: {doing}: no answer within {bound:?}")]
    Late { server: String, doing: &'static str, bound: Duration },
    #[error("{server}: {doing}: {error}")]
    Lost { server: String, doing: &'static str, error: io::Error },
    #[error("{server}: {doing}: not an SMTP reply")]
    NoReply { server: String, doing: &'static str },
    #[error("{server}: {doing}: {code} {text}")]
    Refused { server: String, doing: &'static str, code: u16, text: String },
    #[error("{server}: TLS: {text}")]
    Tls { server: String, text: String },
    #[error("{server}: login: {text}")]
    Login { server: String, text: String },
    #[error("{0:?} cannot be written as an address")]
    Address(String),
    #[error("{server} does not take addresses beyond ASCII (SMTPUTF8)")]
    NoUtf8 { server: String },
    #[error("the mail of {size} bytes is larger than {server} takes ({max})")]
    TooLarge { server: String, size: u64, max: u64 },
    #[error("too many mails are being sent")]
    Busy,
}

impl SendError {
    pub(crate) fn refused(server: &str, doing: &'static str, answer: &Answer) -> SendError {
        let text = answer.lines.join(" / ").chars().take(SHOWN).collect();
        SendError::Refused { server: server.to_owned(), doing, code: answer.code, text }
    }
}
