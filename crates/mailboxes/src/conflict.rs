//! Two backends that claim one mailbox: the later writer wins, as in Cyrus, and the clash is kept to be shown.

use std::collections::BTreeMap;

use protocol::{location::Location, name::MailboxName};

use crate::codec::{DecodeError, Reader, put_bytes, put_number};
use crate::limits::{CONFLICTS, rows};

/// An ACTIVATE that took an active mailbox from another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub name: MailboxName,
    pub lost: Location,
    pub won: Location,
    /// Epoch seconds of the first and of the latest take-over between any servers.
    pub first: u64,
    pub last: u64,
    pub times: u64,
}

/// What a change means for the server that has a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// An ACTIVATE took it from another server.
    Taken { name: MailboxName, lost: Location, won: Location },
    /// It was deleted, or somebody has dealt with the clash.
    Settled(MailboxName),
}

/// What these claims, in their order, make of the conflicts that are known: those that are new or changed, and the names
/// of those that end. Logs each pair of servers once.
pub(crate) fn remember(
    known: &BTreeMap<MailboxName, Conflict>,
    claims: Vec<Claim>,
    now: u64,
) -> Vec<(MailboxName, Option<Conflict>)> {
    let mut news: BTreeMap<MailboxName, Option<Conflict>> = BTreeMap::new();
    let mut count = known.len();
    for claim in claims {
        match claim {
            Claim::Taken { name, lost, won } => {
                let before = news.get(&name).map_or_else(|| known.get(&name), Option::as_ref);
                if before.is_none() && count >= CONFLICTS {
                    rows::CONFLICTS.met("more mailboxes that two servers claim than are remembered");
                    continue;
                }
                count += usize::from(before.is_none());
                if !before.is_some_and(|c| c.is_between(&lost, &won)) {
                    tracing::warn!(mailbox = %name, %lost, %won, "two servers claim one mailbox: the later wins");
                }
                let (first, times) = before.map_or((now, 0), |c| (c.first, c.times));
                let conflict = Conflict { name: name.clone(), lost, won, first, last: now, times: times + 1 };
                news.insert(name, Some(conflict));
            }
            Claim::Settled(name) => {
                if news.get(&name).map_or_else(|| known.get(&name), Option::as_ref).is_some() {
                    count -= 1;
                    news.insert(name, None);
                }
            }
        }
    }
    news.into_iter().collect()
}

impl Conflict {
    /// Whether it is known already that these two servers claim the mailbox.
    fn is_between(&self, lost: &Location, won: &Location) -> bool {
        let servers = [self.lost.server(), self.won.server()];
        servers.contains(&lost.server()) && servers.contains(&won.server())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_bytes(&mut out, self.lost.as_str().as_bytes());
        put_bytes(&mut out, self.won.as_str().as_bytes());
        put_number(&mut out, self.first);
        put_number(&mut out, self.last);
        put_number(&mut out, self.times);
        out
    }

    pub fn decode(name: MailboxName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        r.version(VERSION)?;
        let mut place = || Location::parse(r.text()?).map_err(|_| DecodeError::Damaged("location"));
        let (lost, won) = (place()?, place()?);
        Ok(Conflict { name, lost, won, first: r.number()?, last: r.number()?, times: r.number()? })
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> MailboxName {
        MailboxName::parse(&format!("user.u{n}")).unwrap()
    }

    fn taken(n: usize, lost: &str, won: &str) -> Claim {
        let at = |text| Location::parse(text).unwrap();
        Claim::Taken { name: name(n), lost: at(lost), won: at(won) }
    }

    #[test]
    fn a_clash_is_counted_from_its_first_time_until_the_mailbox_is_deleted() {
        let claims = vec![taken(1, "be1!p", "be2!p"), taken(1, "be2!p", "be1!p"), taken(2, "be1!p", "be2!p")];
        let first = remember(&BTreeMap::new(), claims, 100);
        let known: BTreeMap<_, _> = first.into_iter().map(|(name, c)| (name, c.unwrap())).collect();
        assert_eq!((known[&name(1)].times, known[&name(1)].won.as_str()), (2, "be1!p"));
        let later = remember(&known, vec![taken(1, "be1!p", "be3!p"), Claim::Settled(name(2))], 200);
        let [(_, Some(again)), (ended, None)] = &later[..] else { panic!("{later:?}") };
        assert_eq!((again.first, again.last, again.times, ended), (100, 200, 3, &name(2)));
        assert_eq!(remember(&known, vec![Claim::Settled(name(9))], 300), []);
        let both = vec![Claim::Settled(name(1)), taken(1, "be1!p", "be2!p")];
        assert_eq!(remember(&known, both, 300)[0].1.as_ref().unwrap().times, 1);
    }

    #[test]
    fn no_more_than_ten_thousand_clashes_are_kept() {
        let claims = (0..CONFLICTS + 5).map(|n| taken(n, "be1!p", "be2!p")).collect();
        assert_eq!(remember(&BTreeMap::new(), claims, 1).len(), CONFLICTS);
    }
}
