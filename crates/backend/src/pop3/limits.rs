//! What a POP3 client can make the server do and hold.

use std::time::Duration;

use protocol::pop3::{maildrop, session};

bounds::table! {
    "pop3", "A POP3 session of the store";
    options {
        /// How long a client may be silent.
        poptimeout, "RFC 1939 section 3: 10 minutes at least";
        /// Least time between two logins of a user.
        popminpoll, "Cyrus";
        /// Logins that a user may make before popminpoll counts.
        poppollpadding, "Cyrus";
    }
    /// Bytes read ahead.
    pub(crate) INPUT: usize = 32 * 1024, Bytes, "chosen: more than the longest line, an AUTH response";
    /// Bytes of a command with its end.
    pub(crate) LINE: usize = 16 * 1024, Bytes, "RFC 2449 section 4 has 255; an AUTH response may be long";
    /// Bytes of replies that gather while more commands are waiting (PIPELINING).
    pub(crate) REPLIES: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Commands, pieces of a message or steps of a listing, after which others have their turn.
    pub(crate) STEPS: u32 = 64, Count, "chosen: a millisecond of work";
    /// Messages of one step of a listing.
    pub(crate) LISTING: usize = maildrop::STEP, Count, "chosen: less than a millisecond";
    /// Bytes of a message that are made ready at a time.
    pub(crate) PIECE: usize = 16 * 1024, Bytes, "chosen: dot-stuffed in a fraction of a millisecond";
    /// Wrong commands that end the connection.
    pub(crate) ERRORS: u32 = session::MAX_ERRORS, Count, "chosen: no program makes as many";
    /// Failed logins that end the connection.
    pub(crate) MAX_FAILURES: u32 = 3, Count, "Cyrus";
    /// A client whose maildrop cannot be opened comes again at once: it waits this long.
    pub(crate) UNOPENABLE_PAUSE: Duration = Duration::from_secs(3), Time, "Cyrus";
    /// Mailboxes whose polls are remembered before old ones are looked for.
    pub(crate) REMEMBERED: usize = 10_000, Count, "chosen: some hundred bytes each";
    /// Bytes of a line of a message that TOP reads, with its end.
    pub(crate) TOP_LINE: u64 = 1000, Bytes, "RFC 5322 section 2.1.1";
}
