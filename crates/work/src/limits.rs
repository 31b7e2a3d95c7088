//! What all sessions of one user may have done at the same time, and for how long a thread serves one session.

use std::time::Duration;

bounds::table! {
    "work", "Work that a client causes, on every daemon";
    options {
        /// Time of the processor that one SEARCH, SORT, THREAD, ESEARCH, LIST or LSUB may take; 0: no bound.
        search_maxtime, "Cyrus, for SEARCH";
    }
    /// Work with a budget that the sessions of one user have under way; more waits.
    pub(crate) LONG: usize = 4, Count, "chosen: less than the blocking threads of a process";
    /// Work without a budget, each as large as one message or mailbox, that the sessions of one user have under way;
    /// more waits.
    pub(crate) SHORT: usize = 4, Count, "chosen: less than the blocking threads of a process";
    /// How long work with a budget waits for its turn.
    pub(crate) PATIENCE: Duration = Duration::from_secs(30), Time, "chosen: a client has not given up by then";
    /// Messages, or names, that are looked at on the spot.
    pub(crate) LIGHT: usize = 256, Count, "chosen: less than a millisecond";
    /// Steps of some microseconds after which a loop lets others have the thread.
    pub(crate) STEPS: usize = 128, Count, "chosen: less than a millisecond";
    /// Time of the processor that work in slices has at once.
    pub(crate) SLICE: Duration = Duration::from_millis(50), Time, "chosen: others wait no longer for their turn";
    /// Steps of work with a budget between two looks at the clock.
    pub(crate) QUESTIONS: u32 = 32, Count, "chosen: a look at the clock costs as much as some steps";
}
