//! FETCH: RFC 3501 section 6.4.5 with MODSEQ (RFC 7162), BINARY (RFC 3516), EMAILID and THREADID (RFC 8474), SAVEDATE (RFC 8514),
//! PREVIEW (RFC 8970).
//!
//! Flags and numbers come from the index; envelope and structure from the cache, where they stand as they are printed; of a message's file only the bytes
//! that are asked for are read. Messages are read in runs, by one hop to a blocking thread each, and the next run is read while
//! one is written; what does not fit into it goes from file to socket through one buffer.

use std::sync::Arc;

use bytes::Bytes;
use protocol::imap::command::fetch::{Fetch, Fragment, Handle, Item, Text, Value, print_end, print_start};
use protocol::imap::command::select::print_vanished;
use protocol::imap::{DateTime, Flag, Refusal, Reply, SequenceSet};
use tokio_util::task::AbortOnDropHandle;
use work::aside::{Pace, away, weighed};

use super::resync;
use crate::imap::conn::Gone;
use crate::imap::limits::{CHUNK, FETCH_BYTES, SOON};
use crate::imap::named::Named;
use crate::imap::numbering::Target;
use crate::imap::reply::{Outcome, Stop, refusal};
use crate::imap::session::Session;
use mime::{Encoding, Part, Shown, Span, Structure, What, decode_transfer, pick_fields, write_nstring};
use store::{Depth, Extent, How, Mailbox, Read, Record, StoreError, Wanted};

pub async fn run(session: &mut Session, mut fetch: Fetch) -> Outcome {
    if fetch.vanished && !session.manner().resync {
        return Err(Refusal::NoQresync("Fetch").into());
    }
    if fetch.implied_uid && session.manner().uid_only {
        // The response begins with it.
        fetch.items.retain(|item| *item != Item::Uid);
    }
    if fetch.items.contains(&Item::Modseq) {
        session.enable_condstore();
    }
    let mut targets = session.targets(&fetch.set, fetch.uid, fetch.changed_since).await?;
    if let Some(modseq) = fetch.changed_since.filter(|_| fetch.vanished) {
        tell_vanished(session, &fetch.set, modseq).await?;
    }
    if let Some(page) = fetch.partial {
        targets.keep(page.window(targets.len()));
    }
    if targets.is_empty() && !fetch.uid && !fetch.set.is_saved() && fetch.changed_since.is_none() {
        let expunged = session.selected()?.numbering.misses(&fetch.set);
        return Err(if expunged { Refusal::Expunged } else { Refusal::NoMessages }.into());
    }
    let marks = fetch.items.iter().any(marks_seen) && session.selected()?.may_mark_seen();
    match tell_of(session, targets, &fetch.items, marks).await? {
        Some(refusal) => Err(refusal.into()),
        None => Ok(Reply::completed()),
    }
}

/// New messages (UIDs), told of without having been asked for: none of them becomes \Seen by that. What cannot be told is left out.
pub async fn tell(session: &mut Session, uids: &[u32], mut items: Vec<Item>) -> Result<(), Stop> {
    if session.manner().uid_only {
        items.retain(|item| *item != Item::Uid);
    }
    let selected = session.selected()?;
    let targets = Named::of_uids(selected.numbering.clone(), uids);
    tell_of(session, targets, &items, false).await.map(drop)
}

