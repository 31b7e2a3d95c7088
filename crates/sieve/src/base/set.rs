//! `set` (RFC 5229 section 4).
//!
//! ```text
//! set [MODIFIER] <name: string> <value: string>
//! ```

use std::fmt::Write as _;

use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::slot::Slot;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Set {
    slot: Slot,
    value: Text,
    modifiers: Modifiers,
}

/// What is done to a value before it is stored, in the order in which it is done: the highest rank first.
#[derive(Debug)]
pub(crate) struct Modifiers(Vec<Modifier>);

/// What is done to a value. Of each rank there may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    QuoteRegex,
    EncodeUrl,
    Length,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let modifiers = Modifiers::take(arguments);
    let name = arguments.constant("the name of a variable");
    let value = arguments.string("the value");
    let line = arguments.line;
    let slot = arguments.checker.variable(line, &name?);
    Some(Box::new(Set { slot: slot?, value: value?, modifiers }))
}

impl Action for Set {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let value = self.value.owned(context)?;
        let value = self.modifiers.apply(value, context)?;
        context.state.set(self.slot, value);
        Ok(Flow::Next)
    }
}

impl Modifiers {
    pub(crate) fn take(arguments: &mut Arguments<'_, '_>) -> Modifiers {
        let ranks: [&[(&str, Option<Extension>, Modifier)]; 5] = [
            &[(":lower", None, Modifier::Lower), (":upper", None, Modifier::Upper)],
            &[(":lowerfirst", None, Modifier::LowerFirst), (":upperfirst", None, Modifier::UpperFirst)],
            &[
                (":quotewildcard", None, Modifier::QuoteWildcard),
                (":quoteregex", Some(Extension::Regex), Modifier::QuoteRegex),
            ],
            &[(":encodeurl", Some(Extension::Enotify), Modifier::EncodeUrl)],
            &[(":length", None, Modifier::Length)],
        ];
        Modifiers(ranks.iter().filter_map(|rank| arguments.one_of(rank)).collect())
    }

    pub(crate) fn apply(&self, mut value: String, context: &Context<'_>) -> Result<String, RunError> {
        for modifier in &self.0 {
            context.charge_bytes(value.len())?;
            value = modifier.apply(value);
        }
        Ok(value)
    }
}

impl Modifier {
    fn apply(self, value: String) -> String {
        match self {
            Modifier::Lower => value.to_ascii_lowercase(),
            Modifier::Upper => value.to_ascii_uppercase(),
            Modifier::LowerFirst => first(value, str::make_ascii_lowercase),
            Modifier::UpperFirst => first(value, str::make_ascii_uppercase),
            Modifier::QuoteWildcard => quote(&value, |c| matches!(c, '*' | '?' | '\\')),
            Modifier::QuoteRegex => quote(&value, |c| r"\^$.[]|()?*+{}".contains(c)),
            Modifier::EncodeUrl => encode_url(&value),
            Modifier::Length => value.chars().count().to_string(),
        }
    }
}

fn first(mut value: String, change: fn(&mut str)) -> String {
    if let Some(first) = value.get_mut(..1) {
        change(first);
    }
    value
}

fn quote(value: &str, special: impl Fn(char) -> bool) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if special(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// Percent-encodes what is not unreserved in a URI (RFC 3986 section 2.3; RFC 5435 section 6).
fn encode_url(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_modifier_makes_of_a_value() {
        for (modifier, value, expected) in [
            (Modifier::Lower, "JUMBLED éÉ", "jumbled éÉ"),
            (Modifier::UpperFirst, "jumbled", "Jumbled"),
            (Modifier::LowerFirst, "JUMBLED", "jUMBLED"),
            (Modifier::UpperFirst, "é", "é"),
            (Modifier::UpperFirst, "", ""),
            (Modifier::QuoteWildcard, "Rock*? \\o/", "Rock\\*\\? \\\\o/"),
            (Modifier::QuoteRegex, "a.b[c]", "a\\.b\\[c\\]"),
            (Modifier::Length, "RäksmÖrgås", "10"),
            (Modifier::EncodeUrl, "a b&é", "a%20b%26%C3%A9"),
        ] {
            assert_eq!(modifier.apply(value.to_owned()), expected, "{modifier:?} {value}");
        }
    }
}
