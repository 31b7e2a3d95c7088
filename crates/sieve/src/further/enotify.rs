//! `notify`, `valid_notify_method` and `notify_method_capability`: RFC 5435, with the method `mailto` of RFC 5436.
//!
//! ```text
//! notify [":from" string] [":importance" <"1" / "2" / "3">] [":options" string-list] [":message" string] [FCC] <method: string>
//! valid_notify_method <notification-uris: string-list>
//! notify_method_capability [COMPARATOR] [MATCH-TYPE] <notification-uri: string> <notification-capability: string>
//!                          <key-list: string-list>
//! ```
//!
//! `:fcc` is taken and has no effect, which the capability `fcc` says too (RFC 8580 section 5), as in Cyrus.

use super::fcc::Fcc;
use super::mailto::Mailto;
use crate::base::redirect::mail_address;
use crate::check::Arguments;
use crate::matching::{MatchTags, Matcher};
use crate::program::context::Context;
use crate::program::effect::{Effect, Notify};
use crate::program::error::RunError;
use crate::program::text::{Text, owned};
use crate::program::{Action, Flow, Test};

#[derive(Debug)]
struct NotifyAction {
    from: Option<Text>,
    importance: Option<Text>,
    options: Vec<Text>,
    message: Option<Text>,
    method: Text,
}

#[derive(Debug)]
struct ValidNotifyMethod {
    uris: Vec<Text>,
}

#[derive(Debug)]
struct NotifyMethodCapability {
    uri: Text,
    capability: Text,
    matcher: Matcher,
}

pub(super) fn notify(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let from = arguments.tagged_string(":from", None);
    let importance = arguments.tagged_string(":importance", None);
    let options = arguments.tagged_strings(":options", None).unwrap_or_default();
    let message = arguments.tagged_string(":message", None);
    Fcc::take(arguments);
    let method = arguments.string("the method")?;
    let constant = |text: &Option<Text>| text.as_ref().and_then(Text::constant).map(str::to_owned);
    let problems = [
        constant(&from)
            .filter(|from| mail_address(from).is_none())
            .map(|from| format!("{from:?} is no address")),
        importance.as_ref().and_then(|text| level(text.constant().unwrap_or_default()).err()),
        options.iter().filter_map(Text::constant).find_map(|option| checked_option(option).err()),
        method.constant().and_then(|uri| Mailto::parse(uri).err()),
    ];
    for problem in problems.into_iter().flatten() {
        arguments.fail(arguments.line, format!("notify: {problem}"));
    }
    Some(Box::new(NotifyAction { from, importance, options, message, method }))
}

pub(super) fn valid(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let uris = arguments.strings("URIs")?;
    Some(Box::new(ValidNotifyMethod { uris }))
}

pub(super) fn capability(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let uri = arguments.string("a URI")?;
    let capability = arguments.string("a capability")?;
    let keys = arguments.strings("keys")?;
    Some(Box::new(NotifyMethodCapability { uri, capability, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Action for NotifyAction {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let failed = |problem: String| RunError::new(format!("notify: {problem}"));
        let method = self.method.owned(context)?;
        Mailto::parse(&method).map_err(failed)?;
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.owned(context)).transpose();
        // What is no address is as if it were not there: section 3.3.
        let from = text(&self.from)?.filter(|from| mail_address(from).is_some());
        let importance = match text(&self.importance)? {
            Some(text) => level(&text).map_err(failed)?,
            None => NORMAL,
        };
        let options = owned(&self.options, context)?;
        options.iter().try_for_each(|option| checked_option(option)).map_err(failed)?;
        let message = text(&self.message)?.unwrap_or_default();
        context.add(Effect::Notify(Notify { method, from, importance, options, message, fcc: None }))?;
        Ok(Flow::Next)
    }
}

impl Test for ValidNotifyMethod {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        for uri in owned(&self.uris, context)? {
            context.charge(1 + uri.len() as u64 / 8)?;
            if Mailto::parse(&uri).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Test for NotifyMethodCapability {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let found = {
            let context = &*context;
            let known = Mailto::parse(&self.uri.value(context)?).is_ok();
            let value = match self.capability.value(context)?.to_ascii_lowercase().as_str() {
                // Nobody knows whether a mail will be read at once: RFC 5436 section 2.2.
                "online" if known => Some("maybe"),
                "fcc" if known => Some("no"),
                _ => None,
            };
            self.matcher.search(context, value)?
        };
        Ok(context.matched(found))
    }
}

/// 1 is high, 3 low.
fn level(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "2" => Ok(NORMAL),
        "3" => Ok(3),
        _ => Err(format!(":importance takes \"1\", \"2\" or \"3\", not {text:?}")),
    }
}

const NORMAL: u8 = 2;

/// `name=value`: RFC 5435 section 3.5. `mailto` knows none, and passes them over.
fn checked_option(text: &str) -> Result<(), String> {
    let name = text.split_once('=').map(|(name, _)| name);
    let is_name = |name: &str| {
        name.starts_with(|char: char| char.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    match name.is_some_and(is_name) {
        true => Ok(()),
        false => Err(format!("an option is written name=value, not {text:?}")),
    }
}
