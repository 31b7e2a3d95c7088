//! The commands and tests of RFC 5228 and of the extensions that are small, a file each.

mod actions;
mod address;
mod envelope;
mod environment;
mod exists;
mod fileinto;
pub(crate) mod flags;
mod header;
mod ihave;
mod implicit_keep;
mod include;
mod log;
mod logic;
mod mailbox;
mod names;
pub(crate) mod redirect;
mod reject;
pub(crate) mod set;
mod size;
mod string;
pub mod target;

use crate::check::{CommandCheck, CommandWord, TestCheck, TestWord};
use crate::extension::Extension;

pub const COMMANDS: &[CommandWord] = &[
    command("keep", &[], CommandCheck::Action(actions::keep)),
    command("discard", &[], CommandCheck::Action(actions::discard)),
    command("stop", &[], CommandCheck::Action(actions::stop)),
    command("fileinto", &[Extension::Fileinto], CommandCheck::Action(fileinto::check)),
    command("redirect", &[], CommandCheck::Action(redirect::check)),
    command("reject", &[Extension::Reject], CommandCheck::Action(reject::reject)),
    command("ereject", &[Extension::Ereject], CommandCheck::Action(reject::ereject)),
    command("set", &[Extension::Variables], CommandCheck::Action(set::check)),
    command("setflag", &[Extension::Imap4flags], CommandCheck::Action(flags::set)),
    command("addflag", &[Extension::Imap4flags], CommandCheck::Action(flags::add)),
    command("removeflag", &[Extension::Imap4flags], CommandCheck::Action(flags::remove)),
    command("include", &[Extension::Include], CommandCheck::Action(include::include)),
    command("return", &[Extension::Include], CommandCheck::Action(include::give_back)),
    command("global", &[Extension::Include], CommandCheck::Control(include::global)),
    command("error", &[Extension::Ihave], CommandCheck::Action(ihave::error)),
    command("log", &[Extension::Log], CommandCheck::Action(log::check)),
    command(
        "implicit_keep_target",
        &[Extension::ImplicitKeepTarget],
        CommandCheck::Action(implicit_keep::check),
    ),
];

pub const TESTS: &[TestWord] = &[
    test("allof", &[], TestCheck::Control(logic::all_of)),
    test("anyof", &[], TestCheck::Control(logic::any_of)),
    test("not", &[], TestCheck::Control(logic::not)),
    test("true", &[], TestCheck::Control(logic::yes)),
    test("false", &[], TestCheck::Control(logic::no)),
    test("header", &[], TestCheck::Test(header::check)),
    test("address", &[], TestCheck::Test(address::check)),
    test("envelope", &[Extension::Envelope], TestCheck::Test(envelope::check)),
    test("exists", &[], TestCheck::Test(exists::check)),
    test("size", &[], TestCheck::Test(size::check)),
    test("string", &[Extension::Variables], TestCheck::Test(string::check)),
    test("hasflag", &[Extension::Imap4flags], TestCheck::Test(flags::has)),
    test("ihave", &[Extension::Ihave], TestCheck::Control(ihave::ihave)),
    test("environment", &[Extension::Environment], TestCheck::Test(environment::check)),
    test("mailboxexists", &[Extension::Mailbox], TestCheck::Test(mailbox::check)),
];

const fn command(name: &'static str, needs: &'static [Extension], check: CommandCheck) -> CommandWord {
    CommandWord { name, needs, check }
}

const fn test(name: &'static str, needs: &'static [Extension], check: TestCheck) -> TestWord {
    TestWord { name, needs, check }
}
