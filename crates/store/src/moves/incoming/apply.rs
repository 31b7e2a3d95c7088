//! How a difference becomes part of an incoming copy: files first, then the view. What fails changes nothing but files that nobody
//! knows.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use mime::{Cached, Structure};

use super::{Round, State};
use crate::{
    annotations::Metadata,
    codec::{put_frame, take_frame},
    commit::Note,
    disk::link,
    duplicate,
    error::{Doing, StoreError},
    header::Header,
    limits::{DELIVERED, KEYWORDS, SYNCED_SINGLY},
    moves::{digest::Numbers, snapshot::Difference},
    record::Record,
    stage::{Content, Staged, partition_of},
    tombstones::Tombstones,
    view::View,
};

impl State {
    /// Takes a difference over. Blocks.
    pub(super) fn apply(&mut self, difference: Difference, messages: &Round) -> Result<(), StoreError> {
        self.check(&difference)?;
        let header = difference.header.as_ref().map(|header| self.as_incoming(header)).transpose()?;
        let mut view = (*self.view).clone();
        if let Some(words) = difference.keywords {
            view.keywords = Arc::new(words);
        }
        let gone = match difference.whole {
            true => self.unnamed(&difference.records, &difference.expunged),
            false => Vec::new(),
        };
        let gone: Vec<u32> = gone.into_iter().chain(difference.gone).collect();
        for uid in &gone {
            view.take(*uid);
            view.expunged.remove(*uid);
        }
        let mut coming = Coming { messages, cache: Vec::new(), placed: Vec::new(), notes: Vec::new() };
        self.take_messages(&mut view, (difference.records, difference.expunged), &mut coming)?;
        if let Some(settings) = difference.annotations {
            let mut metadata = Metadata::default();
            settings.into_iter().for_each(|setting| metadata.set(setting));
            view.replace_metadata(metadata);
        }
        if let Some(runs) = difference.tombstones {
            view.tombstones = Tombstones::default();
            runs.into_iter().for_each(|run| view.tombstones.put(run));
        }
        set_numbers(&mut view, difference.numbers);
        if let Some(header) = header {
            view.uidvalidity = header.uidvalidity;
            self.header = Arc::new(header);
            self.header_differs = true;
        }
        let placed = self.keep(coming)?;
        self.note_files(&gone, placed);
        self.view = Arc::new(view);
        self.index_differs = true;
        self.digest_now();
        Ok(())
    }

    /// Messages of the copy that are not among these.
    fn unnamed(&self, records: &[Record], expunged: &[Record]) -> Vec<u32> {
        let named: HashSet<u32> = records.iter().chain(expunged).map(|record| record.uid).collect();
        let there = self.view.records.iter().chain(self.view.expunged.iter()).map(|record| record.uid);
        there.filter(|uid| !named.contains(uid)).collect()
    }

    /// Puts messages in their places, live and expunged ones.
    fn take_messages(
        &self,
        view: &mut View,
        (records, expunged): (Vec<Record>, Vec<Record>),
        coming: &mut Coming<'_>,
    ) -> Result<(), StoreError> {
        for record in records {
            let uid = record.uid;
            let record = self.place(record, false, coming)?;
            view.expunged.remove(uid);
            view.put(record);
        }
        for record in expunged {
            let record = self.place(record, true, coming)?;
            view.take(record.uid);
            view.expunged.put(record);
        }
        Ok(())
    }

    /// Writes the structures that came and notes the deliveries. The files that were made.
    fn keep(&mut self, coming: Coming<'_>) -> Result<Vec<PathBuf>, StoreError> {
        let Coming { cache, placed, notes, .. } = coming;
        self.cache.write_all_at(&cache, self.cache_end).doing("write", &self.dir)?;
        self.cache_end += cache.len() as u64;
        for note in &notes {
            self.duplicates.put(note)?;
        }
        self.noted |= !notes.is_empty();
        Ok(placed)
    }

