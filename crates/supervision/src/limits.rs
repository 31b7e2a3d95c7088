//! What bounds the messages between a supervisor and the programs that it started.

bounds::table! {
    "supervision", "What a supervisor and its programs write to each other";
    /// Bytes of a list of listeners.
    pub(crate) LIST_LIMIT: usize = 128 * 1024, Bytes, "chosen: no cyrus.conf has as many listeners as fill this";
    /// Sockets passed in one message.
    pub(crate) FDS_LIMIT: usize = 253, Count, "Linux, unix(7): SCM_MAX_FD";
}
