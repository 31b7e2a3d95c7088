//! What is wrong with a script.

use std::fmt;

/// One mistake, or something that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: u32,
    pub text: String,
}

impl Problem {
    pub fn new(line: u32, text: impl Into<String>) -> Problem {
        Problem { line, text: text.into() }
    }
}

/// As ManageSieve and `sievec` show it: `line 4: text`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}
