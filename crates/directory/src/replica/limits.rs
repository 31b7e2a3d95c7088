//! What bounds a replica: how long it waits for its master, and what a master can make it hold.

use std::time::Duration;

bounds::table! {
    "replica", "A replica of the list, which follows a MUPDATE server";
    options {
        /// Mailboxes that a list of another server may have; a larger one is not taken over.
        mupdate_entries_max, "chosen: more than any murder has";
    }
    /// The longest wait between attempts to reach the master, and the interval of keepalives.
    pub(crate) RETRY: Duration = Duration::from_secs(2), Time Least "mupdate_retry_delay", "chosen: a master that starts must not be swamped";
    /// The first pause after a connection is lost; it doubles up to mupdate_retry_delay.
    pub(crate) FIRST_PAUSE: Duration = Duration::from_millis(500), Time, "chosen: a master that starts anew is back by then";
    /// How long a stream must have lasted for another master to be asked without a pause, however soon after the last one.
    pub(crate) LASTED: Duration = Duration::from_secs(1), Time, "chosen: at most so often a master that breaks off is asked again";
    /// The longest pause before a list that was too large is looked at again.
    pub(crate) ABSURD: Duration = Duration::from_secs(600), Time, "chosen: each look reads the whole list";
    /// Causes of trouble that are remembered, so that each is logged once.
    pub(crate) TOLD: usize = 8, Count, "chosen: more than are met together";
    /// How long a proxy that starts for the first time waits for its list.
    pub(crate) SETTLE: Duration = Duration::from_secs(10), Time, "chosen: a first list arrives in that time";
    /// How long a look-up waits for the master; then its result is unknown.
    pub(crate) BARRIER: Duration = Duration::from_secs(2), Time, "chosen: a client waits as long for its login";
    /// Look-ups that wait for the master at a time; one more is unknown at once.
    pub(crate) BARRIERS: usize = 65_536, Count, "chosen: more sessions than a process has";
    /// How long a confirmed absence counts.
    pub(crate) MISSING_HOLDS: Duration = Duration::from_secs(1), Time, "chosen: a new mailbox is found after a second";
    /// Confirmed absences remembered. A full table is emptied.
    pub(crate) MISSING_KEPT: usize = 4096, Count, "chosen: some hundred bytes each";
    /// How long a listing may pause.
    pub(crate) LISTING: Duration = Duration::from_secs(120), Time, "a Cyrus master writes its list whole to a file first";
    /// How often `mupdate_retry_delay` a list that replaces another has for being filled, before its lack of something
    /// counts.
    pub(crate) LOOKS: u32 = 3, Count, "chosen: backends tell a new master what they have in that time";
    /// Changes gathered at most before they are applied.
    pub(crate) PENDING: usize = 10_000, Count, "chosen: some megabytes";
    /// Octets of changes after which the list is weighed again.
    pub(crate) WEIGHED: usize = 64 * 1024 * 1024, Bytes, "chosen: a tenth of a large list";
    /// Characters of a name that the log has.
    pub(crate) NAME_SHOWN: usize = 200, Count, "chosen: a line of a log";
    /// Octets of a name, its place and its ACL, on the average of a whole list.
    pub(crate) OCTETS: usize = 256, Bytes, "chosen: names and ACLs of large sites are shorter";
    /// Octets that a list may always have, however small mupdate_entries_max is.
    pub(crate) LEAST: usize = 16 * 1024 * 1024, Bytes, "chosen: a few long ACLs";
    /// Octets of an ACL.
    pub(crate) ACL: usize = 256 * 1024, Bytes, "twice what the default of Cyrus's `maxliteral` lets a backend say";
}
