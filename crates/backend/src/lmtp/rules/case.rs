//! A message, and one of its recipients who has a script.

use protocol::flag::Flag;
use protocol::name::MailboxName;
use store::Store;

use super::super::recipient::{Policy, Target};
use super::super::shipment::Shipment;
use super::place::Owner;
use super::shared::Rules;

/// A message for one recipient who has an active script.
pub(in crate::lmtp) struct Case<'a> {
    pub store: &'a Store,
    pub policy: &'a Policy,
    pub rules: &'a Rules,
    pub shipment: &'a Shipment,
    pub target: &'a Target,
    pub userid: &'a str,
    pub inbox: &'a MailboxName,
    /// The recipient's address, as it came.
    pub address: String,
}

impl Case<'_> {
    /// The address for mails of the user's: as it came, with this server's name where it has no domain.
    pub(super) fn own_address(&self) -> String {
        match self.address.contains('@') {
            true => self.address.clone(),
            false => format!("{}@{}", self.address, self.policy.imapd.servername),
        }
    }

    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { store: self.store, userid: self.userid, inbox: self.inbox }
    }
}

/// What a message bears on which a script has failed, as with Cyrus.
pub(in crate::lmtp) fn failed_flag() -> Flag {
    Flag::Keyword("$SieveFailed".to_owned())
}
