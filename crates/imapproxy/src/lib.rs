//! `imapproxy`: the IMAP frontend. One mail store to its clients, many backends behind it.
//!
//! A session reads of a command what routing needs, sends it to the backend that has the mailbox, on a connection that
//! acts for the user, and copies what comes back. Where a mailbox is, and who may see it, it knows from its own replica
//! of the master's list.
//!
//! * [`grammar`], [`placement`]: pure parts.
//! * [`peer`]: one end of a session, read and written at once with the others.
//! * [`session`]: the client, its connections, and how bytes go between them.
//! * [`cmd`]: the commands, one file per family.
//! * [`node`]: what all sessions share; [`learn`] finds out what the backends can.

pub mod capability;
pub mod cmd;
pub mod grammar;
pub mod learn;
pub mod node;
pub mod peer;
pub mod placement;
pub mod session;

use std::sync::Arc;

use mupdate::replica::Replica;
use protocol::acl::{Acl, Rights, Who};
use service::auth::InboxAcl;
use service::{Connection, Context, Exit};
use tracing::debug;

use node::{Directory, Node};
use session::Session;

/// Serves IMAP on the daemon's listeners until it is told to stop.
pub async fn run(context: Context) -> Result<(), Exit> {
    let replica = Replica::for_proxy(&context, true)?;
    let node = Node::new(&context.imapd(), Directory::Replica(replica.clone()));
    context.set_inbox_acl(inbox_acl(&node));
    follow_reloads(&context, &node);
    context.tasks().spawn(learn::run(node.clone(), context.shutdown()));
    replica.settle(&context.shutdown()).await;
    serve(&context, node).await;
    replica.close().await;
    Ok(())
}

/// Serves with what is given: how a test does.
pub async fn serve(context: &Context, node: Arc<Node>) {
    context
        .serve(move |connection: Connection| {
            let node = node.clone();
            async move { Session::new(node, connection).run().await }
        })
        .await;
}

/// `loginuseacl`: who has the `a` right on an INBOX may log in as its owner.
fn inbox_acl(node: &Arc<Node>) -> Arc<dyn InboxAcl> {
    let node = node.clone();
    Arc::new(move |authid: &str, groups: &[String], userid: &str| {
        let Ok(inbox) = node.namespace.inbox(userid) else { return false };
        let Ok(Some(entry)) = node.directory.list().get(&inbox) else { return false };
        Acl::parse(&entry.acl).rights(Who { userid: authid, groups }).contains(Rights::ADMIN)
    })
}

fn follow_reloads(context: &Context, node: &Arc<Node>) {
    let (context, node) = (context.clone(), node.clone());
    tokio::spawn(async move {
        let (mut reloads, stop) = (context.reloads(), context.shutdown());
        while let Some(Ok(())) = stop.run_until_cancelled(reloads.changed()).await {
            debug!("the settings towards backends are read anew");
            node.upstream.reload(&context.imapd());
        }
    });
}

/// The IMAP proxy of a murder's frontend
#[derive(Debug, clap::Parser)]
#[command(name = "imapproxy", version)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
