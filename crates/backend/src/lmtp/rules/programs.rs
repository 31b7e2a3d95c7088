//! Compiled scripts, by the digest of what was uploaded: compiled once, whoever has the same script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sieve::{Extensions, Program};
use store::Script;

use super::super::limits::{PROGRAMS, rows};

/// What became of a script; an error says what is wrong with it, with the line.
pub(super) type Compiled = Result<Arc<Program>, Arc<str>>;

/// The scripts that were compiled.
#[derive(Default)]
pub(super) struct Programs {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    programs: HashMap<[u8; 32], Compiled>,
    /// Of the scripts themselves.
    bytes: usize,
}

impl Programs {
    /// What is known of a script already.
    pub fn known(&self, script: &Script) -> Option<Compiled> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).programs.get(&script.digest).cloned()
    }

    /// Compiles a script, if it was not. A stored script may use every extension, whatever may be uploaded now.
    pub fn compile(&self, script: &Script) -> Compiled {
        if let Some(known) = self.known(script) {
            return known;
        }
        let compiled = match sieve::compile(&script.content, Extensions::all()) {
            Ok(compiled) => Ok(compiled.program),
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                Err(Arc::from(problem))
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes + script.content.len() > PROGRAMS {
            rows::PROGRAMS.met("as many scripts are compiled as are kept: they are compiled anew");
            *known = Known::default();
        }
        known.bytes += script.content.len();
        known.programs.insert(script.digest, compiled.clone());
        compiled
    }
}
