//! Where the values of variables stand, and how long they may be.

use crate::limits;

/// Where a variable stands. What it is called is forgotten when the script is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The script's own.
    Local(usize),
    /// One of those that the script shares.
    Global(usize),
    /// `${0}` and on.
    Match(usize),
}

/// Cuts a text that is too long, between two characters.
pub(crate) fn cut(text: &mut String) {
    if text.len() > limits::STRING {
        let end = (0..=limits::STRING).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text.truncate(end);
    }
}
