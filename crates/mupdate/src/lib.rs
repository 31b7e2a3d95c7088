//! MUPDATE: the daemon (master and slave), and `mupdatetest`.
//!
//! ```text
//! daemon ── opens or follows a list ──▶ directory::serve::Server ── on the Unix socket beside the list
//!                                                  ▲
//! server::Gate ── counts, encrypts, logs in ───────┘ clients of the network
//! ```
//!
//! * [`daemon`] is what `mupdate -m` and `mupdate` run.
//! * [`server`] decides who of the network is let in.
//! * `kick` is the socket on which Cyrus's programs wait for the list.
//! * `masters` is a list that several masters share.
//! * [`tester`] is `mupdatetest`.

pub mod daemon;
mod kick;
mod masters;
pub mod server;
pub mod tester;
