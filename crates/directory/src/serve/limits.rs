//! What one client of a MUPDATE server may take: every read, write, queue and wait of a conversation.

use std::time::Duration;

bounds::table! {
    "mupdate", "A MUPDATE session of a server, once its client is let in";
    options {
        /// Octets of one word.
        maxword, "Cyrus";
        /// Octets of one quoted string.
        maxquoted, "Cyrus";
        /// Octets of one literal.
        maxliteral, "Cyrus";
    }
    /// Octets of a line beside its longest word.
    pub AROUND: usize = 4096, Bytes, "chosen: a tag, a verb and brackets";
    /// Octets of a command with its literals.
    pub(crate) COMMAND: usize = 300_000, Bytes, "chosen: two literals of the default `maxliteral`";
    /// Octets of an endless line that are skipped.
    pub(crate) SKIP: usize = 1024 * 1024, Bytes, "chosen: whoever sends more does not speak MUPDATE";
    /// Octets read ahead.
    pub(crate) INPUT: usize = 512 * 1024, Bytes, "chosen: more than one command";
    /// Octets of answers gathered before they are sent.
    pub(crate) OUTPUT: usize = 64 * 1024, Bytes, "chosen: one write";
    /// How long a client may take to accept anything.
    pub(crate) WRITE: Duration = Duration::from_secs(60), Time, "chosen: a stalled slave is dropped, and resynchronises";
    /// Writes of one client on their way to the disk.
    pub(crate) PIPELINED: usize = 256, Count, "chosen: some groups of commits";
    /// How long a client may be silent.
    pub(crate) IDLE: Duration = Duration::from_secs(10_800), Time, "Cyrus: 3 hours; RFC 3656 section 3: 15 minutes at least";
    /// Names looked up between two flushes.
    pub(crate) PAGE: usize = 1000, Count, "chosen: less than a millisecond";
    /// How long a question may wait until this master knows what the others have acknowledged.
    pub(crate) PROOF: Duration = Duration::from_secs(5), Time, "chosen: two elections of the masters' database";
    /// How long nothing follows an OK to a peer that is not ours.
    pub(crate) HOLD: Duration = Duration::from_millis(50), Time, "a Cyrus slave loses what follows at once";
    /// Between two lots of changes to a slave.
    pub(crate) LOT: Duration = Duration::from_millis(2), Time, "chosen: a slave is up to date within milliseconds";
    /// Between two lots for a peer on this host.
    pub(crate) LOCAL_LOT: Duration = Duration::from_millis(10), Time, "chosen: each lot wakes every proxy of this host";
    /// When the entries that a Cyrus slave may have lost are sent again.
    pub(crate) CURE: Duration = Duration::from_secs(1), Time, "a Cyrus slave may lose entries";
    /// Entries read under one lock.
    pub(crate) QUERY_PAGE: usize = 1000, Count, "chosen: less than a millisecond";
    /// Servers of a murder at most; beyond it the one that was heard of longest ago is dropped.
    pub(crate) SERVERS: usize = 10_000, Count, "chosen: more than any murder has";
    /// How often it is written down which servers were heard of.
    pub(crate) SEEN_EVERY: Duration = Duration::from_secs(60), Time, "chosen: one small write a minute";
    /// How often the list's gauges are set.
    pub(crate) GAUGES_EVERY: Duration = Duration::from_secs(2), Time, "chosen: shorter than metrics are asked for";
    /// Rows of each kind in a status.
    pub(crate) STATUS_SHOWN: usize = 100, Count, "chosen: more than anyone reads";
    /// Seconds after which a reservation is shown as old.
    pub(crate) OLD: u64 = 600, Count, "chosen: whoever made it has likely died";
    /// The pause after nobody could be accepted on the local socket.
    pub(crate) FAILING: Duration = Duration::from_millis(100), Time, "chosen: a socket that only fails must not keep a processor busy";
}
