//! `setflag`, `addflag`, `removeflag` and `hasflag` (RFC 5232): flags of the message, in the internal variable or in one of the script's.
//!
//! ```text
//! setflag [<variablename: string>] <list-of-flags: string-list>
//! hasflag [MATCH-TYPE] [COMPARATOR] [<variable-list: string-list>] <list-of-flags: string-list>
//! ```
//!
//! A string may have several flags, with blanks between them. What is no flag is passed over (section 2).

use crate::check::Arguments;
use crate::extension::Extension;
use crate::limits;
use crate::matching::{Kind, MatchTags, Matcher};
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::slot::Slot;
use crate::program::state::State;
use crate::program::text::Text;
use crate::program::{Action, Flow, Test};

#[derive(Debug)]
struct Change {
    how: How,
    /// None: the internal variable.
    variable: Option<Slot>,
    flags: Vec<Text>,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Set,
    Add,
    Remove,
}

pub(super) fn set(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    change(arguments, How::Set)
}

pub(super) fn add(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    change(arguments, How::Add)
}

pub(super) fn remove(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    change(arguments, How::Remove)
}

fn change(arguments: &mut Arguments<'_, '_>, how: How) -> Option<Box<dyn Action>> {
    let variable = match arguments.positionals() > 1 {
        true => {
            let name = arguments.constant("the name of a variable")?;
            variables(arguments, vec![name])?.pop()
        }
        false => None,
    };
    let flags = arguments.strings("flags")?;
    Some(Box::new(Change { how, variable, flags }))
}

/// Where the variables of these names stand.
fn variables(arguments: &mut Arguments<'_, '_>, names: Vec<String>) -> Option<Vec<Slot>> {
    if !arguments.checker.has(Extension::Variables) {
        let text = format!("{}: a variable needs require \"variables\"", arguments.name);
        arguments.fail(arguments.line, text);
        return None;
    }
    let line = arguments.line;
    names.iter().map(|name| arguments.checker.variable(line, name)).collect()
}

impl Action for Change {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let mut given = Vec::new();
        gather(&self.flags, context, &mut given)?;
        let mut flags = match self.how {
            How::Set => Vec::new(),
            How::Add | How::Remove => current(self.variable, context.state),
        };
        context.charge((given.len() as u64).saturating_mul(flags.len() as u64) / COMPARED_A_STEP)?;
        match self.how {
            How::Set | How::Add => given.iter().for_each(|flag| insert(&mut flags, flag)),
            How::Remove => flags.retain(|flag| !given.iter().any(|gone| gone.eq_ignore_ascii_case(flag))),
        }
        match self.variable {
            Some(slot) => context.state.set(slot, flags.join(" ")),
            None => context.state.flags = flags,
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct HasFlag {
    /// Empty: the internal variable.
    variables: Vec<Slot>,
    matcher: Matcher,
}

pub(super) fn has(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let variables = match arguments.positionals() > 1 {
        true => {
            let names = arguments.constants("names of variables")?;
            variables(arguments, names)?
        }
        false => Vec::new(),
    };
    let mut keys = arguments.strings("flags")?;
    if matches!(tags.kind, Kind::Count(_) | Kind::Value(_)) {
        return Some(Box::new(HasFlag { variables, matcher: Matcher::new(tags, keys, arguments)? }));
    }
    keys = keys.into_iter().flat_map(words).collect();
    Some(Box::new(HasFlag { variables, matcher: Matcher::new(tags, keys, arguments)?.by_words() }))
}

/// A constant string of several flags is as many keys.
fn words(key: Text) -> Vec<Text> {
    match key.constant() {
        Some(text) if text.contains(' ') => text.split_ascii_whitespace().map(Text::fixed).collect(),
        _ => vec![key],
    }
}

impl Test for HasFlag {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let mut flags = Vec::new();
        match &self.variables[..] {
            [] => flags = current(None, context.state),
            slots => slots.iter().for_each(|&slot| flags.extend(current(Some(slot), context.state))),
        }
        let found = self.matcher.search(context, &flags)?;
        Ok(context.matched(found))
    }
}

/// The flags that a message is stored with: those of `:flags`, or else those of the internal variable.
pub(crate) fn of_message(given: Option<&[Text]>, context: &Context<'_>) -> Result<Vec<String>, RunError> {
    let Some(given) = given else { return Ok(context.state.flags.clone()) };
    let mut flags = Vec::new();
    gather(given, context, &mut flags)?;
    Ok(flags)
}

/// The flags in a variable.
fn current(variable: Option<Slot>, state: &State) -> Vec<String> {
    let Some(slot) = variable else { return state.flags.clone() };
    let mut flags = Vec::new();
    state.get(slot).split_ascii_whitespace().filter_map(known).for_each(|flag| insert(&mut flags, &flag));
    flags
}

/// Adds the flags that stand in some strings.
fn gather(texts: &[Text], context: &Context<'_>, flags: &mut Vec<String>) -> Result<(), RunError> {
    for text in texts {
        let text = text.value(context)?;
        for flag in text.split_ascii_whitespace().filter_map(known) {
            context.charge(flags.len() as u64 / COMPARED_A_STEP)?;
            insert(flags, &flag);
        }
    }
    Ok(())
}

fn insert(flags: &mut Vec<String>, flag: &str) {
    if flags.len() < limits::FLAGS && !flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
        flags.push(flag.to_owned());
    }
}

/// A flag that a message can have, system flags in their own spelling. `\Recent` is the server's.
fn known(flag: &str) -> Option<String> {
    if flag.starts_with('\\') {
        let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
        return system.iter().find(|name| name.eq_ignore_ascii_case(flag)).map(|&name| name.to_owned());
    }
    let atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    (flag.len() <= limits::FLAG && flag.bytes().all(atom)).then(|| flag.to_owned())
}

/// So many comparisons of flags are as much work as one command.
const COMPARED_A_STEP: u64 = 16;
