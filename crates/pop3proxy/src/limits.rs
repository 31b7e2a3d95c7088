//! What a POP3 client can make a frontend do and hold.

use protocol::pop3::session;

bounds::table! {
    "pop3proxy", "A POP3 session of a frontend";
    options {
        /// How long a client may be silent.
        poptimeout, "RFC 1939 section 3: 10 minutes at least";
        /// How long each step of connecting and logging in to a backend may take.
        client_timeout, "Cyrus";
    }
    /// Bytes of a command before the login.
    pub(crate) INPUT: usize = 16 * 1024, Bytes, "RFC 2449 section 4 has 255 octets; SASL answers may be longer";
    /// Failed logins that end the connection.
    pub(crate) MAX_FAILURES: u32 = 10, Count, "chosen: each of them was slowed";
    /// Wrong commands before the login that end the connection.
    pub(crate) ERRORS: u32 = session::MAX_ERRORS, Count, "chosen: no program makes as many";
}
