//! OVER, HDR, XPAT: fields of many articles, from the cache where it has them, in runs on a blocking thread.

use std::sync::Arc;

use identity::auth::Login;
use mime::{Cached, Fields as Header};
use protocol::nntp::overview::{self, Overview};
use protocol::nntp::words::{Articles, Range};
use protocol::nntp::{No, Wildmat};
use store::{Depth, Extent, Mailbox, Read, Record, Wanted};
use tokio::task::spawn_blocking;

use super::limits::RUN;
use super::node::{Node, with_own};
use super::selected::{Selected, run};

/// Fields of articles on their way out.
pub(super) struct Fields {
    mailbox: Arc<Mailbox>,
    range: Range,
    next: u32,
    /// As it is shown in place of the number: 0 for one that was asked for by its Message-ID.
    number: Option<u32>,
    what: What,
}

/// What is shown of each.
#[derive(Clone)]
pub(super) enum What {
    Overview,
    /// A header's field, or `:bytes`, `:lines`.
    Field(String),
    /// A field, of articles in which it matches.
    Matching(String, Vec<Wildmat>),
}

impl Node {
    /// Begins to show fields of the articles that a command names.
    pub(super) async fn fields(
        self: &Arc<Self>,
        selected: &mut Option<Selected>,
        which: Articles,
        what: What,
        login: &Login,
    ) -> Result<Box<Fields>, No> {
        self.know_articles().await;
        let (mailbox, range, number) = match which {
            Articles::Id(id) => {
                let chosen = self.by_id(selected.as_ref(), &id, login).await?;
                (chosen.mailbox, Range::one(chosen.record.uid), Some(chosen.number))
            }
            Articles::Current => {
                let selected = self.readable(selected, login)?;
                (selected.mailbox.clone(), Range::one(selected.current()?.uid), None)
            }
            Articles::Range(range) => (self.readable(selected, login)?.mailbox.clone(), range, None),
        };
        if run(&mailbox.view(), range.from, range, 1).is_empty() {
            return Err(No::NoSuchNumber);
        }
        Ok(Box::new(Fields { mailbox, next: range.from, range, number, what }))
    }
}

impl Fields {
    /// Puts the fields of the next articles out.
    pub async fn step(
        self: Box<Self>,
        node: &Arc<Node>,
        login: &Login,
        lines: &mut Vec<u8>,
    ) -> Option<Box<Fields>> {
        let view = self.mailbox.view();
        let records = run(&view, self.next, self.range, RUN);
        let last = records.last()?.uid;
        let ended = records.len() < RUN || last == u32::MAX;
        let (node, login) = (node.clone(), login.clone());
        let work = move || {
            let mut out = Vec::new();
            self.read(&records, &node, &login, &mut out);
            (self, out)
        };
        let Ok((mut fields, out)) = spawn_blocking(work).await else { return None };
        lines.extend_from_slice(&out);
        fields.next = last.saturating_add(1);
        (!ended).then_some(fields)
    }

    /// On a blocking thread.
    fn read(&self, records: &[Record], node: &Node, login: &Login, out: &mut Vec<u8>) {
        let bytes = if self.what.needs_header() { Extent::Header } else { Extent::Nothing };
        let structure = if self.what.needs_structure() { Depth::Shown } else { Depth::Nothing };
        let mut left = records;
        while !left.is_empty() {
            let run = self.mailbox.read_run(left, Wanted { structure, bytes });
            let (these, rest) = left.split_at(run.len().clamp(1, left.len()));
            for (record, read) in these.iter().zip(run) {
                match read {
                    Ok(read) => self.line(record, &read, node, login, out),
                    // What was expunged meanwhile is left out.
                    Err(error) => tracing::debug!(uid = record.uid, %error, "an article is left out"),
                }
            }
            left = rest;
        }
    }

