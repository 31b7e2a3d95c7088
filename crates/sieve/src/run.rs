//! A script as it goes through one message: op by op, with a budget, and no recursion.

use std::fmt;
use std::sync::Arc;

use crate::limits;
use crate::message::Message;
use crate::program::context::Context;
use crate::program::effect::{Effect, Outcome, Store, Target, Traced};
use crate::program::env::{Env, Envelope, Location};
use crate::program::error::RunError;
use crate::program::state::{Limits, State};
use crate::program::{Flow, Include, Op, Program};

/// One script and one message, for one recipient. Nothing of it is shared with another run, save the message, which does not change.
pub struct Run<'m> {
    message: &'m dyn Message,
    envelope: Envelope,
    limits: Limits,
    state: State,
    calls: Vec<Call>,
    /// What the last test said.
    answer: bool,
    /// The scripts that were included, for `:once`.
    included: Vec<(Location, String)>,
    includes: usize,
    /// The script that cannot be begun.
    broken: Option<RunError>,
}

/// A script that runs, or waits for the one that it includes.
#[derive(Debug)]
struct Call {
    program: Arc<Program>,
    next: usize,
    /// How it was included; none: it is the first.
    from: Option<(Location, String)>,
}

impl<'m> Run<'m> {
    pub fn new(
        program: Arc<Program>,
        message: &'m dyn Message,
        envelope: Envelope,
        limits: Limits,
    ) -> Run<'m> {
        let mut state = State::default();
        let broken = state.enter(&program.names).err();
        let calls = vec![Call { program, next: 0, from: None }];
        Run {
            message,
            envelope,
            limits,
            state,
            calls,
            answer: false,
            included: Vec::new(),
            includes: 0,
            broken,
        }
    }

    /// Goes on for at most `budget` steps, or a little more. None: it is not at the end; call again. After the outcome there is
    /// nothing more: another call gives an empty one, with the implicit keep.
    pub fn go(&mut self, env: &mut dyn Env, budget: u64) -> Option<Outcome> {
        if let Some(error) = self.broken.take() {
            return Some(self.failed(error));
        }
        let until = self.state.spent.get().saturating_add(budget);
        loop {
            match self.step(env) {
                Ok(true) if self.state.spent.get() >= until => return None,
                Ok(true) => {}
                Ok(false) => return Some(self.done()),
                Err(error) => return Some(self.failed(error)),
            }
        }
    }

    /// One op. Whether there may be more.
    fn step(&mut self, env: &mut dyn Env) -> Result<bool, RunError> {
        let Run { message, envelope, limits, state, calls, answer, .. } = self;
        let depth = calls.len();
        let Some(call) = calls.last_mut() else { return Ok(false) };
        let Some(op) = call.program.ops.get(call.next) else {
            self.calls.pop();
            self.state.leave();
            return Ok(!self.calls.is_empty());
        };
        let here = call.next;
        call.next += 1;
        let place = call.program.places.get(here).copied();
        let (line, name) = place.map_or((0, ""), |place| (place.line, place.name));
        let mut context = Context { state, message: *message, envelope, env, limits };
        let at_line = |error: RunError| if error.line == 0 { RunError { line, ..error } } else { error };
        context.charge(1).map_err(at_line)?;
        let flow = match op {
            Op::Answer(known) => {
                *answer = *known;
                Flow::Next
            }
            Op::Not => {
                *answer = !*answer;
                Flow::Next
            }
            Op::Jump(to) => Flow::Jump(*to),
            Op::JumpIf(wanted, to) if answer == wanted => Flow::Jump(*to),
            Op::JumpIf(..) => Flow::Next,
            Op::Test(test) => {
                *answer = test.test(&mut context).map_err(at_line)?;
                if limits.trace {
                    trace(state, depth, line, format!("{name}: {}", if *answer { "true" } else { "false" }));
                }
                Flow::Next
            }
            Op::Do(action) => {
                if limits.trace {
                    trace(context.state, depth, line, name.to_owned());
                }
                action.act(&mut context).map_err(at_line)?
            }
        };
        match flow {
            Flow::Next => {}
            Flow::Jump(to) => call.next = to,
            Flow::Stop => return Ok(false),
            Flow::Return => call.next = usize::MAX,
            Flow::Include(include) => self.include(include, env).map_err(at_line)?,
        }
        Ok(true)
    }

    /// Begins another script (RFC 6609 section 3.2).
    fn include(&mut self, include: Include, env: &mut dyn Env) -> Result<(), RunError> {
        let Include { location, name, once, optional } = include;
        let from = (location, name);
        if once && self.included.contains(&from) {
            return Ok(());
        }
        self.includes += 1;
        if self.includes > self.limits.includes {
            return Err(RunError::limit(&limits::rows::INCLUDES));
        }
        let name = &from.1;
        let program = match env.include(location, name) {
            Ok(Some(program)) => program,
            Ok(None) if optional => return Ok(()),
            Ok(None) => return Err(RunError::new(format!("include: there is no script {name}"))),
            Err(why) => return Err(RunError::new(format!("include of {name}: {why}"))),
        };
        let runs = |call: &Call| call.from.as_ref() == Some(&from) || Arc::ptr_eq(&call.program, &program);
        if self.calls.iter().any(runs) {
            return Err(RunError::new(format!("include: {name} includes itself")));
        }
        if self.calls.len() > self.limits.include_depth {
            return Err(RunError::limit(&limits::rows::INCLUDE_DEPTH));
        }
        self.state.enter(&program.names)?;
        if !self.included.contains(&from) {
            self.included.push(from.clone());
        }
        self.calls.push(Call { program, next: 0, from: Some(from) });
        Ok(())
    }

    fn done(&mut self) -> Outcome {
        self.calls.clear();
        let state = std::mem::take(&mut self.state);
        let keep = (!state.keep_cancelled).then(|| Store {
            target: state.keep_target.unwrap_or(Target::Keep),
            flags: state.flags,
            create: false,
            edits: state.edits,
        });
        Outcome { effects: state.effects, keep, error: None, log: state.log, trace: state.trace }
    }

    /// Nothing that was to be done is done, but what only reports (RFC 5228 section 2.10.6).
    fn failed(&mut self, error: RunError) -> Outcome {
        self.calls.clear();
        let mut state = std::mem::take(&mut self.state);
        state.effects.retain(|effect| matches!(effect, Effect::Notify(_)));
        let keep = Store { target: Target::Keep, flags: Vec::new(), create: false, edits: None };
        Outcome {
            effects: state.effects,
            keep: Some(keep),
            error: Some(error),
            log: state.log,
            trace: state.trace,
        }
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("calls", &self.calls).field("state", &self.state).finish_non_exhaustive()
    }
}

fn trace(state: &mut State, depth: usize, line: u32, text: String) {
    if state.trace.len() < limits::TRACE {
        state.trace.push(Traced { depth: depth - 1, line, text });
    }
}
