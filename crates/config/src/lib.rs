//! Configuration: imapd.conf and cyrus.conf, in Cyrus's own grammar or as TOML, made into typed settings.
//!
//! * [`imapd::Imapd`] holds one plain typed field per option. The options are defined once, in
//!   [`imapd::registry`]: type, unit, range, default, effect and meaning; the parser, the struct,
//!   `murder config list` and the manual page are made from that table.
//! * [`cyrus::CyrusConf`] holds the START, SERVICES, EVENTS and DAEMON entries that `master` runs.
//!
//! A file is read whole and every mistake in it is reported at once, each as `file:line: key: what is wrong`
//! ([`Problems`]); a program that meets them exits with [`EX_CONFIG`]. What is doubtful but harmless is a warning.

pub mod cyrus;
mod encoding;
pub mod imapd;
pub mod ports;
mod problems;
mod toml_text;

pub use encoding::read_text;
pub use problems::{EX_CONFIG, Problem, Problems};
