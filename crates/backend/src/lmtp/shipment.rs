//! A message on its way into mailboxes: what all its recipients share.

use std::sync::Arc;

use bytes::Bytes;
use protocol::flag::Flag;
use protocol::lmtp::command::Mail;
use protocol::lmtp::refusal::Verdict;
use protocol::name::MailboxName;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::recipient::{Policy, Target};
use super::refusal::refusal;
use store::{Delivered, Delivery, Staged, Store};

/// What all recipients of a message share.
pub(super) struct Shipment {
    pub mail: Mail,
    pub staged: Arc<Staged>,
    pub message_id: Option<String>,
    pub date: Option<String>,
    /// As scripts see it, once one asks.
    parsed: OnceCell<Arc<sieve::Mail<Bytes>>>,
}

impl Shipment {
    pub fn new(mail: Mail, staged: Arc<Staged>, suppress_duplicates: bool) -> Shipment {
        let structure = suppress_duplicates.then(|| staged.cached.structure().ok()).flatten();
        let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
        let field = |raw: Option<&[u8]>| raw.map(text).filter(|text| !text.is_empty());
        let envelope = structure.as_ref().map(|structure| &structure.envelope);
        let message_id = field(envelope.and_then(|envelope| envelope.message_id.as_deref()));
        let date = field(envelope.and_then(|envelope| envelope.date.as_deref()));
        Shipment { mail, staged, message_id, date, parsed: OnceCell::new() }
    }

    /// Puts the message into a mailbox. `staged`: it, or what a script has made of it.
    pub async fn put(
        &self,
        store: &Store,
        policy: &Policy,
        target: &Target,
        mailbox: &MailboxName,
        staged: Arc<Staged>,
        flags: Vec<Flag>,
    ) -> Verdict {
        let size = if policy.strict_quota() { staged.size } else { 0 };
        if !target.ignore_quota
            && let Err(refusal) = policy.check_quota(store, mailbox, size).await
        {
            return Verdict::Refused(refusal);
        }
        let delivery = Delivery {
            mailbox: mailbox.clone(),
            staged,
            flags,
            message_id: self.message_id.clone(),
            date: self.date.clone(),
            // Judged above: the store's own rule would not let one message exceed.
            ignore_quota: target.ignore_quota || !policy.strict_quota(),
        };
        match store.deliver(delivery).await {
            Ok(outcome) => {
                self.log(mailbox, outcome);
                Verdict::Delivered
            }
            Err(error) => {
                warn!(%mailbox, %error, "not delivered");
                Verdict::Refused(refusal(&error, policy.over_quota_forever))
            }
        }
    }

    /// The message as scripts see it: read once for all of them.
    pub async fn parsed(&self) -> Result<Arc<sieve::Mail<Bytes>>, String> {
        let read = async || {
            let bytes = self.staged.bytes().await.map_err(|error| error.to_string())?;
            Ok(Arc::new(sieve::Mail::new(bytes)))
        };
        self.parsed.get_or_try_init(read).await.cloned()
    }

    fn log(&self, mailbox: &MailboxName, outcome: Delivered) {
        let (message_id, from) = (self.message_id.as_deref(), self.mail.from.to_string());
        match outcome {
            Delivered::Stored { uid, .. } => {
                info!(%mailbox, uid, from, message_id, size = self.staged.size, "delivered");
            }
            Delivered::Duplicate => info!(%mailbox, from, message_id, "duplicate suppressed"),
        }
    }
}