    /// Removes the files of messages that are gone, and notes which have come: they are to be synced.
    fn note_files(&mut self, gone: &[u32], placed: Vec<PathBuf>) {
        // A list with one more than are synced singly is not whole, and its files are not looked for.
        let is_whole = self.placed.len() <= SYNCED_SINGLY;
        for uid in gone {
            let path = self.dir.join(format!("{uid}."));
            // What stays is known to nobody, and goes with the next expiry.
            let _ = fs::remove_file(&path);
            if is_whole {
                self.placed.retain(|placed| *placed != path);
            }
        }
        let room = (SYNCED_SINGLY + 1).saturating_sub(self.placed.len());
        self.placed.extend(placed.into_iter().take(room));
    }

    /// Now, so that it takes no time when the copies are compared.
    fn digest_now(&mut self) {
        let (now, before) = (self.snapshot(), self.digested.take());
        before.iter().for_each(|before| now.follow(before));
        now.sum();
        self.digested = Some(now);
    }

    /// Refuses what no mailbox can be.
    fn check(&self, difference: &Difference) -> Result<(), StoreError> {
        let wrong = |what: &str| Err(StoreError::damaged(&self.dir, what));
        if difference.keywords.as_ref().is_some_and(|words| words.len() > KEYWORDS) {
            return Err(StoreError::TooManyKeywords);
        }
        let records = difference.records.iter().chain(&difference.expunged);
        let runs = difference.tombstones.iter().flatten();
        let mut modseqs = records.map(|record| record.modseq).chain(runs.map(|run| run.modseq));
        if difference.numbers.highestmodseq > MODSEQ || modseqs.any(|modseq| modseq > MODSEQ) {
            return wrong("a source says a modification sequence that is too large");
        }
        if difference.tombstones.iter().flatten().any(|run| run.first == 0 || run.first > run.last) {
            return wrong("a source says messages that are gone which cannot have been there");
        }
        if difference.records.iter().chain(&difference.expunged).any(|record| record.uid == 0) {
            return wrong("a source says a message of UID 0");
        }
        Ok(())
    }

    /// The source's header as this copy has it.
    fn as_incoming(&self, header: &Header) -> Result<Header, StoreError> {
        check_header(header)?;
        let own = &*self.header;
        if header.uniqueid != own.uniqueid {
            return Err(StoreError::BadName);
        }
        Ok(Header {
            incoming: true,
            incoming_id: own.incoming_id.clone(),
            moved: own.moved.clone(),
            moving: None,
            ..header.clone()
        })
    }

    /// Puts a message's file and structure where they belong, unless they are there. The record as this copy has it.
    fn place(&self, record: Record, expunged: bool, coming: &mut Coming<'_>) -> Result<Record, StoreError> {
        if let Some(there) = self.record(record.uid).filter(|there| there.guid == record.guid) {
            return Ok(Record { cache: there.cache, header_size: there.header_size, ..record });
        }
        let staged = match coming.messages.get(&record.guid) {
            Some(staged) => staged.clone(),
            // Its file went at the source, too, when it was expunged.
            None if expunged => return Ok(Record { cache: NOWHERE, ..record }),
            None => return Err(StoreError::NoMessage),
        };
        let path = self.dir.join(format!("{}.", record.uid));
        self.put_file(&path, &staged)?;
        if coming.placed.len() <= SYNCED_SINGLY {
            coming.placed.push(path);
        }
        if record.savedate >= (self.now)().saturating_sub(DELIVERED as i64) {
            coming.notes.extend(note(&staged.cached, &self.header.uniqueid, record.savedate));
        }
        let cache = self.cache_end + coming.cache.len() as u64;
        put_frame(&mut coming.cache, u64::from(record.uid), staged.cached.bytes());
        Ok(Record { cache, size: staged.size, header_size: staged.header_size, ..record })
    }

