//! What one run knows and has gathered. Nothing of it is shared with another run.

use std::cell::Cell;
use std::sync::Arc;

use super::Names;
use super::effect::{Effect, Target, Traced};
use super::error::RunError;
use super::slot::{Slot, cut};
use crate::limits;
use crate::message::Edits;

/// What one run may do. The defaults are the table of `limits.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub instructions: u64,
    pub actions: usize,
    /// 0 forbids `redirect`.
    pub redirects: usize,
    pub includes: usize,
    pub include_depth: usize,
    /// Whether to keep what each step did.
    pub trace: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            instructions: limits::INSTRUCTIONS,
            actions: limits::ACTIONS,
            redirects: limits::REDIRECTS,
            includes: limits::INCLUDES,
            include_depth: limits::INCLUDE_DEPTH,
            trace: false,
        }
    }
}

/// What a run has come to.
#[derive(Debug, Default)]
pub struct State {
    /// Of the scripts that include each other, the one that runs last.
    pub(crate) scopes: Vec<Scope>,
    /// Variables that all scripts share, by name.
    globals: Vec<(String, String)>,
    /// The internal variable of imap4flags (RFC 5232 section 2).
    pub flags: Vec<String>,
    /// The header as `addheader` and `deleteheader` have left it.
    pub edits: Option<Arc<Edits>>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) keep_cancelled: bool,
    pub(crate) keep_target: Option<Target>,
    pub(crate) log: Vec<String>,
    pub(crate) trace: Vec<Traced>,
    pub(crate) spent: Cell<u64>,
}

/// The variables of a script.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    locals: Vec<String>,
    /// Where in the run's globals each of the script's stands.
    globals: Vec<usize>,
    /// Match variables, `${0}` first (RFC 5229 section 3.2).
    matched: Vec<String>,
    /// Whether the script remembers matches.
    matches: bool,
    /// The loops over parts that it is in (RFC 5703 section 3), the innermost last.
    loops: Vec<PartLoop>,
}

/// A loop over the MIME parts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartLoop {
    /// The number of the part that it is at.
    pub at: usize,
    /// Behind the last one.
    pub end: usize,
}

impl State {
    /// Begins a script: its own variables are empty.
    pub(crate) fn enter(&mut self, names: &Names) -> Result<(), RunError> {
        let mut scope =
            Scope { locals: vec![String::new(); names.locals], matches: names.matches, ..Scope::default() };
        for name in &names.globals {
            scope.globals.push(self.global(name)?);
        }
        self.scopes.push(scope);
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// The number of the part that a loop is at; the message itself where there is no loop.
    pub fn part(&self) -> usize {
        self.open_loop().map_or(0, |open| open.at)
    }

    /// The innermost loop over parts; a script that includes this one may be in it.
    pub(crate) fn open_loop(&self) -> Option<PartLoop> {
        self.scopes.iter().rev().find_map(|scope| scope.loops.last()).copied()
    }

    pub(crate) fn begin_loop(&mut self, begun: PartLoop) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.loops.push(begun);
        }
    }

    /// Goes to the next part of the innermost loop. Or ends that, if there is none.
    pub(crate) fn next_part(&mut self) -> bool {
        let Some(scope) = self.scopes.last_mut() else { return false };
        if let Some(open) = scope.loops.last_mut()
            && open.at + 1 < open.end
        {
            open.at += 1;
            return true;
        }
        scope.loops.pop();
        false
    }

    /// Ends so many loops of the script that runs.
    pub(crate) fn end_loops(&mut self, count: usize) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.loops.truncate(scope.loops.len().saturating_sub(count));
        }
    }

    /// Where the global variable of this name stands.
    fn global(&mut self, name: &str) -> Result<usize, RunError> {
        if let Some(at) = self.globals.iter().position(|(known, _)| known == name) {
            return Ok(at);
        }
        if self.globals.len() >= limits::VARIABLES {
            return Err(RunError::limit(&limits::rows::VARIABLES));
        }
        self.globals.push((name.to_owned(), String::new()));
        Ok(self.globals.len() - 1)
    }

    pub fn get(&self, slot: Slot) -> &str {
        let Some(scope) = self.scopes.last() else { return "" };
        match slot {
            Slot::Local(at) => scope.locals.get(at).map_or("", String::as_str),
            Slot::Global(at) => {
                let global = scope.globals.get(at).and_then(|&at| self.globals.get(at));
                global.map_or("", |(_, value)| value)
            }
            Slot::Match(at) => scope.matched.get(at).map_or("", String::as_str),
        }
    }

    /// What is too long is cut.
    pub fn set(&mut self, slot: Slot, mut value: String) {
        cut(&mut value);
        let Some(scope) = self.scopes.last_mut() else { return };
        let place = match slot {
            Slot::Local(at) => scope.locals.get_mut(at),
            Slot::Global(at) => {
                let global = scope.globals.get(at).and_then(|&at| self.globals.get_mut(at));
                global.map(|(_, value)| value)
            }
            Slot::Match(_) => None,
        };
        if let Some(place) = place {
            *place = value;
        }
    }

    /// Whether the script that runs has a use for what a match has found.
    pub fn remembers_matches(&self) -> bool {
        self.scopes.last().is_some_and(|scope| scope.matches)
    }

    /// After a successful match of `:matches` or `:regex`: the whole, and what each wildcard stands for.
    pub fn set_matched(&mut self, mut found: Vec<String>) {
        found.iter_mut().for_each(cut);
        if let Some(scope) = self.scopes.last_mut().filter(|scope| scope.matches) {
            scope.matched = found;
        }
    }
}
