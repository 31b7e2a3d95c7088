//! Tables of what is meant to differ, each row with its reason. A row that holds no longer is a fault, as is a difference without one.
//!
//! `== reason`, and below it steps, `script: who: command`; below a step the lines that the first has alone (`  - …`) and those
//! that the second has alone (`  + …`), or `  ~ order`.

use std::collections::BTreeMap;

use super::alike::without_reason;

/// The rows of one comparison.
pub struct Table {
    rows: BTreeMap<String, Vec<String>>,
}

impl Table {
    pub fn read(text: &str) -> Table {
        let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut step = None;
        let mut has_reason = false;
        for line in text.lines().filter(|line| !line.is_empty()) {
            if line.starts_with("== ") {
                has_reason = true;
            } else if line.starts_with("  ") {
                let step = step.as_ref().expect("a step first");
                rows.entry(String::clone(step)).or_default().push(line.to_owned());
            } else {
                assert!(has_reason, "a reason first: {line}");
                assert!(rows.insert(line.to_owned(), Vec::new()).is_none(), "twice: {line}");
                step = Some(line.to_owned());
            }
        }
        Table { rows }
    }

    /// What differs in one step, where the table does not say so.
    pub fn judge(&mut self, step: &str, one: &[String], other: &[String]) -> Option<String> {
        let found = difference(one, other);
        match self.rows.remove(step) {
            Some(row) if row == found => None,
            None if found.is_empty() => None,
            row => {
                let stale = row.map(|row| format!("\n  the table says:\n{}", row.join("\n")));
                Some(found.join("\n") + &stale.unwrap_or_default())
            }
        }
    }

    /// Rows for steps that are not there.
    pub fn end(self) -> impl Iterator<Item = (String, String)> {
        self.rows.into_keys().map(|step| (step, "  there is no such step".to_owned()))
    }
}

fn difference(one: &[String], other: &[String]) -> Vec<String> {
    if one == other {
        return Vec::new();
    }
    // Whoever gives a reason where the other gives none says more, not something else.
    let same_result = match (one.last(), other.last()) {
        (Some(one), Some(other)) => {
            one != other
                && without_reason(one) == "NO"
                && without_reason(other) == "NO"
                && (one == "NO" || other == "NO")
        }
        _ => false,
    };
    let skip = usize::from(same_result);
    let (one, other) = (&one[..one.len() - skip], &other[..other.len() - skip]);
    if one == other {
        return Vec::new();
    }
    let mut rest: Vec<&String> = other.iter().collect();
    let mut found = Vec::new();
    for line in one {
        match rest.iter().position(|other| *other == line) {
            Some(at) => drop(rest.remove(at)),
            None => found.push(format!("  - {line}")),
        }
    }
    found.extend(rest.into_iter().map(|line| format!("  + {line}")));
    if found.is_empty() {
        found.push("  ~ order".to_owned());
    }
    found
}

#[test]
fn a_difference_needs_a_row_and_a_row_a_difference() {
    let lines = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let text = "== why\ns: me: X\n  - a\n  + b\ns: me: Y\n  ~ order\ns: me: Z\n  - a\n";
    let mut table = Table::read(text);
    let mut judge = |step, one, other| table.judge(step, &lines(one), &lines(other));
    assert_eq!(judge("s: me: X", "a c", "c b"), None);
    assert_eq!(judge("s: me: Y", "a c", "c a"), None);
    assert_eq!(judge("s: me: W", "a", "a"), None);
    assert_eq!(judge("s: me: V", "a", "b").as_deref(), Some("  - a\n  + b"));
    let rest: Vec<_> = table.end().collect();
    assert_eq!(rest, [("s: me: Z".to_owned(), "  there is no such step".to_owned())]);
}
