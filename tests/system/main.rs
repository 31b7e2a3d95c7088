//! Whole systems: the real programs, started by the real `master`, seen by clients.

mod bad_input;
mod crashes;
mod delivery;
mod faults;
mod names;
mod other_clients;
mod placement;
mod tools;
