//! What an NNTP client can make the server do and hold.

use std::time::Duration;

use protocol::nntp::{article, session, wildmat, words};

bounds::table! {
    "nntp", "An NNTP session of the store";
    options {
        /// How long a client may be silent.
        nntptimeout, "RFC 3977 section 3.1: 3 minutes at least";
        /// Bytes of an article.
        maxmessagesize, "Cyrus";
        /// Sessions of one user, and of all who have not logged in (allowanonymouslogin) together.
        maxlogins_per_user, "chosen";
    }
    /// How long an Xref waits for the groups of articles that have just come to be known.
    pub(crate) KNOWN: Duration = Duration::from_secs(1), Time, "chosen: it takes that long after the first start alone";
    /// Bytes read ahead.
    pub(crate) INPUT: usize = 32 * 1024, Bytes, "chosen: more than the longest line, a SASL response";
    /// Bytes of a command with its end.
    pub(crate) LINE: usize = 512, Bytes, "RFC 3977 section 3.1";
    /// Bytes of a line with its end that belongs to a login, or says where a session comes from.
    pub(crate) LONG_LINE: usize = 16 * 1024, Bytes, "RFC 4643 section 2.4.2: 12,288 at least";
    /// Bytes of replies that gather while more commands are waiting (pipelining).
    pub(crate) REPLIES: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Commands, pieces of an article or steps of a listing, after which others have their turn.
    pub(crate) STEPS: u32 = 16, Count, "chosen: a millisecond of work";
    /// Bytes of an article that are made ready at a time.
    pub(crate) PIECE: usize = 16 * 1024, Bytes, "chosen: dot-stuffed in a fraction of a millisecond";
    /// Articles that one step of OVER, HDR, XPAT or NEWNEWS looks at.
    pub(crate) RUN: usize = 500, Count, "chosen: some milliseconds on a blocking thread";
    /// Numbers of one step of LISTGROUP.
    pub(crate) NUMBERS: usize = 4096, Count, "chosen: less than a millisecond";
    /// Names of mailboxes that one step of a listing of groups looks at.
    pub(crate) NAMES: usize = 1000, Count, "chosen: less than a millisecond";
    /// Groups of them whose mailboxes it opens.
    pub(crate) GROUPS: usize = 64, Count, "chosen: some milliseconds";
    /// Message-IDs that NEWNEWS remembers, so that it shows each once.
    pub(crate) NEWS: usize = 100_000, Count, "chosen: some megabytes";
    /// Bytes of the header of an article that comes.
    pub(crate) HEADER: usize = 128 * 1024, Bytes, "chosen: far more than any has";
    /// Groups of an article.
    pub(crate) CROSSPOSTS: usize = article::GROUPS, Count, "chosen: far more than anyone has a reason for";
    /// Bytes of a group's name.
    pub(crate) GROUP_NAME: usize = words::GROUP_NAME, Bytes, "RFC 3977 section 3.1: an answer of one line holds it";
    /// Bytes of a message-id.
    pub(crate) MESSAGE_ID: usize = words::MESSAGE_ID, Bytes, "RFC 3977 section 3.6";
    /// Patterns of a list.
    pub(crate) PATTERNS: usize = wildmat::PATTERNS, Count, "chosen: more do not fit into a command";
    /// Wrong commands that end the connection.
    pub(crate) ERRORS: u32 = session::MAX_ERRORS, Count, "chosen: no program makes as many";
    /// Failed logins that end the connection.
    pub(crate) MAX_FAILURES: u32 = 3, Count, "as in POP3";
}
