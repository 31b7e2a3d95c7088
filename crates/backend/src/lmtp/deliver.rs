//! The delivery of messages into the store.

use std::sync::Arc;

use ::lmtp::{Deliver, Envelope, Incoming};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::recipient::Recipient;
use protocol::lmtp::refusal::{Refusal, Verdict};
use tokio::task::JoinSet;
use tracing::{Instrument, warn};

use super::recipient::{Policy, Target};
use super::refusal::refusal;
use super::rules::{Case, Rules, failed_flag};
use super::shipment::Shipment;
use store::{Staging, Store};

/// One client's deliveries into the store.
pub(super) struct Local {
    store: Store,
    policy: Arc<Policy>,
    rules: Rules,
    accepted: Vec<Target>,
}

/// A message on its way to the store.
pub(super) struct Arriving {
    staging: Staging,
    over_quota_forever: bool,
}

impl Local {
    pub fn new(store: Store, policy: Arc<Policy>, rules: Rules) -> Local {
        Local { store, policy, rules, accepted: Vec::new() }
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
            let rules = self.rules.clone();
            let one = async move { (at, deliver(&shipment, &store, &policy, &rules, target).await) };
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

/// Delivers to one recipient: as the user's script says, or to the mailbox that the address means.
async fn deliver(
    shipment: &Shipment,
    store: &Store,
    policy: &Policy,
    rules: &Rules,
    target: Target,
) -> Verdict {
    let mut flags = Vec::new();
    if let Recipient::User { userid, inbox, .. } = &target.recipient {
        match store.active_script(userid).await {
            Ok(None) => {}
            Ok(Some(script)) => {
                let address = target.address.to_string();
                let case = Case { store, policy, rules, shipment, target: &target, userid, inbox, address };
                // Whoever has no script does not carry its weight.
                return Box::pin(case.deliver(script)).await;
            }
            Err(error) => {
                warn!(%error, userid, "a message is kept without the user's script");
                flags.push(failed_flag());
            }
        }
    }
    let mailbox = policy.mailbox(store, &shipment.mail, &target.recipient).await;
    shipment.put(store, policy, &target, &mailbox, shipment.staged.clone(), flags).await
}
