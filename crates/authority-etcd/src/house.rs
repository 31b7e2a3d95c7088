//! Housekeeping, by leases: who is there, and who keeps history short. Nothing depends on either; two keepers do no harm.

use std::collections::VecDeque;
use std::sync::Arc;

use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp};
use mailboxes::Position;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    Inner, barrier, keys,
    limits::{COMPACT_EVERY, HISTORY, HISTORY_AGE, LEASE, SAMPLES, THERE},
    trouble::Trouble,
};

/// A master that is there, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master {
    pub servername: String,
    pub version: String,
    /// The newest format of entries that it reads.
    pub format: u8,
    /// Where its clients find it.
    pub address: String,
    /// Where its list stands.
    pub seq: u64,
}

pub(crate) fn start(inner: &Arc<Inner>, address: String, position: impl Fn() -> Position + Send + 'static) {
    let weak = Arc::downgrade(inner);
    inner.runtime.spawn(async move {
        let mut house = House::default();
        while let Some(inner) = weak.upgrade() {
            let master = Master {
                servername: inner.servername.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                format: FORMAT,
                address: address.clone(),
                seq: position().seq,
            };
            if let Err(trouble) = house.round(&inner, master).await {
                tracing::debug!(%trouble, "housekeeping in etcd");
                house.lease = None;
            }
            drop(inner);
            sleep(THERE).await;
        }
    });
}

#[derive(Default)]
struct House {
    lease: Option<i64>,
    told: Option<Master>,
    /// Revisions, and when the list stood there.
    samples: VecDeque<(Instant, i64)>,
    compacted: Option<Instant>,
}

impl House {
    async fn round(&mut self, inner: &Inner, master: Master) -> Result<(), Trouble> {
        let lease = match self.lease {
            Some(lease) => {
                let alive =
                    |client: Client| async move { client.lease_client().keep_alive(lease).await.map(drop) };
                inner.link.once(alive).await?;
                lease
            }
            None => {
                let grant = |client: Client| async move { client.lease_client().grant(LEASE, None).await };
                let lease = inner.link.once(grant).await?.id();
                (self.lease, self.told) = (Some(lease), None);
                lease
            }
        };
        if self.told.as_ref() != Some(&master) {
            let value = serde_json::to_vec(&master).unwrap_or_default();
            let key = inner.keys.master(&inner.servername);
            let put = |client: Client| async move {
                client.kv_client().put(key, value, Some(PutOptions::new().with_lease(lease))).await
            };
            inner.link.once(put).await?;
            self.told = Some(master);
        }
        if self.compacted.is_none_or(|at| at.elapsed() >= COMPACT_EVERY) {
            self.compacted = Some(Instant::now());
            self.keep(inner, lease).await?;
        }
        Ok(())
    }

    /// Compacts, if this master is the keeper.
    async fn keep(&mut self, inner: &Inner, lease: i64) -> Result<(), Trouble> {
        let now = barrier::read(&inner.link, &inner.keys).await?.revision;
        self.samples.push_back((Instant::now(), now));
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        let key = inner.keys.keeper();
        let own = inner.servername.as_bytes().to_vec();
        let claim = |client: Client| async move {
            let put = TxnOp::put(key.clone(), own.clone(), Some(PutOptions::new().with_lease(lease)));
            let free = Compare::create_revision(key.clone(), CompareOp::Equal, 0);
            client.kv_client().txn(Txn::new().when([free]).and_then([put])).await?;
            client.kv_client().get(key, None).await
        };
        let keeper = inner.link.once(claim).await?;
        if keeper.kvs().first().is_none_or(|one| one.value() != inner.servername.as_bytes()) {
            return Ok(());
        }
        let Some(revision) = self.old(now) else { return Ok(()) };
        let compact =
            |client: Client| async move { client.kv_client().compact(revision, None).await.map(drop) };
        match inner.link.once(compact).await {
            // Another keeper was faster.
            Ok(()) | Err(Trouble::Compacted) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// The newest revision that is old enough, by time and by number.
    fn old(&self, now: i64) -> Option<i64> {
        let latest = now.saturating_sub(keys::revision(HISTORY));
        let aged = self.samples.iter().rev().find(|(at, _)| at.elapsed() >= HISTORY_AGE);
        aged.map(|(_, revision)| (*revision).min(latest)).filter(|revision| *revision > 0)
    }
}

/// The format of entries that this program writes.
const FORMAT: u8 = 1;
