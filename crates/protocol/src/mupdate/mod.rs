//! MUPDATE (RFC 3656) as Cyrus 3.6 to 3.12 speaks it.

pub mod state;
