//! What both TOML forms share: places in the text, quoting, and the comments that a parser drops.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The line, from 1, that a byte of the text lies in.
pub(crate) fn line_of(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().fold(1u32, |line, byte| line.saturating_add(u32::from(*byte == b'\n')))
}

/// A value as the Cyrus-style files write it: one line of text.
pub(crate) fn plain(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if text.contains(['\n', '\0']) => Err("a value is one line of text".into()),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(true) => Ok("yes".into()),
        DeValue::Boolean(false) => Ok("no".into()),
        DeValue::Integer(number) => {
            match (i64::from_str_radix(number.as_str(), number.radix()), number.radix()) {
                (Ok(number), 8) => Ok(format!("0{number:o}")),
                (Ok(number), 16) => Ok(format!("{number:#x}")),
                (Ok(number), _) => Ok(number.to_string()),
                (Err(_), _) => Err("the number is too large".into()),
            }
        }
        DeValue::Array(all) => {
            let words: Result<Vec<String>, String> = all.iter().map(|word| plain(word.get_ref())).collect();
            let words = words?;
            match words.iter().find(|word| word.is_empty() || word.contains(char::is_whitespace)) {
                Some(word) => {
                    Err(format!("'{word}' cannot stand in a list: a word without blanks is wanted"))
                }
                None => Ok(words.join(" ")),
            }
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Err("text, a number, true, false or an array of words is wanted".into())
        }
    }
}

/// A TOML string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number that TOML writes as the Cyrus-style files do: without sign, leading zeros or blanks.
pub(crate) fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits == "0" && text == "0"
        || digits.len() < 18
            && digits.bytes().all(|b| b.is_ascii_digit())
            && digits.starts_with(|c: char| ('1'..='9').contains(&c))
}

/// The comments (with their `#`) and empty lines of a text whose parsed form is `table`, with their offsets.
pub(crate) fn comments(text: &str, table: &DeTable<'_>) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    leaves(table, &mut spans);
    spans.sort_by_key(|span| span.start);
    let mut spans = spans.into_iter().peekable();
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let mut at = start;
        // The first # of the line that is outside keys and values.
        let hash = loop {
            while spans.next_if(|span| span.end <= at).is_some() {}
            let hash = text.get(at..end).and_then(|rest| rest.find('#')).map(|i| at + i);
            match (hash, spans.peek()) {
                (Some(hash), Some(span)) if span.end <= hash => at = span.end,
                (Some(hash), Some(span)) if span.start <= hash => at = span.end.min(end),
                (hash, _) => break hash,
            }
            if at >= end {
                break None;
            }
        };
        let inside = spans.peek().is_some_and(|span| span.start < start);
        if let Some(comment) = hash.and_then(|hash| text.get(hash..end)) {
            found.push((start, comment.trim_end().to_owned()));
        } else if line.trim().is_empty() && !inside {
            found.push((start, String::new()));
        }
        start = end;
    }
    found
}

/// The places of all keys and of all values that hold no others.
fn leaves(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        spans.push(key.span());
        leaf(value.get_ref(), value.span(), spans);
    }
}

fn leaf(value: &DeValue<'_>, span: Range<usize>, spans: &mut Vec<Range<usize>>) {
    match value {
        DeValue::Table(inner) => leaves(inner, spans),
        DeValue::Array(all) => all.iter().for_each(|value| leaf(value.get_ref(), value.span(), spans)),
        _ => spans.push(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_hashes_in_values() {
        let text = "# first\na = \"#no\" # yes\n\nb = [ # in\n \"x#y\",\n]\n'#k' = '''\n# no\n'''\n#last";
        let table = DeTable::parse(text).unwrap();
        let found: Vec<String> = comments(text, table.get_ref()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(found, ["# first", "# yes", "", "# in", "#last"]);
    }
}
