//! The namespace that imapd.conf describes.

use config::imapd::{Imapd, VirtDomains};
use protocol::namespace::{CrossDomains, Namespace};

/// How this node's clients see mailbox names.
pub fn namespace(imapd: &Imapd) -> Namespace {
    Namespace {
        unixhierarchysep: imapd.unixhierarchysep,
        altnamespace: imapd.altnamespace,
        userprefix: imapd.userprefix.clone(),
        sharedprefix: imapd.sharedprefix.clone(),
        altprefix: imapd.altprefix.clone(),
        deletedprefix: imapd.deletedprefix.clone(),
        virtdomains: imapd.virtdomains != VirtDomains::Off,
        defaultdomain: imapd.defaultdomain.clone(),
        crossdomains: match (imapd.crossdomains, imapd.crossdomains_onlyother) {
            (false, _) => CrossDomains::Off,
            (true, false) => CrossDomains::All,
            (true, true) => CrossDomains::OnlyOther,
        },
    }
}
