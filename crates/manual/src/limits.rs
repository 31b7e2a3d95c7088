//! docs/LIMITS.md, made from the tables that the code takes its numbers from. A test fails while the file is another.

use std::fmt::Write as _;

use bounds::{Limit, Table, Value};
use config::imapd::registry::find;

/// Every table, kind of session by kind of session.
pub const TABLES: &[&Table] = &[
    &service::limits::TABLE,
    &identity::limits::TABLE,
    &backend::imap::limits::TABLE,
    &imapproxy::limits::TABLE,
    &backend::pop3::limits::TABLE,
    &backend::nntp::limits::TABLE,
    &pop3proxy::limits::TABLE,
    &managesieve::limits::TABLE,
    &sieveproxy::limits::TABLE,
    &nntpproxy::limits::TABLE,
    &lmtp::limits::TABLE,
    &backend::lmtp::limits::TABLE,
    &submission::limits::TABLE,
    &lmtpproxy::limits::TABLE,
    &mupdate::server::limits::TABLE,
    &directory::serve::limits::TABLE,
    &directory::client::limits::TABLE,
    &directory::replica::limits::TABLE,
    &backend::limits::TABLE,
    &moves::limits::TABLE,
    &arrivals::limits::TABLE,
    &placement::limits::TABLE,
    &upstream::limits::TABLE,
    &transport::limits::TABLE,
    &work::limits::TABLE,
    &store::limits::TABLE,
    &sieve::limits::TABLE,
    &mailboxes::limits::TABLE,
    &authority_etcd::limits::TABLE,
    &files::limits::TABLE,
    &logs::limits::TABLE,
    &supervision::limits::TABLE,
    &master::limits::TABLE,
];

/// Keys of cyrus.conf that bound something.
const OF_CYRUS_CONF: &[&str] = &["maxchild", "maxforkrate"];

/// The whole file.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for table in TABLES {
        let _ = write!(page, "\n## {}\n\n{COLUMNS}", table.title);
        for row in table.rows {
            let [default, range, option] = setting(row);
            let (what, source) = (row.what.trim(), row.source);
            let _ = writeln!(page, "| `{}` | {what} | {default} | {range} | {option} | {source} |", row.name);
        }
    }
    page
}

/// Default, range and option of a row.
fn setting(row: &Limit) -> [String; 3] {
    let Some(name) = row.option else {
        return [row.value.to_string(), "fixed".to_owned(), "none".to_owned()];
    };
    let Some(option) = find(name) else {
        assert!(OF_CYRUS_CONF.contains(&name), "{}: there is no option {name}", row.name);
        return ["unset".to_owned(), "number, at least 0".to_owned(), format!("`{name}` of cyrus.conf")];
    };
    let default = if option.default.is_empty() { "unset" } else { option.default };
    let range = match row.value {
        Value::Option => option.kind.to_string(),
        least => format!("at least {least}"),
    };
    [default.to_owned(), range, format!("`{name}`")]
}

const HEAD: &str = "\
# Limits and timers

What each kind of session bounds, by how much, and where the number comes from. This file is made from the tables in the code; to
make it anew: `cargo run -p manual -- --limits docs/LIMITS.md`.

When somebody runs into a limit whose meeting matters, it is counted in the metric `murder_limits_met_total`, by the name in the
first column (its label `limit`), and logged at most once a minute, with that name, how often it was met, by whom, and what
followed. A number without an option is fixed. *Chosen* means that neither a standard nor Cyrus has the number; the reason follows.
";

const COLUMNS: &str = "\
| name | bounds | default | range | option | from |
| --- | --- | --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn docs_limits_md_has_what_the_code_bounds() {
        let file = include_str!("../../../docs/LIMITS.md");
        let stale = file.lines().zip(page().lines().map(str::to_owned)).find(|(old, new)| old != new);
        assert!(
            file == page(),
            "docs/LIMITS.md is stale ({stale:?}): cargo run -p manual -- --limits docs/LIMITS.md"
        );
    }

    #[test]
    fn a_limit_has_one_name_and_says_what_it_bounds_and_where_it_comes_from() {
        let mut names = BTreeSet::new();
        for row in TABLES.iter().flat_map(|table| table.rows) {
            assert!(names.insert(row.name), "{} stands twice", row.name);
            assert!(row.what.trim().ends_with('.') && !row.source.is_empty(), "{}", row.name);
        }
        assert!(names.len() > 200, "{}", names.len());
    }
}