    fn line(&self, record: &Record, read: &Read, node: &Node, login: &Login, out: &mut Vec<u8>) {
        let number = self.number.unwrap_or(record.uid);
        match &self.what {
            What::Overview => {
                if let Some(cached) = &read.cached {
                    self.overview(number, record, cached, node, login, out);
                }
            }
            What::Field(field) => {
                let value = self.value(field, record, read, node, login);
                show(number, &value, out);
            }
            What::Matching(field, patterns) => {
                let value = self.value(field, record, read, node, login);
                let mut line = Vec::new();
                overview::write_value(&value, &mut line);
                let text = String::from_utf8_lossy(&line);
                if !value.is_empty() && patterns.iter().any(|pattern| pattern.matches(&text)) {
                    show(number, &value, out);
                }
            }
        }
    }

    fn overview(
        &self,
        number: u32,
        record: &Record,
        cached: &Cached,
        node: &Node,
        login: &Login,
        out: &mut Vec<u8>,
    ) {
        let Ok(structure) = cached.structure() else { return };
        let (envelope, header);
        let kept = match cached.overview() {
            Some(kept) => kept,
            None => {
                // Mail, or one that came before overviews were kept.
                header = self
                    .mailbox
                    .read_blocking(record.uid, 0..u64::from(record.header_size))
                    .unwrap_or_default();
                envelope = (value_of(&header, "from"), value_of(&header, "references"));
                mime::Overview {
                    from: &envelope.0,
                    references: &envelope.1,
                    is_crosspost: header_is_crosspost(&header),
                }
            }
        };
        let id = structure.envelope.message_id.as_deref().unwrap_or_default();
        let xref = self.xref(record.uid, id, kept.is_crosspost, node, login);
        let line = Overview {
            number,
            subject: structure.envelope.subject.as_deref().unwrap_or_default(),
            from: kept.from,
            date: structure.envelope.date.as_deref().unwrap_or_default(),
            message_id: id,
            references: kept.references,
            bytes: record.size,
            lines: u64::from(structure.root.lines),
            xref: xref.as_bytes(),
        };
        line.write(out);
    }

    /// Look-ups are for articles of several groups alone.
    fn xref(&self, uid: u32, id: &[u8], is_crosspost: bool, node: &Node, login: &Login) -> String {
        let others = match is_crosspost {
            true => node.store.crossposts(&String::from_utf8_lossy(id)),
            false => Vec::new(),
        };
        node.xref(&with_own(&self.mailbox, uid, others), login)
    }

    fn value(&self, field: &str, record: &Record, read: &Read, node: &Node, login: &Login) -> Vec<u8> {
        match field.to_ascii_lowercase().as_str() {
            ":bytes" => record.size.to_string().into_bytes(),
            ":lines" => {
                let structure = read.cached.as_ref().and_then(|cached| cached.structure().ok());
                structure.map_or(0, |structure| structure.root.lines).to_string().into_bytes()
            }
            "xref" => {
                let id = value_of(&read.head, "message-id");
                self.xref(record.uid, &id, header_is_crosspost(&read.head), node, login).into_bytes()
            }
            name => value_of(&read.head, name),
        }
    }
}

impl What {
    /// Of HDR and XHDR; none: there is no such metadata.
    pub fn field(name: String, patterns: Option<Vec<Wildmat>>) -> Option<What> {
        let is_known = !name.starts_with(':') || is_metadata(&name);
        let what = match patterns {
            Some(patterns) => What::Matching(name, patterns),
            None => What::Field(name),
        };
        is_known.then_some(what)
    }

    fn needs_header(&self) -> bool {
        match self {
            What::Overview => false,
            What::Field(name) | What::Matching(name, _) => !is_metadata(name),
        }
    }

    fn needs_structure(&self) -> bool {
        match self {
            What::Overview => true,
            What::Field(name) | What::Matching(name, _) => name.eq_ignore_ascii_case(":lines"),
        }
    }
}

fn is_metadata(name: &str) -> bool {
    name.eq_ignore_ascii_case(":bytes") || name.eq_ignore_ascii_case(":lines")
}

fn value_of(header: &[u8], name: &str) -> Vec<u8> {
    Header::first(header, name).map(|field| field.unfolded()).unwrap_or_default()
}

fn header_is_crosspost(header: &[u8]) -> bool {
    Header::first(header, "newsgroups").is_some_and(|field| field.value.contains(&b','))
}

fn show(number: u32, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{number} ").as_bytes());
    overview::write_value(value, out);
    out.extend_from_slice(b"\r\n");
}
