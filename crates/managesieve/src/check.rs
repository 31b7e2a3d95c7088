//! The checking of a script that a client wants to store.

use std::fmt::Display;

use config::imapd::Imapd;
use sieve::{Extensions, Included};
use work::aside::weighed;

/// What scripts may require, and what a server announces.
#[derive(Debug, Clone, Copy)]
pub struct Accepted(Extensions);

/// A script that may be stored.
pub struct Checked {
    /// What is probably not meant, a line each; empty: nothing.
    pub warnings: String,
    pub includes: Vec<Included>,
}

impl Accepted {
    /// As `sieve_extensions` has it; unset: all. What it names beside them was logged at the start.
    pub fn of(imapd: &Imapd) -> Accepted {
        match imapd.sieve_extensions.is_empty() {
            true => Accepted(Extensions::all()),
            false => Accepted(Extensions::parse(imapd.sieve_extensions.iter().map(String::as_str)).0),
        }
    }

    /// The SIEVE capability.
    pub fn words(self) -> String {
        self.0.to_string()
    }

    /// The NOTIFY capability.
    pub fn notify(self) -> Option<&'static str> {
        self.0.contains(sieve::Extension::Enotify).then_some("mailto")
    }

    /// Checks a script; on a blocking thread where that takes long. The error is all that is wrong with it, a line each.
    pub async fn check(self, script: Vec<u8>) -> Result<Checked, String> {
        let compiled = weighed(script.len() / WORD, move || sieve::compile(&script, self.0)).await;
        match compiled {
            Ok(compiled) => Ok(Checked { warnings: lines(&compiled.warnings), includes: compiled.includes }),
            Err(problems) => Err(lines(&problems)),
        }
    }
}

/// Bytes of a script that take about as long as some hundred bytes that are only looked at.
const WORD: usize = 16;

fn lines(problems: &[impl Display]) -> String {
    problems.iter().map(|problem| format!("{problem}\r\n")).collect()
}
