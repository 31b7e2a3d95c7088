//! A checked script as it runs: steps in a row, with jumps, so that a run needs no stack but that of its includes.
//!
//! ```text
//! if allof(A, B) { X; } else { Y; }
//!
//!   0 test A        sets the answer
//!   1 jump 3 if no
//!   2 test B
//!   3 jump 6 if no
//!   4 do X
//!   5 jump 7
//!   6 do Y
//! ```
//!
//! Each command is an [`Action`], each test a [`Test`]; what they may look at and change is a [`Context`].

pub mod context;
pub mod effect;
pub mod env;
pub mod error;
pub mod slot;
pub mod state;
pub mod text;

use std::fmt;

use context::Context;
use error::RunError;

/// A checked script. It is immutable, and many runs use it at once.
#[derive(Debug)]
pub struct Program {
    pub(crate) ops: Vec<Op>,
    /// Of each op: where it stands in the script, and what it is called there.
    pub(crate) places: Vec<Place>,
    pub(crate) names: Names,
}

/// The variables of a script. An op knows them by their number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    /// How many are the script's own.
    pub locals: usize,
    /// Those that it shares with all scripts of the run (RFC 6609 section 3.4), in lower case.
    pub globals: Vec<String>,
    /// Whether matches are to be remembered at all (RFC 5229 section 3.2).
    pub matches: bool,
}

/// Where an op stands in the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    /// The name of the command or test.
    pub name: &'static str,
}

/// One step.
#[derive(Debug)]
pub(crate) enum Op {
    /// The answer is what the test says.
    Test(Box<dyn Test>),
    /// The answer is this.
    Answer(bool),
    /// The answer is turned round.
    Not,
    Jump(usize),
    /// Jumps if the answer is the given one.
    JumpIf(bool, usize),
    Do(Box<dyn Action>),
}

/// A test as it runs.
pub trait Test: fmt::Debug + Send + Sync {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError>;
}

/// A command as it runs.
pub trait Action: fmt::Debug + Send + Sync {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError>;
}

/// Where a run goes after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    Next,
    /// To an op of the same program, by its number.
    Jump(usize),
    /// The whole run ends (`stop`).
    Stop,
    /// This script ends (`return`).
    Return,
    /// Another script runs, and then this one goes on.
    Include(Include),
}

/// `include` (RFC 6609 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    pub location: env::Location,
    pub name: String,
    pub once: bool,
    pub optional: bool,
}
