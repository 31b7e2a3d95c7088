use proptest::prelude::*;

use super::*;
use crate::limits;

fn test(kind: Kind, comparator: Comparator, value: &str, key: &str) -> Option<Vec<String>> {
    let tags = MatchTags { kind, comparator };
    assert_eq!(tags.problem(), None);
    Key::first(&[Key::new(tags, key).unwrap()], value, true)
}

fn is_true(kind: Kind, comparator: Comparator, value: &str, key: &str) -> bool {
    test(kind, comparator, value, key).is_some()
}

fn matches(value: &str, key: &str) -> Option<Vec<String>> {
    test(Kind::Matches, Comparator::AsciiCasemap, value, key)
}

fn regex(value: &str, key: &str) -> Option<Vec<String>> {
    test(Kind::Regex, Comparator::AsciiCasemap, value, key)
}

#[test]
fn each_comparator_sees_what_its_standard_says() {
    use Comparator::*;
    use Kind::{Contains, Is};
    for (kind, comparator, value, key, expected) in [
        (Is, Octet, "Grüße", "Grüße", true),
        (Is, Octet, "Grüße", "grüße", false),
        (Is, AsciiCasemap, "GRüßE", "grüße", true),
        (Is, AsciiCasemap, "GRÜßE", "grüße", false),
        (Is, UnicodeCasemap, "GRÜßE", "gru\u{308}ße", true),
        (Is, AsciiNumeric, "0042x", "42", true),
        (Is, AsciiNumeric, "x", "", true),
        (Is, AsciiNumeric, "-1", "x", true),
        (Is, AsciiNumeric, "1", "x", false),
        (Is, AsciiNumeric, "000", "0", true),
        (Is, AsciiNumeric, "18446744073709551617", "1", false),
        (Contains, Octet, "abcABC", "cA", true),
        (Contains, Octet, "abc", "B", false),
        (Contains, AsciiCasemap, "abc", "B", true),
        (Contains, AsciiCasemap, "", "", true),
        (Contains, UnicodeCasemap, "dÉjà", "éJ", true),
    ] {
        assert_eq!(is_true(kind, comparator, value, key), expected, "{kind:?} {comparator:?} {value} {key}");
    }
}

#[test]
fn numbers_and_texts_are_ordered_by_each_relation() {
    use Relation::*;
    let ordered =
        |relation, comparator, value: &str, key: &str| is_true(Kind::Value(relation), comparator, value, key);
    for (value, key, true_ones) in [
        ("2", "10", [Lt, Le, Ne]),
        ("10", "10", [Ge, Le, Eq]),
        ("99999999999999999999999", "10", [Gt, Ge, Ne]),
        ("none", "10", [Gt, Ge, Ne]),
        ("none", "", [Ge, Le, Eq]),
    ] {
        for relation in [Gt, Ge, Lt, Le, Eq, Ne] {
            let holds = ordered(relation, Comparator::AsciiNumeric, value, key);
            assert_eq!(holds, true_ones.contains(&relation), "{value} {relation:?} {key}");
        }
    }
    assert!(ordered(Gt, Comparator::Octet, "2", "10"));
    assert!(ordered(Lt, Comparator::AsciiCasemap, "a", "B"));
    assert!(ordered(Gt, Comparator::AsciiCasemap, "_", "a"));
    assert_eq!(Relation::parse("GE"), Some(Ge));
    assert_eq!(Relation::parse("above"), None);
}

#[test]
fn count_counts_the_values_under_each_comparator() {
    for comparator in [Comparator::AsciiNumeric, Comparator::AsciiCasemap] {
        let key = Key::new(MatchTags { kind: Kind::Count(Relation::Ge), comparator }, "3").unwrap();
        assert!(!key.counts(2) && key.counts(3) && key.counts(10));
    }
}

#[test]
fn a_numeric_comparator_has_no_parts_of_a_text() {
    for kind in [Kind::Contains, Kind::Matches, Kind::Regex] {
        assert!(MatchTags { kind, comparator: Comparator::AsciiNumeric }.problem().is_some());
        assert_eq!(MatchTags { kind, comparator: Comparator::Octet }.problem(), None);
    }
}

