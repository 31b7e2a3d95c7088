//! Servers that take no new mailboxes, by an operator's word: kept by the master beside its entries, and told to frontends of
//! ours. They are no entries: nothing that lists mailboxes shows them, and who does not know them hears nothing of them.

use std::collections::BTreeMap;

use protocol::location::ServerName;

use crate::codec::{DecodeError, Reader, put_number};
use crate::{
    error::CommitError,
    limits::{CORDONS, rows},
};

/// The servers, and since when, epoch seconds.
pub type Cordons = BTreeMap<ServerName, u64>;

/// What changes: the time, or none for a server that takes mailboxes again.
pub(crate) type Change = (ServerName, Option<u64>);

/// What a wish makes of what is known and what is changed already; none: it is so.
pub(crate) fn change(
    known: &Cordons,
    changed: &[Change],
    server: ServerName,
    cordoned: bool,
    now: u64,
) -> Result<Option<Change>, CommitError> {
    let latest = changed.iter().rev().find(|(name, _)| *name == server);
    let is = latest.map_or_else(|| known.contains_key(&server), |(_, since)| since.is_some());
    if is == cordoned {
        return Ok(None);
    }
    if cordoned && known.len().saturating_add(changed.len()) >= CORDONS {
        rows::CORDONS.met(format_args!("{server}: so many servers are cordoned that one more is refused"));
        return Err(CommitError::Cordons);
    }
    Ok(Some((server, cordoned.then_some(now))))
}

/// What makes one of them the other.
pub(crate) fn difference(from: &Cordons, to: &Cordons) -> Vec<Change> {
    let gone = from.keys().filter(|server| !to.contains_key(*server)).map(|server| (server.clone(), None));
    let new = to.iter().filter(|(server, since)| from.get(*server) != Some(*since));
    gone.chain(new.map(|(server, since)| (server.clone(), Some(*since)))).collect()
}

/// A row: version, time.
pub fn encode(since: u64) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, since);
    out
}

/// What [`encode`] gave.
pub fn decode(bytes: &[u8]) -> Result<u64, DecodeError> {
    let mut r = Reader(bytes);
    r.version(VERSION)?;
    r.number()
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::parse(name).unwrap()
    }

    #[test]
    fn what_is_so_already_is_no_change() {
        let known = Cordons::from([(server("be1"), 100)]);
        let wish = |changed: &[Change], name, cordoned| change(&known, changed, server(name), cordoned, 200);
        assert_eq!(wish(&[], "be1", true), Ok(None));
        assert_eq!(wish(&[], "be2", false), Ok(None));
        assert_eq!(wish(&[], "be1", false), Ok(Some((server("be1"), None))));
        assert_eq!(wish(&[(server("be1"), None)], "be1", true), Ok(Some((server("be1"), Some(200)))));
    }

    #[test]
    fn more_servers_than_any_murder_has_are_refused() {
        let known: Cordons = (0..CORDONS).map(|n| (server(&format!("be{n}")), 1)).collect();
        assert_eq!(change(&known, &[], server("x"), true, 2), Err(CommitError::Cordons));
        assert_eq!(change(&known, &[], server("be1"), false, 2), Ok(Some((server("be1"), None))));
    }

    #[test]
    fn a_difference_makes_one_the_other() {
        let from = Cordons::from([(server("be1"), 1), (server("be2"), 2)]);
        let to = Cordons::from([(server("be2"), 3), (server("be3"), 4)]);
        let mut now = from.clone();
        for (server, since) in difference(&from, &to) {
            match since {
                Some(since) => now.insert(server, since),
                None => now.remove(&server),
            };
        }
        assert_eq!(now, to);
        assert_eq!(difference(&to, &to), []);
    }
}
