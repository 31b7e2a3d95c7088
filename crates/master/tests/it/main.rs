//! `master` as a whole: the real binary, with small programs in the place of a node's daemons.
#![allow(clippy::unwrap_used)]

#[cfg(has_python)]
mod as_root;
#[cfg(has_python)]
mod boot;
#[cfg(has_python)]
mod daemons;
#[cfg(has_python)]
mod faults;
#[cfg(has_python)]
mod foreign;
#[cfg(has_python)]
mod groups;
#[cfg(has_python)]
mod node;
#[cfg(has_python)]
mod page;
#[cfg(has_python)]
mod reload;
#[cfg(has_python)]
mod scenarios;

/// A machine without python3 says so in the list of tests.
#[cfg(not(has_python))]
#[test]
#[ignore = "SKIPPED: the tests of the whole master need python3, which is not in PATH"]
fn the_whole_master() {
    panic!("python3 is not in PATH");
}
