//! Rounds to a server of Cyrus: what its copy lacks, found anew each time. Cyrus removes copies that its master does not know of when it
//! starts (`ctl_mboxlist -m`), and keeps what came on a connection that broke.

use std::collections::{BTreeMap, BTreeSet};

use moves::journal::{Item, Record};
use protocol::name::MailboxName;
use protocol::sync::{self, Annotation, Apply, Crc, Get, Mailbox};
use store::{Snapshot, StoreError};
use work::aside::weighed;

use super::told::{self, Base};
use crate::limits::PART;
use crate::moving::Moving;
use crate::moving::peer::{Fault, Peer};
use crate::moving::rounds::{self, Sum};
use crate::transit::convert;

/// What Cyrus's copies are, as they were told.
#[derive(Default)]
pub struct Sent {
    /// By unique id.
    copies: BTreeMap<String, Copy>,
    /// Users' states and limits.
    pub others: rounds::Sent,
}

struct Copy {
    name: MailboxName,
    snapshot: Snapshot,
    crc: Crc,
}

impl Copy {
    fn proof(&self) -> String {
        told::own_proof(&self.snapshot, self.crc)
    }
}

impl Moving {
    /// Sends what Cyrus's copies lack.
    pub async fn send_round_to_cyrus(
        &self,
        peer: &mut Peer,
        record: &mut Record,
        sent: &mut Sent,
    ) -> Result<Sum, Fault> {
        let (root, items, others) = self.items_now(record).await?;
        let mut sum = Sum { changes: usize::from(others), ..Sum::default() };
        record.items = items;
        let there = self.at_cyrus(peer, record, sent).await?;
        for (id, mailbox) in &there {
            let is_item =
                record.items.iter().any(|item| item.uniqueid == *id && item.name == mailbox.name.as_str());
            // What this move did not bring is not this move's to remove.
            let is_own = sent.copies.contains_key(id) || record.items.iter().any(|item| item.uniqueid == *id);
            if !is_item && is_own {
                sum.changes += 1;
                self.remove(peer, &mailbox.name, id, sent).await?;
            }
        }
        for item in &record.items {
            let there = there.get(&item.uniqueid).filter(|there| there.name.as_str() == item.name);
            self.send_to_cyrus(peer, item, there, sent, &mut sum).await?;
        }
        self.send_limits_above(peer, &root, &mut sent.others).await?;
        self.send_user(peer, &root, record, &mut sent.others, &mut sum).await?;
        record.round += 1;
        Ok(sum)
    }

    /// What Cyrus has of the mailboxes that move, and of their user's others, by unique id.
    pub async fn at_cyrus(
        &self,
        peer: &mut Peer,
        record: &Record,
        sent: &Sent,
    ) -> Result<BTreeMap<String, Mailbox>, Fault> {
        let root = MailboxName::parse(&record.root).map_err(StoreError::from)?;
        let owner = root.is_inbox().then(|| self.store.namespace().owner(&root)).flatten();
        let mut told = match owner {
            Some(user) => peer.get(&Get::User(user)).await?,
            None => Vec::new(),
        };
        // Deleted mailboxes are none of the user's there.
        let mut names: BTreeSet<MailboxName> =
            record.items.iter().filter_map(|item| MailboxName::parse(&item.name).ok()).collect();
        names.extend(sent.copies.values().map(|copy| copy.name.clone()));
        for mailbox in told.iter().filter_map(mailbox) {
            names.remove(&mailbox.name);
        }
        if !names.is_empty() {
            told.extend(peer.get(&Get::Mailboxes(names.into_iter().collect())).await?);
        }
        let told = told.iter().filter_map(mailbox);
        Ok(told.map(|mailbox| (mailbox.uniqueid.as_str().to_owned(), mailbox.clone())).collect())
    }

    async fn remove(
        &self,
        peer: &mut Peer,
        name: &MailboxName,
        uniqueid: &str,
        sent: &mut Sent,
    ) -> Result<(), Fault> {
        peer.apply(&Apply::LocalUnmailbox(name.clone())).await?;
        sent.copies.remove(uniqueid);
        sent.others.forget_limits(uniqueid);
        Ok(())
    }

