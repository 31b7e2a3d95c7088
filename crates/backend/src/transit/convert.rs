//! What the store knows of a mailbox as other servers are told of it, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::flag::Flag;
use protocol::name::MailboxName;
use protocol::sync::{self, Annotation, Crc, Guid, Mailbox, Options, UniqueId};
use store::{
    Difference, Header, Incoming, Limits, Numbers, Record, Run, Setting, Snapshot, StoreError, System,
};

/// A quota root as another server is told of it.
pub fn quota(root: MailboxName, limits: &Limits) -> sync::Quota {
    sync::Quota {
        root,
        storage: limits.storage,
        message: limits.message,
        mailbox: limits.mailbox,
        annotation_storage: limits.annotation_storage,
        modseq: 0,
    }
}

/// A mailbox as another server is told of it; none where its name or id is none that one can tell. What is ours alone is left out, and
/// so are the checksums.
pub fn mailbox(snapshot: &Snapshot, partition: &str, with_records: bool) -> Option<Mailbox> {
    let (header, numbers) = (snapshot.header(), snapshot.numbers());
    let name = |name: &String| MailboxName::parse(name).ok();
    let records = || {
        let live = snapshot.records().iter().map(|message| record(snapshot, message, false));
        let expunged = snapshot.expunged().iter().map(|message| record(snapshot, message, true));
        let mut records: Vec<sync::Record> = live.chain(expunged).collect();
        records.sort_by_key(|record| record.uid);
        records
    };
    Some(Mailbox {
        uniqueid: UniqueId::new(&header.uniqueid)?,
        name: name(&header.name)?,
        kind: None,
        crc: None,
        last_uid: numbers.last_uid,
        highestmodseq: numbers.highestmodseq,
        recentuid: numbers.recentuid,
        recenttime: 0,
        last_append: numbers.last_append,
        pop3_last_login: numbers.pop3_last_login,
        pop3_show_after: 0,
        uidvalidity: header.uidvalidity,
        partition: partition.to_owned(),
        acl: header.acl.clone(),
        options: Options(header.options),
        quotaroot: header.quotaroot.as_ref().and_then(name),
        createdmodseq: header.createdmodseq,
        foldermodseq: header.foldermodseq,
        deletedmodseq: Some(numbers.deletedmodseq),
        annotations: annotations(snapshot),
        since: None,
        records: with_records.then(records),
        ours: None,
    })
}

/// A message as another server is told of it.
pub fn record(snapshot: &Snapshot, record: &Record, expunged: bool) -> sync::Record {
    let notes = record.annotations.iter().flat_map(|notes| notes.iter());
    let (thread, notes): (Vec<_>, Vec<_>) =
        notes.partition(|note| note.entry == THREAD && note.user.is_empty());
    let thread =
        thread.first().and_then(|note| u64::from_str_radix(str::from_utf8(&note.value).ok()?, 16).ok());
    let annotation = |note: &store::Annotation| Annotation {
        entry: note.entry.clone(),
        user: note.user.clone(),
        value: Some(note.value.clone()),
        modseq: 0,
    };
    sync::Record {
        uid: record.uid,
        modseq: record.modseq,
        last_updated: record.last_updated,
        flags: snapshot.flags_of(record).collect(),
        expunged,
        internaldate: record.internaldate,
        size: record.size,
        guid: Guid(record.guid),
        savedate: Some(record.savedate).filter(|date| *date != 0),
        createdmodseq: Some(record.createdmodseq).filter(|modseq| *modseq != 0),
        thread: thread.filter(|thread| *thread != 0),
        annotations: notes.into_iter().map(annotation).collect(),
    }
}

/// The checksums of a mailbox. Looks at all messages.
pub fn crc(snapshot: &Snapshot) -> Crc {
    let mut crc = Crc::default();
    for message in snapshot.records().iter() {
        crc.toggle(&record(snapshot, message, false));
    }
    crc
}

/// The same where those of an earlier moment are known: looks at what changed since.
pub fn crc_after(mut crc: Crc, earlier: &Snapshot, later: &Snapshot) -> Crc {
    let (changed, gone) = later.records().difference(earlier.records());
    for (message, before) in changed {
        if let Some(before) = before {
            crc.toggle(&record(earlier, before, false));
        }
        crc.toggle(&record(later, message, false));
    }
    for message in gone.into_iter().filter_map(|uid| earlier.records().get(uid)) {
        crc.toggle(&record(earlier, message, false));
    }
    crc
}

