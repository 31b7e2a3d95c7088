//! What holds for every daemon, whatever it speaks.

use std::time::Duration;

bounds::table! {
    "service", "The host of every daemon: listeners, clients, notices, shutdown";
    options {
        /// Clients of one listener at a time; one more is refused in its protocol's words.
        maxchild, "Cyrus, of processes";
        /// Sessions of one user, by protocol; 0: no limit.
        maxlogins_per_user, "chosen: more than any program opens";
        /// Sessions from one address, by protocol; 0: no limit.
        maxlogins_per_host, "Cyrus";
        /// What running commands get to finish at shutdown.
        drain_timeout, "chosen: less than supervisors wait";
        /// How long a daemon goes on after its readiness endpoint fails.
        shutdown_delay, "depends on the load balancer";
        /// How long a connection may be silent before it is probed; 0: as the system has it.
        tcp_keepalive_idle, "Cyrus";
        /// Between two such probes.
        tcp_keepalive_intvl, "Cyrus";
    }
    /// How long a client may take for its TLS handshake on a listener with implicit TLS.
    pub(crate) HANDSHAKE: Duration = Duration::from_secs(30), Time, "chosen: some round trips of a slow line";
    /// How long a load balancer may take to say who the client is.
    pub(crate) PROXY_HEADER: Duration = Duration::from_secs(10), Time, "chosen: a load balancer is near";
    /// How long a client may take to log in, however busy it looks, on all protocols but MUPDATE.
    pub BEFORE_LOGIN: Duration = Duration::from_secs(180), Time, "chosen; RFC 3501 section 5.4 and RFC 1939 section 3 speak of the time after it";
    /// A session in which nobody has logged in for so long is cut, wherever it hangs.
    pub(crate) STRANGER: Duration = Duration::from_secs(240), Time, "chosen: longer than any protocol's own bound";
    /// How long a client that is refused may take to read why.
    pub(crate) LAST_WORDS: Duration = Duration::from_secs(2), Time, "chosen: some round trips of a slow line";
    /// The first pause between two attempts to accept while descriptors are short; it doubles.
    pub(crate) SHORTEST_PAUSE: Duration = Duration::from_millis(100), Time, "chosen: others must end first";
    /// The longest such pause.
    pub(crate) LONGEST_PAUSE: Duration = Duration::from_secs(1), Time, "chosen: a client waits as long for its connection";
    /// Connections that may wait to be accepted on a listener that was closed for a while.
    pub(crate) QUEUE: i32 = 128, Count, "chosen: all who come back at once";
    /// The pause after a socket of the supervisor's, or of a copy, failed.
    pub(crate) FAILING: Duration = Duration::from_millis(100), Time, "chosen: a socket that only fails must not keep a processor busy";
    /// File descriptors that are kept for open sessions: a sixteenth of all, and not more than this.
    pub(crate) RESERVED: u64 = 1024, Count, "chosen: each session needs files and backends";
    /// Instances of a daemon on one directory, where a foreign supervisor starts several.
    pub(crate) SLOTS: u32 = 64, Count, "chosen: as many as anyone preforks";
    /// Sockets that a daemon inherits.
    pub(crate) MAX_SOCKETS: usize = 1024, Count, "chosen: more than any cyrus.conf has";
    /// How long a connection that is made to last may be silent before it is probed.
    pub(crate) LASTING_IDLE: Duration = Duration::from_secs(60), Time, "chosen: noticed within two minutes";
    /// Between two such probes.
    pub(crate) LASTING_INTERVAL: Duration = Duration::from_secs(15), Time, "chosen: noticed within two minutes";
    /// Such probes in vain before the connection is given up.
    pub(crate) LASTING_PROBES: u32 = 4, Count, "chosen: noticed within two minutes";
    /// How often an operator's notice (msg/shutdown, msg/motd) is looked for.
    pub(crate) LOOK: Duration = Duration::from_secs(1), Time, "chosen: a human notices no more";
    /// How often the list of denied users is looked at though the kernel reports no change.
    pub(crate) DENIED_LOOK: Duration = Duration::from_secs(30), Time, "chosen: for a list on a network file system";
    /// The second look after a change, for logins that were under way.
    pub(crate) DENIED_AGAIN: Duration = Duration::from_secs(1), Time, "chosen: a login takes its seat sooner";
    /// How long a look may take; then what was read last stands.
    pub(crate) NOTICE_PATIENCE: Duration = Duration::from_secs(2), Time, "chosen: a disk that hangs must not hang logins";
    /// Characters of a notice that clients are shown.
    pub(crate) NOTICE_LINE: usize = 900, Count, "chosen: a line of a protocol";
    /// Bytes of a notice that are read.
    pub(crate) NOTICE_READ: u64 = 16 * 1024, Bytes, "chosen: more than a line";
    /// How often a daemon that waits for room on its disk looks for it.
    pub(crate) DISK_EVERY: Duration = Duration::from_secs(3), Time, "chosen: a human notices no more";
    /// Room on a disk without which a daemon waits.
    pub(crate) DISK_ROOM: usize = 4 * 1024 * 1024, Bytes, "chosen: what a list needs to be opened and to go on";
    /// How often metrics are folded together though nobody asks.
    pub(crate) UPKEEP: Duration = Duration::from_secs(30), Time, "chosen: few samples gather meanwhile";
    /// Bytes of a name to `murder kick`.
    pub(crate) DESK_NAME: usize = 1024, Bytes, "chosen: longer than any user's name";
    /// Between two reports of the number of clients to the supervisor.
    pub(crate) REPORT: Duration = Duration::from_secs(1), Time, "chosen: one datagram a second";
    /// What running commands get when the supervisor is gone.
    pub(crate) HURRY: Duration = Duration::from_millis(300), Time, "chosen: another supervisor may start the daemon anew";
    /// How long a copy may take to say what it has.
    pub(crate) COPY: Duration = Duration::from_secs(5), Time, "chosen: both are on this host";
    /// How often a copy looks for the first one while that is starting or ending.
    pub(crate) COPY_AGAIN: Duration = Duration::from_millis(100), Time, "chosen: a start takes longer";
    /// Bytes of what a copy says of its listener.
    pub(crate) COPY_ENTRY: usize = 16 * 1024, Bytes, "chosen: more than any line of a cyrus.conf";
    /// What a daemon gets to close its files, after its clients are gone.
    pub(crate) GRACE: Duration = Duration::from_secs(5), Time, "chosen: a list is closed in that time";
    /// What blocking threads get to end.
    pub(crate) THREADS: Duration = Duration::from_millis(200), Time, "chosen: what blocks now waits for a disk or a name server";
    /// Bytes on their way in one direction between a client and the backend that it is connected through to.
    pub(crate) BUFFER: usize = 16 * 1024, Bytes, "chosen: large enough for throughput, small enough for thousands of idle sessions";
    /// What a backend gets to end its session after the client is gone.
    pub(crate) NOTICE: Duration = Duration::from_secs(30), Time, "chosen: a backend removes messages in that time";
    /// A backend that says nothing for so long has answered what it was asked.
    pub(crate) SILENCE: Duration = Duration::from_secs(1), Time, "chosen: longer than a disk takes";
    /// How long an answer goes on after its session was ended by an administrator, or its user denied the service.
    pub(crate) LAST_ANSWER: Duration = Duration::from_secs(10), Time, "chosen: a message on a fast line";
    /// How long a listener with `-k` waits for a client of KPOP to speak first; then it greets as POP3.
    pub(crate) KPOP_SILENCE: Duration = Duration::from_secs(1), Time, "chosen: who waits for a greeting waits no longer";
    /// How long such a client may take to show its ticket.
    pub(crate) KPOP_EXCHANGE: Duration = Duration::from_secs(30), Time, "chosen: three messages";
    /// Bytes of one of its messages.
    pub(crate) KPOP_PIECE: usize = 12 * 1024, Bytes, "chosen: less than a POP3 listener reads ahead; a ticket has some hundred";
}