    async fn send_to_cyrus(
        &self,
        peer: &mut Peer,
        item: &Item,
        there: Option<&Mailbox>,
        sent: &mut Sent,
        sum: &mut Sum,
    ) -> Result<(), Fault> {
        let name = MailboxName::parse(&item.name).map_err(StoreError::from)?;
        let mailbox = match self.store.mailbox(&name).await {
            Ok(mailbox) => mailbox,
            Err(StoreError::NoMailbox) => {
                sum.torn = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let now = mailbox.snapshot();
        if now.header().uniqueid != item.uniqueid {
            sum.torn = true;
            return Ok(());
        }
        let base = match there {
            None => {
                sent.copies.remove(&item.uniqueid);
                sent.others.forget_limits(&item.uniqueid);
                None
            }
            Some(there) => self.base(peer, there, &now, sent).await?,
        };
        let is_whole = sent.copies.contains_key(&item.uniqueid);
        if is_whole && base.as_ref().is_some_and(|(then, _)| rounds::is_unchanged(&now, then)) {
            return Ok(());
        }
        let (snapshot, then, partition) = (now.clone(), base.clone(), item.to_partition.clone());
        let change = weighed(usize::MAX, move || {
            let base = then.as_ref().map(|(snapshot, crc)| Base { snapshot, crc: *crc });
            told::mailbox(&snapshot, base, &partition, PART)
        });
        let (parts, crc) =
            change.await.ok_or_else(|| Fault::Refused("a mailbox cannot be told of".to_owned()))?;
        for part in parts {
            sum.changes += 1 + part.records.as_ref().map_or(0, Vec::len);
            let before = rounds::Before::sent(base.as_ref().map(|(then, _)| then));
            if !self.send_messages(peer, item, &part, (&now, &before), sum).await? {
                sum.torn = true;
                return Ok(());
            }
            peer.apply(&Apply::LocalMailbox(Box::new(part))).await?;
        }
        self.send_limits(peer, &name, &now, &mut sent.others).await?;
        sent.copies.insert(item.uniqueid.clone(), Copy { name, snapshot: now, crc });
        Ok(())
    }

    /// What Cyrus's copy is the same as: what it was told last, or the mailbox as it is now. Any other copy is of an earlier attempt, or of
    /// an earlier stay there; it goes.
    async fn base(
        &self,
        peer: &mut Peer,
        there: &Mailbox,
        now: &Snapshot,
        sent: &mut Sent,
    ) -> Result<Option<(Snapshot, Crc)>, Fault> {
        let id = there.uniqueid.as_str();
        let proof = told::proof(there);
        if let Some(copy) = sent.copies.get(id)
            && copy.name == there.name
            && Some(copy.proof()) == proof
        {
            return Ok(Some((copy.snapshot.clone(), copy.crc)));
        }
        let snapshot = now.clone();
        let crc = weighed(now.records().len(), move || convert::crc(&snapshot)).await;
        if Some(told::own_proof(now, crc)) == proof {
            return Ok(Some((now.clone(), crc)));
        }
        self.remove(peer, &there.name, id, sent).await?;
        Ok(None)
    }

    /// Compares the copies with what was told last, by Cyrus's own words, and notes in the items what was compared and where the copies
    /// lie. None: they are the same; else the mailbox that differs.
    pub async fn compare_at_cyrus(
        &self,
        peer: &mut Peer,
        record: &mut Record,
        sent: &Sent,
    ) -> Result<Option<String>, Fault> {
        let there = self.at_cyrus(peer, record, sent).await?;
        for item in &mut record.items {
            let (Some(copy), Some(there)) = (sent.copies.get(&item.uniqueid), there.get(&item.uniqueid))
            else {
                return Ok(Some(item.name.clone()));
            };
            let proof = copy.proof();
            let is_same = there.name.as_str() == item.name
                && told::proof(there).as_ref() == Some(&proof)
                && there.acl == copy.snapshot.header().acl
                && sorted(&there.annotations) == sorted(&convert::annotations(&copy.snapshot));
            if !is_same {
                return Ok(Some(item.name.clone()));
            }
            item.digest = Some(proof);
            item.to_partition.clone_from(&there.partition);
        }
        Ok(None)
    }
}

fn mailbox(told: &sync::Told) -> Option<&Mailbox> {
    match told {
        sync::Told::Mailbox(mailbox) => Some(mailbox),
        _ => None,
    }
}

/// Annotations of a mailbox itself, of which the checksums say nothing.
fn sorted(notes: &[Annotation]) -> Vec<(&str, &str, &[u8])> {
    let with_value = notes.iter().filter_map(|note| {
        let value = note.value.as_deref().filter(|value| !value.is_empty())?;
        Some((note.entry.as_str(), note.user.as_str(), value))
    });
    let mut notes: Vec<_> = with_value.collect();
    notes.sort_unstable();
    notes
}
