//! The supervisor: it starts a node's programs from cyrus.conf, keeps them running, and ends them.
//!
//! ```text
//! options ─ plan (both files) ─ pid file ─ START ─ sockets ─ drop privileges ─ daemons of wait=y ─ main loop
//!
//!            ┌ groups   our programs: one process for all lines of one, LISTEN_FDS, READY=1
//! supervisor ┼ pools    foreign services: workers by Cyrus's protocol on descriptors 3 and 4
//!            ┼ daemons  kept running
//!            ├ events   run at times
//!            └ page     status, probes and metrics over HTTP
//! ```
//!
//! It is one thread, blocked in epoll when nothing happens, and never between a client and its server: services accept by
//! themselves.

pub mod arguments;
pub mod backoff;
pub mod board;
pub mod boot;
pub mod calendar;
pub mod child;
pub mod daemon;
pub mod events;
pub mod exposition;
pub mod group;
pub mod http;
pub mod limits;
pub mod listen;
pub mod log;
pub mod options;
pub mod os;
pub mod page;
pub mod pidfile;
pub mod plan;
pub mod pool;
pub mod privilege;
pub mod program;
pub mod ready;
mod reload;
pub mod roles;
pub mod services;
mod stop;
pub mod supervisor;
pub mod table;
