//! `imapproxy`: the IMAP frontend. One mail store to its clients, many backends behind it.
//!
//! A session reads of a command what routing needs, sends it to the backend that has the mailbox, on a connection that
//! acts for the user, and copies what comes back. Where a mailbox is, and who may see it, it knows from its own replica
//! of the master's list.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`session`] | the client, its connections, and how bytes go between them |
//! | [`cmd`] | the commands, one file per family |
//! | [`outcome`] | how a command ends, and why one does not go on |
//! | [`grammar`] | what is read of a command and of an answer |
//! | [`capability`] | what the backends announce, each as it did last |
//! | [`newcomer`] | a user who has no INBOX yet |
//! | [`peer`] | one end of a session, read and written at once with the others |
//! | [`node`] | what all sessions share; [`learn`] finds out what the backends can |
//! | [`parked`] | connections to backends between two sessions of one user |
//! | [`watch`] | what a client is told without asking, of mailboxes on all backends |

pub mod capability;
pub mod cmd;
pub mod grammar;
pub mod learn;
pub mod limits;
pub mod newcomer;
pub mod node;
pub mod outcome;
pub mod parked;
pub mod peer;
pub mod session;
pub mod watch;

use std::sync::Arc;

use directory::lookup;
use directory::replica::Replica;
use service::Connection;
use service::Context;
use service::Exit;
use tracing::debug;

use node::Node;
use session::Session;

/// Serves IMAP on the daemon's listeners until it is told to stop.
pub async fn run(context: Context) -> Result<(), Exit> {
    let replica = Replica::for_proxy(&context, true)?;
    let node = Node::new(&context.imapd(), Arc::new(replica.clone()));
    context.set_inbox_acl(lookup::inbox_acl(context.namespace(), replica.list().clone()));
    let reloaded = node.clone();
    context.on_reload(move |imapd| {
        debug!("the settings towards backends are read anew");
        reloaded.upstream.reload(&imapd);
        reloaded.parked.reload();
    });
    context.tasks().spawn(learn::run(node.clone(), context.shutdown()));
    replica.settle(&context.shutdown()).await;
    serve(&context, node).await;
    replica.close().await;
    Ok(())
}

/// Serves with what is given: how a test does.
pub async fn serve(context: &Context, node: Arc<Node>) {
    let (parked, stop) = (node.parked.clone(), context.shutdown());
    context.sessions().on_release({
        let parked = parked.clone();
        move |user| parked.forget(user)
    });
    context.tasks().spawn(async move {
        stop.cancelled().await;
        parked.close();
    });
    let (hub, list, weak) = (node.hub.clone(), node.directory.list().watch(), Arc::downgrade(&node));
    let follow = hub.follow(list, move || weak.upgrade().map(|node| node.directory.list().clone()));
    let stop = context.shutdown();
    context.tasks().spawn(async move { stop.run_until_cancelled(follow).await });
    context
        .serve(move |connection: Connection| {
            let node = node.clone();
            async move { Session::new(node, connection).run().await }
        })
        .await;
}

/// The IMAP proxy of a murder's frontend
#[derive(Debug, clap::Parser)]
#[command(name = "imapproxy", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
