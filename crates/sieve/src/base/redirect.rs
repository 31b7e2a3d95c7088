//! `redirect` (RFC 5228 section 4.2), with `:copy` (RFC 3894), and what RFC 6009 adds.

use crate::check::Arguments;
use crate::extension::Extension;
use crate::further::SmtpTags;
use crate::program::context::Context;
use crate::program::effect;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Redirect {
    copy: bool,
    smtp: SmtpTags,
    address: Text,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let copy = arguments.flag(":copy", Some(Extension::Copy));
    let smtp = SmtpTags::take(arguments);
    let address = arguments.string("an address")?;
    if let Some(text) = address.constant()
        && mail_address(text).is_none()
    {
        arguments.fail(arguments.line, format!("redirect: {text:?} is no address"));
    }
    Some(Box::new(Redirect { copy, smtp, address }))
}

impl Action for Redirect {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let text = self.address.value(context)?;
        let Some(address) = mail_address(&text) else {
            return Err(RunError::new(format!("redirect: {text:?} is no address")));
        };
        let (notify, ret, deliver_by) = self.smtp.values(context)?;
        let edits = context.state.edits.clone();
        let redirect = effect::Redirect { address, edits, notify, ret, deliver_by };
        context.redirect(redirect, self.copy)?;
        Ok(Flow::Next)
    }
}

/// `local@domain`, perhaps as `name <local@domain>` or with comments: the address alone. Whatever else stands there is none.
pub(crate) fn mail_address(text: &str) -> Option<String> {
    let text = without_comments(text)?;
    let text = text.trim();
    let bare = match text.strip_suffix('>') {
        Some(inner) => {
            let (name, bare) = inner.rsplit_once('<')?;
            is_phrase(name).then_some(bare.trim())?
        }
        None => text,
    };
    let (local, domain) = bare.rsplit_once('@')?;
    let (local, domain) = (local.trim_end_matches(BLANKS), domain.trim_start_matches(BLANKS));
    if !is_domain(domain) {
        return None;
    }
    // Quotes that need not be there make no other address.
    let inner = local.strip_prefix('"').and_then(|local| local.strip_suffix('"'));
    match inner.filter(|inner| is_dotted(inner, is_atom)) {
        Some(inner) => Some(format!("{inner}@{domain}")),
        None => (is_dotted(local, is_atom) || is_quoted(local)).then(|| format!("{local}@{domain}")),
    }
}

/// Without what stands in parentheses, but for those in quotes. None: one of them does not end.
fn without_comments(text: &str) -> Option<String> {
    let (mut out, mut depth, mut quoted, mut escaped) =
        (String::with_capacity(text.len()), 0_usize, false, false);
    for c in text.chars() {
        if c.is_control() && c != '\t' && depth > 0 {
            return None;
        }
        let plain = !std::mem::take(&mut escaped);
        match c {
            '\\' if plain => escaped = true,
            '"' if plain && depth == 0 => quoted = !quoted,
            '(' if plain && !quoted => depth += 1,
            ')' if plain && !quoted => {
                depth = depth.checked_sub(1)?;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            out.push(c);
        }
    }
    (depth == 0).then_some(out)
}

/// A display name: words, and quoted strings.
fn is_phrase(name: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for c in name.chars() {
        match c {
            _ if c.is_control() => return false,
            _ if std::mem::take(&mut escaped) => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' | '>' | ',' | ';' | '@' if !quoted => return false,
            _ => {}
        }
    }
    !quoted
}

const BLANKS: [char; 2] = [' ', '\t'];

fn is_dotted(text: &str, is: impl Fn(char) -> bool) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.chars().all(&is))
}

/// `atext` of RFC 5322 section 3.2.3, and all beyond ASCII (RFC 6532).
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii() && !c.is_control()
}

fn is_domain(text: &str) -> bool {
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match literal {
        Some(inner) => inner.chars().all(|c| c.is_ascii_alphanumeric() || ".:-".contains(c)),
        None => is_dotted(text, |c| {
            c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii() && !c.is_control()
        }),
    }
}

/// A quoted string, in which `\` stands before `"` and itself.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if c.is_control() && c != '\t' => return false,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    text.len() > 1 && !escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address_to_redirect_to() {
        for (text, address) in [
            ("a@b.example", "a@b.example"),
            ("Fred <a@b.example>", "a@b.example"),
            ("\"F, <x>\" <a+b@b.example>", "a+b@b.example"),
            ("<a@b.example>", "a@b.example"),
            ("\"a b\"@b.example", "\"a b\"@b.example"),
            ("é@[127.0.0.1]", "é@[127.0.0.1]"),
            ("\"a.b\"@b.example", "a.b@b.example"),
            (" more  @  example.com  ", "more@example.com"),
            ("a@b.example (Fred, at home)", "a@b.example"),
            ("(Fred (at \\) home)) a (x) @ (y) b.example", "a@b.example"),
            ("Fred \"<x>\" F. <a@b.example>", "a@b.example"),
            ("\"(a\"@b.example", "\"(a\"@b.example"),
        ] {
            assert_eq!(mail_address(text).as_deref(), Some(address), "{text}");
        }
        for text in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b..example",
            ".a@b.example",
            "a b@b.example",
            "a@b.example, c@d.example",
            "a@b.example>",
            "<a@b.example",
            "a@b.example\r\nX: y",
            "a@b.example <",
            "\"@b.example",
            "(Fred)",
            " more error @  example.com  ",
            "Error <",
            "Error <a@",
            "<>",
            "\"Fred <a@b.example>",
            "a@b.example (Fred",
            "a@b.example)",
            "a@b.example (Fred\r\n)",
        ] {
            assert_eq!(mail_address(text), None, "{text:?}");
        }
    }
}
