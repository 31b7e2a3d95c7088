//! What an IMAP client can make the server do and hold. What grows with a mailbox goes to a blocking thread: [`work::aside`].

use std::time::Duration;

use protocol::imap::command::{adopt, append, fetch, list, notify, search};
use protocol::imap::{flag, set};

bounds::table! {
    "imap", "An IMAP session of the store";
    options {
        /// How long a client that has logged in may be silent.
        timeout, "RFC 3501 section 5.4: 30 minutes at least";
        /// How long one IDLE may last; unset: timeout.
        imapidletimeout, "Cyrus";
        /// Time of the processor that one SEARCH, SORT, THREAD, ESEARCH, LIST or LSUB may take; 0: no bound.
        search_maxtime, "Cyrus, for SEARCH";
        /// Bytes of a literal in a command other than APPEND.
        maxliteral, "Cyrus";
        /// Bytes of a quoted string.
        maxquoted, "Cyrus";
        /// Bytes of a word.
        maxword, "Cyrus";
        /// Bytes of a message of APPEND; 0: no limit.
        maxmessagesize, "Cyrus";
    }
    /// Bytes of one command with its literals.
    pub(crate) COMMAND: usize = 8 * 1024 * 1024, Bytes, "chosen: the longest SEARCH of a client with many keys";
    /// Bytes of one command before the login.
    pub(crate) COMMAND_BEFORE_LOGIN: usize = 64 * 1024, Bytes, "chosen: an AUTHENTICATE with a ticket";
    /// Bytes of one line without its literals.
    pub(crate) LINE: usize = 1024 * 1024, Bytes, "chosen: a set of 50,000 ranges";
    /// Bytes of a command of replication (SYNCAPPLY), without its messages, of an administrator.
    pub(crate) REPLICATION: usize = 32 * 1024 * 1024, Bytes, "chosen: 100,000 messages of a mailbox; Cyrus tells 8192 at once";
    /// Bytes of an overlong line before the connection is given up.
    pub(crate) SKIP: usize = 16 * 1024 * 1024, Bytes, "chosen: whoever sends more does not speak IMAP";
    /// Bytes of a literal that is sent without being asked for, where LITERAL- is announced.
    pub(crate) UNASKED: u64 = 4096, Bytes, "RFC 7888 section 5";
    /// How long a client may take to log in.
    pub(crate) BEFORE_LOGIN: Duration = service::limits::BEFORE_LOGIN, Time, "chosen; RFC 3501 section 5.4 speaks of the time after it";
    /// A client that takes nothing for so long is gone.
    pub(crate) WRITE: Duration = Duration::from_secs(300), Time, "chosen: a client on a slow line takes something in that time";
    /// How long a command goes on after its session was ended by an administrator, or its user denied the service.
    pub(crate) LAST_COMMAND: Duration = Duration::from_secs(10), Time, "chosen: most commands are answered by then";
    /// How long a TLS handshake may take after STARTTLS.
    pub(crate) HANDSHAKE: Duration = Duration::from_secs(30), Time, "chosen: some round trips of a slow line";
    /// How long the end of a client's compressed bytes may take, after UNAUTHENTICATE.
    pub(crate) FLUSHED: Duration = Duration::from_secs(10), Time, "chosen: the last packet of what was sent at once";
    /// Bytes of what a frontend is told of a session whose mailbox has moved, for its next backend.
    pub(crate) ADOPTED: usize = adopt::STATE, Bytes, "chosen: some hundred thousand gaps, and what a search has found";
    /// Messages that are gone and that the client of such a session still counts.
    pub(crate) ADOPTED_GHOSTS: usize = 1_000_000, Count, "chosen: a very large folder emptied meanwhile";
    /// Users and shared mailboxes that one XFER moves.
    pub(crate) XFERRED: usize = 100_000, Count, "chosen: a large backend; they go one after the other";
    /// Wrong commands in a row that end a session.
    pub(crate) WRONG: u32 = 10, Count, "Cyrus";
    /// Wrong commands in a row that end a session before the login.
    pub(crate) WRONG_BEFORE_LOGIN: u32 = 10, Count, "Cyrus";
    /// Bytes read at once.
    pub(crate) READ: usize = 4096, Bytes, "chosen: memory of an idle session";
    /// Bytes that gather before they are written.
    pub(crate) OUT: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Bytes that are read while a command is under way, to hear of the connection's end.
    pub(crate) AHEAD: usize = 64 * 1024, Bytes, "chosen: what a client pipelines behind a SEARCH";
    /// Messages in one APPEND.
    pub(crate) MESSAGES: usize = 10_000, Count, "chosen: more than any client appends at once";
    /// Bytes of what stands between two messages of one APPEND, annotations among it.
    pub(crate) ARGUMENTS: u64 = 1024 * 1024, Bytes, "chosen: some of the longest annotations";
    /// URLs, messages and their ends in one run of the text of an APPEND.
    pub(crate) PARTS: usize = append::PARTS, Count, "chosen: more than any client makes a message of";
    /// Literals in one such run that are no message's: URLs and values of annotations.
    pub(crate) LITERALS: usize = append::ARGUMENTS, Count, "chosen: the run is read again for each";
    /// Bytes of a URL of CATENATE.
    pub(crate) URL: usize = append::URL_MAX, Bytes, "chosen: longer than any mailbox's name";
    /// Commands of one user that search through mailboxes or the list at the same time.
    pub(crate) ASIDE: usize = 4, Count, "chosen: a client that searches in some windows";
    /// Slices of such commands, of all users, that are worked on at once.
    pub(crate) SCANS: usize = 4, Count, "chosen: few of the blocking threads of a process";
    /// Texts of one SEARCH of which the index is asked; for more of them the messages are read.
    pub(crate) PROOFS: usize = 256, Count, "chosen: more than anybody types";
    /// Ranges of UIDs that a search can save.
    pub(crate) SAVED: usize = 128 * 1024, Count, "chosen: 1 MiB of a session";
    /// Bytes of what is kept of mailboxes for the next SORT or THREAD, in the whole process.
    pub(crate) PREPARED: usize = 64 * 1024 * 1024, Bytes, "chosen: some six mailboxes of 100,000 messages that are threaded";
    /// How long that is kept where nobody uses it.
    pub(crate) PREPARED_IDLE: Duration = Duration::from_secs(600), Time, "chosen: a client that goes on sorts again by then";
    /// Frames of the cache that are asked for at once, for SORT and THREAD.
    pub(crate) FRAMES: usize = 256, Count, "chosen: some milliseconds";
    /// Mailboxes in which one ESEARCH searches.
    pub(crate) SEARCHED: usize = 10_000, Count, "chosen: more than a user has";
    /// Mailboxes that it opens at once.
    pub(crate) OPENED: usize = 32, Count, "chosen: few of the mailboxes that a process keeps open";
    /// How long one more of them waits.
    pub(crate) ASIDE_PATIENCE: Duration = Duration::from_secs(30), Time, "chosen: a client has not given up by then";
    /// Mailboxes of which one NOTIFY tells.
    pub(crate) NOTIFIED: usize = 10_000, Count, "chosen: more than a user has";
    /// Renamed mailboxes that a session remembers, to say nothing of those below them.
    pub(crate) MOVED: usize = 16, Count, "chosen: one is renamed at a time";
    /// Quota roots whose warnings are remembered. A full table warns of no other.
    pub(crate) ROOTS: usize = 100_000, Count, "chosen: some hundred bytes each";
    /// How long after a warning of a quota root the next one is due.
    pub(crate) WARN_AGAIN: Duration = Duration::from_secs(600), Time, "chosen: once in a while";
    /// Work of FETCH that takes longer ends with the client.
    pub(crate) SOON: Duration = Duration::from_secs(1), Time, "chosen: an answer in that time harms nobody";
    /// Messages that are read at once, and whose \Seen is set at once.
    pub(crate) CHUNK: usize = 256, Count, "chosen: some milliseconds";
    /// Bytes of a header or a body that are looked at in about the time of one message.
    pub(crate) FETCH_BYTES: usize = 64, Bytes, "chosen: the time of one message";
    /// Bytes of a message of APPEND that are looked through in a step of its pace.
    pub(crate) APPEND_BYTES: usize = 256, Bytes, "chosen: a step of some microseconds";
    /// Bytes of a word of a command that is parsed in about the time that one message takes.
    pub(crate) WORD: usize = 16, Bytes, "chosen: the time of one message";
    /// Messages in one exchange of AUTHENTICATE.
    pub(crate) ROUNDS: usize = 20, Count, "chosen: more than any mechanism has";
    /// Fields that are kept of an ID.
    pub(crate) ID_FIELDS: usize = 30, Count, "RFC 2971 section 3.3";
    /// Bytes that are logged of an ID.
    pub(crate) ID_LENGTH: usize = 512, Bytes, "chosen: a line of a log";
    /// Ranges of a sequence set.
    pub(crate) RANGES: usize = set::MAX_RANGES, Count, "chosen: a mailbox of 100,000 messages, every second one";
    /// Keys of one SEARCH.
    pub(crate) KEYS: usize = search::KEYS, Count, "chosen: more than any client sends";
    /// Nested keys of one SEARCH.
    pub(crate) DEPTH: usize = search::DEPTH, Count, "chosen: less than a thread's stack";
    /// Items of one FETCH.
    pub(crate) ITEMS: usize = fetch::ITEMS, Count, "chosen: more than any client sends";
    /// Header fields of one section of FETCH.
    pub(crate) FIELDS: usize = fetch::FIELDS, Count, "chosen: more than any client sends";
    /// Patterns of one LIST.
    pub(crate) PATTERNS: usize = list::PATTERNS, Count, "chosen: more than any client sends";
    /// Event groups of one NOTIFY.
    pub(crate) EVENT_GROUPS: usize = notify::GROUPS, Count, "chosen: more than any client sends";
    /// Flags of one STORE or APPEND.
    pub(crate) FLAGS: usize = flag::MAX, Count, "chosen: twice the keywords of a mailbox";
    /// Bytes of an annotation that SORT compares: its first.
    pub(crate) NOTE_SORTED: usize = 4096, Bytes, "chosen: few differ later";
    /// Names of annotations that one look at a mailbox tells as changed, beside flags; what is more changed silently.
    pub(crate) NOTES_TOLD: usize = 1000, Count, "chosen: those of a message, all of them";
    /// Bytes of the patterns of one ANNOTATION item of FETCH, times bytes of the names of a message's annotations.
    pub(crate) NOTE_STEPS: usize = 1 << 20, Count, "chosen: a millisecond or two of the processor";
}