/// Writes the answers of messages; `marks`: they become \Seen. The result is why there is none of some.
async fn tell_of(
    session: &mut Session,
    mut targets: Named,
    items: &[Item],
    marks: bool,
) -> Result<Option<Refusal>, Stop> {
    let wanted = Wanted {
        structure: items.iter().map(needs_structure).max().unwrap_or(Depth::Nothing),
        bytes: items.iter().map(needs_bytes).max().unwrap_or(Extent::Nothing),
    };
    let lack = Lack {
        previews: items.contains(&Item::Preview { lazy: false }),
        threads: items.contains(&Item::ThreadId),
    };
    let read_ahead = |mailbox: &Arc<Mailbox>, targets: &[Target]| read_ahead(mailbox, targets, wanted, lack);
    let mailbox = session.selected()?.mailbox.clone();
    let (mut failed, mut ahead, mut pace) = (None, None, Pace::default());
    // Those that come next: of a run, and of the one that is read while it is written.
    let mut next: Vec<Target> = Vec::new();
    let (mut marked, mut marked_to) = (Vec::new(), 0);
    loop {
        targets.take((2 * CHUNK).saturating_sub(next.len()), &mut next);
        if next.is_empty() {
            return Ok(failed);
        }
        let ready = ahead.take().unwrap_or_else(|| read_ahead(&mailbox, &next));
        let run = unless_gone(session, ready).await?.map_err(|_| Stop::from(StoreError::Closed))?;
        let end = run.len();
        ahead = next.get(end..).filter(|rest| !rest.is_empty()).map(|rest| read_ahead(&mailbox, rest));
        if marks && end > marked_to {
            let until = end.max(marked_to + CHUNK).min(next.len());
            let unmarked = next.get_mut(marked_to..until).unwrap_or_default();
            marked.extend(mark_seen(session, unmarked).await?);
            marked_to = until;
        }
        for (target, read) in next.iter().zip(run) {
            let changed = marked.binary_search(&target.record.uid).is_ok();
            let reader = match read {
                Ok(read) => Reader { mailbox: &mailbox, target, read },
                Err(error) => {
                    failed = Some(refusal(error));
                    continue;
                }
            };
            failed = message(session, &reader, items, changed, &mut pace).await?.or(failed);
        }
        next.drain(..end.min(next.len()));
        marked_to = marked_to.saturating_sub(end);
        let first = next.first().map_or(u32::MAX, |target| target.record.uid);
        marked.drain(..marked.partition_point(|uid| *uid < first));
    }
}

/// VANISHED (EARLIER), before the first message.
async fn tell_vanished(session: &mut Session, set: &SequenceSet, modseq: u64) -> Result<(), Stop> {
    let selected = session.selected()?;
    let (view, known) = (selected.view().clone(), set.resolve(selected.numbering.last_uid()));
    let weight = resync::weight(&view, modseq).saturating_add(set.ranges());
    let tell = move || {
        let mut out = Vec::new();
        print_vanished(&mut out, true, &resync::vanished(&view, modseq, Some(&known)));
        out
    };
    let out = weighed(weight, tell).await;
    Ok(session.conn.write_through(&out).await?)
}

/// What is to be read that frames of earlier versions lack.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lack {
    previews: bool,
    threads: bool,
}

/// Reads the first of these messages, one at least, while those before them are written. Ends by itself where the client goes
/// away.
pub(super) fn read_ahead(
    mailbox: &Arc<Mailbox>,
    targets: &[Target],
    wanted: Wanted,
    lack: Lack,
) -> AbortOnDropHandle<Run> {
    let targets = targets.get(..CHUNK).unwrap_or(targets);
    if wanted.is_nothing() {
        let run = targets.iter().map(|_| Ok(Read::default())).collect();
        return AbortOnDropHandle::new(tokio::spawn(std::future::ready(run)));
    }
    let records: Vec<Record> = targets.iter().map(|target| target.record.clone()).collect();
    let mailbox = mailbox.clone();
    away(move || {
        let mut run = mailbox.read_run(&records, wanted);
        if lack.previews {
            mailbox.add_previews(&records, &mut run);
        }
        if lack.threads {
            mailbox.add_keys(&records, &mut run);
        }
        run
    })
}

/// Waits for work, whose turn among that of the user's other sessions may be far off, as long as the client is there. One
/// that has closed its own side only, and waits for the answer, has it if it comes soon.
pub(super) async fn unless_gone<T>(session: &mut Session, work: impl Future<Output = T>) -> Result<T, Stop> {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(SOON, work.as_mut()).await {
        return Ok(done);
    }
    tokio::select! {
        biased;
        done = work => Ok(done),
        gone = session.conn.gone() => Err(gone.into()),
    }
}

