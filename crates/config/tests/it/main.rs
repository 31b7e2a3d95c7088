//! The two files of configuration, as a program meets them.

mod cyrus;
mod imapd;
mod malformed;
mod properties;
