//! `keep`, `discard` and `stop` (RFC 5228 sections 4.3, 4.4, 3.3).

use super::flags;
use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::effect::{Store, Target};
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Keep {
    flags: Option<Vec<Text>>,
}

pub(super) fn keep(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let flags = arguments.tagged_strings(":flags", Some(Extension::Imap4flags));
    Some(Box::new(Keep { flags }))
}

impl Action for Keep {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let store = Store {
            target: Target::Keep,
            flags: flags::of_message(self.flags.as_deref(), context)?,
            create: false,
            edits: context.state.edits.clone(),
        };
        context.store(store, false)?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Discard;

pub(super) fn discard(_arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Discard))
}

impl Action for Discard {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        context.discard()?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Stop;

pub(super) fn stop(_arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Stop))
}

impl Action for Stop {
    fn act(&self, _context: &mut Context<'_>) -> Result<Flow, RunError> {
        Ok(Flow::Stop)
    }
}