/// The header of a mailbox that another server tells of. `limits`: of it as a quota root. `before`: what the copy has.
pub fn header(mailbox: &Mailbox, limits: Option<Limits>, before: Option<&Header>) -> Header {
    let mut annotations: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let own = mailbox.ours.as_ref().map(|ours| &ours.header);
    let in_header = own.unwrap_or(&mailbox.annotations).iter();
    for note in in_header.filter(|note| own.is_some() || is_in_header(note)) {
        if let Some(value) = &note.value {
            let value = String::from_utf8_lossy(value).into_owned();
            annotations.entry(note.entry.clone()).or_default().insert(note.user.clone(), value);
        }
    }
    let former = |former: &sync::FormerName| store::FormerName {
        name: former.name.clone(),
        mtime: former.mtime,
        uidvalidity: former.uidvalidity,
        createdmodseq: former.createdmodseq,
        foldermodseq: former.foldermodseq,
        mbtype: former.kind.clone(),
        partition: former.partition.clone(),
    };
    let ours = mailbox.ours.as_ref();
    Header {
        name: mailbox.name.as_str().to_owned(),
        uniqueid: mailbox.uniqueid.as_str().to_owned(),
        uidvalidity: mailbox.uidvalidity,
        acl: mailbox.acl.clone(),
        mbtype: "e".to_owned(),
        quotaroot: mailbox.quotaroot.as_ref().map(|root| root.as_str().to_owned()),
        limits: limits.or_else(|| before?.limits),
        options: mailbox.options.0,
        createdmodseq: mailbox.createdmodseq,
        foldermodseq: mailbox.foldermodseq,
        mtime: ours.map_or_else(|| before.map_or(0, |before| before.mtime), |ours| ours.mtime),
        name_history: ours.map_or_else(Vec::new, |ours| ours.history.iter().map(former).collect()),
        annotations,
        incoming: true,
        incoming_id: before.and_then(|before| before.incoming_id.clone()),
        moved: before.and_then(|before| before.moved.clone()),
        moving: None,
    }
}

/// What makes a copy what another server says of it. Keywords that are new become the copy's. `anew`: what is there of it is no part of it.
pub fn difference(
    incoming: &Incoming,
    before: &Snapshot,
    mailbox: &Mailbox,
    limits: Option<Limits>,
    anew: bool,
) -> Result<Difference, StoreError> {
    let ours = mailbox.ours.as_ref();
    let header = header(mailbox, limits, Some(before.header()));
    let (mut records, mut expunged) = (Vec::new(), Vec::new());
    for told in mailbox.records.iter().flatten() {
        let record = stored(incoming, told)?;
        if told.expunged { expunged.push(record) } else { records.push(record) }
    }
    let deletedmodseq = match (mailbox.deletedmodseq, before.numbers().deletedmodseq) {
        (Some(deletedmodseq), _) => deletedmodseq,
        // What went before is not known, and it is not known to be nothing.
        (None, deletedmodseq) if anew || deletedmodseq == 0 => mailbox.highestmodseq,
        (None, deletedmodseq) => deletedmodseq,
    };
    let numbers = Numbers {
        last_uid: mailbox.last_uid,
        highestmodseq: mailbox.highestmodseq,
        deletedmodseq,
        recentuid: mailbox.recentuid,
        last_append: mailbox.last_append,
        pop3_last_login: mailbox.pop3_last_login,
    };
    let whole = anew || ours.is_some_and(|ours| ours.whole);
    let tombstones = tombstones(before, mailbox, deletedmodseq, whole);
    Ok(Difference {
        whole,
        header: (!super::is_same(&header, before.header())).then(|| Arc::new(header)),
        numbers,
        keywords: None,
        annotations: Some(settings(mailbox)),
        records,
        expunged,
        gone: forgotten(before, mailbox),
        tombstones: Some(tombstones),
    })
}

/// The annotations of a mailbox that its index has.
fn settings(mailbox: &Mailbox) -> Vec<Setting> {
    let is_ours = mailbox.ours.is_some();
    let in_index = mailbox.annotations.iter().filter(|note| is_ours || !is_in_header(note));
    in_index.cloned().map(setting).collect()
}

pub fn setting(note: Annotation) -> Setting {
    Setting { entry: note.entry, user: note.user, value: note.value }
}

