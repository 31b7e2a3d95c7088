//! What bounds logins on our listeners and our own logins on other servers.

use std::time::Duration;

bounds::table! {
    "logins", "Logins, and the pace of whoever guesses passwords";
    options {
        /// Wait before the next password is checked after a failed login, for the same user from the same address.
        failedloginpause, "Cyrus";
        /// Wait after each plaintext login.
        plaintextloginpause, "Cyrus";
        /// Rounds of PBKDF2 with which passwords are kept.
        password_iterations, "chosen: some ten milliseconds of a core";
    }
    /// Failed logins of one connection, of whatever kind.
    pub(crate) FAILURES: u32 = 10, Count, "chosen: nobody mistypes as often";
    /// The pause after a failed login, where no imapd.conf was read.
    pub(crate) FAILED_PAUSE: Duration = Duration::from_secs(3), Time, "Cyrus";
    /// A failure counts that long after the last one.
    pub(crate) MEMORY: Duration = Duration::from_secs(600), Time, "chosen: whoever guesses goes on";
    /// The pause grows to this many times `failedloginpause`.
    pub(crate) LONGEST: u32 = 8, Count, "chosen: 24 s, less than clients wait";
    /// Passwords of one user from one address that are checked at the same time, once one was wrong.
    pub(crate) PAIR_TOGETHER: usize = 1, Count, "chosen: one at a time is what slows";
    /// Failures of one user from one address without a pause.
    pub(crate) PAIR_FREE: u32 = 0, Count, "Cyrus: each failure is followed by a pause";
    /// Passwords from one address that are checked at the same time, once too many were wrong.
    pub(crate) ADDRESS_TOGETHER: usize = 8, Count, "chosen: an office mistypes, too";
    /// Failures of one address without a pause.
    pub(crate) ADDRESS_FREE: u32 = 10, Count, "chosen: an office mistypes, too";
    /// Passwords of a user who logged in rightly from there before that are checked at the same time.
    pub(crate) KNOWN_TOGETHER: usize = 32, Count, "chosen: a mail program opens some connections at once, a frontend many";
    /// Failures of such a user without a pause.
    pub(crate) KNOWN_FREE: u32 = 32, Count, "chosen: a mail program opens some connections at once, a frontend many";
    /// So many failures of one user's count to the address.
    pub(crate) CHARGED: u32 = 3, Count, "chosen: a program with an old password is no guesser";
    /// How long an attempt waits for its turn before it is refused unchecked.
    pub(crate) PATIENCE: Duration = Duration::from_secs(30), Time, "chosen: a client has not given up by then";
    /// How long another node's attempt waits for its turn.
    pub(crate) NODES_PATIENCE: Duration = Duration::from_secs(5), Time, "chosen: half of the default of `client_timeout`";
    /// Attempts that wait in one lane; one more is refused unchecked.
    pub(crate) WAITING: u32 = 500, Count, "chosen: some megabytes of connections";
    /// Lanes (addresses, and users at an address) remembered. A full table forgets what failed least.
    pub(crate) LANES: usize = 50_000, Count, "chosen: some 200 bytes each";
    /// Below so many failures a lane may be forgotten for room.
    pub(crate) HEAVY: u32 = 64, Count, "chosen: more than any user mistypes";
    /// How often whoever waits looks whether it still must.
    pub(crate) LOOK_AGAIN: Duration = Duration::from_secs(1), Time, "chosen: a human notices no more";
    /// Users at an address remembered that logged in rightly. A full table forgets the oldest.
    pub(crate) PAIRS: usize = 100_000, Count, "chosen: some 100 bytes each";
    /// How long such a pair is remembered.
    pub(crate) KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400), Time, "chosen: a holiday";
    /// How long the name of this server's address is waited for, with `virtdomains: on`.
    pub(crate) DOMAIN: Duration = Duration::from_secs(5), Time, "resolv.conf(5): the first name server's time";
    /// How long saslauthd may take to answer.
    pub(crate) SASLAUTHD: Duration = Duration::from_secs(30), Time, "chosen: PAM modules may take their time";
    /// Bytes of saslauthd's answer.
    pub(crate) LONGEST_ANSWER: usize = 1024, Bytes, "Cyrus SASL";
    /// The first pause after another server refused a login of ours; it doubles.
    pub(crate) REFUSED_FIRST: Duration = Duration::from_secs(1), Time, "chosen: less than a server's own pause";
    /// The longest such pause.
    pub(crate) REFUSED_LONGEST: Duration = Duration::from_secs(30), Time, "a server's own pause grows to 24 s (`failedloginpause`)";
    /// Salted passwords remembered for our own SCRAM logins. A full table is emptied.
    pub(crate) REMEMBERED: usize = 256, Count, "chosen: passwords of the servers of a murder";
    /// Characters of a server's answer that are shown.
    pub(crate) ANSWER_MAX: usize = 200, Count, "chosen: a line of a log";
    /// Threads that wait for a slot to compute a slow hash; one more login is refused for now.
    pub(crate) HASH_WAITING: usize = 200, Count, "less than the 512 blocking threads of tokio, which others need for files";
    /// How long one waits for a slot.
    pub(crate) HASH_PATIENCE: Duration = Duration::from_secs(30), Time, "chosen: a client has not given up by then";
    /// Rounds of PBKDF2 in a file of passwords; a file that asks for more is refused.
    pub(crate) MAX_ITERATIONS: u32 = 10_000_000, Count, "chosen: one login could occupy a core for seconds";
    /// Rounds of PBKDF2, where no imapd.conf was read.
    pub(crate) ITERATIONS: u32 = 10_000, Count, "RFC 7677 section 4 asks for 4096 at least";
    /// Between two passwords that are hashed anew with more rounds.
    pub(crate) RENEWED_EACH: Duration = Duration::from_secs(1), Time, "chosen: each writes the file";
    /// Users whose last right password is remembered as a keyed hash. A full table forgets the oldest.
    pub(crate) PROOFS: usize = 10_000, Count, "chosen: some 100 bytes each";
    /// How long such a proof holds.
    pub(crate) PROOF_AGE: Duration = Duration::from_secs(4 * 3600), Time, "chosen: half a working day";
    /// Bytes of a Kerberos token; a longer one is refused.
    pub(crate) TOKEN: usize = 64 * 1024, Bytes, "Windows: MaxTokenSize is 48,000; our lines are shorter";
    /// Tickets of clients that are looked at at the same time. Each has a thread.
    pub(crate) ACCEPTS: usize = 32, Count, "less than the 512 blocking threads of tokio; a ticket takes less than a millisecond";
    /// How long one waits for such a thread and for its answer; the login fails for now.
    pub(crate) ACCEPT_PATIENCE: Duration = Duration::from_secs(10), Time, "the default of `client_timeout`";
    /// Calls for tickets of our own that are under way; each has a thread, and may wait for a KDC.
    pub(crate) INITIATES: usize = 16, Count, "chosen: a KDC that hangs holds so many threads of 512, for as long as krb5.conf has it";
    /// Services for which it is remembered whether there is a ticket. A full table is emptied.
    pub(crate) TARGETS: usize = 1000, Count, "chosen: services of a murder";
    /// How long it is believed that there is one.
    pub(crate) TICKET_KNOWN: Duration = Duration::from_secs(60), Time, "chosen: tickets hold for hours";
    /// Characters of a name from outside that a line of a log shows.
    pub(crate) NAME_SHOWN: usize = 80, Count, "chosen: a line of a log";
}
