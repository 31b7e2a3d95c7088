//! What a peer can put into a line of a log.

bounds::table! {
    "logs", "Lines of a log";
    /// Bytes of one field of a line, and of its text; the rest is cut.
    pub(crate) FIELD: usize = 1024, Bytes, "chosen: a line of a log";
    /// Bytes of one line; the rest is cut.
    pub(crate) LINE: usize = 4096, Bytes, "chosen: less than syslog takes";
    /// Characters of the name of a command that a client sent.
    pub(crate) WORD: usize = 20, Count, "chosen: longer than any command that is served";
}
