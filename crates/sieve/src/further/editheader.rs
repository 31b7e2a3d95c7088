//! `addheader` and `deleteheader`: RFC 5293.
//!
//! ```text
//! addheader [":last"] <field-name: string> <value: string>
//! deleteheader [":index" <fieldno: number> [":last"]] [COMPARATOR] [MATCH-TYPE] <field-name: string> [<value-patterns: string-list>]
//! ```
//!
//! What tells of the way of a message stays (section 5, and what the server itself relies on): a command on it does nothing.

use std::sync::Arc;

use crate::check::Arguments;
use crate::limits;
use crate::matching::{Index, MatchTags, Matcher};
use crate::message::{Edits, Field};
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct AddHeader {
    last: bool,
    name: Text,
    value: Text,
}

#[derive(Debug)]
struct DeleteHeader {
    index: Option<Index>,
    name: Text,
    /// None: whatever the value is.
    matcher: Option<Matcher>,
}

pub(super) fn add(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let last = arguments.flag(":last", None);
    let name = name(arguments, NOT_ADDED);
    let value = arguments.string("the value");
    let (name, value) = (name?, value?);
    if let Some(text) = value.constant()
        && let Err(problem) = unfolded(text)
    {
        arguments.fail(arguments.line, format!("addheader: {problem}"));
    }
    Some(Box::new(AddHeader { last, name, value }))
}

pub(super) fn delete(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let tags = MatchTags::take(arguments);
    let index = Index::needing(None, arguments);
    let name = name(arguments, NOT_DELETED)?;
    let matcher = match arguments.positionals() {
        0 => None,
        _ => {
            let patterns = arguments.strings("patterns of values")?;
            Some(Matcher::new(tags, patterns, arguments)?)
        }
    };
    Some(Box::new(DeleteHeader { index, name, matcher }))
}

/// The name of a field; `kept`: what nothing is done to.
fn name(arguments: &mut Arguments<'_, '_>, kept: &[&str]) -> Option<Text> {
    let name = arguments.string("the name of a field")?;
    if let Some(text) = name.constant() {
        if !is_field_name(text) {
            arguments.fail(arguments.line, format!("{}: {text:?} is no name of a field", arguments.name));
        } else if is_kept(text, kept) {
            let (line, command) = (arguments.line, arguments.name);
            arguments.checker.warning(line, format!("{command} does nothing to {text}"));
        }
    }
    Some(name)
}

impl Action for AddHeader {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let name = self.name.owned(context)?;
        let value = self.value.value(context)?;
        if !is_field_name(&name) {
            return Err(RunError::new(format!("addheader: {name:?} is no name of a field")));
        }
        let value = unfolded(&value).map_err(|problem| RunError::new(format!("addheader: {problem}")))?;
        if is_kept(&name, NOT_ADDED) {
            return Ok(Flow::Next);
        }
        context.charge_bytes(value.len())?;
        let edits = edits(context)?;
        edits.add(Field::added(&name, &value), self.last);
        if edits.added() > limits::ADDED_HEADER {
            return Err(RunError::limit(&limits::rows::ADDED_HEADER));
        }
        Ok(Flow::Next)
    }
}

impl Action for DeleteHeader {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let mut gone = Vec::new();
        {
            let context = &*context;
            let name = self.name.value(context)?;
            if !is_field_name(&name) {
                return Err(RunError::new(format!("deleteheader: {name:?} is no name of a field")));
            }
            if is_kept(&name, NOT_DELETED) {
                return Ok(Flow::Next);
            }
            context.charge(context.fields().len() as u64 / 8)?;
            let fields = context.fields().iter().enumerate();
            let named: Vec<_> = fields.filter(|(_, field)| field.is(&name)).collect();
            let count = named.len();
            for (number, (place, field)) in named.into_iter().enumerate() {
                let meant = self.index.is_none_or(|index| index.is(number, count));
                let fits = match &self.matcher {
                    Some(matcher) if meant => matcher.search(context, [field.text()])?.is_some(),
                    _ => true,
                };
                if meant && fits {
                    gone.push(place);
                }
            }
        }
        if !gone.is_empty() {
            edits(context)?.retain(|place| gone.binary_search(&place).is_err());
        }
        Ok(Flow::Next)
    }
}

/// The header of this run, which is a copy from the first edit on.
fn edits<'c>(context: &'c mut Context<'_>) -> Result<&'c mut Edits, RunError> {
    context.charge(context.fields().len() as u64 / 8)?;
    let message = context.message;
    let edits = context.state.edits.get_or_insert_with(|| Arc::new(Edits::new(message)));
    Ok(Arc::make_mut(edits))
}

/// RFC 5322 section 2.2.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 256 && name.bytes().all(|byte| matches!(byte, 33..=57 | 59..=126))
}

/// A value on one line. It may be folded; a line that begins with no blank would be another field, or the body.
fn unfolded(value: &str) -> Result<String, &'static str> {
    let lines = value.trim_ascii_end().replace("\r\n", "\n");
    if lines.bytes().any(|byte| matches!(byte, b'\r' | 0)) {
        return Err("the value of a field has no such control characters");
    }
    match lines.split('\n').skip(1).all(|line| line.starts_with([' ', '\t'])) {
        true => Ok(lines.replace('\n', "")),
        false => Err("the value of a field has one line"),
    }
}

fn is_kept(name: &str, kept: &[&str]) -> bool {
    kept.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// RFC 5293 section 5 names the first two; the others are the server's own marks.
const NOT_DELETED: &[&str] =
    &["Received", "Auto-Submitted", "Return-Path", "X-Sieve", "X-Sieve-Action", "X-Sieve-Redirected-From"];
const NOT_ADDED: &[&str] = &["Return-Path", "X-Sieve", "X-Sieve-Action", "X-Sieve-Redirected-From"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_field_and_nothing_else() {
        assert_eq!(unfolded("one\r\n two\n\tthree\r\n").as_deref(), Ok("one two\tthree"));
        for value in ["one\r\nBcc: two", "one\n\nbody", "one\rtwo", "one\0"] {
            assert!(unfolded(value).is_err(), "{value:?}");
        }
        assert!(
            is_field_name("X-A_1") && !is_field_name("") && !is_field_name("a:") && !is_field_name("a b")
        );
        assert!(!is_field_name("ä"));
    }
}
