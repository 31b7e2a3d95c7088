//! News (NNTP) on the mailboxes of this backend: shared mailboxes are groups, their messages articles, UIDs the articles' numbers.
//!
//! ```text
//! client ─▶ session: lines, logins ─▶ protocol::nntp's session: may it? ─▶ reading/*: what is read, as a listing in steps
//!                                                                       └▶ taking: an article that comes ─▶ all of its groups
//! ```
//!
//! - [`session`] the client's side: greeting, TLS, logins, commands, articles and listings on their way;
//! - [`commands`] what each command that is about news does;
//! - [`node`] what all sessions share: which mailbox is a group, and who may do what with it;
//! - [`selected`] the group and the article that numbers and NEXT refer to;
//! - [`listing`] what goes out in steps;
//! - [`taking`] POST, IHAVE, TAKETHIS;
//! - [`refusal`] the store's errors in NNTP's words; [`limits`] what a client can make the server do and hold.

mod article;
mod commands;
mod groups;
mod help;
pub mod limits;
mod listing;
mod login;
mod newnews;
mod node;
mod overview;
mod refusal;
mod selected;
mod session;
mod taking;

use std::sync::Arc;

use service::Connection;
use service::drive::drive;
use tracing::{debug, info};
use transport::wire::{Bounds, Wire};

use limits::INPUT;
pub use node::Node;

/// Serves one client. `node` is one for the whole process.
pub async fn serve(connection: Connection, node: Arc<Node>) {
    let stop = connection.seat.stop();
    if let Err(error) = node.begin().await {
        tracing::error!(%error, "news: articles are not known by their Message-ID");
    }
    let mut session = session::Client::new(&connection, node);
    let peer = connection.stream.peer().clone();
    let bounds = Bounds { input: INPUT, ..Bounds::default() };
    match drive(Wire::new(connection.stream, bounds), &mut session, &stop).await {
        Ok(_) => debug!(%peer, "NNTP session ended"),
        Err(error) => info!(%peer, %error, "NNTP connection lost"),
    }
}
