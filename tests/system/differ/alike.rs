//! What is compared of an answer: exactly, but for what differs from one run to the next; or by meaning, as a client takes it.

use super::play::Answer;

/// Ids, dates of now and the names of servers do not count.
pub fn exact(answer: &Answer, command: &str) -> Vec<String> {
    let mut lines: Vec<&String> = answer.untagged.iter().collect();
    if command.starts_with("ESEARCH") {
        lines.sort();
    }
    lines.into_iter().chain([&answer.result]).map(|line| escaped(&steady(line))).collect()
}

/// Nor do texts for people, modification sequences, and the order of what has none. The tagged line is the last.
pub fn meaning(answer: &Answer, command: &str) -> Vec<String> {
    let mut lines: Vec<String> = answer.untagged.iter().map(|line| meant(&steady(line))).collect();
    lines.retain(|line| !says_nothing(line));
    if has_no_order(command) {
        lines.sort();
    }
    lines.push(result(&steady(&answer.result)));
    lines.into_iter().map(|line| escaped(&line)).collect()
}

/// What no client looks at: words without a code, and what Cyrus says of the rest of a line that it did not understand, as if that
/// were a command. Cyrus has annotations of messages and URLs in its SELECT.
fn says_nothing(line: &str) -> bool {
    let is_answer = line.starts_with("* ") || line.starts_with('+');
    !is_answer
        || [
            "* OK",
            "* BAD",
            "* OK [ANNOTATIONS 65536]",
            "* OK [ANNOTATIONS READ-ONLY]",
            "* OK [URLMECH INTERNAL]",
        ]
        .contains(&line)
}

/// The same without a code that only says why: Cyrus 3.6 has hardly any of those of RFC 5530.
pub fn without_reason(line: &str) -> &str {
    let reasons = [
        "NONEXISTENT",
        "NOPERM",
        "ALREADYEXISTS",
        "CANNOT",
        "READ-ONLY",
        "OVERQUOTA",
        "AUTHENTICATIONFAILED",
    ];
    match line.strip_prefix("NO [").and_then(|line| line.strip_suffix(']')) {
        Some(code) if reasons.contains(&code) => "NO",
        _ => line,
    }
}

fn has_no_order(command: &str) -> bool {
    let verb = command.split(' ').next().unwrap_or_default();
    let verbs = ["LIST", "LSUB", "XLIST", "SELECT", "EXAMINE", "GETMETADATA", "GETACL", "GETQUOTAROOT"];
    verbs.contains(&verb) || ["ESEARCH", "APPEND", "NOOP"].contains(&verb)
}

fn escaped(line: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    line.chars().map(escape).collect()
}

/// Without what no two servers have alike.
fn steady(line: &str) -> String {
    let mut line = names(&dates(line));
    for word in ["UIDVALIDITY", "APPENDUID", "COPYUID"] {
        line = replace_behind(&line, word, "V");
    }
    for word in ["MAILBOXID", "EMAILID", "THREADID"] {
        line = replace_behind(&line, word, "ID");
    }
    for (host, name) in [("backend1.demo.test", "HOST1"), ("backend2.demo.test", "HOST2")] {
        line = line.replace(host, name);
    }
    for (host, name) in
        [("be1.murder.test", "HOST1"), ("be2.murder.test", "HOST2"), ("fe1.murder.test", "DOOR")]
    {
        line = line.replace(host, name);
    }
    line.replace("frontend1.demo.test", "DOOR")
}

/// The users and the shared mailbox of a script have its number: `ann05`.
fn names(line: &str) -> String {
    let mut line = line.to_owned();
    for name in ["ann", "bob", "there"] {
        let mut out = String::new();
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once(name) {
            out.push_str(before);
            out.push_str(name);
            let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
            rest = if digits == 2 { after.get(2..).unwrap_or_default() } else { after };
        }
        line = out + rest;
    }
    line
}

/// The word behind this one becomes another; NIL stays.
fn replace_behind(line: &str, word: &str, with: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(&format!("{word} ")) {
        let open = after.len() - after.trim_start_matches('(').len();
        let (bracket, value) = after.split_at(open);
        let end = value.find([' ', ')', ']']).unwrap_or(value.len());
        let (value, behind) = value.split_at(end);
        let value = if value == "NIL" || value.is_empty() { value } else { with };
        out.push_str(&format!("{before}{word} {bracket}{value}"));
        rest = behind;
    }
    out + rest
}