#[test]
fn wildcards_capture_as_little_as_they_can() {
    for (value, key, captured) in [
        ("", "", Some(vec![""])),
        ("", "*", Some(vec!["", ""])),
        ("", "?", None),
        ("frop", "frop", Some(vec!["frop"])),
        ("frops", "frop", None),
        // RFC 5229 section 3.2.
        (
            "[acme-users] [fwd] version 1.0 is out",
            "[*] *",
            Some(vec!["[acme-users] [fwd] version 1.0 is out", "acme-users", "[fwd] version 1.0 is out"]),
        ),
        ("[\"a\"]  foo", "[*]*?oo", Some(vec!["[\"a\"]  foo", "\"a\"", "  ", "f"])),
        ("abab", "*ab", Some(vec!["abab", "ab"])),
        ("abab", "*b*", Some(vec!["abab", "a", "ab"])),
        ("aba", "a*a", Some(vec!["aba", "b"])),
        ("a", "a*a", None),
        ("abc", "**c", Some(vec!["abc", "", "ab"])),
        ("a*b", r"a\*?", Some(vec!["a*b", "b"])),
        ("axb", r"a\*b", None),
        (r"a\", r"*\\", Some(vec![r"a\", "a"])),
        (r"a\", r"a\", Some(vec![r"a\"])),
        ("GRün", "gr?N", None),
        ("GRün", "gr??N", Some(vec!["GRün", "\u{fffd}", "\u{fffd}"])),
        ("GRün", "g*N", Some(vec!["GRün", "Rü"])),
        ("xaab", "*a?b", Some(vec!["xaab", "x", "a"])),
    ] {
        let expected = captured.map(|texts: Vec<&str>| texts.into_iter().map(String::from).collect());
        assert_eq!(matches(value, key), expected, "{value} {key}");
    }
    let octet = |value: &str, key: &str| is_true(Kind::Matches, Comparator::Octet, value, key);
    assert!(octet("ü", "??") && !octet("ü", "?") && octet("ü", "*") && !octet("A", "a"));
    let unicode = |value, key| test(Kind::Matches, Comparator::UnicodeCasemap, value, key);
    assert_eq!(
        unicode("Dé\u{301}jÀ vu", "d?J? *"),
        Some(["Dé\u{301}jÀ vu", "é\u{301}", "À", "vu"].map(String::from).to_vec())
    );
    assert_eq!(
        unicode("De\u{301}jA\u{300}", "*é?à"),
        Some(["De\u{301}jA\u{300}", "D", "j"].map(String::from).to_vec())
    );
    assert_eq!(unicode("oﬁn", "*ﬁ*"), Some(["oﬁn", "o", "n"].map(String::from).to_vec()));
}

#[test]
fn many_stars_take_no_time() {
    let text = "a".repeat(200);
    assert_eq!(matches(&text, &format!("{}b", "*a".repeat(20))), None);
    let long = "a".repeat(1 << 16);
    assert_eq!(matches(&long, &format!("{}?b*", "*a?a".repeat(5_000))), None);
    assert_eq!(matches(&long, &format!("*{}?{}b*", "a".repeat(300), "a".repeat(300))), None);
    assert_eq!(matches(&long, &format!("*{}b*", "a".repeat(30_000))), None);
    assert!(matches(&long, &"*a".repeat(10_000)).is_some_and(|texts| texts.len() == limits::CAPTURES));
    let tags = MatchTags { kind: Kind::Matches, ..MatchTags::default() };
    assert!(Key::new(tags, &"?".repeat(5000)).is_err());
    let letters: Vec<char> = ('\u{4e00}'..).take(6000).collect();
    let many: String = letters.iter().flat_map(|letter| ['*', *letter, '?']).collect();
    assert!(Key::new(tags, &many).unwrap().size() < 4 << 20);
    let wide: String = letters.chunks(300).flat_map(|some| some.iter().chain(&['?', '*'])).collect();
    assert!(Key::new(tags, &wide).unwrap().size() < 4 << 20);
    let fits = wide.replace('*', "").replace('?', "x");
    assert!(matches(&fits, &wide).is_some());
}

#[test]
fn regular_expressions_are_read_as_posix_and_pcre_both_write_them() {
    for (value, key, captured) in [
        ("frop", "FR(.)p", Some(vec!["frop", "o"])),
        ("a.b", r"a\.b", Some(vec!["a.b"])),
        ("axb", r"a\.b", None),
        ("a]b", "a[]]b", Some(vec!["a]b"])),
        ("a]b", "a[^]]b", None),
        ("a]b", r"a[\]]b", Some(vec!["a]b"])),
        ("a-b", "[a-]-b", Some(vec!["a-b"])),
        ("a[b", "a[[:alpha:][]b", Some(vec!["a[b"])),
        ("a&&b", "a[&&]+b", Some(vec!["a&&b"])),
        ("a~-b", "a[~~-]+b", Some(vec!["a~-b"])),
        ("12", "^[[:digit:]]{2}$", Some(vec!["12"])),
        ("aaa", "^a{,3}$", Some(vec!["aaa"])),
        ("a{b", "a{b", Some(vec!["a{b"])),
        ("x y", r"^[\w]\s\w$", Some(vec!["x y"])),
        ("b", "(a)|(b)", Some(vec!["b", "", "b"])),
        ("a\nb", "a.b", Some(vec!["a\nb"])),
        ("a<b", r"a\<b", None),
        ("a b", r"a \<b\>", Some(vec!["a b"])),
        ("grüße", "gr.ße", Some(vec!["grüße"])),
        ("a.b", "a[[.period.].]b", None),
        ("a.b", "a[[...]x]b", Some(vec!["a.b"])),
        (r"a\b", r"a[\\]b", Some(vec![r"a\b"])),
    ] {
        if key.contains("[.period.]") {
            let tags = MatchTags { kind: Kind::Regex, ..MatchTags::default() };
            assert!(Key::new(tags, key).is_err());
            continue;
        }
        let expected = captured.map(|texts: Vec<&str>| texts.into_iter().map(String::from).collect());
        assert_eq!(regex(value, key), expected, "{value} {key}");
    }
    let octet = |value: &str, key: &str| is_true(Kind::Regex, Comparator::Octet, value, key);
    assert!(octet("frop", "frop") && !octet("FROP", "frop"));
}

#[test]
fn a_bad_or_huge_regular_expression_is_refused_with_its_reason() {
    let tags = MatchTags { kind: Kind::Regex, ..MatchTags::default() };
    for (key, reason) in [
        ("(", "unclosed group"),
        ("[a", "unclosed"),
        (r"(a)\1", "backreferences"),
        ("*a", "repetition"),
        ("a{3,2}", "invalid repetition"),
        ("[z-a]", "range"),
        ("[[:frop:]]", "class"),
        ("((a{1000}){1000}){1000}", "size"),
    ] {
        let problem = Key::new(tags, key).unwrap_err().0;
        assert!(problem.contains(reason), "{key}: {problem}");
        assert!(!problem.contains('\n'), "{key}: {problem}");
    }
}

/// The rules of RFC 5228 and RFC 5229 by trying everything, shortest first.
fn naive(text: &[char], key: &[char]) -> Option<Vec<String>> {
    match key.split_first() {
        None => text.is_empty().then(Vec::new),
        Some(('*', rest)) => (0..=text.len()).find_map(|taken| {
            let mut found = naive(&text[taken..], rest)?;
            found.insert(0, text[..taken].iter().collect());
            Some(found)
        }),
        Some(('?', rest)) => {
            let (first, text) = text.split_first()?;
            let mut found = naive(text, rest)?;
            found.insert(0, first.to_string());
            Some(found)
        }
        Some(('\\', rest)) if !rest.is_empty() => {
            (text.first() == rest.first()).then(|| naive(&text[1..], &rest[1..])).flatten()
        }
        Some((char, rest)) => (text.first() == Some(char)).then(|| naive(&text[1..], rest)).flatten(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn wildcards_find_what_trying_everything_finds(text in "[abü]{0,12}", key in "[abü*?\\\\]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive(&chars(&text), &chars(&key)).map(|mut found| {
            found.insert(0, text.clone());
            found
        });
        prop_assert_eq!(test(Kind::Matches, Comparator::UnicodeCasemap, &text, &key), expected);
    }

    #[test]
    fn the_octets_of_wildcards_are_found_too(text in "[ab]{0,12}", key in "[ab*?]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for comparator in [Comparator::Octet, Comparator::AsciiCasemap] {
            let found = test(Kind::Matches, comparator, &text, &key).map(|texts| texts[1..].to_vec());
            prop_assert_eq!(found, naive(&chars(&text), &chars(&key)));
        }
    }

    #[test]
    fn no_regular_expression_panics(key in "\\PC{0,20}", pieces in "[\\[\\]\\\\^$.*+?(){}|:a-c0-9,=-]{0,20}") {
        let tags = MatchTags { kind: Kind::Regex, ..MatchTags::default() };
        for key in [key, pieces] {
            if let Ok(key) = Key::new(tags, &key) {
                Key::first(&[key], "abc[0]", true);
            }
        }
    }
}