/// Whether an annotation is one of those that the header has: what a mailbox is for.
pub fn is_in_header(note: &Annotation) -> bool {
    note.entry == "/specialuse"
}

/// All annotations of a mailbox itself, as Cyrus has them.
pub fn annotations(snapshot: &Snapshot) -> Vec<Annotation> {
    let mut all: BTreeMap<(String, String), Option<Vec<u8>>> = BTreeMap::new();
    for (entry, values) in &snapshot.header().annotations {
        for (user, value) in values {
            all.insert((entry.clone(), user.clone()), Some(value.clone().into_bytes()));
        }
    }
    for Setting { entry, user, value } in snapshot.annotations() {
        all.insert((entry, user), value);
    }
    let there = all.into_iter().filter(|(_, value)| value.is_some());
    there.map(|((entry, user), value)| Annotation { entry, user, value, modseq: 0 }).collect()
}

/// UIDs that are gone, by modification sequence: those that are known, those that are told, and messages that are expunged now.
fn tombstones(before: &Snapshot, mailbox: &Mailbox, deletedmodseq: u64, whole: bool) -> Vec<Run> {
    let mut runs: BTreeSet<(u64, u32, u32, i64)> = BTreeSet::new();
    if !whole {
        runs.extend(before.tombstones().iter().map(|run| (run.modseq, run.first, run.last, run.time)));
    }
    match &mailbox.ours {
        Some(ours) => {
            runs.extend(ours.gone.iter().map(|gone| (gone.modseq, gone.first, gone.last, gone.time)))
        }
        None => {
            let expunged = mailbox.records.iter().flatten().filter(|record| record.expunged);
            let new = expunged.filter(|record| before.expunged().get(record.uid).is_none());
            runs.extend(new.map(|record| (record.modseq, record.uid, record.uid, record.last_updated)));
        }
    }
    let remembered = runs.into_iter().filter(|(modseq, ..)| *modseq > deletedmodseq);
    remembered.map(|(modseq, first, last, time)| Run { first, last, modseq, time }).collect()
}

/// UIDs of the copy's messages of which the source has nothing any more.
fn forgotten(before: &Snapshot, mailbox: &Mailbox) -> Vec<u32> {
    let Some(ours) = &mailbox.ours else { return Vec::new() };
    let mut ranges = ours.forgotten.clone();
    ranges.sort_unstable();
    let mut uids = Vec::new();
    for records in [before.records(), before.expunged()] {
        let mut ranges = ranges.iter().peekable();
        if ranges.peek().is_none() {
            break;
        }
        for record in records.iter() {
            while ranges.next_if(|(_, last)| *last < record.uid).is_some() {}
            if ranges.peek().is_some_and(|(first, _)| *first <= record.uid) {
                uids.push(record.uid);
            }
        }
    }
    uids
}

/// A message as a copy keeps it. Where its structure lies is the store's to say.
fn stored(incoming: &Incoming, told: &sync::Record) -> Result<Record, StoreError> {
    let (mut flags, mut keywords) = (System::NONE, 0);
    for flag in &told.flags {
        match (System::of(flag), flag) {
            (Some(system), _) => flags = flags.with(system),
            (None, Flag::Keyword(word)) => keywords |= incoming.keyword(word)?,
            (None, _) => {}
        }
    }
    let thread = told.thread.map(|thread| store::Annotation {
        entry: THREAD.to_owned(),
        user: String::new(),
        value: format!("{thread:016x}").into_bytes(),
    });
    let notes = told.annotations.iter().filter_map(|note| {
        let value = note.value.clone().filter(|value| !value.is_empty())?;
        Some(store::Annotation { entry: note.entry.clone(), user: note.user.clone(), value })
    });
    let notes: Vec<store::Annotation> = thread.into_iter().chain(notes).collect();
    Ok(Record {
        uid: told.uid,
        modseq: told.modseq,
        createdmodseq: told.createdmodseq.unwrap_or(0),
        internaldate: told.internaldate,
        savedate: told.savedate.unwrap_or(0),
        last_updated: told.last_updated,
        size: told.size,
        header_size: 0,
        guid: told.guid.0,
        flags,
        keywords,
        cache: 0,
        annotations: (!notes.is_empty()).then(|| Arc::new(notes)),
    })
}

/// Cyrus's id of a message's conversation, which has no meaning here but to its checksum.
const THREAD: &str = "/vendor/cmu/cyrus-imapd/thrid";
