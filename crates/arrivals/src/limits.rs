//! What bounds a choice and an arrival.

use std::time::Duration;

bounds::table! {
    "arrivals", "New mailboxes and new users at a frontend";
    options {
        /// How long each step of asking a backend for its free space may take.
        client_timeout, "Cyrus";
    }
    /// How long backends have to tell their free space; who has not told by then is not chosen as long as others have.
    pub(crate) SURVEY: Duration = Duration::from_secs(2), Time, "chosen: a user waits for it";
    /// Backends that are asked to make one newcomer's INBOX.
    pub(crate) ASKED: usize = 3, Count, "chosen: a user waits for each";
    /// How long an INBOX is waited for that none of those asked has made: somebody else may be making it.
    pub(crate) SETTLES: Duration = Duration::from_secs(1), Time, "chosen: one commit of the master, and its way here";
    /// How long a reservation of a newcomer's INBOX, made a moment ago, is waited for.
    pub(crate) RESERVED: Duration = Duration::from_secs(2), Time, "chosen: some round trips to the master, and a sync";
    /// An older reservation is not waited for: whoever made it is gone.
    pub(crate) YOUNG: Duration = Duration::from_secs(30), Time, "chosen: longer than any CREATE, clocks that differ a little included";
}
