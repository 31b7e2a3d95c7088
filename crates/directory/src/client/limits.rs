//! What a MUPDATE server can make its client hold, and how long the client waits for it.

use std::time::Duration;

bounds::table! {
    "mupdate-client", "A connection to a MUPDATE server, as its client";
    options {
        /// How long connecting and logging in may take.
        client_timeout, "Cyrus";
    }
    /// Octets of one line.
    pub(crate) LINE: usize = 256 * 1024, Bytes, "chosen: what any server's limits let through";
    /// Octets of one literal.
    pub(crate) LITERAL: u64 = 16 * 1024 * 1024, Bytes, "chosen: what any server's limits let through";
    /// Octets of one response with its literals.
    pub(crate) COMMAND: usize = 17 * 1024 * 1024, Bytes, "chosen: what any server's limits let through";
    /// Octets of a line of SASL.
    pub(crate) SASL_LINE: usize = 64 * 1024, Bytes, "chosen: more than any mechanism has";
    /// Characters of a reply's text that are kept.
    pub(crate) TEXT: usize = 1000, Count, "chosen: a line of a log";
    /// Cordoned servers that are taken over from a server of lists.
    pub(crate) CORDONED: usize = 1000, Count, "a master has no more";
    /// Octets read ahead.
    pub(crate) INPUT: usize = 18 * 1024 * 1024, Bytes, "chosen: more than one response";
    /// How long the server may take to accept anything of a command.
    pub(crate) WRITE: Duration = Duration::from_secs(30), Time, "chosen: a server takes something in that time";
    /// How long a server may take to go on with an answer.
    pub(crate) PATIENCE: Duration = Duration::from_secs(60), Time, "chosen: a commit waits for its disk";
    /// Commands sent before their answers are read.
    pub(crate) PIPELINED: usize = 200, Count, "chosen: both sides' buffers hold them";
    /// How long a server may take to answer LOGOUT.
    pub(crate) GOOD_BYE: Duration = Duration::from_secs(2), Time, "chosen: some round trips of a slow line";
    /// Refused logins of ours that are remembered. A full table is emptied.
    pub(crate) REFUSED: usize = 64, Count, "chosen: a node has one master; more are passwords that were tried";
    /// How long a master is waited for alone before another is asked beside it.
    pub(crate) NEXT: Duration = Duration::from_secs(1), Time, "chosen: some round trips and a login over a slow line";
    /// Values of mupdate_server of which it is known who worked last. A full table is emptied.
    pub(crate) MURDERS: usize = 64, Count, "chosen: a node has one; it changes with a reload";
    /// How often the socket of this host's mupdate is tried, where there is one.
    pub(crate) NEAREST_TRIES: u32 = 40, Count, "chosen: a second";
    /// How often it is tried, where none is known of.
    pub(crate) BLIND_TRIES: u32 = 12, Count, "chosen: a third of a second";
    /// Between two such tries.
    pub(crate) NEAREST_PAUSE: Duration = Duration::from_millis(25), Time, "chosen: a daemon starts in some of them";
    /// Lines of a banner.
    pub(crate) BANNER_LINES: usize = 100, Count, "chosen: more than any server's";
    /// Rounds of a login.
    pub(crate) SASL_STEPS: usize = 10, Count, "chosen: more than any mechanism has";
    /// Characters of a refusal that are kept.
    pub(crate) REFUSAL_TEXT: usize = 1000, Count, "chosen: a line of a log";
    /// Characters of a line of SASL.
    pub(crate) SASL_TEXT: usize = 21_848, Bytes, "Cyrus: 16 KiB, in base64";
    /// How long a daemon on this host may take to greet.
    pub(crate) LOCAL: Duration = Duration::from_secs(5), Time, "chosen: both are on this host";
}
