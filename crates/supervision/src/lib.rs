//! What a supervisor and a program that it started write to each other, both sides of each in one place.
//!
//! | module | who writes | what |
//! | --- | --- | --- |
//! | [`listeners`] | our `master`, at the start | which listener each inherited socket is: `MURDER_LISTENERS` |
//! | [`control`] | our `master`, while the program runs | which listeners there are after a reload |
//! | [`notify`] | the program | ready, stopping, how many clients, in sd_notify's format; `master` writes the same to systemd |
//! | [`status`] | a worker of a Cyrus master | eight bytes: taken, free |
//!
//! Both are asked over [`http`]: `master` by whoever watches the node, a program by its operator and by `master`, which shows
//! its metrics.

pub mod control;
pub mod http;
pub mod limits;
pub mod listeners;
pub mod notify;
pub mod status;