/// What was read of the messages of a run.
pub(super) type Run = Vec<Result<Read, StoreError>>;

/// Sets \Seen where it is missing; the targets then hold the changed records. UIDs that changed.
async fn mark_seen(session: &mut Session, targets: &mut [Target]) -> Result<Vec<u32>, Stop> {
    let selected = session.selected()?;
    let unseen: Vec<u32> = (targets.iter())
        .filter(|target| !selected.is_seen(&target.record))
        .map(|target| target.record.uid)
        .collect();
    if unseen.is_empty() {
        return Ok(unseen);
    }
    super::store::change(session, unseen.clone(), How::Add, &[Flag::Seen], None).await?;
    let view = session.selected()?.mailbox.view();
    for target in targets.iter_mut().filter(|target| unseen.binary_search(&target.record.uid).is_ok()) {
        if let Some(record) = view.get(target.record.uid) {
            target.record = record.clone();
        }
    }
    let known: Vec<_> = targets.iter().map(|target| (target.record.uid, target.record.modseq)).collect();
    session.selected()?.knows(known);
    Ok(unseen)
}

/// Writes one message's answer; the result is why there is none.
async fn message(
    session: &mut Session,
    reader: &Reader<'_>,
    items: &[Item],
    changed: bool,
    pace: &mut Pace,
) -> Result<Option<Refusal>, Stop> {
    let (condstore, target) = (session.condstore(), reader.target);
    // Whatever can fail does so before the first byte is written.
    if let Some(refusal) = reader.refuses(items) {
        return Ok(Some(refusal));
    }
    let flags_wanted = items.contains(&Item::Flags);
    let uid_only = session.manner().uid_only;
    let handle = if uid_only { Handle::Uid(target.record.uid) } else { Handle::Number(target.sequence) };
    print_start(session.conn.out(), handle);
    let mut first = true;
    for item in items {
        session.conn.put(lead(&mut first));
        if !write_known(session, reader, item)? {
            write_item(session, reader, item).await?;
        }
        pace.steps(1 + names_of(item)).await;
    }
    if changed && !flags_wanted {
        let flags = flag_list(session, &target.record)?;
        session.conn.put(lead(&mut first));
        Value::Flags(&flags).print(session.conn.out());
    }
    if changed && condstore && !items.contains(&Item::Modseq) {
        // RFC 7162 section 3.1: with all flags that changed, this way too.
        session.conn.put(lead(&mut first));
        Value::Modseq(target.record.modseq).print(session.conn.out());
    }
    print_end(session.conn.out());
    session.conn.relieve().await?;
    Ok(None)
}

/// What stands before an item.
fn lead(first: &mut bool) -> &'static str {
    if std::mem::take(first) { "" } else { " " }
}

/// Writes an item that the index or the cache has; whether it did.
fn write_known(session: &mut Session, reader: &Reader<'_>, item: &Item) -> Result<bool, Stop> {
    let record = &reader.target.record;
    let out = session.conn.out();
    match item {
        Item::Uid => Value::Uid(record.uid).print(out),
        Item::Flags => {
            let flags = flag_list(session, record)?;
            Value::Flags(&flags).print(session.conn.out());
        }
        Item::InternalDate => Value::InternalDate(DateTime::utc(record.internaldate)).print(out),
        Item::SaveDate => Value::SaveDate(DateTime::utc(record.savedate)).print(out),
        Item::Size => Value::Size(record.size).print(out),
        Item::Modseq => Value::Modseq(record.modseq).print(out),
        Item::EmailId => Value::EmailId(&email_id(record)).print(out),
        Item::ThreadId => {
            let keys = reader.read.cached.as_ref().and_then(|cached| cached.thread_keys());
            Value::ThreadId(record.thread(keys)).print(out);
        }
        Item::Annotation(notes) => super::annotate::print(session, record, notes)?,
        Item::Preview { .. } => {
            // None only with LAZY: without, it was added to what was read.
            let mut text = Vec::new();
            write_nstring(&mut text, reader.read.cached.as_ref().and_then(|cached| cached.preview()));
            put_value(out, item, &text);
        }
        _ => {
            let Some(shown) = shown(item) else { return Ok(false) };
            let cached = reader.read.cached.as_ref();
            let Some(text) = cached.and_then(|cached| cached.text(shown)) else { return Ok(false) };
            put_value(out, item, text);
        }
    }
    Ok(true)
}

