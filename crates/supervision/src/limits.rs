//! What bounds the messages between a supervisor and the programs that it started.

use std::time::Duration;

bounds::table! {
    "supervision", "What a supervisor and its programs write to each other";
    /// Bytes of a list of listeners.
    pub(crate) LIST_LIMIT: usize = 128 * 1024, Bytes, "chosen: no cyrus.conf has as many listeners as fill this";
    /// Sockets passed in one message.
    pub(crate) FDS_LIMIT: usize = 253, Count, "Linux, unix(7): SCM_MAX_FD";
    /// Bytes of an HTTP request before its body: to the status page, and to the socket beside a daemon.
    pub(crate) HEAD: usize = 8 * 1024, Bytes, "chosen: more than any browser sends";
    /// HTTP connections to each of them at a time; others wait.
    pub(crate) CONNECTIONS: usize = 32, Count, "chosen: browsers and scrapers of a node";
    /// How long a whole HTTP request and its answer may take.
    pub(crate) PATIENCE: Duration = Duration::from_secs(10), Time, "chosen: a page is some kilobytes";
    /// The pause after no HTTP connection could be accepted.
    pub(crate) FAILING: Duration = Duration::from_millis(100), Time, "chosen: others must end first";
}
