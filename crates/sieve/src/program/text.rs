//! The strings of a script: constant, or with variables in them (RFC 5229 section 3).

use std::borrow::Cow;

use super::context::Context;
use super::error::RunError;
use super::slot::{Slot, cut};
use crate::limits;

/// A string as a command has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Fixed(Box<str>),
    Parts(Box<[Piece]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Fixed(Box<str>),
    Variable(Slot),
}

impl Text {
    pub fn fixed(text: impl Into<Box<str>>) -> Text {
        Text::Fixed(text.into())
    }

    /// The text, if it is the same in each run.
    pub fn constant(&self) -> Option<&str> {
        match self {
            Text::Fixed(text) => Some(text),
            Text::Parts(_) => None,
        }
    }

    /// With the values of the variables. A text that is too long is cut.
    pub fn value<'c>(&'c self, context: &'c Context<'_>) -> Result<Cow<'c, str>, RunError> {
        match self {
            Text::Fixed(text) => Ok(Cow::Borrowed(text)),
            Text::Parts(parts) => match &parts[..] {
                [Piece::Variable(slot)] => Ok(Cow::Borrowed(context.state.get(*slot))),
                parts => joined(parts, context).map(Cow::Owned),
            },
        }
    }

    /// The same where there is no way to fail: what a run may not do any more is empty, and its next step fails.
    pub fn name<'c>(&'c self, context: &'c Context<'_>) -> Cow<'c, str> {
        self.value(context).unwrap_or_default()
    }

    /// The same, as a string of its own.
    pub fn owned(&self, context: &Context<'_>) -> Result<String, RunError> {
        self.value(context).map(Cow::into_owned)
    }
}

/// The values of several texts.
pub fn owned(texts: &[Text], context: &Context<'_>) -> Result<Vec<String>, RunError> {
    texts.iter().map(|text| text.owned(context)).collect()
}

fn joined(parts: &[Piece], context: &Context<'_>) -> Result<String, RunError> {
    let mut joined = String::new();
    for part in parts {
        let part = match part {
            Piece::Fixed(text) => text,
            Piece::Variable(slot) => context.state.get(*slot),
        };
        context.charge_bytes(part.len())?;
        joined.push_str(part);
        if joined.len() > limits::STRING {
            cut(&mut joined);
            break;
        }
    }
    Ok(joined)
}