/// What an item shows of the structure.
fn shown(item: &Item) -> Option<Shown> {
    match item {
        Item::Envelope => Some(Shown::Envelope),
        Item::Body => Some(Shown::Body),
        Item::BodyStructure => Some(Shown::BodyStructure),
        _ => None,
    }
}

/// An item with its value, which is printed already.
fn put_value(out: &mut Vec<u8>, item: &Item, value: &[u8]) {
    item.print_name(out);
    out.push(b' ');
    out.extend_from_slice(value);
}

/// Writes an item that waits for work or for a message's bytes.
async fn write_item(session: &mut Session, reader: &Reader<'_>, item: &Item) -> Result<(), Stop> {
    let out = session.conn.out();
    match item {
        Item::Section(fragment) | Item::Rfc822(fragment, _) => {
            item.print_name(out);
            write_fragment(session, reader, fragment).await?;
        }
        Item::Binary(fragment) => {
            item.print_name(out);
            write_binary(session, reader, fragment).await?;
        }
        Item::BinarySize(part) => {
            let size = unless_gone(session, reader.decoded(part)).await??.map_or(0, |bytes| bytes.len());
            put_value(session.conn.out(), item, size.to_string().as_bytes());
        }
        _ => {
            if let Some(shown) = shown(item) {
                let text = unless_gone(session, reader.render(shown)).await?;
                put_value(session.conn.out(), item, &text);
            }
        }
    }
    Ok(())
}

/// The value of a section: a blank and NIL or a literal.
async fn write_fragment(session: &mut Session, reader: &Reader<'_>, fragment: &Fragment) -> Result<(), Stop> {
    match unless_gone(session, reader.locate(fragment)).await?? {
        Located::Nothing => session.conn.put(" NIL"),
        Located::Bytes(bytes) => write_literal(session, cut(&bytes, fragment.partial)).await?,
        Located::Span(span) => {
            let span = cut_span(span, fragment.partial);
            if span.len == 0 {
                session.conn.put(" \"\"");
                return Ok(());
            }
            session.conn.put(format!(" {{{}}}\r\n", span.len));
            reader.send(session, span).await?;
        }
    }
    Ok(())
}

async fn write_binary(session: &mut Session, reader: &Reader<'_>, fragment: &Fragment) -> Result<(), Stop> {
    let decoded = unless_gone(session, reader.decoded(&fragment.section.part)).await??;
    let Some(bytes) = decoded else {
        session.conn.put(" NIL");
        return Ok(());
    };
    let bytes = cut(&bytes, fragment.partial);
    if bytes.contains(&0) {
        session.conn.put(format!(" ~{{{}}}\r\n", bytes.len()));
        session.conn.write_through(bytes).await?;
        return Ok(());
    }
    write_literal(session, bytes).await
}

async fn write_literal(session: &mut Session, bytes: &[u8]) -> Result<(), Stop> {
    if bytes.is_empty() {
        session.conn.put(" \"\"");
        return Ok(());
    }
    session.conn.put(format!(" {{{}}}\r\n", bytes.len()));
    Ok(session.conn.write_through(bytes).await?)
}

/// A message that is being told of.
pub(super) struct Reader<'a> {
    pub(super) mailbox: &'a Arc<Mailbox>,
    pub(super) target: &'a Target,
    /// `head`: the message's first bytes, all of a small one.
    pub(super) read: Read,
}

