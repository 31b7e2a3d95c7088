//! The node's tools for its list of mailboxes: `ctl_mboxlist` and `ctl_cyrusdb`, with Cyrus's flags, lines and exit codes.
//!
//! ```text
//! options ──▶ one of: dump, undump (legacy), sync with the master (wipe), verify      ctl_mboxlist
//!             one of: recover, checkpoint                                             ctl_cyrusdb
//! lists: the database itself, or the daemon that has it open, through the socket beside it
//! ```

pub mod age;
pub mod checkpoint;
pub mod cyrusdb;
pub mod dump;
pub mod expire;
pub mod legacy;
pub mod lists;
pub mod nodes;
pub mod options;
pub mod reconstruct;
pub mod recover;
pub mod sievec;
pub mod squatter;
pub mod start;
pub mod sync;
pub mod verify;
pub mod wipe;
