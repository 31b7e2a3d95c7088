//! What bounds the way to etcd: waits, sizes, and how often what is done.

use std::time::Duration;

bounds::table! {
    "etcd", "The way of a master to etcd";
    options {
        /// Names of one transaction.
        etcd_txn_names, "etcd: --max-txn-ops is 128; six more are this project's";
    }
    /// How long one member may take to answer, before another one is asked.
    pub(crate) CALL: Duration = Duration::from_secs(2), Time, "etcd elects a leader in 1 to 2 s";
    /// How long etcd is asked for the outcome of a write, or anything else, in all.
    pub(crate) ANSWER: Duration = Duration::from_secs(5), Time, "chosen: two elections";
    /// How long nobody could ask etcd before a master says nothing more.
    pub(crate) DEAD: Duration = Duration::from_secs(5), Time, "as ANSWER";
    /// How often it is seen whether etcd answers.
    pub(crate) BEAT: Duration = Duration::from_millis(500), Time, "chosen: a tenth of what may be missed";
    /// The pause after a failure.
    pub(crate) PAUSE: Duration = Duration::from_millis(100), Time, "chosen: shorter than an election";
    /// How long a watch may bring nothing of what is known to have happened, before another one is begun.
    pub(crate) SILENT: Duration = Duration::from_secs(2), Time, "as CALL";
    /// How long a connection to a member may take to be made.
    pub(crate) CONNECT: Duration = Duration::from_secs(1), Time, "chosen: some round trips between sites";
    /// How often a connection is seen to be alive, and how long that may take.
    pub(crate) ALIVE: Duration = Duration::from_secs(1), Time, "chosen: a member that hangs is left within CALL";
    /// Octets of one message of etcd's.
    pub(crate) MESSAGE: usize = 64 * 1024 * 1024, Bytes, "measured: 27 MB came at once to a watch from far behind";
    /// Octets of one transaction, about.
    pub(crate) GROUP_OCTETS: usize = 1024 * 1024, Bytes, "etcd: --max-request-bytes is 1.5 MiB";
    /// Revisions that wait to be passed on.
    pub(crate) NEWS: usize = 16, Count, "chosen: the next one is read meanwhile";
    /// Keys that are read at once.
    pub(crate) PAGE: i64 = 1000, Count, "chosen: some ten milliseconds";
    /// Seconds that a master stays in the list of masters after its end.
    pub(crate) LEASE: i64 = 10, Count, "chosen: longer than an election";
    /// How often it says that it is there.
    pub(crate) THERE: Duration = Duration::from_secs(3), Time, "a third of LEASE";
    /// How often history is compacted.
    pub(crate) COMPACT_EVERY: Duration = Duration::from_secs(300), Time, "etcd's own choice";
    /// Revisions that are kept at least.
    pub(crate) HISTORY: u64 = 100_000, Count, "chosen: some 14 MB";
    /// How long they are kept at least.
    pub(crate) HISTORY_AGE: Duration = Duration::from_secs(3600), Time, "chosen: a master is not away longer, or reads all";
    /// Samples of revisions that the keeper remembers.
    pub(crate) SAMPLES: usize = 64, Count, "HISTORY_AGE over COMPACT_EVERY, and some";
}
