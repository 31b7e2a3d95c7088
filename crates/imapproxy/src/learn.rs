//! Finds out what the backends can before a client asks: each is logged in to once, by [`upstream::Upstream::asker`].
//!
//! Only those that the configuration names: nobody has this node connect anywhere by putting a name into the list. What the
//! others can is learnt with the first command of a client for a mailbox there.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::location::Location;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::limits::{FIRST, LATER};
use crate::node::Node;

/// Learns of backends that are not known yet, until `stop`. Sessions teach too, with each connection they open.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut rounds = retry::Backoff::new(FIRST);
    loop {
        let work = async {
            node.directory.list().loaded().await;
            for server in servers(&node) {
                if !node.capabilities.knows(&server) {
                    learn(&node, &server).await;
                }
            }
            tokio::time::sleep(rounds.pause(LATER)).await;
        };
        if stop.run_until_cancelled(work).await.is_none() {
            return;
        }
    }
}

async fn learn(node: &Node, server: &str) {
    match node.upstream.imap(server, node.upstream.asker().as_deref()).await {
        Ok(connection) => node.capabilities.learnt(server, &connection.capabilities),
        Err(error) => debug!("capabilities: {error}"),
    }
}

/// Those that hold mailboxes and that the configuration names, and those that new ones may go to.
fn servers(node: &Node) -> BTreeSet<String> {
    let imapd = node.upstream.imapd();
    let summary = node.directory.list().summary();
    let holders = summary.locations.iter().filter_map(|(location, _)| Location::parse(location).ok());
    let named =
        holders.map(|location| location.server().to_owned()).filter(|server| imapd.names_server(server));
    named.chain(imapd.serverlist.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use config::imapd::Imapd;
    use mailboxes::{Action, Change, Entry, List};
    use protocol::name::MailboxName;

    use super::*;

    #[tokio::test]
    async fn a_name_that_only_the_list_has_is_not_connected_to() {
        let text = "configdirectory: /nowhere\nserverlist: be1.example.org\nbe2_ports: imap=1143\n";
        let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), text, "imap").unwrap();
        let list = List::memory();
        for server in ["be1.example.org", "be2.example.org", "stranger.example.net", "127.0.0.1:25"] {
            let name = MailboxName::parse(&format!("user.{}", server.len())).unwrap();
            let location = Location::parse(&format!("{server}!default")).unwrap();
            let action = Action::Put(Box::new(Entry::active(location, "anyone\tlrs\t")));
            list.commit(vec![Change { name, expect: None, action }]).await.unwrap();
        }
        let node = Node::new(&imapd, Arc::new(list));
        let named: Vec<String> = servers(&node).into_iter().collect();
        assert_eq!(named, ["be1.example.org", "be2.example.org"]);
    }
}
