//! RCPT: RFC 5321, and Cyrus's IGNOREQUOTA.
//!
//! ```text
//! rcpt = "RCPT" SP "TO:" path [SP "IGNOREQUOTA"]
//! ```

use super::{CommandError, Path};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rcpt {
    pub to: Path,
    pub ignore_quota: bool,
}

impl Rcpt {
    /// Reads what follows the verb.
    pub(super) fn parse(rest: &[u8]) -> Result<Rcpt, CommandError> {
        let (to, parameters) = Path::parse(after_keyword(rest, b"TO:")?)?;
        if to.is_empty() {
            return Err(CommandError::Parameters);
        }
        let mut rcpt = Rcpt { to, ignore_quota: false };
        for parameter in words(parameters) {
            match parameter.to_ascii_uppercase().as_slice() {
                b"IGNOREQUOTA" => rcpt.ignore_quota = true,
                _ => return Err(CommandError::Unrecognized),
            }
        }
        Ok(rcpt)
    }
}

/// What follows `FROM:` or `TO:`, blanks after the colon tolerated.
pub(super) fn after_keyword<'t>(text: &'t [u8], keyword: &[u8]) -> Result<&'t [u8], CommandError> {
    let (head, tail) = text.split_at_checked(keyword.len()).ok_or(CommandError::Parameters)?;
    if head.eq_ignore_ascii_case(keyword) {
        Ok(tail.trim_ascii_start())
    } else {
        Err(CommandError::Parameters)
    }
}

pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read() {
        let rcpt = Rcpt::parse(b"TO:<fred+x@y> ignorequota").unwrap();
        assert_eq!((rcpt.to.local(), rcpt.ignore_quota), (b"fred+x".as_slice(), true));
        assert_eq!(Rcpt::parse(b"TO:<>"), Err(CommandError::Parameters));
        assert_eq!(Rcpt::parse(b"TO:<fred> NOTIFY=NEVER"), Err(CommandError::Unrecognized));
    }
}
