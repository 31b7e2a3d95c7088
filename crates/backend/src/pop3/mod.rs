//! POP3 on the mailboxes of this backend.
//!
//! - [`session`] the client's side: login, commands, messages on their way out;
//! - [`maildrop`] from a login to a locked maildrop, and what QUIT does to it;
//! - [`limits`] what a client can make the server do and hold;
//! - [`locks`] one POP3 session per mailbox, and how often one may log in (`popminpoll`).

pub mod limits;
mod locks;
mod maildrop;
mod refusal;
mod session;

use std::sync::Arc;

use service::Connection;
use service::drive::drive;
use service::kpop;
use tracing::{debug, info};
use transport::wire::{Bounds, Wire};

use limits::INPUT;
pub use locks::Locks;

use crate::moving::Moving;
use store::Store;

/// Serves one client. `locks` is one for the whole process.
pub async fn serve(connection: Connection, store: Store, locks: Arc<Locks>, moving: Option<Arc<Moving>>) {
    let stop = connection.seat.stop();
    let mut session = session::Client::new(&connection, store, locks, moving);
    let peer = connection.stream.peer().clone();
    let bounds = Bounds { input: INPUT, ..Bounds::default() };
    let mut wire = Wire::new(connection.stream, bounds);
    if connection.listener.has_flag('k') {
        match kpop::meet(&mut wire, &connection.listener.auth()).await {
            Ok(Some(auth)) => session.decide_by(auth),
            Ok(None) => return,
            Err(error) => return debug!(%peer, %error, "KPOP connection lost"),
        }
    }
    match drive(wire, &mut session, &stop).await {
        Ok(_) => debug!(%peer, "POP3 session ended"),
        Err(error) => info!(%peer, %error, "POP3 connection lost"),
    }
}
