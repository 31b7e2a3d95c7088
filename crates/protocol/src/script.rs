//! Names of Sieve scripts (RFC 5804 section 1.6): any UTF-8 but controls, as they were given.

use std::fmt;
use std::sync::Arc;

/// A script's name: 1 to [`ScriptName::LONGEST`] octets of UTF-8 without `/` and without controls.
///
/// It is kept and compared octet by octet: what a client called a script is what it finds it by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptName(Arc<str>);

/// A text that no script can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid script name")]
pub struct BadScriptName;

impl ScriptName {
    /// Octets of a name, as in Cyrus.
    pub const LONGEST: usize = 1013;

    /// # Errors
    /// [`BadScriptName`]: it is empty, too long, or has a `/` or one of the characters that RFC 5804 section 1.6 forbids.
    pub fn parse(name: &str) -> Result<ScriptName, BadScriptName> {
        let fits = (1..=Self::LONGEST).contains(&name.len());
        if fits && !name.chars().any(is_forbidden) { Ok(ScriptName(name.into())) } else { Err(BadScriptName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_forbidden(character: char) -> bool {
    character == '/' || character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_called_anything_that_a_person_can_read() {
        let long = "x".repeat(ScriptName::LONGEST);
        for good in ["a", "vacation", "Ferien über Ostern ☃", "a \"quoted\" \\ one", "..", long.as_str()] {
            assert_eq!(ScriptName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        let longer = format!("{long}x");
        for bad in ["", "a/b", "a\nb", "\0", "\u{7f}", "\u{85}", "a\u{2028}", "\u{2029}", longer.as_str()] {
            assert_eq!(ScriptName::parse(bad), Err(BadScriptName), "{bad:?}");
        }
    }
}
