//! Mailbox referrals (RFC 2193): a client that has asked for remote mailboxes (RLIST, RLSUB, LIST (REMOTE)) is sent to
//! the backend itself instead of being proxied.

use protocol::imap::Refusal;
use protocol::mutf7;

use super::{Located, Session, Stop};

impl Session {
    /// The client has used a command of those who follow referrals.
    pub fn note_referrals(&mut self, used: bool) {
        self.follows_referrals |= used && !self.listener.imapd().proxyd_disable_mailbox_referrals;
    }

    pub fn referral(&self, located: &Located, mailbox: &str) -> Stop {
        self.referral_to(located.server(), mailbox)
    }

    /// `NO [REFERRAL imap://;AUTH=*@server/mailbox] Remote mailbox.`
    pub fn referral_to(&self, server: &str, mailbox: &str) -> Stop {
        let anonymous = self.user.as_ref().is_some_and(|user| user.id() == "anonymous");
        let auth = if anonymous { "anonymous" } else { "*" };
        Refusal::Referral(format!("imap://;AUTH={auth}@{server}/{}", url_path(mailbox))).into()
    }
}

/// A mailbox name in a URL: modified UTF-7 becomes UTF-8, and what is not safe `%XX`.
fn url_path(mailbox: &str) -> String {
    let text = mutf7::decode(mailbox).unwrap_or_else(|| mailbox.to_owned());
    text.bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || SAFE.contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// RFC 5092 section 11: unreserved and sub-delims without those of IMAP URLs, and the path's own.
const SAFE: &[u8] = b"-._~!$'()*+,&=:@/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_in_a_url_is_utf8_with_escapes() {
        assert_eq!(url_path("user/fred/Sent Items"), "user/fred/Sent%20Items");
        assert_eq!(url_path("Entw&APw-rfe;x"), "Entw%C3%BCrfe%3Bx");
    }
}
