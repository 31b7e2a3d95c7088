//! What of a MIME field `header :mime` compares: RFC 5703 section 4.1.
//!
//! ```text
//! MIMEOPTS = ":type" / ":subtype" / ":contenttype" / ":param" <param-list: string-list>
//! ```

use std::borrow::Cow;

use ::mime::{Content, Structure, to_utf8};

use super::Select;
use crate::check::Arguments;
use crate::message::Field;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::{Text, owned};

/// What is compared of a field.
#[derive(Debug, Default)]
pub enum MimeView {
    /// Its value.
    #[default]
    Whole,
    Type,
    Subtype,
    ContentType,
    Parameters(Vec<Text>),
}

impl MimeView {
    pub fn take(select: &Select, arguments: &mut Arguments<'_, '_>) -> MimeView {
        let tag = arguments.one_of(&[(":type", None, 0), (":subtype", None, 1), (":contenttype", None, 2)]);
        let names = arguments.tagged_strings(":param", None);
        if tag.is_some() && names.is_some() {
            arguments.fail(arguments.line, ":type, :subtype, :contenttype and :param exclude each other");
        }
        let view = match (tag, names) {
            (_, Some(names)) => MimeView::Parameters(names),
            (Some(0), None) => MimeView::Type,
            (Some(1), None) => MimeView::Subtype,
            (Some(_), None) => MimeView::ContentType,
            (None, None) => return MimeView::Whole,
        };
        if !select.is_mime() {
            arguments.fail(arguments.line, ":type, :subtype, :contenttype and :param need :mime");
        }
        view
    }

    /// The texts that are compared, of these fields.
    pub fn values<'f>(
        &self,
        context: &Context<'_>,
        fields: impl Iterator<Item = &'f Field>,
    ) -> Result<Vec<Cow<'f, str>>, RunError> {
        if let MimeView::Parameters(names) = self {
            let names = owned(names, context)?;
            return Ok(fields.flat_map(|field| parameters(field, &names)).map(Cow::Owned).collect());
        }
        let value = |field: &'f Field| match self {
            MimeView::Type => Cow::Owned(media(field).0),
            MimeView::Subtype => Cow::Owned(media(field).1),
            MimeView::ContentType => match media(field) {
                (media, subtype) if subtype.is_empty() => Cow::Owned(media),
                (media, subtype) => Cow::Owned(format!("{media}/{subtype}")),
            },
            MimeView::Whole | MimeView::Parameters(_) => Cow::Borrowed(field.text()),
        };
        Ok(fields.map(value).collect())
    }
}

/// Type and subtype of Content-Type, the type of Content-Disposition; nothing of other fields.
fn media(field: &Field) -> (String, String) {
    let lower = |raw: &[u8]| String::from_utf8_lossy(raw).to_ascii_lowercase();
    if field.is("Content-Type") {
        let content = content("Content-Type", field.value());
        return (lower(&content.media), lower(&content.subtype));
    }
    let disposition = match field.is("Content-Disposition") {
        true => content("Content-Disposition", field.value()).disposition,
        false => None,
    };
    (disposition.map_or(String::new(), |disposition| lower(&disposition.kind)), String::new())
}

/// The values of the parameters with these names. Any field may have some.
fn parameters(field: &Field, names: &[String]) -> Vec<String> {
    let Some((_, rest)) = field.value().split_once(';') else { return Vec::new() };
    let content = content("Content-Disposition", &format!("x;{rest}"));
    let parameters = content.disposition.map_or(Vec::new(), |disposition| disposition.parameters);
    let mut found = Vec::new();
    for parameter in parameters {
        let name = String::from_utf8_lossy(&parameter.name).into_owned();
        let (name, extended) = name.strip_suffix('*').map_or((name.as_str(), false), |name| (name, true));
        if names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
            found.push(match extended {
                true => percent_decoded(&parameter.value),
                false => ::mime::header_text(&parameter.value),
            });
        }
    }
    found
}

/// A field's value, read by the one who reads those of whole messages.
fn content(name: &str, value: &str) -> Content {
    Structure::parse(format!("{name}: {value}\r\n\r\n").as_bytes()).root.content
}

/// `charset'language'text`: RFC 2231 section 4.
fn percent_decoded(value: &[u8]) -> String {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, text) = match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => (&b""[..], value),
    };
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (behind, byte) = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => (tail.get(2..).unwrap_or_default(), (high * 16 + low) as u8),
            _ => (tail, first),
        };
        rest = behind;
        bytes.push(byte);
    }
    to_utf8(&bytes, charset)
}
