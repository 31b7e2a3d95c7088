//! From the tree of a script to its [`Program`]: every word is looked up in the tables of words, every mistake is reported, and
//! what is known now (constant strings, regular expressions, numbers of variables) is worked out now.
//!
//! The depth of a tree is bounded by the grammar, so that what calls itself here is bounded too.

mod arguments;
mod branches;
mod conflicts;
mod require;
mod strings;
mod variables;
mod word;

pub use arguments::Arguments;
pub use word::{CommandCheck, CommandWord, TestCheck, TestWord, Words};

use crate::extension::{Extension, Extensions};
use crate::limits;
use crate::problem::Problem;
use crate::program::env::Location;
use crate::program::{Names, Op, Place, Program};
use crate::tree::{Command, Test, Tests};
use variables::Variables;

/// A script that is being checked.
#[derive(Debug)]
pub struct Checker<'r> {
    words: &'r Words,
    accepted: Extensions,
    required: Extensions,
    /// Of those required, the ones that the script has a use for.
    used: Extensions,
    ops: Vec<Op>,
    places: Vec<Place>,
    place: Place,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Whether mistakes count: not where `ihave` has said that something is missing (RFC 5463 section 4).
    loose: bool,
    variables: Variables,
    includes: Vec<Included>,
    /// Bytes of the patterns that were made ready.
    patterns: usize,
    /// The loops over parts that are open (RFC 5703 section 3), the innermost last.
    pub loops: Vec<OpenLoop>,
}

/// A `foreverypart` whose block is being checked.
#[derive(Debug)]
pub struct OpenLoop {
    pub name: Option<String>,
    /// The ops that are to leave it, and how many loops each leaves.
    pub breaks: Vec<(usize, usize)>,
}

/// What a script is, and what is wrong with it, in the order of lines.
#[derive(Debug)]
pub struct Checked {
    pub program: Program,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    pub includes: Vec<Included>,
}

/// A script that another one includes by a constant name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    pub line: u32,
    pub location: Location,
    pub name: String,
    pub optional: bool,
}

impl<'r> Checker<'r> {
    pub fn new(words: &'r Words, accepted: Extensions) -> Checker<'r> {
        Checker {
            words,
            accepted,
            required: [Extension::Octet, Extension::AsciiCasemap].into_iter().collect(),
            used: Extensions::none(),
            ops: Vec::new(),
            places: Vec::new(),
            place: Place { line: 1, name: "" },
            problems: Vec::new(),
            warnings: Vec::new(),
            loose: false,
            variables: Variables::default(),
            patterns: 0,
            loops: Vec::new(),
            includes: Vec::new(),
        }
    }

    /// Checks a whole script.
    pub fn script(mut self, commands: &[Command]) -> Checked {
        let rest = self.requires(commands);
        self.block(rest);
        self.report_unused();
        self.report_conflicts();
        let names = Names {
            locals: self.variables.locals(),
            globals: self.variables.globals(),
            matches: self.required.contains(Extension::Variables),
        };
        self.problems.sort_by_key(|problem| problem.line);
        self.warnings.sort_by_key(|problem| problem.line);
        Checked {
            program: Program { ops: self.ops, places: self.places, names },
            problems: self.problems,
            warnings: self.warnings,
            includes: self.includes,
        }
    }

    /// The commands of a block, or of a whole script.
    pub fn block(&mut self, mut commands: &[Command]) {
        while let Some((command, rest)) = commands.split_first() {
            commands = rest;
            if command.name.eq_ignore_ascii_case("if") {
                let others = rest.iter().take_while(|next| is_branch(&next.name)).count();
                let (others, rest) = rest.split_at(others);
                self.branches(command, others);
                commands = rest;
            } else if is_branch(&command.name) {
                self.problem(command.line, format!("{} without an if before it", command.name));
            } else {
                self.command(command);
            }
        }
    }

    fn command(&mut self, command: &Command) {
        if command.name.eq_ignore_ascii_case("require") {
            return self.problem(command.line, "require must stand at the beginning of the script");
        }
        let Some(word) = self.words.command(&command.name) else {
            return self.problem(command.line, format!("unknown command {}", command.name));
        };
        if !self.may(word.needs, word.name, command.line) {
            return;
        }
        let place = std::mem::replace(&mut self.place, Place { line: command.line, name: word.name });
        match word.check {
            CommandCheck::Control(check) => check(self, command),
            CommandCheck::Action(check) => {
                if command.tests != Tests::None || command.block.is_some() {
                    let what = if command.block.is_some() { "block" } else { "test" };
                    self.problem(command.line, format!("{} takes no {what}", word.name));
                }
                let mut arguments = Arguments::new(self, word.name, command.line, &command.arguments);
                let action = check(&mut arguments);
                if arguments.end()
                    && let Some(action) = action
                {
                    self.emit(Op::Do(action));
                }
            }
        }
        self.place = place;
    }

    /// Makes the ops of a test, which leave its answer. What that is, if `ihave` alone decides it.
    pub fn condition(&mut self, test: &Test) -> Option<bool> {
        let Some(word) = self.words.test(&test.name) else {
            self.problem(test.line, format!("unknown test {}", test.name));
            return None;
        };
        if !self.may(word.needs, word.name, test.line) {
            return None;
        }
        let place = std::mem::replace(&mut self.place, Place { line: test.line, name: word.name });
        let known = match word.check {
            TestCheck::Control(check) => check(self, test),
            TestCheck::Test(check) => {
                if test.tests != Tests::None {
                    self.problem(test.line, format!("{} takes no test", word.name));
                }
                let mut arguments = Arguments::new(self, word.name, test.line, &test.arguments);
                let made = check(&mut arguments);
                if arguments.end()
                    && let Some(made) = made
                {
                    self.emit(Op::Test(made));
                }
                None
            }
        };
        self.place = place;
        known
    }

    /// Adds an op. Its number.
    pub(crate) fn emit(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.places.push(self.place);
        self.ops.len() - 1
    }

    /// The number of the next op.
    pub fn here(&self) -> usize {
        self.ops.len()
    }

    /// Puts another op where one was put to keep the place.
    pub(crate) fn patch(&mut self, at: usize, op: Op) {
        if let Some(place) = self.ops.get_mut(at) {
            *place = op;
        }
    }

    /// Takes the arguments of a command that makes its own ops. What is left over at [`Arguments::end`] is a mistake.
    pub fn arguments<'c>(&'c mut self, command: &'c Command) -> Arguments<'c, 'r> {
        let name = self.place.name;
        Arguments::new(self, name, command.line, &command.arguments)
    }

