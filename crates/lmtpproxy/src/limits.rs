//! What bounds one delivery to a backend.

bounds::table! {
    "lmtpproxy", "A delivery of a frontend to its backends";
    options {
        /// How long each step of a delivery may take.
        lmtptxn_timeout, "Cyrus";
    }
    /// A transaction takes no longer than so many steps of lmtptxn_timeout would.
    pub(crate) STEPS: u32 = 2, Count, "chosen: the message, and its replies";
    /// Commands sent without waiting for the replies between them.
    pub(crate) PIPELINED: usize = 100, Count, "chosen: both sides' buffers hold them";
    /// Bytes read at a time.
    pub(crate) READ: usize = 4096, Bytes, "chosen: some replies";
    /// Bytes of a message that gather before they are written.
    pub(crate) WRITE: usize = 64 * 1024, Bytes, "chosen: one write";
}
