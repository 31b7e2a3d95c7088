//! What a reader or feeder can make a frontend do and hold.

use std::time::Duration;

use protocol::nntp::session;

bounds::table! {
    "nntpproxy", "An NNTP session of a frontend";
    options {
        /// How long a client may be silent.
        nntptimeout, "Cyrus: 3 minutes at least, as RFC 3977 section 3.1 wants";
        /// How long a backend may take for each step of a login, of an answer, or for an article that it is sent.
        client_timeout, "Cyrus";
        /// Bytes of an article; 0: no limit.
        maxmessagesize, "Cyrus";
    }
    /// Bytes read ahead.
    pub(crate) INPUT: usize = 32 * 1024, Bytes, "chosen: more than the longest line, and than a piece of an article";
    /// Bytes of a command with its end.
    pub(crate) LINE: usize = 512, Bytes, "RFC 3977 section 3.1";
    /// Bytes of a line of a login.
    pub(crate) LOGIN_LINE: usize = 16 * 1024, Bytes, "RFC 4643 section 2.4.2 has 12288 octets";
    /// Bytes of an article's header.
    pub(crate) HEADER: usize = 64 * 1024, Bytes, "chosen: many times the largest of today";
    /// Commands after which others have their turn.
    pub(crate) STEPS: u32 = 16, Count, "chosen: a millisecond of work";
    /// Bytes of replies that gather while more commands are waiting, and of an answer that are passed on at a time.
    pub(crate) REPLIES: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Bytes that are read of a backend at a time.
    pub(crate) PIECE: usize = 16 * 1024, Bytes, "chosen: large enough for throughput, small enough for thousands of sessions";
    /// Bytes of a line of a backend's answer that is looked at: a group, a message-id, an article's overview.
    pub(crate) LOOKED_AT: usize = 64 * 1024, Bytes, "chosen: an overview with a very long References";
    /// Message-ids of one NEWNEWS that are remembered, so that none is told twice; more are told as they come.
    pub(crate) IDS: usize = 1_000_000, Count, "chosen: 16 MB; a second telling costs the client one look-up";
    /// How long other backends are waited for once one has the article that was asked for by its message-id.
    pub(crate) ENOUGH: Duration = Duration::from_millis(200), Time, "chosen: a healthy backend answers sooner, and keeps its connection";
    /// Failed logins that end the connection.
    pub(crate) MAX_FAILURES: u32 = 10, Count, "as in POP3";
    /// Wrong commands that end the connection.
    pub(crate) ERRORS: u32 = session::MAX_ERRORS, Count, "chosen: no program makes as many";
    /// How long an answer goes on after its session was ended by an administrator, or its user denied the service.
    pub(crate) LAST_ANSWER: Duration = Duration::from_secs(10), Time, "as in POP3: a message on a fast line";
}