/// Dates of the present become one word: `02-Nov-2026 10:00:00 +0000`.
fn dates(line: &str) -> String {
    let shape = |text: &str| {
        let fits = |(c, like): (char, char)| match like {
            '0' => c.is_ascii_digit() || c == ' ',
            'a' => c.is_ascii_alphabetic(),
            '+' => c == '+' || c == '-',
            other => c == other,
        };
        let like = "00-aaa-0000 00:00:00 +0000";
        text.len() >= like.len()
            && text.is_char_boundary(like.len())
            && text.chars().zip(like.chars()).all(fits)
    };
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if shape(rest) && rest.get(7..11).is_some_and(|year| year >= "2024") {
            out.push_str("DATE");
            rest = rest.get(26..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// The kind and the code.
fn result(line: &str) -> String {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    if kind == "*" {
        return meant(line);
    }
    match code(rest) {
        Some(code) => format!("{kind} [{code}]"),
        None => kind.to_owned(),
    }
}

/// A response code, its modification sequence left out and its flags in order.
fn code(text: &str) -> Option<String> {
    let inside = text.strip_prefix('[')?;
    let (code, _) = inside.split_once(']')?;
    let code = replace_behind(code, "MODSEQ", "M");
    let nodes = parse(&code);
    Some(match nodes.as_slice() {
        [Node::Text(word), Node::List(flags)] if word == "PERMANENTFLAGS" => {
            format!("PERMANENTFLAGS ({})", sorted(flags, 1))
        }
        _ => code,
    })
}

fn meant(line: &str) -> String {
    let Some(rest) = line.strip_prefix("* ") else {
        return if line.starts_with('+') { "+".to_owned() } else { line.to_owned() };
    };
    for kind in ["OK", "NO", "BAD", "BYE", "PREAUTH"] {
        if let Some(text) = rest.strip_prefix(kind).filter(|text| text.starts_with(' ')) {
            let meanwhile =
                text.strip_prefix(" meanwhile ").map(|text| format!(" meanwhile {}", result(text)));
            let told = code(text.trim_start()).map(|code| format!(" [{code}]")).or(meanwhile);
            return format!("* {kind}{}", told.unwrap_or_default());
        }
    }
    let rest = replace_behind(&replace_behind(rest, "MODSEQ", "M"), "TAG", "t");
    let nodes = parse(&rest);
    format!("* {}", untagged(&nodes))
}

fn untagged(nodes: &[Node]) -> String {
    use Node::{List, Text};
    match nodes {
        [Text(number), Text(word), List(items)] if word == "FETCH" || word == "UIDFETCH" => {
            let mut pairs: Vec<String> = items.chunks(2).map(pair).collect();
            pairs.sort();
            format!("{number} {word} ({})", pairs.join(" "))
        }
        [Text(word), List(flags)] if word == "FLAGS" => format!("FLAGS ({})", sorted(flags, 1)),
        [Text(word), List(_)] if word == "ID" => "ID".to_owned(),
        [Text(word), List(attributes), rest @ ..] if ["LIST", "LSUB", "XLIST"].contains(&word.as_str()) => {
            format!("{word} ({}) {}", sorted(attributes, 1), print_all(rest))
        }
        [Text(word), mailbox, List(items)] if ["STATUS", "METADATA"].contains(&word.as_str()) => {
            format!("{word} {} ({})", mailbox.print(), sorted(items, 2))
        }
        [Text(word), root, List(items)] if word == "QUOTA" => {
            format!("{word} {} ({})", root.print(), sorted(items, 3))
        }
        [Text(word), rest @ ..] if ["CAPABILITY", "ENABLED"].contains(&word.as_str()) => {
            format!("{word} {}", sorted(rest, 1))
        }
        [Text(word), mailbox, rest @ ..] if word == "ACL" => {
            let pairs: Vec<Node> = rest.chunks(2).map(|pair| Text(rights(pair))).collect();
            format!("{word} {} {}", mailbox.print(), sorted(&pairs, 1))
        }
        [Text(word), mailbox, rest] if word == "MYRIGHTS" => {
            format!("{word} {} {}", mailbox.print(), rights(std::slice::from_ref(rest)))
        }
        [Text(word), mailbox, who, rest @ ..] if word == "LISTRIGHTS" => {
            let sets: Vec<Node> = rest.iter().map(|set| Text(rights(std::slice::from_ref(set)))).collect();
            format!("{word} {} {} {}", mailbox.print(), who.print(), sorted(&sets, 1))
        }
        [Text(word), List(tag), rest @ ..] if word == "ESEARCH" => {
            let (uid, items) = match rest {
                [Text(uid), items @ ..] if uid == "UID" => (" UID", items),
                items => ("", items),
            };
            format!("ESEARCH ({}){uid} {}", print_all(tag), sorted(items, 2))
        }
        nodes => print_all(nodes),
    }
}

/// The letters of rights in their order, behind whose they are.
fn rights(pair: &[Node]) -> String {
    let mut words: Vec<String> = pair.iter().map(Node::print).collect();
    if let Some(last) = words.last_mut() {
        let mut letters: Vec<char> = last.chars().collect();
        letters.sort_unstable();
        *last = letters.into_iter().collect();
    }
    words.join(" ")
}

fn pair(pair: &[Node]) -> String {
    match pair {
        [Node::Text(key), Node::List(flags)] if key == "FLAGS" => format!("FLAGS ({})", sorted(flags, 1)),
        other => print_all(other),
    }
}

/// Groups of so many, in the order of their texts.
fn sorted(nodes: &[Node], size: usize) -> String {
    let mut groups: Vec<String> = nodes.chunks(size).map(print_all).collect();
    groups.sort();
    groups.join(" ")
}

fn print_all(nodes: &[Node]) -> String {
    nodes.iter().map(Node::print).collect::<Vec<_>>().join(" ")
}

/// A word or a string, or what stands in parentheses.
enum Node {
    Text(String),
    Quoted(String),
    List(Vec<Node>),
}

impl Node {
    /// A string is printed as a word where it could be one: a server may choose.
    fn print(&self) -> String {
        match self {
            Node::Text(text) => text.clone(),
            Node::Quoted(text) => {
                let is_word = |c: char| c.is_ascii_graphic() && !"(){}%*\"\\".contains(c);
                if text.is_empty() || text.eq_ignore_ascii_case("NIL") || !text.chars().all(is_word) {
                    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
                } else {
                    text.clone()
                }
            }
            Node::List(nodes) => format!("({})", print_all(nodes)),
        }
    }
}

fn parse(text: &str) -> Vec<Node> {
    let mut chars = text.chars().peekable();
    list(&mut chars)
}

/// Up to the closing parenthesis or the end.
fn list(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    while let Some(&c) = chars.peek() {
        match c {
            ' ' => drop(chars.next()),
            ')' => {
                chars.next();
                return nodes;
            }
            '(' => {
                chars.next();
                nodes.push(Node::List(list(chars)));
            }
            '"' => {
                chars.next();
                let mut string = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    string.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                nodes.push(Node::Quoted(string));
            }
            _ => nodes.push(Node::Text(word(chars))),
        }
    }
    nodes
}

/// A word; what stands in its brackets belongs to it.
fn word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::new();
    let mut depth = 0_usize;
    while let Some(&c) = chars.peek() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ' ' | '(' | ')' if depth == 0 => break,
            _ => {}
        }
        word.push(c);
        chars.next();
    }
    word
}

