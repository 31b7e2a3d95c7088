//! `annotation_definitions`: a site's own annotations, in Cyrus's format.
//!
//! ```text
//! name, scope, type, proxy-type, attributes, extra rights
//! /vendor/acme/colour, mailbox, string, backend, value.shared value.priv,
//! ```
//!
//! A line that is not understood is logged and passed over. The third and the fourth field stand in either order.

use std::path::Path;

use protocol::acl::Rights;
use protocol::grammar::{Cursor, Limits};
use protocol::imap::DateTime;
use tracing::warn;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// Kept as `true` or `false`.
    Switch,
    Number,
    /// May be negative.
    Integer,
    /// As imapd.conf has them, in days where there is no unit.
    Duration,
    Date,
}

/// What an annotation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Server,
    Mailbox,
    Message,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    scope: Scope,
    name: String,
    pub form: Form,
    pub shared: bool,
    pub private: bool,
    /// Needed to set it, beside those that all need.
    pub rights: Rights,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Definitions(Vec<Definition>);

impl Form {
    /// The value as it is kept, if it is one.
    pub fn kept(self, value: &[u8]) -> Option<Vec<u8>> {
        let text = str::from_utf8(value).map(str::trim);
        let fits = match self {
            Form::Text => true,
            Form::Switch => {
                let on = match text.ok()?.to_ascii_lowercase().as_str() {
                    "true" | "1" | "on" | "yes" | "t" => "true",
                    "false" | "0" | "off" | "no" | "f" => "false",
                    _ => return None,
                };
                return Some(on.as_bytes().to_vec());
            }
            Form::Number => text.ok()?.parse::<u64>().is_ok() && !text.ok()?.starts_with('+'),
            Form::Integer => text.ok()?.parse::<i64>().is_ok(),
            Form::Duration => config::imapd::duration(text.ok()?, 'd').is_some(),
            Form::Date => date(value).is_some(),
        };
        fits.then(|| value.to_vec())
    }
}

/// A date as INTERNALDATE has it, epoch seconds.
pub fn date(value: &[u8]) -> Option<i64> {
    let quoted = [b"\"", value, b"\""].concat();
    let mut at = Cursor::new(&quoted, Limits::default());
    let date = at.read(DateTime::parse).ok()?;
    at.at_end().then_some(date.epoch)
}

impl Definitions {
    /// Reads the file. One that cannot be read is logged, and defines nothing.
    pub fn load(path: &Path) -> Definitions {
        match std::fs::read_to_string(path) {
            Ok(text) => Definitions::parse(&text, &path.display().to_string()),
            Err(error) => {
                warn!(%error, "annotation_definitions: {}: not read: no annotations are defined", path.display());
                Definitions::default()
            }
        }
    }

    fn parse(text: &str, path: &str) -> Definitions {
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Definition::parse(line) {
                Some(definition) => all.push(definition),
                None => warn!("{path}:{}: not a definition of an annotation: passed over", at + 1),
            }
        }
        Definitions(all)
    }

    pub fn find(&self, scope: Scope, name: &str) -> Option<&Definition> {
        self.0.iter().find(|defined| defined.scope == scope && defined.name == name)
    }
}

impl Definition {
    fn parse(line: &str) -> Option<Definition> {
        let mut fields = line.split(',').map(str::trim);
        let name = fields.next().filter(|name| name.starts_with('/'))?.to_ascii_lowercase();
        let scope = match fields.next()? {
            "server" => Scope::Server,
            "mailbox" => Scope::Mailbox,
            "message" => Scope::Message,
            _ => return None,
        };
        let mut form = None;
        for field in [fields.next()?, fields.next()?] {
            form = match field {
                "string" | "content-type" => Some(Form::Text),
                "boolean" => Some(Form::Switch),
                "uint" => Some(Form::Number),
                "int" => Some(Form::Integer),
                "proxy" | "backend" | "proxy_and_backend" => form,
                _ => return None,
            };
        }
        let (mut shared, mut private) = (false, false);
        for attribute in fields.next()?.split_whitespace() {
            match attribute {
                "value.shared" => shared = true,
                "value.priv" => private = true,
                "value" => (shared, private) = (true, true),
                _ => {}
            }
        }
        let rights = Rights::parse(fields.next().unwrap_or_default(), 'c').ok()?;
        Some(Definition { scope, name, form: form?, shared, private, rights })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sites_file_is_read_and_what_is_wrong_in_it_is_passed_over() {
        let text = "# ours\n\n/vendor/acme/Colour,mailbox,string,backend,value.shared value.priv,\n\
                    /vendor/acme/n, message, proxy_and_backend, uint, value.shared, a\n/vendor/acme/bad,mailbox,blob,backend,value,\nx\n";
        let all = Definitions::parse(text, "file");
        assert_eq!(all.0.len(), 2);
        let colour = all.find(Scope::Mailbox, "/vendor/acme/colour").unwrap();
        assert!(colour.shared && colour.private && colour.form == Form::Text && colour.rights.is_empty());
        let number = all.find(Scope::Message, "/vendor/acme/n").unwrap();
        assert!(number.shared && !number.private && number.rights.contains(Rights::ADMIN));
        assert!(all.find(Scope::Mailbox, "/vendor/acme/n").is_none());
    }

    #[test]
    fn values_have_their_form() {
        assert_eq!(Form::Switch.kept(b"ON").as_deref(), Some(&b"true"[..]));
        for (form, good, bad) in [
            (Form::Switch, "0", "maybe"),
            (Form::Number, "12", "-1"),
            (Form::Integer, "-1", "x"),
            (Form::Duration, "7d", "soon"),
            (Form::Date, " 1-Jan-2026 10:00:00 +0000", "yesterday"),
        ] {
            assert!(form.kept(good.as_bytes()).is_some() && form.kept(bad.as_bytes()).is_none(), "{form:?}");
        }
        assert!(Form::Text.kept(b"\0\xff").is_some() && Form::Number.kept(b"\xff").is_none());
    }
}
