//! Rounds: what the destination lacks is sent, while mail flows; the last time while nobody changes anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use mailboxes::LIST_PAGE;
use moves::journal::{Item, Record};
use protocol::name::MailboxName;
use protocol::sync::moving::{Digest, Have, Item as Told, Round};
use protocol::sync::{
    self, Annotation, Apply, File, Get, Guid, MailboxAnnotation, Seen, Subscription, UniqueId,
};
use store::{Limits, Snapshot, Store, StoreError, UserData, UserScripts};
use work::aside::weighed;

use super::peer::{Fault, Peer};
use super::told::{Base, Since};
use super::{Moving, told};
use crate::limits::{BATCH, COMPARED, PART};
use crate::transit::convert;

/// What the destination has, as this server knows.
#[derive(Default)]
pub struct Sent {
    /// By unique id.
    items: BTreeMap<String, Snapshot>,
    user: Option<UserData>,
    quotas: BTreeMap<String, Limits>,
    /// What it had before anything was sent.
    had: BTreeMap<String, Have>,
    /// Of what it had the difference was sent; whether that was right is not known yet.
    unproven: BTreeSet<String>,
    /// What it had was not what it seemed: it comes whole, but for the messages that are there by UID.
    refuted: BTreeMap<String, HashMap<u32, Guid>>,
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Sum {
    /// Messages, mailboxes and other things that had changed.
    pub changes: usize,
    pub messages: u64,
    pub bytes: u64,
    /// A message was gone before it could be sent: the next round has what became of it.
    pub torn: bool,
}

impl Sent {
    /// Takes over what the destination says that it has.
    pub fn is_there(&mut self, told: Vec<sync::Told>) {
        self.had = had(told).map(|have| (have.uniqueid.as_str().to_owned(), have)).collect();
    }

    pub fn is_unproven(&self) -> bool {
        !self.unproven.is_empty()
    }

    /// Compares what the destination has now with what was sent. False: one of them must come once more.
    pub async fn prove(&mut self, told: Vec<sync::Told>) -> bool {
        let now: BTreeMap<String, Digest> =
            had(told).map(|have| (have.uniqueid.as_str().to_owned(), have.digest)).collect();
        let mut all = true;
        for id in std::mem::take(&mut self.unproven) {
            let Some(snapshot) = self.items.get(&id).cloned() else { continue };
            let digest = weighed(snapshot.records().len(), move || snapshot.digest()).await;
            if now.get(&id) != Some(&Digest(digest.0)) {
                self.refute(&id);
                all = false;
            }
        }
        all
    }

    fn refute(&mut self, id: &str) {
        self.items.remove(id);
        self.unproven.remove(id);
        self.refuted.insert(id.to_owned(), HashMap::new());
    }

    /// From which state on the destination is told what changed; none: of all.
    fn base(&self, id: &str, now: &Snapshot) -> Option<Base> {
        let have = self.had.get(id).filter(|have| have.last_uid > 0 && !self.refuted.contains_key(id))?;
        let base = Base { last_uid: have.last_uid, modseq: have.highestmodseq };
        let numbers = now.numbers();
        (base.last_uid <= numbers.last_uid && base.modseq <= numbers.highestmodseq).then_some(base)
    }

    /// Notes the limits of a quota root that is no part of the move. False: the destination has heard of them.
    pub(super) fn limits_above(&mut self, root: &MailboxName, limits: Limits) -> bool {
        self.quotas.insert(format!("above {root}"), limits) != Some(limits)
    }

    /// What was sent of users.
    pub fn user(&self) -> Option<&UserData> {
        self.user.as_ref()
    }

    /// Forgets the limits that a mailbox was sent with.
    pub fn forget_limits(&mut self, uniqueid: &str) {
        self.quotas.remove(uniqueid);
    }

