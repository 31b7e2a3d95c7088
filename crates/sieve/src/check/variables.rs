//! The names of a script's variables, and where each stands in a run (RFC 5229 section 3, RFC 6609 section 3.4).

use crate::limits;
use crate::program::slot::Slot;

/// The variables of a script, by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Variables {
    known: Vec<(String, Slot)>,
    locals: usize,
    globals: Vec<String>,
}

impl Variables {
    pub fn locals(&self) -> usize {
        self.locals
    }

    pub fn globals(&self) -> Vec<String> {
        self.globals.clone()
    }

    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.known.len().max(self.globals.len()) < limits::VARIABLES
    }

    pub fn find(&self, name: &str) -> Option<Slot> {
        self.known.iter().find(|(known, _)| known == name).map(|&(_, slot)| slot)
    }

    pub fn local(&mut self, name: String) -> Slot {
        let slot = Slot::Local(self.locals);
        self.locals += 1;
        self.known.push((name, slot));
        slot
    }

    /// The shared variable of this name. From `global` on, the name alone means it.
    /// None: there are too many.
    pub fn global(&mut self, name: &str) -> Option<Slot> {
        let known = self.globals.iter().position(|known| known == name);
        if known.is_none() && self.has_room() {
            self.globals.push(name.to_owned());
            return Some(Slot::Global(self.globals.len() - 1));
        }
        known.map(Slot::Global)
    }

    pub fn declare(&mut self, name: String, slot: Slot) {
        self.known.push((name, slot));
    }
}

/// `identifier = (ALPHA / "_") *(ALPHA / DIGIT / "_")`
pub fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