    /// Makes a message's file, unsynced: linked where the message is a file of this partition already.
    fn put_file(&self, path: &Path, staged: &Staged) -> Result<(), StoreError> {
        let origin = staged.origin(&self.dir).filter(|origin| link(origin, path).is_ok());
        if origin.is_none() {
            if !self.fresh {
                match fs::remove_file(path) {
                    // What lies there may be linked into other mailboxes: never written over in place.
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).doing("remove", path);
                    }
                    _ => {}
                }
            }
            match &staged.content {
                Content::Memory(bytes) => fs::write(path, bytes).doing("write", path)?,
                Content::File { path: from, .. } => fs::copy(from, path).map(drop).doing("copy", path)?,
            }
        }
        staged.remember(&self.dir, path);
        Ok(())
    }

    /// A message of the copy.
    pub(super) fn lend(&self, uid: u32) -> Result<Arc<Staged>, StoreError> {
        let record = self.record(uid).ok_or(StoreError::NoMessage)?;
        let (path, partition) =
            (self.dir.join(format!("{uid}.")), partition_of(&self.dir).unwrap_or(&self.dir));
        if !path.exists() {
            return Err(StoreError::NoMessage);
        }
        let cached = match self.cached(record) {
            Some(cached) => cached,
            None => {
                let message = fs::read(&path).doing("read", &path)?;
                Cached::new(&Structure::parse(&message), &message)
            }
        };
        let content = Content::File { path: path.clone(), partition: partition.to_owned() };
        let staged = Staged::copied(record.size, record.header_size, record.guid, cached, content);
        // The file is the copy's, and stays.
        staged.remember(&self.dir, &path);
        Ok(Arc::new(staged))
    }

    fn cached(&self, record: &Record) -> Option<Cached> {
        let mut head = [0; crate::codec::FRAME];
        self.cache.read_exact_at(&mut head, record.cache).ok()?;
        let len = u32::from_le_bytes(*head.first_chunk::<4>()?) as usize;
        if len > crate::limits::LARGEST {
            return None;
        }
        let mut frame = vec![0; crate::codec::FRAME + len];
        self.cache.read_exact_at(&mut frame, record.cache).ok()?;
        let (payload, _) = take_frame(&frame, u64::from(record.uid))?;
        Cached::read(payload.to_vec().into()).ok()
    }
}

/// Refuses a header that no mailbox can have.
pub(super) fn check_header(header: &Header) -> Result<(), StoreError> {
    header.name()?;
    match header.foldermodseq.max(header.createdmodseq) > MODSEQ {
        true => Err(StoreError::BadName),
        false => Ok(()),
    }
}

/// What comes with a difference.
struct Coming<'a> {
    messages: &'a Round,
    /// What is to be added to the cache.
    cache: Vec<u8>,
    /// Files that were made: as many as are synced singly, and one more.
    placed: Vec<PathBuf>,
    notes: Vec<Note>,
}

fn set_numbers(view: &mut View, numbers: Numbers) {
    let highest = view.records.last().map_or(0, |record| record.uid);
    view.last_uid = numbers.last_uid.max(highest);
    (view.highestmodseq, view.deletedmodseq) = (numbers.highestmodseq, numbers.deletedmodseq);
    (view.recentuid, view.last_append) = (numbers.recentuid, numbers.last_append);
    view.pop3_last_login = numbers.pop3_last_login;
}

/// The memory of a delivery, as if the message had been delivered here: a sender who did not hear of it may try once more.
fn note(cached: &Cached, uniqueid: &str, savedate: i64) -> Option<Note> {
    let structure = cached.structure().ok()?;
    let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
    let message_id = structure.envelope.message_id.as_deref().map(text).filter(|id| !id.is_empty())?;
    let date = structure.envelope.date.as_deref().map(text).unwrap_or_default();
    let time = u64::try_from(savedate).ok()?;
    Some(Note { key: duplicate::key(&message_id, uniqueid, &date), time })
}

/// The largest modification sequence (RFC 7162 section 3.1).
const MODSEQ: u64 = i64::MAX.unsigned_abs();
/// Where no structure lies: it is read from the message, if there is one.
const NOWHERE: u64 = (u32::MAX as u64) << 16;
