//! A whole murder in one process and one thread: master, slaves, proxies and the backends' clients, with their real code,
//! on simulated disks, a simulated network and a simulated clock. Everything that happens follows from a seed.
//!
//! ```text
//! cargo test -p simulation                                        200 seeds, and the canaries
//! cargo run -p simulation --example simulate -- --seeds 10000     as many as wanted
//! cargo run -p simulation --example simulate -- --seed 4711       one, with all that happened
//! ```
//!
//! [`moves`] is a simulation of its own, of how mailboxes move and of what crosses that. [`world`] has what befalls the nodes and
//! what must hold; [`disk`], [`network`] and [`chance`] are what the daemons' code is handed; [`truth`] judges.

pub mod backend;
pub mod chance;
pub mod disk;
pub mod moves;
pub mod network;
pub mod node;
pub mod truth;
pub mod world;

pub use world::{Canary, Report, run};
