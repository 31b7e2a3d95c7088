//! From the bytes of a script to its program.

use std::sync::Arc;

use crate::check::{Checked, Checker, Included};
use crate::extension::Extensions;
use crate::grammar;
use crate::problem::Problem;
use crate::program::Program;
use crate::registry::WORDS;

/// A script that may run.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub program: Arc<Program>,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Problem>,
    /// The scripts that it includes, for who can see whether they are there.
    pub includes: Vec<Included>,
}

/// Checks a script. `accepted` is what it may `require`; what has been stored once is compiled with [`Extensions::all`].
///
/// # Errors
/// Every mistake, in the order of lines, at most [`limits::PROBLEMS`](crate::limits::PROBLEMS). Where the text itself is broken, what
/// follows is not looked at.
pub fn compile(script: &[u8], accepted: Extensions) -> Result<Compiled, Vec<Problem>> {
    let (commands, broken) = grammar::parse(script);
    let Checked { program, mut problems, warnings, includes } =
        Checker::new(&WORDS, accepted).script(&commands);
    problems.extend(broken);
    match problems.is_empty() {
        true => Ok(Compiled { program: Arc::new(program), warnings, includes }),
        false => Err(problems),
    }
}

/// The text of a script in its plain form: a command a line, without comments.
///
/// # Errors
/// The first place where it is no script. What its words mean is not looked at.
pub fn plain(script: &[u8]) -> Result<String, Problem> {
    match grammar::parse(script) {
        (commands, None) => Ok(commands.iter().map(ToString::to_string).collect()),
        (_, Some(problem)) => Err(problem),
    }
}
