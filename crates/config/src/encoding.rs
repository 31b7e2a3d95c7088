//! Files that are not UTF-8 throughout: comments in Latin-1 stand in many a site's file, and harm nobody. In a setting such a byte
//! could mean anything, so there it is an error.

use std::io;
use std::path::Path;

/// The text of a configuration file, as the parsers want it.
pub fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read(path).map(decode)
}

/// The text of a file; what is no UTF-8 becomes [`DAMAGE`]. A byte order mark in front is left out.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// Refuses a line that counts and was damaged.
pub(crate) fn check(line: &str) -> Result<(), String> {
    match line.contains(DAMAGE) {
        true => Err("the line is not UTF-8 text".to_owned()),
        false => Ok(()),
    }
}

const DAMAGE: char = char::REPLACEMENT_CHARACTER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_is_told_from_utf_8_and_a_mark_in_front_is_nothing() {
        assert_eq!(decode("\u{feff}f\u{fc}r".as_bytes().to_vec()), "f\u{fc}r");
        assert!(check("f\u{fc}r").is_ok());
        assert!(check(&decode(b"f\xfcr".to_vec())).is_err());
    }
}
