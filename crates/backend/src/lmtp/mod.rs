//! LMTP into the mailboxes of this backend. The protocol is crate `lmtp`; here is what an address means in the store
//! ([`recipient`]), the delivery ([`deliver`]), what a user's script makes of it ([`rules`]), and what the store's errors are to an MTA
//! ([`refusal`]).
//!
//! A message is staged once, whatever the number of its recipients, and becomes a file in each mailbox by a hard link.
//! All recipients are delivered at once, so that one sync of the store serves them all; each gets its own reply.

mod deliver;
pub mod limits;
mod recipient;
mod refusal;
mod rules;
mod shipment;

use std::sync::Arc;

use ::lmtp::Door;
use service::Connection;

pub use rules::Rules;
use store::Store;

/// Serves one client.
pub async fn serve(connection: Connection, store: Store, rules: Rules) {
    let door = Door::of(&connection);
    let (imapd, remote) = (connection.listener.imapd(), connection.stream.peer().ip());
    let policy = recipient::Policy::new(&imapd, &door.settings, connection.context.denied(), remote);
    let stop = connection.seat.stop();
    let deliver = deliver::Local::new(store, Arc::new(policy), rules);
    ::lmtp::serve(connection.stream, door, deliver, stop).await;
}
