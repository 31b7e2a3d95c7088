//! What bounds one delivery to a backend.

bounds::table! {
    "lmtpproxy", "A delivery of a frontend to its backends";
    options {
        /// How long each step of a delivery may take.
        lmtptxn_timeout, "Cyrus";
    }
    /// A transaction takes no longer than so many steps of lmtptxn_timeout would.
    pub(crate) STEPS: u32 = 2, Count, "chosen: the message, and its replies";
    /// How often the recipients of a message whose mailboxes have moved are looked up again, and sent to where those are now.
    pub(crate) REROUTED: u32 = 2, Count, "chosen: a mailbox that moves on at once does it once more";
    /// Commands sent without waiting for the replies between them.
    pub(crate) PIPELINED: usize = 100, Count, "chosen: both sides' buffers hold them";
    /// Bytes read at a time.
    pub(crate) READ: usize = 4096, Bytes, "chosen: some replies";
    /// Bytes of a message that gather before they are written.
    pub(crate) WRITE: usize = 64 * 1024, Bytes, "chosen: one write";
}
