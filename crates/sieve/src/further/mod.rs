//! Commands and tests of the larger extensions, a file each.

mod body;
mod date;
mod duplicate;
mod editheader;
mod enotify;
mod extracttext;
mod fcc;
mod foreverypart;
mod mailboxes;
mod mailto;
mod metadata;
mod moment;
mod smtp;
mod vacation;
mod zone;

pub use mailto::Mailto;
pub(crate) use smtp::SmtpTags;

use crate::check::{CommandCheck, CommandWord, TestCheck, TestWord};
use crate::extension::Extension;

pub const COMMANDS: &[CommandWord] = &[
    action("addheader", &[Extension::Editheader], editheader::add),
    action("deleteheader", &[Extension::Editheader], editheader::delete),
    action("vacation", &[Extension::Vacation, Extension::VacationSeconds], vacation::check),
    action("notify", &[Extension::Enotify], enotify::notify),
    action("extracttext", &[Extension::Extracttext], extracttext::check),
    CommandWord {
        name: "foreverypart",
        needs: &[Extension::Foreverypart],
        check: CommandCheck::Control(foreverypart::check),
    },
    CommandWord {
        name: "break",
        needs: &[Extension::Foreverypart],
        check: CommandCheck::Control(foreverypart::check_break),
    },
];

pub const TESTS: &[TestWord] = &[
    test("body", &[Extension::Body], body::check),
    test("date", &[Extension::Date], date::date),
    test("currentdate", &[Extension::Date], date::current),
    test("duplicate", &[Extension::Duplicate], duplicate::check),
    test("valid_notify_method", &[Extension::Enotify], enotify::valid),
    test("notify_method_capability", &[Extension::Enotify], enotify::capability),
    test("specialuse_exists", &[Extension::SpecialUse], mailboxes::special_use),
    test("mailboxidexists", &[Extension::Mailboxid], mailboxes::id),
    test("metadata", &[Extension::MboxMetadata], metadata::mailbox),
    test("metadataexists", &[Extension::MboxMetadata], metadata::mailbox_exists),
    test("servermetadata", &[Extension::ServerMetadata], metadata::server),
    test("servermetadataexists", &[Extension::ServerMetadata], metadata::server_exists),
];

const fn action(
    name: &'static str,
    needs: &'static [Extension],
    check: fn(&mut crate::check::Arguments<'_, '_>) -> Option<Box<dyn crate::program::Action>>,
) -> CommandWord {
    CommandWord { name, needs, check: CommandCheck::Action(check) }
}

const fn test(
    name: &'static str,
    needs: &'static [Extension],
    check: fn(&mut crate::check::Arguments<'_, '_>) -> Option<Box<dyn crate::program::Test>>,
) -> TestWord {
    TestWord { name, needs, check: TestCheck::Test(check) }
}
