//! What imapd.conf says to an LMTP server.

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
