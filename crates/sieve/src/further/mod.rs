//! Commands and tests of the larger extensions, a file each.

use crate::check::{CommandWord, TestWord};

pub const COMMANDS: &[CommandWord] = &[];

pub const TESTS: &[TestWord] = &[];
