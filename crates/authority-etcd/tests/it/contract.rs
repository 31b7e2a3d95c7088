//! The contract of an authority, over a real etcd: the same clauses as of those without one.

use authority_etcd::Etcd;
use etcd_client::{Client, CompactionOptions};

use crate::clauses::{Rig, contract};
use crate::cluster::Cluster;

struct InEtcd {
    cluster: Cluster,
    etcd: Etcd,
}

impl InEtcd {
    async fn new() -> Option<InEtcd> {
        let cluster = Cluster::start(1, &["--max-txn-ops", "2048"]).await?;
        let etcd = cluster.open("m1.example.org", 1000).await;
        Some(InEtcd { cluster, etcd })
    }
}

impl Rig for InEtcd {
    type Authority = Etcd;

    fn authority(&mut self) -> &mut Etcd {
        &mut self.etcd
    }

    async fn forget(&mut self) {
        compact(&self.cluster).await;
    }
}

/// Forgets all history before now.
pub async fn compact(cluster: &Cluster) {
    let endpoints = cluster.endpoints();
    let client = Client::connect(endpoints.split(' ').collect::<Vec<_>>(), None).await.unwrap();
    let mut kv = client.kv_client();
    // Somebody else's key: what came last is history, too.
    let now = kv.put("other", "", None).await.unwrap().header().unwrap().revision();
    kv.compact(now, Some(CompactionOptions::new().with_physical())).await.unwrap();
}

contract!(in_etcd, super::InEtcd::new().await);
