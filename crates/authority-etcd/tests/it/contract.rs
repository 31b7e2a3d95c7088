//! The contract of an authority, over a real etcd: the same clauses as of those without one.

use authority_etcd::Etcd;

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
        self.cluster.compact().await;
    }
}

contract!(in_etcd, super::InEtcd::new().await);
