//! What an LMTP client can make a server do and hold.

use std::time::Duration;

use protocol::lmtp::{intake, session};

bounds::table! {
    "lmtp", "An LMTP session, of a backend and of a frontend";
    options {
        /// Bytes of a message; 0: no limit.
        maxmessagesize, "Cyrus";
    }
    /// A client that sends nothing for so long is told goodbye.
    pub(crate) IDLE: Duration = Duration::from_secs(360), Time, "Cyrus; RFC 5321 section 4.5.3.2.7 asks for 5 minutes";
    /// A client that takes no reply for so long is gone.
    pub(crate) WRITE: Duration = Duration::from_secs(60), Time, "chosen: an MTA takes something in that time";
    /// Bytes read ahead of what has been understood.
    pub(crate) INPUT: usize = 64 * 1024, Bytes, "chosen: more than any line";
    /// Bytes of a command line with its end.
    pub(crate) LINE: usize = 16 * 1024, Bytes, "RFC 5321 section 4.5.3.1.4 has 512; RFC 4954 section 4 has 12,288 for an AUTH response";
    /// A message up to this size stays in memory on its way through.
    pub(crate) IN_MEMORY: usize = 256 * 1024, Bytes, "chosen: most messages";
    /// Bytes of a message that are taken in in about the time of a command's word.
    pub(crate) BYTES: usize = 64, Bytes, "chosen: a fraction of a microsecond";
    /// Commands that are answered before others have their turn.
    pub(crate) COMMANDS: u32 = 16, Count, "chosen: less than a millisecond";
    /// Bytes of replies that gather while more commands are waiting.
    pub(crate) REPLIES: usize = 32 * 1024, Bytes, "chosen: one write";
    /// Recipients of one message.
    pub(crate) RECIPIENTS: usize = session::MAX_RECIPIENTS, Count, "chosen; RFC 5321 section 4.5.3.1.8 asks for 100";
    /// Wrong commands that end a session.
    pub(crate) ERRORS: u32 = session::MAX_ERRORS, Count, "chosen: no MTA makes as many";
    /// Bytes of a message that are taken in at a time.
    pub(crate) INTAKE: usize = intake::PIECE, Bytes, "chosen: a fraction of a millisecond";
    /// Bytes of a message that are written to a file, or read from it, at a time.
    pub(crate) PIECE: usize = 64 * 1024, Bytes, "chosen: one write of a disk";
    /// Characters of a notice that fit into a reply (RFC 5321, section 4.5.3.1.5).
    pub(crate) NOTICE: usize = 200, Count, "RFC 5321 section 4.5.3.1.5";
    /// Names of a page that one look-up by fuzzy match compares.
    pub(crate) PAGE: usize = 1000, Count, "chosen: less than a millisecond";
    /// Such pages.
    pub(crate) PAGES: usize = 1000, Count, "chosen: a million names";
}
