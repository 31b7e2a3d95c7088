//! `keep`, `discard` and `stop` (RFC 5228 sections 4.3, 4.4, 3.3).

use crate::check::Arguments;
use crate::program::context::Context;
use crate::program::effect::{Store, Target};
use crate::program::error::RunError;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Keep;

pub(super) fn keep(_arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Keep))
}

impl Action for Keep {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let store = Store {
            target: Target::Keep,
            flags: context.state.flags.clone(),
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
