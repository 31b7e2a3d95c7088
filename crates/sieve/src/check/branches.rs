//! `if`, `elsif` and `else` (RFC 5228 section 3.1).

use super::Checker;
use crate::program::{Op, Place};
use crate::tree::{Command, Tests};

/// What is known of the branches so far.
#[derive(Default)]
struct Chain {
    /// The jumps from the ends of branches to the end of all.
    ends: Vec<usize>,
    /// An earlier branch is always taken.
    taken: bool,
    /// `else` was there.
    closed: bool,
}

impl Checker<'_> {
    pub(super) fn branches(&mut self, first: &Command, others: &[Command]) {
        let mut chain = Chain::default();
        for (at, command) in std::iter::once(first).chain(others).enumerate() {
            if chain.closed {
                self.problem(command.line, format!("{} behind else", command.name));
            }
            let taken = chain.taken;
            let last = at == others.len();
            if taken {
                self.loosely(|checker| checker.branch(command, last, &mut chain));
            } else {
                self.branch(command, last, &mut chain);
            }
        }
        let end = self.here();
        for jump in chain.ends {
            self.patch(jump, Op::Jump(end));
        }
    }

    fn branch(&mut self, command: &Command, last: bool, chain: &mut Chain) {
        let is_else = command.name.eq_ignore_ascii_case("else");
        chain.closed |= is_else;
        let name = if is_else { "else" } else { "if" };
        let place = std::mem::replace(&mut self.place, Place { line: command.line, name });
        if !command.arguments.is_empty() {
            self.problem(command.line, format!("{} takes no arguments", command.name));
        }
        let known = match (&command.tests, is_else) {
            (Tests::One(test), false) => self.condition(test),
            (Tests::None, true) => Some(true),
            (_, true) => {
                self.problem(command.line, "else takes no test");
                None
            }
            (_, false) => {
                self.problem(command.line, format!("{} takes one test", command.name));
                None
            }
        };
        let skip = (!is_else).then(|| self.emit(Op::Not));
        let Some(block) = &command.block else {
            self.place = place;
            return self.problem(command.line, format!("{} takes a block", command.name));
        };
        if known == Some(false) {
            self.loosely(|checker| checker.block(block));
        } else {
            self.block(block);
        }
        chain.taken |= known == Some(true);
        if !last {
            chain.ends.push(self.emit(Op::Not));
        }
        if let Some(skip) = skip {
            let here = self.here();
            self.patch(skip, Op::JumpIf(false, here));
        }
        self.place = place;
    }
}