#[test]
fn answers_that_mean_the_same_are_alike() {
    let alike = |one: &str, other: &str| assert_eq!(meant(one), meant(other));
    alike("* 1 FETCH (UID 1 FLAGS (\\Seen x))", "* 1 FETCH (FLAGS (x \\Seen) UID 1)");
    alike("* 1 FETCH (BODY[HEADER.FIELDS (A B)] \"x\")", "* 1 FETCH (BODY[HEADER.FIELDS (A B)] x)");
    alike("* LIST (\\A \\B) \"/\" \"x\"", "* LIST (\\B \\A) \"/\" x");
    alike("* OK [HIGHESTMODSEQ 5] Ok", "* OK [HIGHESTMODSEQ 77] fine");
    assert_ne!(meant("* 1 FETCH (UID 1)"), meant("* 1 FETCH (UID 2)"));
    assert_ne!(meant("* OK [UIDNEXT 5] Ok"), meant("* OK [UIDNEXT 6] Ok"));
    assert_ne!(meant("* 1 FETCH (BODY[] \"NIL\")"), meant("* 1 FETCH (BODY[] NIL)"));
    assert_eq!(dates("x 02-Nov-2026 10:00:00 +0000 y"), "x DATE y");
    assert_eq!(dates("x 02-Nov-1996 10:00:00 +0000 y"), "x 02-Nov-1996 10:00:00 +0000 y");
}
