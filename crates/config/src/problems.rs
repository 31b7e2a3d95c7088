//! Mistakes and doubts about a configuration file, each with its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Exit code of a program whose configuration is wrong (sysexits' EX_CONFIG).
pub const EX_CONFIG: u8 = 78;

/// One thing to say about one line: `file:line: key: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: Arc<Path>,
    /// Counted from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// The option, entry or section meant; empty where the line has none.
    pub key: String,
    pub message: String,
}

impl Problem {
    pub fn new(file: &Arc<Path>, line: u32, key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { file: file.clone(), line, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with a configuration, one line each in its Display.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// A single problem with a file as a whole, such as one that cannot be read.
    pub fn of_file(path: &Path, message: impl Into<String>) -> Problems {
        let file: Arc<Path> = Arc::from(PathBuf::from(path));
        Problems(vec![Problem::new(&file, 0, "", message)])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok(value)` when nothing is wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
