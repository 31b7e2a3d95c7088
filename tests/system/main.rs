//! Whole systems: the real programs, started by the real `master`, seen by clients.

#![allow(clippy::unwrap_used)] // a test says what must hold

mod answers;
mod bad_input;
mod content;
mod crashes;
mod cyrus_follows;
mod cyrus_master;
mod cyrus_moves;
mod cyrus_moves_whole;
mod cyrus_registers;
mod cyrus_service;
mod cyrus_tools;
mod damage;
mod delivery;
mod differ;
mod domains;
mod faults;
mod forget;
mod formats;
mod house_rules;
mod lost_master;
mod manifests;
mod metadata;
mod modes;
mod moves;
mod mta;
mod names;
mod newcomers;
mod news;
mod noted;
mod notify;
mod operating;
mod operators_moves;
mod other_clients;
mod packaging;
mod parts;
mod placement;
mod proxied;
mod replacing;
mod roles;
mod secrets;
mod sieve;
mod sites;
mod systemd;
mod tools;
