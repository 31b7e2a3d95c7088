//! What an IMAP client, and the backends behind it, can make a frontend do and hold.

use std::time::Duration;

bounds::table! {
    "imapproxy", "An IMAP session of a frontend";
    options {
        /// How long a client that has logged in may be silent.
        timeout, "RFC 3501 section 5.4: 30 minutes at least";
        /// How long one IDLE may last; unset: timeout.
        imapidletimeout, "Cyrus";
        /// How often a backend without IDLE is asked for news.
        imapidlepoll, "Cyrus";
        /// How long each step of connecting and logging in to a backend may take.
        client_timeout, "Cyrus";
        /// Time of the processor that one LIST or LSUB may take.
        search_maxtime, "Cyrus, for SEARCH";
        /// Bytes of a literal in a command other than APPEND.
        maxliteral, "Cyrus";
        /// Bytes of a quoted string.
        maxquoted, "Cyrus";
        /// Bytes of a word.
        maxword, "Cyrus";
    }
    /// How long a client may take to log in.
    pub(crate) BEFORE_LOGIN_BOUND: Duration = service::limits::BEFORE_LOGIN, Time, "chosen; RFC 3501 section 5.4 speaks of the time after it";
    /// How long the last words may take, to a client that may not read.
    pub(crate) GOOD_BYE_BOUND: Duration = Duration::from_secs(2), Time, "chosen: some round trips of a slow line";
    /// How long a command goes on after its session was ended by an administrator, or its user denied the service.
    pub(crate) LAST_COMMAND: Duration = Duration::from_secs(10), Time, "chosen: most commands are answered by then";
    /// How long a backend may say nothing to a command whose client has closed its side of the connection.
    pub(crate) UNHEARD: Duration = Duration::from_secs(20), Time, "chosen: two reports of a search that goes on, to a client that sends no more";
    /// So many bytes of the state of a mailbox that has moved weigh as one message in the judgement of where they are read.
    pub(crate) STATE_WORD: usize = 16, Bytes, "chosen: as on the backend";
    /// How often idle connections are looked for.
    pub(crate) IDLE_CHECK: Duration = Duration::from_secs(60), Time, "chosen: a fifth of what they may idle";
    /// Idle connections to backends are closed after this.
    pub(crate) IDLE_MAX: Duration = Duration::from_secs(300), Time, "Cyrus";
    /// A connection that was not used for so long is asked first whether it lives.
    pub(crate) PING_AFTER: Duration = Duration::from_secs(5), Time, "chosen: a backend that restarts is back later";
    /// Connections to backends that wait for their users' next sessions; fewer where a sixteenth of the descriptors is less.
    pub(crate) PARKED: usize = 1024, Count, "chosen: 17 logins a second of users who come back within the minute";
    /// Those of one user, to all backends together.
    pub(crate) PARKED_OF_USER: usize = 4, Count, "chosen: what a mail client opens at the same time";
    /// How long one waits.
    pub(crate) PARKED_WAIT: Duration = Duration::from_secs(60), Time, "chosen: a webmail comes back for each page, a poller each minute";
    /// How long after its login a connection is still kept: what backends look at only at a login, a user's groups, is then looked at.
    pub(crate) PARKED_LIFE: Duration = Duration::from_secs(300), Time, "Cyrus, of idle connections within a session";
    /// What a backend may take to leave the session's mailbox.
    pub(crate) PARKING: Duration = Duration::from_secs(5), Time, "chosen: nobody waits for it";
    /// What it may take to agree to the next session, where client_timeout is not less; then another connection is opened.
    pub(crate) PARKED_TAKE: Duration = Duration::from_secs(2), Time, "chosen: a client waits for it";
    /// After so long a silence a backend is asked whether it lives, and then ever more rarely.
    pub(crate) PATIENCE: Duration = Duration::from_secs(3), Time, "chosen: most commands are answered by then";
    /// The longest such silence.
    pub(crate) PATIENCE_MAX: Duration = Duration::from_secs(60), Time, "chosen: a search may take as long";
    /// Bytes of a literal that is sent without being asked for, where LITERAL- is announced: by a client here, or by us to a backend.
    pub(crate) UNASKED: u64 = 4096, Bytes, "RFC 7888 section 5";
    /// Literals that a client waits to send are asked for here up to this size.
    pub(crate) SMALL: u64 = 65_536, Bytes, "Cyrus's proxy does so";
    /// How long one of several backends may say nothing before it is missing from an answer; twice client_timeout where that is less.
    pub(crate) SILENCE: Duration = Duration::from_secs(20), Time, "chosen: two reports of a search that goes on";
    /// How long they may take together for one command; those that are not done by then are missing from its answer.
    pub(crate) GATHERED: Duration = Duration::from_secs(300), Time, "chosen: a search in many mailboxes is done by then";
    /// Bytes of one response of one of several backends.
    pub(crate) RESPONSE_MAX: usize = 1024 * 1024, Bytes, "chosen: the UIDs of a search in a mailbox of 100,000 messages";
    /// Mailboxes in which one ESEARCH searches.
    pub(crate) SEARCHED: usize = 10_000, Count, "chosen: more than a user has";
    /// Mailboxes of one ESEARCH command to a backend.
    pub(crate) SEARCHED_AT_ONCE: usize = 500, Count, "chosen: a command that a backend reads at once";
    /// Bytes of their names.
    pub(crate) NAMES_AT_ONCE: usize = 64 * 1024, Bytes, "chosen: a command that a backend reads at once";
    /// Mailboxes of which one NOTIFY tells.
    pub(crate) WATCHED: usize = 10_000, Count, "chosen: more than a user has";
    /// Lines of watched mailboxes that a client has not taken yet, a newer STATUS in the place of an older one; with one more it hears
    /// of nothing.
    pub(crate) WATCHED_NEWS: usize = 1000, Count, "chosen: more than change while a client sleeps";
    /// Bytes of them.
    pub(crate) WATCHED_BYTES: usize = 256 * 1024, Bytes, "chosen: of a thousand mailboxes with long names";
    /// The first pause before a watched backend that was lost is connected to again; it is given up after three times client_timeout.
    pub(crate) WATCH_AGAIN: Duration = Duration::from_millis(100), Time, "chosen: a backend that restarts is back later";
    /// The longest such pause.
    pub(crate) WATCH_AGAIN_LAST: Duration = Duration::from_secs(5), Time, "chosen: often enough within client_timeout";
    /// How often a watched backend that says nothing is asked whether it lives.
    pub(crate) WATCH_ALIVE: Duration = Duration::from_secs(60), Time, "chosen: rarely";
    /// How long a watched backend's connection stays after NOTIFY NONE, for the client's next NOTIFY SET.
    pub(crate) WATCH_RESTS: Duration = Duration::from_secs(60), Time, "chosen: a client that looks at another mailbox is back sooner";
    /// Names that a client has changed itself, and of which it does not hear again.
    pub(crate) OWN_NAMES: usize = 64, Count, "chosen: what a client changes at once";
    /// How long they are remembered.
    pub(crate) OWN_NAMES_FOR: Duration = Duration::from_secs(5), Time, "chosen: a backend tells of them at once";
    /// FETCH commands that are on their way at once.
    pub(crate) AHEAD: usize = 8, Count, "chosen: one for each round trip";
    /// Bytes of one response that the source says of its own accord.
    pub(crate) TRANSFER_NEWS: usize = 64 * 1024, Bytes, "chosen: flags of a message at most";
    /// Bytes of one response to ENABLE, or of news that come with it.
    pub(crate) NEWS_MAX: usize = 64 * 1024, Bytes, "chosen: flags of a message at most";
    /// How often an idling session looks whether the operator sends everybody home.
    pub(crate) LOOK: Duration = Duration::from_secs(60), Time, "chosen: an operator waits as long";
    /// How long a TLS handshake may take after STARTTLS.
    pub(crate) HANDSHAKE_BOUND: Duration = Duration::from_secs(30), Time, "chosen: some round trips of a slow line";
    /// How long the end of a client's compressed bytes may take, after UNAUTHENTICATE.
    pub(crate) FLUSHED: Duration = Duration::from_secs(10), Time, "chosen: the last packet of what was sent at once";
    /// Bytes of a command that is read whole, with its literals.
    pub(crate) COMMAND: usize = 1024 * 1024, Bytes, "chosen: the longest LIST and SEARCH are read whole by backends";
    /// Bytes of a command before the login.
    pub(crate) COMMAND_BEFORE_LOGIN: usize = 64 * 1024, Bytes, "RFC 2971 section 3.3: an ID has some 32 KiB";
    /// How often a command is served whose mailbox moves from backend to backend meanwhile.
    pub(crate) MOVED: u32 = 3, Count, "chosen: where it was, where it is, and one more";
    /// Wrong commands in a row that end a session.
    pub(crate) MISTAKES: u32 = 10, Count, "Cyrus";
    /// Bytes of a mailbox's name that comes as a literal.
    pub(crate) MAILBOX_MAX: u64 = 4096, Bytes, "chosen: longer than any mailbox's name";
    /// Bytes of what a backend says beside the answer to a command of the frontend's own, for the client to hear afterwards.
    pub(crate) BESIDE: usize = 16 * 1024 * 1024, Bytes, "chosen: new flags of 200,000 messages";
    /// Bytes of what a backend says of the messages of one COPY to another backend; with more the backend is left.
    pub(crate) SURVEYED: usize = 128 * 1024 * 1024, Bytes, "chosen: of a million messages";
    /// Bytes of a line of a backend's answer in COPY between backends.
    pub(crate) COPY_LINE: usize = 64 * 1024, Bytes, "chosen: a response without literals";
    /// Mailboxes of one user that LSUB asks a backend for.
    pub(crate) OWN_MAX: usize = 20_000, Count, "chosen: more own mailboxes than anyone has";
    /// STATUS and GETMETADATA commands on their way to one backend at once.
    pub(crate) AT_ONCE: usize = 64, Count, "chosen: both sides' buffers hold them";
    /// Bytes of a line of a backend's answer to LIST, LSUB or STATUS.
    pub(crate) LIST_LINE: usize = 64 * 1024, Bytes, "chosen: longer than any mailbox's name";
    /// Bytes of all lines of one such answer.
    pub(crate) LINES_MAX: usize = 16 * 1024 * 1024, Bytes, "chosen: more own mailboxes than anyone has";
    /// Bytes of a backend's response with annotations.
    pub(crate) METADATA_MAX: usize = 16 * 1024 * 1024, Bytes, "chosen: 250 of the longest values";
    /// Bytes of all such responses to one command.
    pub(crate) METADATA_ALL: usize = 16 * 1024 * 1024, Bytes, "chosen: as of LIST";
    /// The first pause between two rounds that learn what backends are.
    pub(crate) FIRST: Duration = Duration::from_secs(1), Time, "chosen: soon after the start, while the first list arrives";
    /// Every later pause between such rounds.
    pub(crate) LATER: Duration = Duration::from_secs(60), Time, "chosen: rarely";
    /// Backends that one CREATE is sent to, when those chosen before cannot take a mailbox at the moment.
    pub(crate) CHOSEN: usize = 3, Count, "chosen: a user waits for each";
    /// Bytes of a command's name.
    pub(crate) VERB_MAX: usize = 64, Bytes, "chosen: longer than any command's name";
    /// A buffer that holds so much is full: nothing more is read for it, or put into it.
    pub(crate) FULL: usize = 64 * 1024, Bytes, "chosen: memory of a busy session";
    /// Bytes of a backend's that pass through a session before others have their thread.
    pub(crate) AT_A_STRETCH: usize = 256 * 1024, Bytes, "chosen: less than a millisecond, with TLS";
    /// Bytes read at first; if so many come, what fits into the buffer is read at once.
    pub(crate) READ: usize = 16 * 1024, Bytes, "chosen: on the stack";
    /// Shorter runs of a backend's bytes are copied for the client, longer ones passed on as they were read.
    pub(crate) COPIED: usize = 8 * 1024, Bytes, "chosen: a short run would keep all that was read with it";
    /// An empty buffer larger than this is given back.
    pub(crate) KEPT: usize = 4 * 1024, Bytes, "chosen: most sessions are idle";
}
