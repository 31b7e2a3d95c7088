//! What imapd.conf says to an LMTP server, and the limits that it does not set.

use std::time::Duration;

use config::imapd::Imapd;
use protocol::lmtp::intake::EightBit;
use protocol::lmtp::recipient::Rules;
use protocol::lmtp::session;

/// The settings of one listener.
#[derive(Debug, Clone)]
pub struct Settings {
    pub servername: String,
    /// `maxmessagesize` in bytes; 0: no limit.
    pub max_size: u64,
    pub eight_bit: EightBit,
    pub soft_noauth: bool,
    pub chatty: bool,
    /// How addresses are understood.
    pub rules: Rules,
}

impl Settings {
    pub fn new(imapd: &Imapd) -> Settings {
        Settings {
            servername: imapd.servername.clone(),
            max_size: imapd.maxmessagesize,
            eight_bit: match (imapd.reject8bit, imapd.munge8bit) {
                (true, _) => EightBit::Reject,
                (false, true) => EightBit::Munge,
                (false, false) => EightBit::Keep,
            },
            soft_noauth: imapd.soft_noauth,
            chatty: imapd.chatty,
            rules: Rules {
                namespace: service::names::namespace(imapd),
                postuser: imapd.postuser.clone(),
                downcase: imapd.lmtp_downcase_rcpt,
                strict: imapd.lmtp_strict_rfc2821,
            },
        }
    }

    pub(crate) fn session(&self, starttls: bool) -> session::Options {
        session::Options { soft_noauth: self.soft_noauth, max_size: self.max_size, starttls }
    }
}

/// A client that sends nothing for so long is told goodbye (Cyrus's own figure; RFC 5321 asks for 5 minutes).
pub const IDLE: Duration = Duration::from_secs(360);
/// A client that takes no reply for so long is gone.
pub const WRITE: Duration = Duration::from_secs(60);
/// Bytes read ahead of what has been understood.
pub const INPUT: usize = 64 * 1024;
/// Bytes of a command line with its end.
pub const LINE: usize = 8 * 1024;
/// A message up to this size stays in memory on its way through.
pub const IN_MEMORY: usize = 256 * 1024;
/// Bytes of a message that are taken in in about the time of a command's word.
pub const BYTES: usize = 64;
/// Commands that are answered before others have their turn.
pub const COMMANDS: u32 = 16;
/// Replies gathered while more commands are waiting.
pub const REPLIES: usize = 32 * 1024;
