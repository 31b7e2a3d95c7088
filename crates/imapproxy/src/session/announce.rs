//! What CAPABILITY says to this client at this moment.

use protocol::imap::capability::{Facts, Moment, Node, announced};

use super::Session;

impl Session {
    /// The words, as they are told at this moment.
    pub fn capability_words(&self, moment: Moment) -> String {
        let (listener, learnt) = (&self.listener, &self.node.capabilities);
        let (imapd, channel) = (listener.imapd(), self.client.peer.stream.channel());
        let auth = listener.auth();
        let facts = Facts {
            moment,
            starttls: channel.tls.is_none() && listener.starttls().is_some(),
            mechanisms: auth.mechanisms(channel),
            no_plaintext: !auth.allows_plaintext(channel),
            literal_minus: imapd.literalminus,
            append_limit: learnt.smallest("APPENDLIMIT="),
            compressed: self.client.peer.stream.is_compressed(),
            idle: !imapd.imapidlepoll.is_zero(),
            referrals: !imapd.proxyd_disable_mailbox_referrals,
            unauthenticate: self.user.as_ref().is_some_and(|user| user.is_admin()),
            // Theirs to say.
            eight_bit: true,
            proxy: false,
            replication: false,
            master: imapd.mupdate_name(),
            suppressed: &imapd.suppress_capabilities,
        };
        announced(Node::Frontend(&|word| learnt.all_have(word)), &facts).join(" ")
    }
}
