//! What a user may be called: at login, and in access control lists.

/// Whether a name is fit to be a user's: 1 to [`LONGEST`] bytes, and nothing in it that means something else in an access
/// control list, a mailbox name or a log. A `^` is how mailbox names write a dot, and what stands behind a `+` is a
/// folder: `a^b` would own the mailboxes of `a.b`, and `bob+x` would be taken for `bob` somewhere on the way.
pub fn is_valid(name: &str) -> bool {
    let forbidden = |c: char| {
        c.is_control() || matches!(c, '*' | '%' | '/' | '\\' | '"' | '!' | '{' | '}' | '<' | '>' | '^' | '+')
    };
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with(['-', '.', '~', '$'])
        && !name.contains(forbidden)
        && !name.starts_with("group:")
}

/// Who logs in without a name of their own (RFC 4505, `allowanonymouslogin`), as access control lists call them.
pub const ANONYMOUS: &str = "anonymous";

/// Bytes of a user's name.
pub const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_mistaken_is_no_name() {
        assert!(["fred", "fred.smith", "fred@example.org", "Fred Smith", "\u{e4}"].into_iter().all(is_valid));
        for name in [
            "", "-fred", ".fred", "~", "$x", "a^b", "bob+x", "a/b", "a*", "%", "d!fred", "a\u{9b}", "group:x",
        ] {
            assert!(!is_valid(name), "{name:?}");
        }
        assert!(is_valid(&"x".repeat(LONGEST)) && !is_valid(&"x".repeat(LONGEST + 1)));
    }
}
