//! What bounds the agreement of a backend's list with its master's, and what a tool of its node may ask.

use std::time::Duration;

bounds::table! {
    "agreement", "A backend and its master, and its tools";
    options {
        /// How long a move keeps changes waiting before its decision.
        move_freeze, "chosen: a client notices, and does not give up";
    }
    /// Until a connection is tried again; it doubles up to `mupdate_retry_delay`.
    pub(crate) FIRST_PAUSE: Duration = Duration::from_secs(1), Time, "chosen: a master that starts anew is back in seconds";
    /// How long the master may take to say where its list stands.
    pub(crate) PATIENCE: Duration = Duration::from_secs(20), Time, "chosen: a master that writes a large list answers by then";
    /// Over how long the backends that see a new list spread.
    pub(crate) SPREAD: Duration = Duration::from_secs(5), Time, "chosen: a master takes some backends at a time";
    /// After an operation came into doubt: how long others like it have to end, before the lists are compared.
    pub(crate) SETTLE: Duration = Duration::from_secs(2), Time, "chosen: they are answered by then";
    /// Until what was left alone is looked at again, the first time; it doubles.
    pub(crate) LEFT_FIRST: Duration = Duration::from_secs(5), Time, "chosen: what was under way is done by then";
    /// The longest such pause.
    pub(crate) LEFT_LAST: Duration = Duration::from_secs(600), Time, "chosen: an operator waits as long";
    /// Mailboxes that the master is told of together.
    pub(crate) AT_ONCE: usize = 100, Count, "chosen: little changes between the look and the telling";
    /// Bytes of a tool's request.
    pub(crate) REQUEST: u64 = 1 << 20, Bytes, "chosen: names of many mailboxes";
    /// How long a tool may take to say what it wants.
    pub(crate) TOOL: Duration = Duration::from_secs(10), Time, "chosen: both are on this host";
    /// Tools that are served or wait at once.
    pub(crate) TOOLS: usize = 16, Count, "chosen: more than an operator starts";
    /// How long a tool waits for a backend that starts or ends.
    pub(crate) STARTING: Duration = Duration::from_secs(60), Time, "chosen: a store that was killed has played its log back by then";
    /// How long a backend that starts waits for a tool.
    pub(crate) PARTITIONS_FREE: Duration = Duration::from_secs(3), Time, "as for its list";
    /// How often they look.
    pub(crate) STARTING_STEP: Duration = Duration::from_millis(100), Time, "chosen: nobody notices";
    /// The pause after no tool could be accepted.
    pub(crate) FAILING: Duration = Duration::from_secs(1), Time, "chosen: a socket that only fails must not keep a processor busy";
    /// Mailboxes that come in from other backends and are not this one's yet.
    pub(crate) COPIES: usize = 100_000, Count, "chosen: some users with very many folders; each holds a file open";
    /// Users whose seen states come with one mailbox.
    pub(crate) SEERS: usize = 1_000_000, Count, "chosen: everybody of a large site reads a shared mailbox";
    /// How long what has come of a move that was given up stays, from its beginning, as base of another.
    pub(crate) LEFT_COPY: Duration = Duration::from_secs(3 * 86400), Time, "chosen: somebody has tried again by then";
    /// Bytes that must be free beside it.
    pub(crate) LEFT_ROOM: u64 = 1 << 30, Bytes, "chosen: it must not be what fills the disk";
    /// Messages of a copy that is asked for one by one, since it is not what it should be.
    pub(crate) COMPARED: u32 = 200_000, Count, "chosen: its answer fits PEER_ANSWER";
    /// Quota roots whose limits came with them.
    pub(crate) ROOTS: usize = 10_000, Count, "chosen: more than move at once";
    /// Messages that one connection brings before it says which mailbox has them.
    pub(crate) UPLOADED: usize = 100_000, Count, "chosen: Cyrus sends 8192 of a mailbox, then says so";
    /// Bytes of them.
    pub(crate) UPLOADED_BYTES: u64 = 64 << 30, Bytes, "chosen: so many messages that are large";
    /// Bytes of those among them that are held in memory; others go to files.
    pub(crate) UPLOADED_MEMORY: u64 = 64 << 20, Bytes, "chosen: some thousand small messages";
    /// Bytes of a move that are sent before an answer is heard.
    pub(crate) PIPELINED: usize = 4 << 20, Bytes, "chosen: as much as is on its way in a fast network";
    /// Bytes of a literal that another backend is sent unasked on behalf of a client.
    pub(crate) ERRAND_LITERAL: u64 = 4096, Bytes, "RFC 7888 section 5";
    /// Commands of a move whose answers wait to be heard.
    pub(crate) ANSWERS: usize = 64, Count, "chosen: some kilobytes, for which a socket has room";
    /// Bytes of one answer of the other backend.
    pub(crate) PEER_ANSWER: usize = 64 << 20, Bytes, "chosen: subscriptions of a user, or all that is known of a mailbox";
    /// Bytes of messages that are read at once.
    pub(crate) BATCH: usize = 1 << 20, Bytes, "chosen: one hop to another thread";
    /// Messages of a mailbox in one command of a move.
    pub(crate) PART: usize = 20_000, Count, "chosen: some megabytes; the other side takes 32";
    /// How long operations on the list that are under way may take to end before the gates of a move close.
    pub(crate) FREEZE: Duration = Duration::from_millis(500), Time, "chosen: a part of move_freeze";
    /// How quickly the master must answer for a move to freeze.
    pub(crate) MASTER_QUICK: Duration = Duration::from_millis(50), Time, "chosen: the decision takes as long, and everybody waits";
    /// Rounds of a move at most.
    pub(crate) ROUNDS: u32 = 100, Count, "chosen: a move that never catches up ends";
    /// Rounds of a move after which one may take long before the freeze: a slow disk makes all of them long.
    pub(crate) ROUNDS_SHORT: u32 = 5, Count, "chosen: by then a round has what changed during the one before";
    /// A round that took longer is followed by another before the freeze.
    pub(crate) ROUND_TIME: Duration = Duration::from_millis(200), Time, "chosen: the last one takes as long at most";
    /// A round with as many changes is followed by another before the freeze.
    pub(crate) ROUND_CHANGES: usize = 64, Count, "chosen: the last one has as many at most";
    /// The same after some rounds: mail comes faster than one with a few takes.
    pub(crate) ROUND_CHANGES_LATE: usize = 512, Count, "chosen: the last round takes a part of move_freeze";
    /// The pause after a step of a move that failed; it doubles.
    pub(crate) AGAIN_FIRST: Duration = Duration::from_millis(100), Time, "chosen: a connection that broke is back by then";
    /// The longest such pause.
    pub(crate) AGAIN_LAST: Duration = Duration::from_secs(60), Time, "chosen: an operator waits as long";
    /// Lines with codes that are kept of an answer of the server where a mailbox has gone.
    pub(crate) TOLD: usize = 16, Count, "chosen: an APPEND has one";
    /// How much of the time behind its rate a move may make up for.
    pub(crate) CATCH_UP: Duration = Duration::from_secs(1), Time, "chosen: no longer burst than that";
    /// Moves of a plan of which it is said why they wait.
    pub(crate) WHY_WAIT: usize = 20, Count, "chosen: a screen";
    /// Moves that are queued at their source.
    pub(crate) QUEUED: usize = 20_000, Count, "chosen: a backend that is emptied has work for days; murder drain asks for more when some have gone";
    /// How often the queue is looked at when nothing happens.
    pub(crate) QUEUE_LOOK: Duration = Duration::from_secs(600), Time, "chosen: what happens wakes it";
    /// The pause after a queued move could not begin: its destination does not answer, has no room or has its share.
    pub(crate) QUEUE_AGAIN: Duration = Duration::from_secs(1), Time, "chosen: a small user has moved by then";
    /// For how long a destination's word on its room and its other moves holds.
    pub(crate) ROOM_KEPT: Duration = Duration::from_secs(2), Time, "chosen: two moves more than it wants do no harm";
    /// How long an operator waits for a move to stop.
    pub(crate) HELD_BACK: Duration = Duration::from_secs(10), Time, "chosen: longer than a decision takes";
    /// Users and shared mailboxes whose sizes are told at once.
    pub(crate) SIZES: usize = 1000, Count, "chosen: each may have some hundred folders to look up";
    /// How often it is looked whether a copy that a move left is to go.
    pub(crate) KEEP_LOOK: Duration = Duration::from_secs(600), Time, "chosen: copies are kept for days";
    /// Changes of moves for which all of them are looked through once.
    pub(crate) KEEP_TOGETHER: Duration = Duration::from_millis(100), Time, "chosen: a look through very many takes some milliseconds";
    /// The pause after such a copy could not go, for want of proof that the other server has the mailboxes.
    pub(crate) KEEP_AGAIN: Duration = Duration::from_secs(600), Time, "chosen: nobody waits for the room";
    /// Mailboxes that another server is asked about at once, to prove that it has them.
    pub(crate) PROOF_NAMES: usize = 1000, Count, "chosen: some hundred kilobytes of names";
    /// How long it is shown that a move is over, and remembered for a master whose list is restored.
    pub(crate) FINISHED: Duration = Duration::from_secs(30 * 86400), Time, "chosen: longer than one waits with restoring a list";
    /// Moves that are over and are shown.
    pub(crate) FINISHED_MOST: usize = 50_000, Count, "chosen: a backend that was emptied; some kilobytes each";
    /// How long each is shown all the same.
    pub(crate) FINISHED_LEAST: Duration = Duration::from_secs(86400), Time, "chosen: the other side has heard of it by then";
    /// How long a decision without an answer stays in doubt where the master compares nothing.
    pub(crate) DOUBT: Duration = Duration::from_secs(30), Time, "chosen: what lay in a buffer of the master's has been read by then";
    /// How often the master must say afterwards that nothing has happened.
    pub(crate) DOUBT_LOOKS: u32 = 2, Count, "chosen: once could be by chance";
    /// How long nothing came of a mailbox from a Cyrus before that and the master are asked whose it is.
    pub(crate) ARRIVAL: Duration = Duration::from_secs(60), Time, "chosen: Cyrus pushes within a second of its last word";
    /// How often that is looked at.
    pub(crate) ARRIVAL_STEP: Duration = Duration::from_secs(10), Time, "chosen: a part of ARRIVAL";
    /// How long a copy stays of a mailbox that stayed with its Cyrus.
    pub(crate) ARRIVAL_GIVEN_UP: Duration = Duration::from_secs(86_400), Time, "chosen: an operator tries again by then";
    /// Until a destination that hears nothing asks source and master; it doubles.
    pub(crate) ASK_FIRST: Duration = Duration::from_secs(2), Time, "chosen: the source has said it by then";
    /// The longest such pause.
    pub(crate) ASK_LAST: Duration = Duration::from_secs(60), Time, "chosen: as for the source";
}
