//! What whoever connects to a MUPDATE server can make it do and hold before a login.

use std::time::Duration;

use directory::serve::AROUND;

bounds::table! {
    "mupdate-visitor", "A MUPDATE session of a server, until its client is let in";
    options {
        /// Connections at a time; the oldest before a login is sent away for one more.
        mupdate_connections_max, "Cyrus";
    }
    /// How long a client may take to log in.
    pub(crate) PATIENCE: Duration = Duration::from_secs(120), Time, "chosen: two round trips and a password hash, many times over";
    /// Commands before the login.
    pub(crate) COMMANDS: u32 = 50, Count, "chosen: a client needs four";
    /// Octets of a line of SASL.
    pub(crate) LINE: usize = 21_848, Bytes, "Cyrus: 16 KiB, in base64";
    /// Rounds of one exchange.
    pub(crate) STEPS: usize = 10, Count, "chosen: more than any mechanism has";
    /// How long a client may think about a challenge.
    pub(crate) CHALLENGE: Duration = Duration::from_secs(60), Time, "chosen: half of what it may take to log in";
    /// Octets of a command with its literals before the login.
    pub(crate) COMMAND: usize = LINE + AROUND, Bytes, "AUTHENTICATE has a line of SASL";
    /// Octets read ahead before the login.
    pub(crate) INPUT: usize = 64 * 1024, Bytes, "chosen: more than one command";
    /// Connections of one address at a time on which nobody has logged in.
    pub(crate) OF_ADDRESS: usize = 32, Count, "chosen: a node's daemons and tools, many times over";
    /// Connections that are being sent away or refused at a time, beyond `mupdate_connections_max`.
    pub(crate) LEAVING: usize = 64, Count, "chosen: each has two seconds";
    /// How long a refused client may take to read why.
    pub(crate) GOOD_BYE: Duration = Duration::from_secs(2), Time, "chosen: some round trips of a slow line";
    /// The pause after nobody could be accepted on the socket by which a synchronisation is kicked.
    pub(crate) KICK_FAILING: Duration = Duration::from_millis(100), Time, "chosen: a socket that only fails must not keep a processor busy";
}