/// Where the value of a section is.
pub(super) enum Located {
    Nothing,
    Bytes(Vec<u8>),
    Span(Span),
}

impl Reader<'_> {
    fn uid(&self) -> u32 {
        self.target.record.uid
    }

    /// Why the items cannot be answered, if so.
    fn refuses(&self, items: &[Item]) -> Option<Refusal> {
        for item in items {
            let part = match item {
                Item::Annotation(notes) => match super::annotate::refuses(&self.target.record, notes) {
                    None => continue,
                    refused => return refused,
                },
                Item::Binary(fragment) => &fragment.section.part,
                Item::BinarySize(part) => part,
                _ => continue,
            };
            // The whole message has no encoding.
            let encoding = |structure: &Structure| match part.as_slice() {
                [] => None,
                part => structure.part(part).map(Part::transfer_encoding),
            };
            if self.read.structure.as_deref().and_then(encoding) == Some(Encoding::Unknown) {
                // RFC 3516 section 4.3
                return Some(Refusal::UnknownEncoding);
            }
        }
        None
    }

    /// What is shown of the structure. A message can have more addresses and parts than are printed on the spot.
    async fn render(&self, shown: Shown) -> Vec<u8> {
        let Some(structure) = self.read.structure.clone() else { return Vec::new() };
        let weight = structure.weight();
        let render = move || {
            let mut out = Vec::new();
            shown.print(&structure, &mut out);
            out
        };
        weighed(weight, render).await
    }

    pub(super) async fn locate(&self, fragment: &Fragment) -> Result<Located, Stop> {
        let section = &fragment.section;
        let what = match &section.text {
            Text::All => What::Whole,
            Text::Header | Text::HeaderFields(_) | Text::HeaderFieldsNot(_) => What::Header,
            Text::Text => What::Text,
            Text::Mime => What::Mime,
        };
        let Record { size, header_size, .. } = self.target.record;
        let found = match (&self.read.structure, what) {
            (Some(structure), _) => structure.locate(&section.part, what),
            // The index knows as much of the message itself: see `needs_structure`.
            (None, What::Header) => Some(Span { start: 0, len: header_size }),
            (None, _) => Some(Span { start: 0, len: u32::try_from(size).unwrap_or(u32::MAX) }),
        };
        let Some(span) = found else { return Ok(Located::Nothing) };
        Ok(match &section.text {
            Text::HeaderFields(names) => Located::Bytes(self.fields(span, names, false).await?),
            Text::HeaderFieldsNot(names) => Located::Bytes(self.fields(span, names, true).await?),
            _ => Located::Span(span),
        })
    }

    async fn fields(&self, header: Span, names: &[Vec<u8>], not: bool) -> Result<Vec<u8>, Stop> {
        let (header, names) = (self.read(header).await?, names.to_vec());
        Ok(weighed(header.len() / FETCH_BYTES, move || pick_fields(&header, &names, not)).await)
    }

    /// A part without its transfer encoding.
    async fn decoded(&self, part: &[u32]) -> Result<Option<Vec<u8>>, Stop> {
        let Some(structure) = &self.read.structure else { return Ok(None) };
        if part.is_empty() {
            return Ok(Some(self.read(Span { start: 0, len: structure.size }).await?.to_vec()));
        }
        let Some(part) = structure.part(part) else { return Ok(None) };
        let (bytes, encoding) = (self.read(part.body).await?, part.transfer_encoding());
        Ok(Some(
            weighed(bytes.len() / FETCH_BYTES, move || decode_transfer(&bytes, encoding).into_owned()).await,
        ))
    }

    async fn read(&self, span: Span) -> Result<Bytes, Gone> {
        if span.end() as usize <= self.read.head.len() {
            return Ok(self.read.head.slice(span.start as usize..span.end() as usize));
        }
        let range = u64::from(span.start)..u64::from(span.end());
        self.mailbox.read(self.uid(), range).await.map_err(|error| self.unreadable(error))
    }

    /// Sends a run of the message. An error in the middle leaves no way but to close the connection, since the
    /// literal's size is told already.
    async fn send(&self, session: &mut Session, span: Span) -> Result<(), Gone> {
        let (mut at, end) = (u64::from(span.start), u64::from(span.end()));
        let head = &self.read.head;
        let known = head.get(span.start as usize..head.len().min(span.end() as usize)).unwrap_or_default();
        if !known.is_empty() {
            session.conn.write_through(known).await?;
            at += known.len() as u64;
        }
        if at == end {
            return Ok(());
        }
        let mut message =
            self.mailbox.open_large(self.uid()).await.map_err(|error| self.unreadable(error))?;
        while at < end {
            let bytes = message.piece(at, end).await.map_err(|error| self.unreadable(error))?;
            if bytes.is_empty() {
                return Err(Gone::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            session.conn.write_through(bytes).await?;
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn unreadable(&self, error: StoreError) -> Gone {
        tracing::error!(%error, uid = self.uid(), "a message cannot be read");
        Gone::Io(std::io::Error::other(error))
    }
}

/// What must be read beside the index. Of the message itself that knows where the header ends.
pub(super) fn needs_structure(item: &Item) -> Depth {
    match item {
        Item::Envelope | Item::Body | Item::BodyStructure | Item::Preview { .. } | Item::ThreadId => {
            Depth::Shown
        }
        Item::Binary(_) | Item::BinarySize(_) => Depth::Parts,
        Item::Section(fragment) | Item::Rfc822(fragment, _) => {
            let indexed = !matches!(fragment.section.text, Text::Text | Text::Mime);
            if fragment.section.part.is_empty() && indexed { Depth::Nothing } else { Depth::Parts }
        }
        _ => Depth::Nothing,
    }
}

/// Header fields that are printed with the item's name.
fn names_of(item: &Item) -> usize {
    match item {
        Item::Section(Fragment { section, .. }) => match &section.text {
            Text::HeaderFields(names) | Text::HeaderFieldsNot(names) => names.len(),
            _ => 0,
        },
        _ => 0,
    }
}

pub(super) fn needs_bytes(item: &Item) -> Extent {
    match item {
        Item::Section(fragment) | Item::Rfc822(fragment, _) => {
            let of_header = matches!(
                fragment.section.text,
                Text::Header | Text::HeaderFields(_) | Text::HeaderFieldsNot(_)
            );
            let header = fragment.section.part.is_empty() && of_header;
            if header { Extent::Header } else { Extent::Head }
        }
        Item::Binary(_) | Item::BinarySize(_) => Extent::Head,
        _ => Extent::Nothing,
    }
}

fn marks_seen(item: &Item) -> bool {
    match item {
        Item::Section(fragment) | Item::Rfc822(fragment, _) | Item::Binary(fragment) => !fragment.peek,
        _ => false,
    }
}

pub(super) fn cut(bytes: &[u8], partial: Option<(u32, u32)>) -> &[u8] {
    cut_span(Span::new(0, bytes.len()), partial).of(bytes)
}

pub(super) fn cut_span(span: Span, partial: Option<(u32, u32)>) -> Span {
    let Some((origin, count)) = partial else { return span };
    let origin = origin.min(span.len);
    Span { start: span.start.saturating_add(origin), len: count.min(span.len - origin) }
}

fn flag_list(session: &mut Session, record: &Record) -> Result<Vec<u8>, Stop> {
    let selected = session.selected()?;
    Ok(selected.flag_list(&selected.mailbox.view(), record))
}

/// The same bytes have the same id, wherever they are (as in Cyrus).
pub fn email_id(record: &Record) -> String {
    let mut id = record.guid_hex();
    id.truncate(ID_DIGITS);
    id.insert(0, 'M');
    id
}

/// Of the GUID, in hexadecimal.
const ID_DIGITS: usize = 24;
