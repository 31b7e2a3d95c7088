//! What a ManageSieve client can make a server do and hold.

use protocol::managesieve::MAX_ERRORS;

bounds::table! {
    "managesieve", "A ManageSieve session";
    options {
        /// How long a client may be silent.
        timeout, "RFC 5804 section 1.2: 30 minutes at least";
        /// Bytes of a literal, and of a script. One of more than twice as many ends the session before it has come.
        sieve_maxscriptsize, "Cyrus";
    }
    /// Bytes read ahead.
    pub(crate) INPUT: usize = 32 * 1024, Bytes, "chosen: more than the longest line";
    /// Bytes of a line; of a literal before the login.
    pub(crate) LINE: usize = 16 * 1024, Bytes, "RFC 5804 section 4 has 1024 octets of a quoted string; a SASL answer may be longer";
    /// Bytes of replies that gather while more commands are waiting.
    pub(crate) REPLIES: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Commands after which others have their turn.
    pub(crate) STEPS: u32 = 16, Count, "chosen: a millisecond of work";
    /// Wrong commands that end the connection.
    pub(crate) ERRORS: u32 = MAX_ERRORS, Count, "chosen: no program makes as many";
    /// Failed logins that end the connection.
    pub(crate) MAX_FAILURES: u32 = 3, Count, "as in POP3";
}
