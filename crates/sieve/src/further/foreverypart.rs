//! `foreverypart` and `break`: RFC 5703 section 3.
//!
//! ```text
//! foreverypart [":name" string] block
//! break [":name" string]
//! ```
//!
//! The parts come in the order in which they stand in the message, each before those in it, the message itself first. A loop in a loop
//! goes through the parts that are in the outer one's.

use crate::check::{Checker, OpenLoop};
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::state::PartLoop;
use crate::program::{Action, Flow, Op};
use crate::tree::{Command, Tests};

/// Begins a loop, or goes behind it.
#[derive(Debug)]
struct Begin {
    end: usize,
}

/// Goes to the next part.
#[derive(Debug)]
struct Next {
    start: usize,
}

/// Leaves so many loops.
#[derive(Debug)]
struct Break {
    loops: usize,
    end: usize,
}

pub(super) fn check(checker: &mut Checker<'_>, command: &Command) {
    let mut arguments = checker.arguments(command);
    let name = arguments.tagged_constant(":name", None);
    if !arguments.end() {
        return;
    }
    let (Some(block), Tests::None) = (&command.block, &command.tests) else {
        return checker.problem(command.line, "foreverypart takes a block, and no test");
    };
    let begin = checker.emit(Op::Answer(false));
    checker.loops.push(OpenLoop { name, breaks: Vec::new() });
    checker.block(block);
    checker.emit(Op::Do(Box::new(Next { start: begin + 1 })));
    let end = checker.here();
    checker.patch(begin, Op::Do(Box::new(Begin { end })));
    for (at, loops) in checker.loops.pop().map_or(Vec::new(), |open| open.breaks) {
        checker.patch(at, Op::Do(Box::new(Break { loops, end })));
    }
}

pub(super) fn check_break(checker: &mut Checker<'_>, command: &Command) {
    let mut arguments = checker.arguments(command);
    let name = arguments.tagged_constant(":name", None);
    if !arguments.end() {
        return;
    }
    if command.block.is_some() || command.tests != Tests::None {
        return checker.problem(command.line, "break takes no block and no test");
    }
    let wanted = |open: &OpenLoop| name.is_none() || open.name == name;
    let Some(found) = checker.loops.iter().rposition(wanted) else {
        let text = match name {
            Some(name) => format!("break: there is no loop {name:?} around it"),
            None => "break without a loop around it".to_owned(),
        };
        return checker.problem(command.line, text);
    };
    let loops = checker.loops.len() - found;
    let at = checker.emit(Op::Answer(false));
    if let Some(open) = checker.loops.get_mut(found) {
        open.breaks.push((at, loops));
    }
}

impl Action for Begin {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let parts = context.message.parts();
        let (at, end) = match context.state.open_loop() {
            None => (0, parts.len()),
            Some(outer) => {
                let depth = parts.get(outer.at).map_or(0, |part| part.depth);
                let below = parts.iter().skip(outer.at + 1).take_while(|part| part.depth > depth);
                (outer.at + 1, outer.at + 1 + below.count())
            }
        };
        if at >= end {
            return Ok(Flow::Jump(self.end));
        }
        context.charge((end - at) as u64 / 8)?;
        context.state.begin_loop(PartLoop { at, end });
        Ok(Flow::Next)
    }
}

impl Action for Next {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        Ok(if context.state.next_part() { Flow::Jump(self.start) } else { Flow::Next })
    }
}

impl Action for Break {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        context.state.end_loops(self.loops);
        Ok(Flow::Jump(self.end))
    }
}
