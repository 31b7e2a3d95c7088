//! What a client of etcd does that knows nothing of mailboxes: for each pair one transaction that puts a name where it is absent, and one that
//! puts it again where it is unchanged; in groups of 120 names.

use std::{
    error::Error,
    net::SocketAddr,
    time::{Duration, Instant},
};

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

/// Pairs a second of one client at each member, each with so many groups on their way.
pub fn pairs(members: &[SocketAddr], in_flight: usize, time: Duration) -> Result<f64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (began, mut clients) = (Instant::now(), Vec::new());
        for (n, member) in members.iter().enumerate() {
            let client = Client::connect([format!("http://{member}")], None).await?;
            for way in 0..in_flight {
                let (client, prefix) = (client.clone(), format!("bare/{n}/{way}/"));
                clients.push(tokio::spawn(async move { groups(client, &prefix, began, time).await }));
            }
        }
        let mut done = 0;
        for client in clients {
            done += client.await??;
        }
        Ok(done as f64 / began.elapsed().as_secs_f64())
    })
}

async fn groups(
    client: Client,
    prefix: &str,
    began: Instant,
    time: Duration,
) -> Result<usize, etcd_client::Error> {
    let (mut kv, mut done) = (client.kv_client(), 0);
    let value = [b'x'; 35];
    while began.elapsed() < time {
        let names: Vec<String> = (done..done + GROUP).map(|n| format!("{prefix}{n:012}")).collect();
        let mut seen = 0;
        for _ in 0..2 {
            let compare = |name: &String| Compare::mod_revision(name.as_str(), CompareOp::Equal, seen);
            let compares: Vec<Compare> = names.iter().map(compare).collect();
            let puts: Vec<TxnOp> = names.iter().map(|name| TxnOp::put(name.as_str(), value, None)).collect();
            let answer = kv.txn(Txn::new().when(compares).and_then(puts)).await?;
            seen = answer.header().map_or(0, |header| header.revision());
        }
        done += GROUP;
    }
    Ok(done)
}

/// Names of one transaction: what etcd takes without being told to, and what a master proposes.
const GROUP: usize = 120;
