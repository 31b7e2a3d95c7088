//! The commands and tests of RFC 5228 and of the extensions that are small, a file each.

mod actions;
mod header;
mod logic;

use crate::check::{CommandCheck, CommandWord, TestCheck, TestWord};

pub const COMMANDS: &[CommandWord] = &[
    CommandWord { name: "keep", needs: &[], check: CommandCheck::Action(actions::keep) },
    CommandWord { name: "discard", needs: &[], check: CommandCheck::Action(actions::discard) },
    CommandWord { name: "stop", needs: &[], check: CommandCheck::Action(actions::stop) },
];

pub const TESTS: &[TestWord] = &[
    TestWord { name: "allof", needs: &[], check: TestCheck::Control(logic::all_of) },
    TestWord { name: "anyof", needs: &[], check: TestCheck::Control(logic::any_of) },
    TestWord { name: "not", needs: &[], check: TestCheck::Control(logic::not) },
    TestWord { name: "true", needs: &[], check: TestCheck::Control(logic::yes) },
    TestWord { name: "false", needs: &[], check: TestCheck::Control(logic::no) },
    TestWord { name: "header", needs: &[], check: TestCheck::Test(header::check) },
];
