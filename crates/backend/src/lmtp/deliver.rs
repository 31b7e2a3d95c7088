//! The delivery of messages into the store.

use std::sync::Arc;

use ::lmtp::{Deliver, Envelope, Incoming};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};
use protocol::name::MailboxName;
use tokio::task::JoinSet;
use tracing::{Instrument, info, warn};

use super::recipient::{Policy, Target};
use super::refusal::refusal;
use store::{Delivered, Delivery, Staged, Staging, Store};

/// One client's deliveries into the store.
pub(super) struct Local {
    store: Store,
    policy: Arc<Policy>,
    accepted: Vec<Target>,
}

/// A message on its way to the store.
pub(super) struct Arriving {
    staging: Staging,
    over_quota_forever: bool,
}

/// What all recipients of a message share.
struct Shipment {
    mail: Mail,
    staged: Arc<Staged>,
    message_id: Option<String>,
    date: Option<String>,
}

impl Local {
    pub fn new(store: Store, policy: Arc<Policy>) -> Local {
        Local { store, policy, accepted: Vec::new() }
    }
}

impl Deliver for Local {
    type Incoming = Arriving;

    async fn recipient(&mut self, mail: &Mail, rcpt: Rcpt) -> Result<(), Refusal> {
        let target = self.policy.accept(&self.store, mail, &rcpt).await?;
        self.accepted.push(target);
        Ok(())
    }

    async fn begin(&mut self, size: Option<u64>) -> Result<Arriving, Refusal> {
        let first = self.accepted.first().ok_or(Refusal::Io)?;
        let over_quota_forever = self.policy.over_quota_forever;
        // Recipients on other partitions get a copy instead of a link.
        match self.store.stage(first.recipient.required(), size).await {
            Ok(staging) => Ok(Arriving { staging, over_quota_forever }),
            Err(error) => {
                warn!(%error, "no message can be taken in");
                Err(refusal(&error, over_quota_forever))
            }
        }
    }

    async fn deliver(&mut self, envelope: Envelope, arriving: Arriving) -> Vec<Verdict> {
        let staged = match arriving.staging.finish().await {
            Ok(staged) => Arc::new(staged),
            Err(error) => {
                warn!(%error, "a message was not taken in");
                let refusal = refusal(&error, self.policy.over_quota_forever);
                return vec![Verdict::Refused(refusal); self.accepted.len()];
            }
        };
        let shipment = Arc::new(Shipment::new(envelope.mail, staged, self.policy.suppress_duplicates));
        let mut verdicts = vec![Verdict::Refused(Refusal::Io); self.accepted.len()];
        let mut running = JoinSet::new();
        for (at, target) in self.accepted.iter().cloned().enumerate() {
            let (store, policy, shipment) = (self.store.clone(), self.policy.clone(), shipment.clone());
            let one = async move { (at, shipment.deliver(&store, &policy, target).await) };
            running.spawn(one.in_current_span());
        }
        while let Some(done) = running.join_next().await {
            // A delivery that panicked keeps the temporary answer.
            let Ok((at, verdict)) = done else { continue };
            if let Some(slot) = verdicts.get_mut(at) {
                *slot = verdict;
            }
        }
        verdicts
    }

    fn reset(&mut self) {
        self.accepted.clear();
    }
}

impl Incoming for Arriving {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.staging.write(bytes).await.map_err(|error| {
            warn!(%error, "a message was not taken in");
            refusal(&error, self.over_quota_forever)
        })
    }
}

impl Shipment {
    fn new(mail: Mail, staged: Arc<Staged>, suppress_duplicates: bool) -> Shipment {
        let structure = suppress_duplicates.then(|| staged.cached.structure().ok()).flatten();
        let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
        let field = |raw: Option<&[u8]>| raw.map(text).filter(|text| !text.is_empty());
        let envelope = structure.as_ref().map(|structure| &structure.envelope);
        let message_id = field(envelope.and_then(|envelope| envelope.message_id.as_deref()));
        let date = field(envelope.and_then(|envelope| envelope.date.as_deref()));
        Shipment { mail, staged, message_id, date }
    }

    async fn deliver(&self, store: &Store, policy: &Policy, target: Target) -> Verdict {
        let mailbox = policy.mailbox(store, &self.mail, &target.recipient).await;
        let size = if policy.strict_quota() { self.staged.size } else { 0 };
        if !target.ignore_quota
            && let Err(refusal) = policy.check_quota(store, &mailbox, size).await
        {
            return Verdict::Refused(refusal);
        }
        let delivery = Delivery {
            mailbox: mailbox.clone(),
            staged: self.staged.clone(),
            flags: Vec::new(),
            message_id: self.message_id.clone(),
            date: self.date.clone(),
            // Judged above: the store's own rule would not let one message exceed.
            ignore_quota: target.ignore_quota || !policy.strict_quota(),
        };
        match store.deliver(delivery).await {
            Ok(outcome) => {
                self.log(&mailbox, outcome);
                Verdict::Delivered
            }
            Err(error) => {
                warn!(%mailbox, %error, "not delivered");
                Verdict::Refused(refusal(&error, policy.over_quota_forever))
            }
        }
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