    /// The last snapshot of a mailbox that was sent.
    pub fn snapshot(&self, uniqueid: &str) -> Option<&Snapshot> {
        self.items.get(uniqueid)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error.is_temporary() {
            true => Fault::Away(error.to_string()),
            false => Fault::Refused(error.to_string()),
        }
    }
}

impl Moving {
    /// Sends what changed since the last round, and says that it is one.
    pub async fn send_round(
        &self,
        peer: &mut Peer,
        record: &mut Record,
        sent: &mut Sent,
    ) -> Result<Sum, Fault> {
        let (root, items, others) = self.items_now(record).await?;
        let mut sum = Sum { changes: usize::from(others), ..Sum::default() };
        let told: Vec<Told> = items.iter().filter_map(item).collect();
        if told.len() != items.len() {
            return Err(Fault::Refused("a mailbox has a name or an id that cannot be moved".to_owned()));
        }
        // Those that are new are expected there before anything comes of them.
        let round =
            |number: u32| Apply::Round(Round { id: record.id.wire(), round: number, items: told.clone() });
        if others {
            peer.apply(&round(record.round)).await?;
        }
        record.items = items;
        let ids: BTreeSet<&String> = record.items.iter().map(|item| &item.uniqueid).collect();
        sent.items.retain(|id, _| ids.contains(id));
        for item in &record.items {
            self.send_item(peer, &root, item, sent, &mut sum).await?;
        }
        self.send_user(peer, &root, record, sent, &mut sum).await?;
        peer.apply(&round(record.round + 1)).await?;
        record.round += 1;
        Ok(sum)
    }

    /// What a move takes now: its root, the mailboxes, and whether they are others than at the last look.
    pub(super) async fn items_now(&self, record: &Record) -> Result<(MailboxName, Vec<Item>, bool), Fault> {
        let root = MailboxName::parse(&record.root).map_err(StoreError::from)?;
        let partition = record.items.first().map(|item| item.to_partition.clone()).unwrap_or_default();
        let items = self.items(&root, &partition, record.wishes.tree).await?;
        if items.is_empty() {
            return Err(Fault::Refused("Mailbox does not exist".to_owned()));
        }
        let others = ids(&items) != ids(&record.items);
        Ok((root, items, others))
    }

    /// What moves with a root: all that is the user's, deleted mailboxes too; or the shared mailbox, alone or (`tree`) with those below
    /// it. The root comes first.
    pub async fn items(
        &self,
        root: &MailboxName,
        partition: &str,
        tree: bool,
    ) -> Result<Vec<Item>, StoreError> {
        let (store, root, partition) = (self.store.clone(), root.clone(), partition.to_owned());
        let found = tokio::task::spawn_blocking(move || items(&store, &root, &partition, tree)).await;
        found.unwrap_or(Err(StoreError::Closed))
    }

