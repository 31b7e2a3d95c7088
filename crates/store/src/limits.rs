//! What bounds the store: what users may put into it, and what it holds in memory.

use std::time::Duration;

bounds::table! {
    "store", "The mail store";
    options {
        /// Mailboxes below one INBOX, and subscriptions of one user.
        maxmailboxes_per_user, "chosen: more than anyone has";
        /// Sieve scripts of one user.
        sieve_maxscripts, "Cyrus";
        /// Bytes of a Sieve script.
        sieve_maxscriptsize, "Cyrus";
    }
    /// Bytes of an access control list; it may shrink, however long it is.
    pub(crate) ACL: usize = 8 * 1024, Bytes, "chosen: some hundred identifiers";
    /// Keywords of a mailbox.
    pub(crate) KEYWORDS: usize = 128, Count, "Cyrus has 128 user flags";
    /// Former names of a mailbox that are remembered.
    pub(crate) HISTORY: usize = 20, Count, "chosen: more than anyone traces";
    /// Bytes of a message, where `maxmessagesize` names no limit.
    pub(crate) LARGEST_MESSAGE: u64 = u32::MAX as u64, Bytes, "offsets are 32 bits wide";
    /// Seconds that a delivery is remembered, so that it comes only once.
    pub DELIVERED: u64 = 3 * 24 * 3600, Count, "Cyrus: cyr_expire -E 3 in its cyrus.conf";
    /// Jobs that may wait for the commit log; one more waits outside.
    pub(crate) QUEUE: usize = 1024, Count, "chosen: more gives no greater batches";
    /// Bytes after which a batch is written.
    pub(crate) BATCH: usize = 4 << 20, Bytes, "chosen: one write of a disk";
    /// Bytes after which a segment is put aside.
    pub(crate) SEGMENT: u64 = 32 << 20, Bytes, "chosen: what is played back after a crash";
    /// Staged files at most that wait for a segment to be freed.
    pub(crate) STAGED: usize = 4096, Count, "chosen: names in one directory";
    /// Bytes of messages that are copied through the commit log.
    pub(crate) THROUGH_LOG: u64 = 256 << 10, Bytes, "chosen: less than a file of its own costs";
    /// How long a change of a mailbox's tree waits for another.
    pub(crate) TURN: Duration = Duration::from_secs(30), Time, "chosen: a client has not given up by then";
    /// Messages whose Message-IDs are noted at a time.
    pub(crate) ARTICLES: usize = 1000, Count, "chosen: one write of a disk";
    /// Rows of articles that are looked at in one go when those that are gone are swept.
    pub(crate) SWEPT: usize = 1000, Count, "chosen: less than some milliseconds";
    /// Files of a round of a move that are synced one by one; more of them by their file system.
    pub(crate) SYNCED_SINGLY: usize = 16, Count, "chosen: a file system has more to sync than a move's";
    /// How long a change waits for a move to be decided.
    pub(crate) GATE: Duration = Duration::from_secs(5), Time, "chosen: longer than a move is to take, shorter than a client waits";
    /// Changes of one mailbox's tree at the same time.
    pub(crate) TURNS: usize = 1, Count, "they exclude each other";
    /// Mailboxes, and users' logs, that are kept open though nobody uses them.
    pub(crate) OPEN: usize = 512, Count, "chosen: two descriptors each";
    /// How often it is looked whether the store has failed.
    pub(crate) LOOK: Duration = Duration::from_secs(1), Time, "chosen: a human notices no more";
    /// Users whose special uses are held in memory. A full table is emptied.
    pub(crate) REMEMBERED: usize = 1000, Count, "chosen: some kilobytes each";
    /// Bytes of an annotation's value.
    pub VALUE_MAX: usize = 65_536, Bytes, "Cyrus; RFC 5464 section 4.1: 1024 at least";
    /// Bytes of the name of an annotation.
    pub(crate) ENTRY_MAX: usize = 1024, Bytes, "chosen: longer than any client's";
    /// Annotations of a mailbox or of the server, shared ones and each user's.
    pub(crate) ENTRIES_MAX: usize = 1000, Count, "chosen; RFC 5464 section 4.1: 10 at least";
    /// Annotations of a message, all users' together.
    pub(crate) NOTES_MAX: usize = 1000, Count, "chosen; RFC 5257 section 3.1: 10 at least";
    /// Bytes of the annotations of a message, all users' together: all of them are written with each that is set.
    pub(crate) NOTES_BYTES: usize = 1 << 20, Bytes, "chosen: sixteen of the largest";
    /// Bytes of the annotations of a mailbox and of its messages, all users' together, and of those of the server of one user.
    pub(crate) ANNOTATION_BYTES: u64 = 16 << 20, Bytes, "chosen: memory that an open mailbox of 100,000 messages takes";
    /// Bytes of one user's private annotations of the messages of a mailbox that is not his, and as many of the mailbox itself.
    pub(crate) ANNOTATION_SHARE: u64 = 1 << 20, Bytes, "chosen: one of sixteen parts of what a mailbox has";
    /// Bytes of annotations in one frame of a compacted index.
    pub(crate) ANNOTATION_RUN: usize = 1 << 20, Bytes, "chosen: one write of a disk";
    /// Bytes of all Sieve scripts of one user, which are in memory while the user's log is open.
    pub(crate) SCRIPT_BYTES: u64 = 4 << 20, Bytes, "chosen: far more than anyone writes";
    /// Bytes of sled's page cache.
    pub(crate) CACHE: u64 = 16 << 20, Bytes, "chosen: more gives no faster look-ups";
    /// Bytes of a disk that stay free.
    pub(crate) RESERVE: u64 = 2 << 20, Bytes, "chosen: what is acknowledged must find room in its own file";
    /// Bytes of a message that stay in memory, and go through the commit log.
    pub STAGE_MEMORY: usize = 64 << 10, Bytes, "chosen: less than a file of its own costs";
    /// Bytes of a message that is parsed at once, not on a blocking thread.
    pub(crate) INLINE: usize = 16 << 10, Bytes, "chosen: less than a millisecond";
    /// Bytes of a message that are read together with others.
    pub HEAD: u32 = 64 << 10, Bytes, "chosen: one read of a disk";
    /// Bytes of a large message that are read at once, for whoever it is sent to.
    pub(crate) PIECE: usize = 256 << 10, Bytes, "chosen: one write of a socket";
    /// Bytes that are read for one run, about.
    pub(crate) READ_RUN: usize = 1 << 20, Bytes, "chosen: one read of a disk";
    /// Bytes that hold most structures.
    pub(crate) FIRST_READ: usize = 2048, Bytes, "chosen: most structures";
    /// Bytes of the cache that are read at once.
    pub(crate) WINDOW: u64 = 128 << 10, Bytes, "chosen: one read of a disk";
    /// Bytes between two structures of the cache that are read together.
    pub(crate) GAP: u64 = 16 << 10, Bytes, "chosen: one read of a disk";
    /// Bytes of a structure at most; a larger length is damage.
    pub(crate) LARGEST: usize = 64 << 20, Bytes, "chosen: more than 5,000 parts have";
    /// A change of more messages is built on a blocking thread.
    pub(crate) MANY: usize = 256, Count, "chosen: less than a millisecond";
    /// Records that one change copies.
    pub(crate) CHUNK: usize = 128, Count, "chosen: some kilobytes";
    /// Runs of messages that are gone that one change copies.
    pub(crate) RUNS: usize = 256, Count, "chosen: some kilobytes";
    /// Runs of messages that are gone which a mailbox remembers; a larger one remembers as many as it has messages.
    pub(crate) TOMBSTONES: usize = 10_000, Count, "chosen: some hundred kilobytes";
    /// Messages that are expunged in one change.
    pub(crate) EXPUNGE_RUN: usize = 1000, Count, "chosen: less than some milliseconds";
    /// Entries committed at a time.
    pub(crate) REBUILD_BATCH: usize = 1000, Count, "chosen: one write of a disk";
    /// Messages that have come or gone before a text index goes on, and that a search reads because the index does not know them.
    pub(crate) TEXT_LEAST: usize = 256, Count, "chosen: a search reads as many in some milliseconds";
    /// The same when `squatter` asks: fewer are not worth a file.
    pub(crate) TEXT_FEW: usize = 64, Count, "chosen: a search reads as many in a millisecond or two";
    /// In a mailbox of so many times as many messages, more: one of so many.
    pub(crate) TEXT_SHARE: usize = 256, Count, "chosen: a look at all messages costs each that comes less than a microsecond";
    /// Messages of one file of a text index.
    pub(crate) TEXT_SEGMENT: usize = 4096, Count, "chosen: some megabytes";
    /// Trigrams of all its messages together: memory of whoever makes it.
    pub(crate) TEXT_PAIRS: usize = 4 << 20, Count, "chosen: 16 MiB of memory";
    /// Trigrams of one message; one that has more is always read.
    pub(crate) TEXT_DISTINCT: usize = 1 << 16, Count, "chosen: a quarter of all that are told apart";
    /// Bytes of a message that is indexed; a larger one is always read.
    pub(crate) TEXT_MESSAGE: u64 = 64 << 20, Bytes, "chosen: more than most servers take";
    /// Bytes of what a file of a text index says of its messages; more is damage.
    pub(crate) TEXT_TABLE: usize = 1 << 20, Bytes, "chosen: more than as many messages need";
    /// Part of a partition that stays free of text indexes: one of so many.
    pub(crate) TEXT_FREE: u64 = 20, Count, "chosen: mail comes first";
    /// Bytes of a partition that are enough of it, however large it is.
    pub(crate) TEXT_ENOUGH: u64 = 2 << 30, Bytes, "chosen: a day's mail of a large site";
    /// Mailboxes that wait for their text index.
    pub(crate) TEXT_QUEUE: usize = 4096, Count, "chosen: more than change at once";
    /// Bytes of frames that are written at once.
    pub(crate) RECOVER_RUN: usize = 1 << 20, Bytes, "chosen: one write of a disk";
    /// Rounds in which a mailbox's files are copied to another partition while mail flows.
    pub(crate) PARTITION_ROUNDS: usize = 5, Count, "chosen: each has what came during the one before";
    /// Messages in such a round that are few enough for the last one, for which everybody waits.
    pub(crate) PARTITION_FEW: usize = 32, Count, "chosen: some milliseconds";
}
