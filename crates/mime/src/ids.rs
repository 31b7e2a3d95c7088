//! Message-ids, by which THREAD puts answers below what they answer. RFC 5322 section 3.6.4, RFC 5256 section 2.2.

/// The message-ids of a Message-ID, References or In-Reply-To field, normalised: without angle brackets, blanks, comments
/// and the quotes that the left side does not need. What is no message-id is passed over.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let at = rest.iter().position(|&byte| byte == b'<')?;
            rest = rest.get(at + 1..).unwrap_or_default();
            let (id, after) = normalised(rest);
            rest = after;
            if id.is_some() {
                return id;
            }
        }
    })
}

/// Reads up to the `>` or to what cannot stand in a message-id; what follows.
fn normalised(text: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let (left, mut rest) = match text.trim_ascii_start().strip_prefix(b"\"") {
        Some(quoted) => unquoted(quoted),
        None => (Vec::new(), text),
    };
    let (mut id, mut at) = (left, None);
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'>' => {
                let whole = at.is_some_and(|at| at > 0 && at + 1 < id.len());
                return (whole.then_some(id), tail);
            }
            // The one before was never closed.
            b'<' => return (None, rest),
            b' ' | b'\t' | b'\r' | b'\n' | 0 => {}
            _ => {
                if byte == b'@' {
                    at = Some(id.len());
                }
                id.push(byte);
            }
        }
        rest = tail;
    }
    (None, rest)
}

/// A left side in quotes, the first of which was read. Where it needs them they stay, with what they quote.
fn unquoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut plain, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let rest = text.get(at + 1..).unwrap_or_default();
                if is_dot_atom(&plain) {
                    return (plain, rest);
                }
                let mut quoted = vec![b'"'];
                for byte in plain {
                    if matches!(byte, b'"' | b'\\') {
                        quoted.push(b'\\');
                    }
                    quoted.push(byte);
                }
                quoted.push(b'"');
                return (quoted, rest);
            }
            b'\\' => at += 1,
            _ => {}
        }
        plain.extend(text.get(at));
        at += 1;
    }
    (Vec::new(), &[])
}

fn is_dot_atom(text: &[u8]) -> bool {
    let is_atom = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|&b| b > b' ' && b != 0x7f && !br#"()<>[]:;@\,.""#.contains(&b))
    };
    text.split(|&byte| byte == b'.').all(is_atom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(value: &str) -> Vec<String> {
        message_ids(value.as_bytes()).map(|id| String::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn message_ids_are_found_among_whatever_stands_beside_them() {
        for (value, expected) in [
            ("<a@b>", &["a@b"][..]),
            ("<a@b> <c@d>\r\n\t<e@f>", &["a@b", "c@d", "e@f"]),
            ("<a@b><c@d>", &["a@b", "c@d"]),
            ("Your message of \"Mon\" <a@b> (comment)", &["a@b"]),
            // RFC 5256: these are the same.
            (r#"<"01KF8JCEOCBS0045PS"@xxx.yyy.com>"#, &["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
            (
                r#"<"a b"@c> <"a\"b"@c> <"a.b"@c> <".a"@c>"#,
                &[r#""a b"@c"#, r#""a\"b"@c"#, "a.b@c", r#"".a"@c"#],
            ),
            ("< a @ b >", &["a@b"]),
            ("a@b", &[]),
            ("<a> <@b> <a@> <> < >", &[]),
            ("<open <a@b>", &["a@b"]),
            ("<a@b", &[]),
            ("<a@b@c>", &["a@b@c"]),
        ] {
            assert_eq!(ids(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_id_is_found_again(left in "[a-z.\" \\\\]{1,8}", right in "[a-z.]{1,8}") {
            let quoted = left.replace('\\', "\\\\").replace('"', "\\\"");
            let once = ids(&format!("<\"{quoted}\"@{right}>"));
            prop_assert_eq!(once.len(), 1);
            prop_assert_eq!(ids(&format!("<{}>", once[0])), once);
        }
    }
}
