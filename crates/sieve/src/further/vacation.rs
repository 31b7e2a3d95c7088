//! `vacation`: RFC 5230, and RFC 6131 for `:seconds`.
//!
//! ```text
//! vacation [":days" number / ":seconds" number] [":subject" string] [":from" string] [":addresses" string-list] [":mime"]
//!          [":handle" string] [FCC] <reason: string>
//! ```
//!
//! Whether an answer is due, and how often at most, is the caller's to know: it has the marks, and the bounds of the site.

use super::fcc::Fcc;
use crate::base::redirect::mail_address;
use crate::check::Arguments;
use crate::extension::Extension;
use crate::message::Mail;
use crate::message::Message;
use crate::program::context::Context;
use crate::program::effect::Vacation;
use crate::program::error::RunError;
use crate::program::text::{Text, owned};
use crate::program::{Action, Flow};

#[derive(Debug)]
struct VacationAction {
    seconds: Option<u64>,
    subject: Option<Text>,
    from: Option<Text>,
    addresses: Vec<Text>,
    mime: bool,
    handle: Option<Text>,
    fcc: Option<Fcc>,
    reason: Text,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let days = arguments.tagged_number(":days", None);
    let seconds = arguments.tagged_number(":seconds", Some(Extension::VacationSeconds));
    if days.is_some() && seconds.is_some() {
        arguments.fail(arguments.line, ":days and :seconds exclude each other");
    }
    let subject = arguments.tagged_string(":subject", None);
    let from = arguments.tagged_string(":from", None);
    let addresses = arguments.tagged_strings(":addresses", None).unwrap_or_default();
    let mime = arguments.flag(":mime", None);
    let handle = arguments.tagged_string(":handle", None);
    let fcc = Fcc::take(arguments);
    let reason = arguments.string("the reason")?;
    let constants = from.iter().chain(&addresses).filter_map(Text::constant);
    let bad: Vec<String> = constants.filter(|text| mail_address(text).is_none()).map(str::to_owned).collect();
    for text in bad {
        arguments.fail(arguments.line, format!("vacation: {text:?} is no address"));
    }
    if let Some(text) = reason.constant().filter(|_| mime) {
        report_entity(text, arguments);
    }
    let seconds = seconds.or(days.map(|days| days.saturating_mul(DAY)));
    Some(Box::new(VacationAction { seconds, subject, from, addresses, mime, handle, fcc, reason }))
}

impl Action for VacationAction {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.owned(context)).transpose();
        // A subject is one line, whatever a variable had in it.
        let subject = text(&self.subject)?.map(|subject| {
            let line = subject.split(char::is_control).next().unwrap_or_default();
            line.trim_end().to_owned()
        });
        let from = text(&self.from)?;
        if let Some(from) = from.as_ref().filter(|from| mail_address(from).is_none()) {
            return Err(RunError::new(format!("vacation: {from:?} is no address")));
        }
        let reason = self.reason.owned(context)?;
        if let Some(field) = address_field(&reason).filter(|_| self.mime) {
            return Err(RunError::new(format!("vacation: the entity of :mime has a field {field}")));
        }
        let vacation = Vacation {
            seconds: self.seconds,
            subject,
            from,
            addresses: owned(&self.addresses, context)?,
            mime: self.mime,
            handle: text(&self.handle)?,
            reason,
            fcc: self.fcc.as_ref().map(|fcc| fcc.store(context)).transpose()?,
        };
        context.vacation(vacation)?;
        Ok(Flow::Next)
    }
}

/// Reports what a MIME entity must not have in its header, and what is not used of it.
fn report_entity(entity: &str, arguments: &mut Arguments<'_, '_>) {
    let line = arguments.line;
    if let Some(field) = address_field(entity) {
        arguments.fail(line, format!("vacation: the entity of :mime has a field {field}"));
        return;
    }
    let mail = Mail::new(entity.as_bytes());
    let is_mime = |name: &str| {
        let beginning = name.get(..8).is_some_and(|text| text.eq_ignore_ascii_case("content-"));
        beginning || name.eq_ignore_ascii_case("MIME-Version")
    };
    let odd = mail.fields().iter().map(|field| field.name()).find(|name| !is_mime(name));
    if let Some(name) = odd {
        let text = match name {
            "" => "vacation: the text of :mime begins with no header".to_owned(),
            name => format!("vacation: {name} in the entity of :mime has no effect"),
        };
        arguments.checker.warning(line, text);
    }
}

/// The field of an entity's header that would give the answer other recipients, or another sender.
fn address_field(entity: &str) -> Option<String> {
    let mail = Mail::new(entity.as_bytes());
    let found = mail.fields().iter().find(|field| ADDRESSES.iter().any(|name| field.is(name)));
    found.map(|field| field.name().to_owned())
}

const ADDRESSES: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Return-Path",
];
const DAY: u64 = 86_400;
