//! What bounds the supervisor: how quickly it starts programs anew, how long it waits for them, and what its status page takes.

use std::time::Duration;

bounds::table! {
    "master", "The supervision of programs";
    options {
        /// What services get to finish what runs, before the grace.
        drain_timeout, "chosen: less than supervisors wait";
        /// Processes of one service started in a second.
        maxforkrate, "Cyrus";
        /// Processes of one service; for programs of ours: clients of one listener.
        maxchild, "Cyrus";
    }
    /// When a service over its fork rate is looked at again.
    pub(crate) RATE_PAUSE: Duration = Duration::from_millis(400), Time, "chosen: shorter than the second that is counted";
    /// How long a babysat service rests after too many deaths.
    pub(crate) PENALTY: Duration = Duration::from_secs(10), Time, "Cyrus";
    /// Deaths that come within this are counted together.
    pub(crate) ROW: Duration = Duration::from_secs(10), Time, "Cyrus";
    /// So many of them are too many.
    pub(crate) LIMIT: u32 = 5, Count, "Cyrus";
    /// The first delay of a start after a death; it doubles.
    pub(crate) FIRST: Duration = Duration::from_millis(100), Time, "chosen: a client notices no more";
    /// The longest delay of what becomes ready each time.
    pub(crate) SOON: Duration = Duration::from_millis(500), Time, "chosen: what becomes ready is useful";
    /// The longest delay of a start.
    pub(crate) LONGEST: Duration = Duration::from_secs(5), Time, "chosen: what cannot start must not keep a processor busy";
    /// How long a daemon of `wait=y` may take.
    pub(crate) OK_BOUND: Duration = Duration::from_secs(60), Time, "chosen: a list is loaded in that time";
    /// A process that ends sooner than this, even with status 0, is not started again at once.
    pub(crate) YOUNG: Duration = Duration::from_secs(1), Time, "chosen: nothing useful ends sooner";
    /// How long a program may take from its start until it says that it is ready, before that is worth a line in the
    /// log.
    pub(crate) READY_BOUND: Duration = Duration::from_secs(60), Time, "chosen: a list is loaded in that time";
    /// What children get beyond the time that services take to drain.
    pub(crate) GRACE: Duration = Duration::from_secs(5), Time, "chosen: a list is closed in that time";
    /// After this long a worker that was told to finish its client is spoken of.
    pub(crate) LINGERING: Duration = Duration::from_secs(30), Time, "chosen: a client that downloads a message";
    /// How long processes may still be there after SIGKILL.
    pub(crate) KILLED: Duration = Duration::from_secs(5), Time, "chosen: the kernel frees memory in that time";
    /// How long the kernel may take to end a process that holds a node's memory and files.
    pub(crate) DYING: Duration = Duration::from_millis(300), Time, "chosen: the kernel frees memory in that time";
    /// Between two looks at a process that ends.
    pub(crate) AGAIN: Duration = Duration::from_millis(10), Time, "chosen: shorter than a process takes to end";
    /// Pause between two attempts to bind an address in use.
    pub(crate) RETRY: Duration = Duration::from_millis(20), Time, "chosen: shorter than a process takes to end";
    /// How long the sockets of a master that was killed may still be held by its children.
    pub(crate) TAKEOVER: Duration = Duration::from_secs(2), Time, "chosen: its children notice at once";
    /// Messages that may wait for the main loop; whoever sends more waits.
    pub(crate) WAKES: usize = 256, Count, "chosen: more than come together";
    /// How often a time by the wall is looked at again, in case somebody sets the clock.
    pub(crate) WALL_CLOCK_CHECK: Duration = Duration::from_secs(60), Time, "chosen: times of events have minutes";
    /// The longest sleep of the main loop.
    pub(crate) IDLE: Duration = Duration::from_secs(60), Time, "chosen: costs nothing";
    /// How long one process may take to give its metrics.
    pub(crate) FETCH: Duration = Duration::from_secs(2), Time, "chosen: both are on this host";
    /// Bytes of one process's metrics.
    pub(crate) METRICS_LIMIT: u64 = 4 * 1024 * 1024, Bytes, "chosen: more than any program has";
    /// Groups of a user that are looked for.
    pub(crate) GROUPS_LIMIT: usize = 2 * 65_536, Count, "twice NGROUPS_MAX of Linux";
}
