//! Texts as keys that are compared byte by byte: the collation `i;unicode-casemap`, RFC 5051.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The text as two texts are compared: upper case, characters decomposed.
pub fn casemap(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            true => Cow::Owned(text.to_ascii_uppercase()),
            false => Cow::Borrowed(text),
        };
    }
    Cow::Owned(text.chars().map(upper).nfkd().collect())
}

/// The simple mapping: one character for one, as the collation has it; `ß` stays.
fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => char,
    }
}

/// The longest beginning of at most `most` bytes that ends between two characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let fits = |&end: &usize| text.is_char_boundary(end);
    (0..=most.min(text.len())).rev().find(fits).and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_case_or_composition_is_the_same() {
        assert_eq!(casemap("Grüße 1"), "GRU\u{308}ßE 1");
        assert_eq!(casemap("GRU\u{308}ßE 1"), casemap("grüße 1"));
        assert_eq!(casemap("x²ﬁ"), "X2fi");
        assert_eq!(cut("aüb", 2), "a");
        assert_eq!(cut("aüb", 9), "aüb");
    }
}
