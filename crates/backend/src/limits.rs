//! What bounds the agreement of a backend's list with its master's, and what a tool of its node may ask.

use std::time::Duration;

bounds::table! {
    "agreement", "A backend and its master, and its tools";
    /// Until a connection is tried again; it doubles up to `mupdate_retry_delay`.
    pub(crate) FIRST_PAUSE: Duration = Duration::from_secs(1), Time, "chosen: a master that starts anew is back in seconds";
    /// How long the master may take to say where its list stands.
    pub(crate) PATIENCE: Duration = Duration::from_secs(20), Time, "chosen: a master that writes a large list answers by then";
    /// Over how long the backends that see a new list spread.
    pub(crate) SPREAD: Duration = Duration::from_secs(5), Time, "chosen: a master takes some backends at a time";
    /// After an operation came into doubt: how long others like it have to end, before the lists are compared.
    pub(crate) SETTLE: Duration = Duration::from_secs(2), Time, "chosen: they are answered by then";
    /// Until what was left alone is looked at again, the first time; it doubles.
    pub(crate) LEFT_FIRST: Duration = Duration::from_secs(5), Time, "chosen: what was under way is done by then";
    /// The longest such pause.
    pub(crate) LEFT_LAST: Duration = Duration::from_secs(600), Time, "chosen: an operator waits as long";
    /// Mailboxes that the master is told of together.
    pub(crate) AT_ONCE: usize = 100, Count, "chosen: little changes between the look and the telling";
    /// Bytes of a tool's request.
    pub(crate) REQUEST: u64 = 1 << 20, Bytes, "chosen: names of many mailboxes";
    /// How long a tool may take to say what it wants.
    pub(crate) TOOL: Duration = Duration::from_secs(10), Time, "chosen: both are on this host";
    /// Tools that are served or wait at once.
    pub(crate) TOOLS: usize = 16, Count, "chosen: more than an operator starts";
    /// How long a tool waits for a backend that starts or ends.
    pub(crate) STARTING: Duration = Duration::from_secs(60), Time, "chosen: a store that was killed has played its log back by then";
    /// How long a backend that starts waits for a tool.
    pub(crate) PARTITIONS_FREE: Duration = Duration::from_secs(3), Time, "as for its list";
    /// How often they look.
    pub(crate) STARTING_STEP: Duration = Duration::from_millis(100), Time, "chosen: nobody notices";
    /// The pause after no tool could be accepted.
    pub(crate) FAILING: Duration = Duration::from_secs(1), Time, "chosen: a socket that only fails must not keep a processor busy";
    /// Mailboxes that come in from other backends and are not this one's yet.
    pub(crate) COPIES: usize = 100_000, Count, "chosen: some users with very many folders; each holds a file open";
    /// Quota roots whose limits came with them.
    pub(crate) ROOTS: usize = 10_000, Count, "chosen: more than move at once";
    /// Messages that one connection brings before it says which mailbox has them.
    pub(crate) UPLOADED: usize = 100_000, Count, "chosen: Cyrus sends 8192 of a mailbox, then says so";
    /// Bytes of them.
    pub(crate) UPLOADED_BYTES: u64 = 64 << 30, Bytes, "chosen: so many messages that are large";
    /// Bytes of those among them that are held in memory; others go to files.
    pub(crate) UPLOADED_MEMORY: u64 = 64 << 20, Bytes, "chosen: some thousand small messages";
}
