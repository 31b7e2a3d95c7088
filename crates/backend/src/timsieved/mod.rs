//! ManageSieve on the scripts of this backend's users.
//!
//! - [`host`] from a login to its scripts, and what each command does with them;
//! - [`refusal`] what a client is told of each failure of the store.
//!
//! Frames, TLS, the login and the checking of scripts are [`managesieve`]'s.

mod host;
mod refusal;

use managesieve::Client;
use service::Connection;
use service::drive::drive;
use store::Store;
use tracing::{debug, info};

/// Serves one client.
pub async fn serve(connection: Connection, store: Store) {
    let stop = connection.seat.stop();
    let mut client = Client::new(&connection, host::Scripted::new(store));
    let peer = connection.stream.peer().clone();
    match drive(managesieve::wire(connection.stream), &mut client, &stop).await {
        Ok(_) => debug!(%peer, "ManageSieve session ended"),
        Err(error) => info!(%peer, %error, "ManageSieve connection lost"),
    }
}