    /// The same of a test.
    pub fn test_arguments<'c>(&'c mut self, test: &'c Test) -> Arguments<'c, 'r> {
        let name = self.place.name;
        Arguments::new(self, name, test.line, &test.arguments)
    }

    /// Runs `check` where mistakes do not count, and forgets what it made.
    pub fn loosely(&mut self, check: impl FnOnce(&mut Self)) {
        let (loose, here) = (std::mem::replace(&mut self.loose, true), self.here());
        check(self);
        self.loose = loose;
        self.ops.truncate(here);
        self.places.truncate(here);
        self.loops.iter_mut().for_each(|open| open.breaks.retain(|(at, _)| *at < here));
    }

    pub fn problem(&mut self, line: u32, text: impl Into<String>) {
        if !self.loose && self.problems.len() < limits::PROBLEMS {
            self.problems.push(Problem::new(line, text));
        }
    }

    /// Notes that the script includes this one.
    pub fn includes(&mut self, included: Included) {
        if !self.loose {
            self.includes.push(included);
        }
    }

    /// Whether a pattern of so many bytes is not too much.
    pub fn has_room(&mut self, pattern: usize) -> bool {
        self.patterns = self.patterns.saturating_add(pattern);
        self.patterns <= limits::PATTERNS
    }

    pub fn warning(&mut self, line: u32, text: impl Into<String>) {
        if !self.loose && self.warnings.len() < limits::PROBLEMS {
            self.warnings.push(Problem::new(line, text));
        }
    }

    /// Whether the script has required this, and so may use it.
    pub fn has(&mut self, extension: Extension) -> bool {
        let has = self.required.contains(extension);
        if has {
            self.used.insert(extension);
        }
        has
    }

    /// Whether the script may use a word that needs one of these; reports it if not.
    fn may(&mut self, needs: &[Extension], name: &str, line: u32) -> bool {
        let mut may = needs.is_empty();
        for &extension in needs {
            may |= self.has(extension);
        }
        if let (false, Some(first)) = (may, needs.first()) {
            self.problem(line, format!("{name} needs require \"{}\"", first.name()));
        }
        may
    }
}

fn is_branch(name: &str) -> bool {
    ["elsif", "else"].iter().any(|word| word.eq_ignore_ascii_case(name))
}
