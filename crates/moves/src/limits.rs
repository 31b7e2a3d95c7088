//! What bounds a move.

bounds::table! {
    "moves", "Moves between backends";
    /// Characters of the id of a move, and of a mailbox.
    pub(crate) ID: usize = 64, Count, "chosen: Cyrus's have 24, ours 36";
    /// Bytes of a move's file.
    pub(crate) FILE: u64 = 256 << 20, Bytes, "chosen: a million mailboxes";
    /// Characters of the name of an operator's plan.
    pub(crate) PLAN: usize = 200, Count, "chosen: a server's name and a time";
    /// Attempts at one move's copy that may fail one after the other.
    pub ATTEMPTS: u32 = 20, Count, "chosen: with pauses of up to a minute, a restart of the other backend";
}
