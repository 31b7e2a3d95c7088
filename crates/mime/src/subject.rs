//! The base subject, by which SORT and THREAD compare: RFC 5256 section 2.1.
//!
//! ```text
//! subject      = *subj-leader [subj-middle] *subj-trailer
//! subj-refwd   = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
//! subj-blob    = "[" *BLOBCHAR "]" *WSP
//! subj-fwd     = subj-fwd-hdr subject subj-fwd-trl
//! subj-fwd-hdr = "[fwd:"
//! subj-fwd-trl = "]"
//! subj-leader  = (*subj-blob subj-refwd) / WSP
//! subj-trailer = "(fwd)" / WSP
//! BLOBCHAR     = all but "[" and "]"
//! ```

use super::words::header_text;

/// What a subject is without the marks of replies and forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSubject {
    /// As written, with each run of blanks as one space.
    pub text: String,
    /// Whether a mark of a reply or of forwarding was taken away.
    pub is_reply: bool,
}

impl BaseSubject {
    /// Of a Subject field's value, encoded words and folds and all.
    pub fn of(value: &[u8]) -> BaseSubject {
        let text = squeezed(&header_text(value));
        let (base, is_reply) = base(&text);
        BaseSubject { text: base.to_owned(), is_reply }
    }
}

/// Each run of blanks is one space; none around it.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Each turn takes something away, and nothing is looked at twice but the blobs in front of what stays.
fn base(mut text: &str) -> (&str, bool) {
    let mut is_reply = false;
    loop {
        // (2)
        text = text.trim_end_matches(' ');
        while let Some(shorter) = without_suffix(text, "(fwd)") {
            (text, is_reply) = (shorter.trim_end_matches(' '), true);
        }
        // (3) to (5)
        loop {
            text = text.trim_start_matches(' ');
            let (last, after) = blobs(text);
            if let Some(rest) = refwd(after) {
                (text, is_reply) = (rest, true);
                continue;
            }
            text = if after.is_empty() { last } else { after };
            break;
        }
        // (6)
        let Some(inside) = without_prefix(text, "[fwd:").and_then(|inside| inside.strip_suffix(']')) else {
            return (text, is_reply);
        };
        (text, is_reply) = (inside, true);
    }
}

/// Skips the blobs that a text begins with: from the last of them on, and behind them.
fn blobs(text: &str) -> (&str, &str) {
    let (mut last, mut rest) = (text, text);
    while let Some(after) = blob(rest) {
        (last, rest) = (rest, after);
    }
    (last, rest)
}

fn blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside.get(end..)?.strip_prefix(']')?.trim_start_matches(' '))
}

fn refwd(text: &str) -> Option<&str> {
    let rest = ["re", "fwd", "fw"].iter().find_map(|mark| without_prefix(text, mark))?;
    let rest = rest.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

fn without_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

fn without_suffix<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(value: &str) -> (String, bool) {
        let BaseSubject { text, is_reply } = BaseSubject::of(value.as_bytes());
        (text, is_reply)
    }

    /// By the rules of RFC 5256 section 2.1, one after the other.
    #[test]
    fn subjects_are_compared_without_marks_of_replies_and_lists() {
        for (value, text, is_reply) in [
            ("", "", false),
            ("hello", "hello", false),
            ("  hello\t\r\n  world  ", "hello world", false),
            ("=?utf-8?q?Re:_gr=C3=BC=C3=9Fe?=", "grüße", true),
            // (2) trailers
            ("hello (fwd)", "hello", true),
            ("hello (FWD) (fwd)  ", "hello", true),
            ("(fwd)", "", true),
            // (3) leaders
            ("Re: hello", "hello", true),
            ("RE : hello", "hello", true),
            ("re:hello", "hello", true),
            ("Fw: hello", "hello", true),
            ("fwd: hello", "hello", true),
            ("Re[2]: hello", "hello", true),
            ("Fwd [x] : hello", "hello", true),
            ("Fwd [x]: hello", "hello", true),
            ("[list] Re: hello", "hello", true),
            ("[a][b] [c] re: hello", "hello", true),
            ("Re: [list] Re: fwd: hello", "hello", true),
            ("Re", "Re", false),
            ("reply: hello", "reply: hello", false),
            ("Re: ", "", true),
            // (4) a blob goes only where something stays
            ("[list] hello", "hello", false),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [a]", "[a]", true),
            ("[a[b]] hello", "[a[b]] hello", false),
            ("[open hello", "[open hello", false),
            // (6) forwarding round it all
            ("[Fwd: hello]", "hello", true),
            ("[fwd: [fwd: Re: hello (fwd)]]", "hello", true),
            ("[Fwd: [list] hello]", "hello", true),
            ("Re: [Fwd: hello]", "hello", true),
            ("[fwd: hello] there", "there", false),
            ("[fwd:]", "", true),
        ] {
            assert_eq!(of(value), (text.to_owned(), is_reply), "{value:?}");
        }
    }

    #[test]
    fn a_hostile_subject_costs_no_more_than_its_length() {
        let piles = ["[a]", "re:", "[fwd:", "(fwd)", "[", "re [", "[a] re [b] : "];
        for pile in piles {
            of(&pile.repeat(200_000));
        }
        assert_eq!(of(&format!("{}x{}", "[fwd:".repeat(50_000), "]".repeat(50_000))), ("x".into(), true));
    }

    proptest! {
        /// What is a base subject has nothing to be taken away.
        #[test]
        fn a_base_subject_is_its_own(parts in proptest::collection::vec(
            prop_oneof![
                Just("re"), Just("Fwd"), Just("fw"), Just(":"), Just("["), Just("]"), Just("[x]"), Just(" "),
                Just("(fwd)"), Just("[fwd:"), Just("ü"), Just("\t"), Just("hello"),
            ], 0..12)
        ) {
            let subject = parts.concat();
            let (text, _) = of(&subject);
            prop_assert_eq!(of(&text), (text.clone(), false), "{}", subject);
        }

        #[test]
        fn replies_to_a_subject_have_its_base(subject in "[a-z:ü\\[\\] ]{0,20}") {
            let (text, _) = of(&subject);
            prop_assert_eq!(of(&format!("Re: {subject}")), (text.clone(), true));
            prop_assert_eq!(of(&format!("FWD: Re [3]: {subject} (fwd)")), (text, true));
        }
    }
}