    async fn send_item(
        &self,
        peer: &mut Peer,
        root: &MailboxName,
        item: &Item,
        sent: &mut Sent,
        sum: &mut Sum,
    ) -> Result<(), Fault> {
        let name = MailboxName::parse(&item.name).map_err(StoreError::from)?;
        let mailbox = match self.store.mailbox(&name).await {
            Ok(mailbox) => mailbox,
            // It went, or has another name: the next round sees that.
            Err(StoreError::NoMailbox) => {
                sum.torn = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (snapshot, earlier) = (mailbox.snapshot(), sent.items.get(&item.uniqueid).cloned());
        if snapshot.header().uniqueid != item.uniqueid {
            sum.torn = true;
            return Ok(());
        }
        if let Some(earlier) = &earlier
            && is_unchanged(&snapshot, earlier)
        {
            return Ok(());
        }
        self.send_limits(peer, &name, &snapshot, sent).await?;
        self.send_limits_above(peer, root, sent).await?;
        let before = match &earlier {
            Some(earlier) => Before::Sent(earlier.clone()),
            None => match sent.base(&item.uniqueid, &snapshot) {
                Some(base) => Before::Left(base),
                None => Before::Nothing(found(peer, item, sent).await?),
            },
        };
        let is_based = matches!(before, Before::Left(_));
        match self.send_change(peer, item, &snapshot, &before, sum).await {
            Ok(true) => {}
            Ok(false) => {
                sum.torn = true;
                return Ok(());
            }
            Err(Fault::Refused(text)) if is_based && text.starts_with(CHECKSUM) => {
                sent.refute(&item.uniqueid);
                sum.torn = true;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
        if is_based {
            sent.unproven.insert(item.uniqueid.clone());
        }
        let now = snapshot.clone();
        // So that the last round, for which everybody waits, costs what changed.
        weighed(usize::MAX, move || match earlier {
            Some(earlier) => now.digest_after(&earlier),
            None => now.digest(),
        })
        .await;
        sent.items.insert(item.uniqueid.clone(), snapshot);
        Ok(())
    }

    /// Sends what changed in a mailbox. False: a message is gone.
    async fn send_change(
        &self,
        peer: &mut Peer,
        item: &Item,
        snapshot: &Snapshot,
        before: &Before,
        sum: &mut Sum,
    ) -> Result<bool, Fault> {
        let (now, then, partition) = (snapshot.clone(), before.told(), item.to_partition.clone());
        let change = weighed(usize::MAX, move || told::mailbox(&now, &then, &partition)).await;
        let change = change.ok_or_else(|| Fault::Refused("a mailbox cannot be told of".to_owned()))?;
        sum.changes += 1 + change.records.as_ref().map_or(0, Vec::len);
        for part in told::in_parts(change, PART) {
            if !self.send_messages(peer, item, &part, (snapshot, before), sum).await? {
                return Ok(false);
            }
            peer.send(&Apply::LocalMailbox(Box::new(part))).await?;
        }
        peer.settle().await?;
        Ok(true)
    }

    pub(super) async fn send_limits(
        &self,
        peer: &mut Peer,
        name: &MailboxName,
        snapshot: &Snapshot,
        sent: &mut Sent,
    ) -> Result<(), Fault> {
        let (uniqueid, limits) = (&snapshot.header().uniqueid, snapshot.header().limits);
        if sent.quotas.get(uniqueid) == limits.as_ref() {
            return Ok(());
        }
        match limits {
            Some(limits) => {
                peer.apply(&Apply::Quota(convert::quota(name.clone(), &limits))).await?;
                sent.quotas.insert(uniqueid.clone(), limits);
            }
            None => {
                peer.apply(&Apply::Unquota(name.clone())).await?;
                sent.quotas.remove(uniqueid);
            }
        }
        Ok(())
    }

    /// Sends the messages that are new. False: one is gone.
    pub(super) async fn send_messages(
        &self,
        peer: &mut Peer,
        item: &Item,
        part: &sync::Mailbox,
        (snapshot, before): (&Snapshot, &Before),
        sum: &mut Sum,
    ) -> Result<bool, Fault> {
        let records = part.records.iter().flatten().filter(|record| !before.has(record));
        let wanted: Vec<(u32, Guid, bool)> =
            records.map(|record| (record.uid, record.guid, record.expunged)).collect();
        let mut from = 0;
        while from < wanted.len() {
            let (rest, snapshot) = (wanted.get(from..).unwrap_or_default().to_vec(), snapshot.clone());
            let partition = item.to_partition.clone();
            let read = weighed(usize::MAX, move || read(&snapshot, &rest, &partition)).await?;
            let Some((count, messages)) = read else { return Ok(false) };
            sum.messages += messages.len() as u64;
            sum.bytes += messages.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
            peer.upload(&messages).await?;
            from += count;
        }
        Ok(true)
    }

    pub(super) async fn send_user(
        &self,
        peer: &mut Peer,
        root: &MailboxName,
        record: &Record,
        sent: &mut Sent,
        sum: &mut Sum,
    ) -> Result<(), Fault> {
        let owner = root.is_inbox().then(|| self.store.namespace().owner(root)).flatten();
        let ids: Vec<String> = record.items.iter().map(|item| item.uniqueid.clone()).collect();
        let now = self.store.user_data(owner.as_deref(), &ids).await?;
        let before = match sent.user.take() {
            Some(before) => before,
            None => left_there(peer, owner.as_deref()).await?,
        };
        if let Some(user) = &owner {
            let one = |name: &MailboxName| Subscription { user: user.clone(), name: name.clone() };
            for name in now.subscriptions.difference(&before.subscriptions) {
                sum.changes += 1;
                peer.send(&Apply::Subscribe(one(name))).await?;
            }
            for name in before.subscriptions.difference(&now.subscriptions) {
                sum.changes += 1;
                peer.send(&Apply::Unsubscribe(one(name))).await?;
            }
            let entries: BTreeSet<&String> =
                now.annotations.keys().chain(before.annotations.keys()).collect();
            for entry in entries {
                let value = now.annotations.get(entry);
                if value != before.annotations.get(entry) {
                    sum.changes += 1;
                    let value = value.map(|value| value.to_vec());
                    let annotation =
                        Annotation { entry: entry.clone(), user: user.clone(), value, modseq: 0 };
                    peer.send(&Apply::Annotation(MailboxAnnotation { name: None, annotation })).await?;
                }
            }
            send_scripts(peer, user, &before.scripts, &now.scripts, sum).await?;
        }
        let nothing = store::Seen::default();
        let lost = before.seen.keys().filter(|key| !now.seen.contains_key(*key)).map(|key| (key, &nothing));
        for ((user, id), seen) in now.seen.iter().chain(lost) {
            let Some(uniqueid) = UniqueId::new(id) else { continue };
            if before.seen.get(&(user.clone(), id.clone())) != Some(seen) {
                sum.changes += 1;
                let uids: Vec<String> =
                    seen.uids.iter().map(|(first, last)| format!("{first}:{last}")).collect();
                let seen = Seen {
                    user: user.clone(),
                    uniqueid,
                    lastread: seen.lastchange,
                    lastuid: seen.recentuid,
                    lastchange: seen.lastchange,
                    uids: uids.join(","),
                };
                peer.send(&Apply::Seen(seen)).await?;
            }
        }
        peer.settle().await?;
        sent.user = Some(now);
        Ok(())
    }
}

/// Scripts go all anew when anything of them has changed, so that their order is the same there.
async fn send_scripts(
    peer: &mut Peer,
    user: &str,
    before: &UserScripts,
    now: &UserScripts,
    sum: &mut Sum,
) -> Result<(), Fault> {
    if before == now {
        return Ok(());
    }
    sum.changes += 1;
    let one = |file: String| sync::Script { user: user.to_owned(), file, ..sync::Script::default() };
    for script in before.iter() {
        peer.send(&Apply::Unsieve(one(sync::Script::file_of(&script.name)))).await?;
    }
    for script in now.iter() {
        let content = script.content.to_vec();
        let named = one(sync::Script::file_of(&script.name));
        peer.send(&Apply::Sieve(sync::Script { last_update: script.changed, content, ..named })).await?;
    }
    if let Some(active) = now.active() {
        peer.send(&Apply::ActivateSieve(one(sync::Script::compiled_of(&active.name)))).await?;
    }
    Ok(())
}

/// What a user of an earlier stay there has left: subscriptions, annotations, and scripts by their names.
async fn left_there(peer: &mut Peer, owner: Option<&str>) -> Result<UserData, Fault> {
    let (mut left, mut scripts) = (UserData::default(), Vec::new());
    let Some(owner) = owner else { return Ok(left) };
    for told in peer.get(&Get::Meta(owner.to_owned())).await? {
        match told {
            sync::Told::Subscriptions(names) => left.subscriptions.extend(names),
            sync::Told::Annotation(MailboxAnnotation { name: None, annotation }) => {
                let value = annotation.value.unwrap_or_default();
                left.annotations.insert(annotation.entry, value.into());
            }
            // Never the same as one here.
            sync::Told::Script(held) => {
                scripts.extend(held.name().map(|name| store::Script::new(name, *b"", i64::MIN)));
            }
            _ => {}
        }
    }
    left.scripts = UserScripts::of(scripts).into();
    Ok(left)
}

fn items(store: &Store, root: &MailboxName, partition: &str, tree: bool) -> Result<Vec<Item>, StoreError> {
    let mut found = Vec::new();
    let mut add = |name: MailboxName, entry: mailboxes::Entry| {
        let Some(local) = entry.local.as_ref().filter(|_| entry.is_active()) else { return };
        found.push(Item {
            name: name.to_string(),
            uniqueid: local.uniqueid.clone(),
            partition: entry.location.partition().unwrap_or_default().to_owned(),
            to_partition: partition.to_owned(),
            acl: entry.acl.to_string(),
            digest: None,
        });
    };
    let list = |error: mailboxes::Error| StoreError::List(error.to_string());
    if !root.is_inbox() && !tree {
        if let Some(entry) = store.list().get(root).map_err(list)? {
            add(root.clone(), entry);
        }
        return Ok(found);
    }
    let deleted = store.namespace().to_deleted(root, 0).ok().and_then(|name| name.parent());
    // What was deleted of shared mailboxes stays.
    let deleted = deleted.filter(|_| root.is_inbox());
    for top in std::iter::once(root.clone()).chain(deleted) {
        let mut after = None;
        loop {
            let page = store.list().subtree(&top, after.as_ref(), LIST_PAGE).map_err(list)?;
            after = page.entries.last().map(|(name, _)| name.clone());
            page.entries.into_iter().for_each(|(name, entry)| add(name, entry));
            if !page.more {
                break;
            }
        }
    }
    Ok(found)
}

/// Some of these messages, as many as fit a batch; and how many they are. None: one is gone.
#[allow(clippy::type_complexity)]
fn read(
    snapshot: &Snapshot,
    wanted: &[(u32, Guid, bool)],
    partition: &str,
) -> Result<Option<(usize, Vec<(File, Vec<u8>)>)>, StoreError> {
    let (mut messages, mut count, mut length) = (Vec::new(), 0, 0);
    for (uid, guid, expunged) in wanted {
        count += 1;
        let (file, size) = match snapshot.open(*uid) {
            Ok(opened) => opened,
            // Of an expunged message the file may have gone first.
            Err(StoreError::NoMessage) if *expunged => continue,
            Err(StoreError::NoMessage) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        let read = file.take(size).read_to_end(&mut bytes);
        read.map_err(|error| StoreError::List(format!("a message cannot be read: {error}")))?;
        length += bytes.len();
        let file = File { partition: partition.to_owned(), guid: *guid, size: bytes.len() as u64 };
        messages.push((file, bytes));
        if length >= BATCH {
            break;
        }
    }
    Ok(Some((count, messages)))
}

pub(super) fn is_unchanged(now: &Snapshot, earlier: &Snapshot) -> bool {
    let change = now.since(earlier);
    change.header.is_none()
        && change.numbers == earlier.numbers()
        && change.keywords.is_none()
        && change.annotations.is_none()
        && change.tombstones.is_none()
        && change.records.is_empty()
        && change.expunged.is_empty()
        && change.gone.is_empty()
}

fn ids(items: &[Item]) -> BTreeSet<(&str, &str)> {
    items.iter().map(|item| (item.uniqueid.as_str(), item.name.as_str())).collect()
}

pub fn item(item: &Item) -> Option<Told> {
    Some(Told { uniqueid: UniqueId::new(&item.uniqueid)?, name: MailboxName::parse(&item.name).ok()? })
}

/// What the destination has of a mailbox when something is sent.
pub(super) enum Before {
    Sent(Snapshot),
    /// A copy of an earlier move.
    Left(Base),
    /// Nothing that counts, but these messages.
    Nothing(HashMap<u32, Guid>),
}

impl Before {
    pub(super) fn sent(earlier: Option<&Snapshot>) -> Before {
        earlier.map_or_else(|| Before::Nothing(HashMap::new()), |earlier| Before::Sent(earlier.clone()))
    }

    fn has(&self, record: &sync::Record) -> bool {
        match self {
            Before::Sent(earlier) => {
                let there = earlier.records().get(record.uid).or_else(|| earlier.expunged().get(record.uid));
                there.is_some_and(|there| there.guid == record.guid.0)
            }
            Before::Left(base) => record.uid <= base.last_uid,
            Before::Nothing(found) => found.get(&record.uid) == Some(&record.guid),
        }
    }

    fn told(&self) -> Since {
        match self {
            Before::Sent(earlier) => Since::Snapshot(earlier.clone()),
            Before::Left(base) => Since::Base(*base),
            Before::Nothing(_) => Since::Ever,
        }
    }
}

/// The messages of a copy that is not what it should be.
async fn found(peer: &mut Peer, item: &Item, sent: &mut Sent) -> Result<HashMap<u32, Guid>, Fault> {
    let Some(known) = sent.refuted.get_mut(&item.uniqueid) else { return Ok(HashMap::new()) };
    let few = sent.had.get(&item.uniqueid).is_some_and(|have| have.last_uid <= COMPARED);
    if !known.is_empty() || !few {
        return Ok(known.clone());
    }
    let name = MailboxName::parse(&item.name).map_err(StoreError::from)?;
    let told = match peer.get(&Get::FullMailbox(name)).await {
        Ok(told) => told,
        // Then all is sent.
        Err(Fault::Refused(_)) => return Ok(HashMap::new()),
        Err(fault) => return Err(fault),
    };
    for told in told {
        if let sync::Told::Mailbox(mailbox) = told
            && mailbox.uniqueid.as_str() == item.uniqueid
        {
            known.extend(mailbox.records.iter().flatten().map(|record| (record.uid, record.guid)));
        }
    }
    Ok(known.clone())
}

fn had(told: Vec<sync::Told>) -> impl Iterator<Item = Have> {
    told.into_iter().flat_map(|told| match told {
        sync::Told::Have(have) => have,
        _ => Vec::new(),
    })
}

/// What another server refuses a copy with that is not what was said.
const CHECKSUM: &str = "IMAP_SYNC_CHECKSUM";
