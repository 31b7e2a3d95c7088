//! Quota roots above what moves. They stay, and count at the destination too, each server what is on it (as in Cyrus).

use moves::journal::Record;
use protocol::name::MailboxName;
use protocol::sync::Apply;
use store::{Actor, StoreError};
use tracing::{info, warn};

use super::Moving;
use super::peer::{Fault, Peer};
use super::rounds::Sent;
use crate::transit::convert;

impl Moving {
    /// Tells the destination of the root that what moves counts at.
    pub(super) async fn send_limits_above(
        &self,
        peer: &mut Peer,
        root: &MailboxName,
        sent: &mut Sent,
    ) -> Result<(), Fault> {
        let Some(above) = self.store.quota_root(root).filter(|above| root.is_below(above)) else {
            return Ok(());
        };
        let Some(limits) = self.store.quota_now(&above).map(|quota| quota.limits) else { return Ok(()) };
        if sent.limits_above(&above, limits) {
            peer.apply(&Apply::Quota(convert::quota(above, &limits))).await?;
        }
        Ok(())
    }

    /// Has such a root count here, once there is something below it. One that is here has its own limits.
    pub(super) async fn take_limits_above(&self, record: &Record) -> Result<(), StoreError> {
        let root = MailboxName::parse(&record.root)?;
        let mut above = root.parent();
        while let Some(name) = above {
            above = name.parent();
            let Some(limits) = self.transit.limits(&name) else { continue };
            self.transit.forget_quota(&name);
            if self.store.quota_now(&name).is_some() {
                continue;
            }
            let admin = Actor { userid: self.server.to_string(), groups: Vec::new(), admin: true };
            match self.store.set_quota(&admin, &name, limits, true).await {
                Ok(()) => info!(root = %name, id = %record.id, "a quota root counts here too"),
                // The mailboxes are here, whatever they count at.
                Err(error) => {
                    warn!(%error, root = %name, id = %record.id, "a quota root does not count here");
                }
            }
        }
        Ok(())
    }

    /// The move came to nothing.
    pub(super) fn forget_limits_above(&self, record: &Record) -> Result<(), StoreError> {
        let mut above = MailboxName::parse(&record.root)?.parent();
        while let Some(name) = above {
            self.transit.forget_quota(&name);
            above = name.parent();
        }
        Ok(())
    }
}
