//! What a backend can make a proxy hold, and how long a proxy waits for it.

use std::time::Duration;

use protocol::imap::command::adopt;

bounds::table! {
    "upstream", "A connection of a proxy to a backend";
    options {
        /// How long each step of connecting and logging in may take.
        client_timeout, "Cyrus";
        /// How long each step of a delivery may take.
        lmtptxn_timeout, "Cyrus";
    }
    /// A handshake takes no longer than so many steps of client_timeout would.
    pub(crate) HANDSHAKE_STEPS: u32 = 3, Count, "chosen: TLS, capabilities, login";
    /// Bytes of a greeting.
    pub(crate) GREETING_MAX: usize = 64 * 1024, Bytes, "chosen: more than any server's";
    /// Bytes of what a backend says of an open mailbox that has moved.
    pub(crate) MOVED_STATE: usize = adopt::STATE, Bytes, "chosen: as much as the next backend takes";
    /// Strange names of servers that are logged, each once.
    pub(crate) STRANGE_LOGGED: usize = 100, Count, "chosen: a list may have many";
    /// Characters of such a name that are shown.
    pub(crate) NAME_SHOWN: usize = 200, Count, "chosen: a line of a log";
    /// How long a refused connection is not tried again.
    pub(crate) COOLING: Duration = Duration::from_millis(100), Time, "chosen: bounds the attempts of many sessions together";
    /// The first pause between two probes of a backend that is down; it doubles.
    pub(crate) PROBE: Duration = Duration::from_millis(250), Time, "chosen: a backend that starts anew is back in seconds";
    /// The longest such pause.
    pub(crate) PROBE_LONGEST: Duration = Duration::from_secs(5), Time, "chosen: a user notices no more";
    /// Capabilities of a backend that are held.
    pub(crate) MAX_ITEMS: usize = 256, Count, "chosen: more than any server announces";
    /// Bytes of one response within a login.
    pub(crate) RESPONSE_MAX: usize = 256 * 1024, Bytes, "chosen: more than any answer within a login has";
    /// Characters of an unexpected answer that are shown.
    pub(crate) TEXT_MAX: usize = 200, Count, "chosen: a line of a log";
    /// Bytes of the answer to an operator's question.
    pub(crate) ASK_MAX: usize = 64 * 1024 * 1024, Bytes, "chosen: what an operator asks a node for is smaller";
    /// How long a backend may say nothing while it does what takes long.
    pub(crate) AT_LENGTH: Duration = Duration::from_secs(60), Time, "chosen: it tells of its progress every few seconds";
    /// Untagged responses to one command of ours.
    pub(crate) RESPONSES_MAX: usize = 10_000, Count, "chosen: an operator's questions have the most";
    /// Bytes of AUTH with its initial response.
    pub(crate) COMMAND_MAX: usize = 253, Bytes, "RFC 5034 section 4, less the end of the line";
    /// Idle LMTP connections kept for one backend; one more is closed.
    pub(crate) KEPT: usize = 32, Count, "chosen: more than deliveries come together";
    /// How long an idle connection is kept.
    pub(crate) IDLE_MAX: Duration = Duration::from_secs(300), Time, "Cyrus; below a backend's time-out";
    /// Bytes of a line of a reply.
    pub(crate) REPLY_LINE: usize = 4096, Bytes, "RFC 5321 section 4.5.3.1.5 has 512";
    /// Bytes of a line of POP3.
    pub(crate) POP3_LINE: usize = 64 * 1024, Bytes, "chosen: a login's text is the longest";
    /// Bytes of a command of NNTP.
    pub(crate) NNTP_COMMAND: usize = 510, Bytes, "RFC 3977 section 3.1, less the end of the line";
    /// Lines of a list of capabilities of POP3 and NNTP.
    pub(crate) LIST_MAX: usize = 200, Count, "chosen: more than any server announces";
    /// Bytes of a tagged line of IMAP.
    pub(crate) IMAP_LINE: usize = 4 * 1024 * 1024, Bytes, "a tagged line may carry the UID sets of a whole mailbox (COPYUID, RFC 4315)";
    /// Bytes of one line of an answer of ManageSieve, with its literals.
    pub(crate) SIEVE_ANSWER: usize = 64 * 1024, Bytes, "chosen: a login's challenge is the longest";
}
