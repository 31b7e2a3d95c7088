//! What bounds the list of mailboxes: its history, its queues, and how far its disk may be behind.

use std::time::Duration;

bounds::table! {
    "list", "The list of mailboxes";
    /// Requests that may wait; a sender that finds it full waits too.
    pub(crate) QUEUE: usize = 4096, Count, "chosen: more gives no greater groups";
    /// Requests in one group.
    pub(crate) GROUP: usize = 1024, Count, "chosen: one sync of a disk";
    /// Rounds in which other masters were faster, before a write is refused for now.
    pub(crate) ROUNDS: usize = 8, Count, "chosen: two masters rarely touch one name";
    /// Groups of other masters' changes that wait to be taken over.
    pub(crate) NEWS_WAITING: usize = 1024, Count, "chosen: some megabytes";
    /// Octets of an entry beside its name, its place and its rights, in the masters' database.
    pub(crate) AROUND_ENTRY: usize = 128, Bytes, "chosen: keys, comparisons and numbers";
    /// Rows that may wait for a replica's disk; then the list waits.
    pub(crate) BEHIND: usize = 5_000_000, Count, "chosen: a first synchronisation of some million mailboxes";
    /// Rows that are written at once, before the next batch joins them.
    pub(crate) LOT: usize = 10_000, Count, "chosen: a few milliseconds";
    /// Conflicts kept.
    pub(crate) CONFLICTS: usize = 10_000, Count, "chosen: more than anyone resolves by hand";
    /// Servers that may be cordoned.
    pub(crate) CORDONS: usize = 1000, Count, "chosen: more than a murder has";
    /// Reservations that are listed.
    pub(crate) RESERVED_SHOWN: usize = 10_000, Count, "chosen: more than anyone reads";
    /// Deletions remembered for replicas that come back; one that is further behind takes the whole list.
    pub(crate) TOMBSTONES: usize = 1_000_000, Count, "chosen: some 100 MB of disk";
    /// Seconds that they are remembered.
    pub(crate) TOMBSTONE_AGE: u64 = 7 * 24 * 3600, Count, "chosen: a node is not away longer";
    /// Changes between two prunings of them.
    pub(crate) PRUNE_EVERY: usize = 8192, Count, "chosen: cheap";
    /// Changes in memory for subscribers; one that is further behind reads the disk.
    pub(crate) WINDOW: usize = 65_536, Count, "chosen: some 10 MB";
    /// Rows in one batch of a replica.
    pub(crate) CHUNK: usize = 1000, Count, "chosen: a few milliseconds";
    /// Rows that the loader takes under one lock.
    pub(crate) PAGE: usize = 500, Count, "chosen: less than a millisecond";
    /// Rows forgotten by one pruning.
    pub(crate) PRUNED_AT_ONCE: usize = 16_384, Count, "chosen: some ten milliseconds of a thread of its own";
    /// Readings of a page that a commit may spoil before commits are kept waiting.
    pub(crate) TRIES: usize = 3, Count, "chosen: commits are rare while a daemon starts";
    /// How long a daemon waits at its start for a tool that reads its list.
    pub(crate) TOOL: Duration = Duration::from_secs(3), Time, "chosen: a tool reads a list in that time";
    /// How often it looks.
    pub(crate) TOOL_STEP: Duration = Duration::from_millis(10), Time, "chosen: shorter than a tool's look";
    /// How long rows wait for others to come or to replace them.
    pub(crate) LINGER: Duration = Duration::from_millis(200), Time, "chosen: rows that change again are written once";
    /// With more than so many new ones in that time they wait on.
    pub(crate) CALM: usize = 256, Count, "chosen: some milliseconds of the store's";
    /// So many rows do not wait.
    pub(crate) MANY: usize = 131_072, Count, "chosen: some 30 MB";
    /// Rows written to the store at a time.
    pub(crate) BATCH: usize = 1000, Count, "chosen: one write of the store";
    /// Bytes of a commit log after which its other file is used.
    pub(crate) FULL: u64 = 32 * 1024 * 1024, Bytes, "chosen: what is taken back after a crash, in some 0.1 s";
    /// Bytes by which such a file grows at a time.
    pub(crate) STEP: u64 = 256 * 1024, Bytes, "chosen: a file that grows is slower to sync";
    /// Bytes of sled's page cache. It is no ceiling.
    pub(crate) CACHE: u64 = 8 * 1024 * 1024, Bytes, "measured: 16 MiB were seen to give 90 MB resident";
    /// How often a replica's disk is synced.
    pub(crate) WITNESS_EVERY: Duration = Duration::from_secs(2), Time, "chosen: what is lost of a replica comes again";
    /// How far a replica's disk follows its memory behind.
    pub(crate) REPLICA_LINGER: Duration = Duration::from_millis(20), Time, "chosen: rows that change again are written once";
    /// Milliseconds within which what is not synced reaches the disk.
    pub(crate) FLUSH_EVERY_MS: u64 = 500, Count, "sled's default";
    /// A list with fewer mailboxes may be emptied by its master.
    pub(crate) SMALL: usize = 100, Count, "chosen: a list so small is looked through by hand";
    /// Hundredths of a list that its master may remove at once; more is held until an operator agrees.
    pub(crate) PERCENT: usize = 20, Count, "chosen: a backend of five";
    /// Rows read from the disk at once.
    pub(crate) DISK_PAGE: usize = 1000, Count, "chosen: less than a millisecond";
    /// Bytes of a name in a dump that is loaded.
    pub(crate) MAX_NAME: usize = 509, Bytes, "Cyrus";
    /// Bytes of a partition in a dump that is loaded.
    pub(crate) MAX_PARTITION: usize = 63, Bytes, "Cyrus";
    /// Mailboxes, subscriptions and annotations of which a client of NOTIFY has not heard yet; with one more it hears of nothing.
    pub(crate) NEWS: usize = 1000, Count, "chosen: more than change while a client sleeps";
    /// Changed names that are passed on to such clients at once.
    pub(crate) NEWS_AT_ONCE: usize = 1000, Count, "chosen: a millisecond";
    /// Names that a held removal shows.
    pub(crate) SHOWN: usize = 5, Count, "chosen: a line of a log";
    /// Entries of the list that are read at once.
    pub LIST_PAGE: usize = 1000, Count, "chosen: a millisecond, in which nobody writes";
}
