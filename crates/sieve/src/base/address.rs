//! `address` (RFC 5228 section 5.1).
//!
//! ```text
//! address [COMPARATOR] [ADDRESS-PART] [MATCH-TYPE] <header-list: string-list> <key-list: string-list>
//! ```

use super::names;
use crate::check::Arguments;
use crate::matching::{AddressPart, MatchTags, Matcher, Select};
use crate::message::Field;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Address {
    part: AddressPart,
    select: Select,
    names: Vec<Text>,
    matcher: Matcher,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let part = AddressPart::take(arguments);
    let select = Select::take(arguments);
    let names = names::fields(arguments);
    let keys = arguments.strings("keys");
    let (names, keys) = (names?, keys?);
    for name in names.iter().filter_map(Text::constant) {
        if !HAS_ADDRESSES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            arguments.fail(arguments.line, format!("address: {name} has no addresses"));
        }
    }
    Some(Box::new(Address { part, select, names, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Test for Address {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let fields = self.names.iter().flat_map(|name| self.select.fields(context, &name.name(context)));
        let parts = fields.flat_map(Field::addresses).filter_map(|address| self.part.of(address));
        let found = self.matcher.search(context, parts)?;
        Ok(context.matched(found))
    }
}

/// The fields that may have addresses: those of RFC 5322, those that Cyrus takes, and those that mail systems are known to write.
const HAS_ADDRESSES: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Resent-Message-ID",
    "Return-Path",
    "Disposition-Notification-To",
    "Approved",
    "Delivered-To",
    "For-Approval",
    "For-Handling",
    "For-Comment",
    "Apparently-To",
    "Errors-To",
    "Return-Receipt-To",
    "X-Admin",
    "Read-Receipt-To",
    "X-Confirm-Reading-To",
    "Return-Receipt-Requested",
    "Registered-Mail-Reply-Requested-By",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Abuse-Reports-To",
    "X-Complaints-To",
    "X-Report-Abuse-To",
    "X-BeenThere",
    "X-Original-From",
    "X-Original-To",
];
