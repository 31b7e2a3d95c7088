//! What the benchmarks share: a cluster of ours and a real Cyrus murder, each on this host, under the same load.
//!
//! A figure is a ratio of two runs in one go on one machine. Absolute numbers are printed beside it, and mean little elsewhere.
//!
//! [`system`] starts and stops both; [`load`] speaks MUPDATE to either; [`rows`] measures one row of the table each, and
//! [`figures`] prints it.

pub mod figures;
pub mod forwarder;
pub mod load;
#[cfg(feature = "etcd")]
pub mod masters;
pub mod rows;
pub mod system;
