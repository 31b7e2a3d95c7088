//! LMTP into the mailboxes of this backend. The protocol is crate `lmtp`; here is what an address means in the store
//! ([`recipient`]), the delivery ([`deliver`]), and what the store's errors are to an MTA ([`refusal`]).
//!
//! A message is staged once, whatever the number of its recipients, and becomes a file in each mailbox by a hard link.
//! All recipients are delivered at once, so that one sync of the store serves them all; each gets its own reply.

mod deliver;
mod recipient;
mod refusal;

use std::sync::Arc;

use ::lmtp::Door;
use service::Connection;

use store::Store;

/// Serves one client.
pub async fn serve(connection: Connection, store: Store) {
    let door = Door::of(&connection);
    let policy =
        recipient::Policy::new(&connection.listener.imapd(), &door.settings, connection.context.denied());
    let stop = connection.seat.stop();
    let deliver = deliver::Local::new(store, Arc::new(policy));
    ::lmtp::serve(connection.stream, door, deliver, stop).await;
}
