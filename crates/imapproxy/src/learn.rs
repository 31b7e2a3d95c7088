//! Finds out what the backends can before a client asks: each is logged in to once, as the proxy itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::location::Location;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::node::Node;

/// Learns of backends that are not known yet, until `stop`. Sessions teach too, with each connection they open.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut pause = FIRST;
    loop {
        let work = async {
            node.directory.list().loaded().await;
            for server in servers(&node) {
                if !node.capabilities.knows(&server) {
                    learn(&node, &server).await;
                }
            }
            tokio::time::sleep(pause).await;
        };
        if stop.run_until_cancelled(work).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LATER);
    }
}

async fn learn(node: &Node, server: &str) {
    let own = node.upstream.imapd().proxy_authname.clone();
    match node.upstream.imap(server, Some(&own)).await {
        Ok(connection) => node.capabilities.learnt(server, &connection.capabilities),
        Err(error) => debug!("capabilities: {error}"),
    }
}

/// Those that hold mailboxes, and those that new ones may go to.
fn servers(node: &Node) -> BTreeSet<String> {
    let imapd = node.upstream.imapd();
    let summary = node.directory.list().summary();
    let holders = summary.locations.iter().filter_map(|(location, _)| Location::parse(location).ok());
    holders.map(|location| location.server().to_owned()).chain(imapd.serverlist.iter().cloned()).collect()
}

/// Between rounds: soon after the start, while the first list arrives, then rarely.
const FIRST: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);
