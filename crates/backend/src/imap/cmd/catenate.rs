//! The parts of a message that come from others: the URLs of CATENATE (RFC 4469), which name messages of this node that the user may
//! read. A frontend fetches those that are elsewhere, and sends them as text.

use std::sync::Arc;

use bytes::Bytes;
use protocol::acl::Rights;
use protocol::imap::Refusal;
use protocol::imap::command::fetch::{Fragment, Item};
use protocol::imap::url::{Lack as Missing, Url};

use super::fetch::{
    Lack, Located, Reader, cut, cut_span, needs_bytes, needs_structure, read_ahead, unless_gone,
};
use crate::imap::numbering::Target;
use crate::imap::reply::Stop;
use crate::imap::session::Session;
use mime::Span;
use store::{Mailbox, StoreError, Wanted};

/// What a URL names.
pub struct Found {
    mailbox: Arc<Mailbox>,
    uid: u32,
    bytes: Source,
}

enum Source {
    /// Of the message.
    Span(Span),
    Memory(Bytes),
}

impl Found {
    pub fn size(&self) -> u64 {
        match &self.bytes {
            Source::Span(span) => span.len.into(),
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// At most `len` of its bytes; none where the message has fewer than it had.
    pub async fn read(&self, from: u64, len: u64) -> Result<Bytes, StoreError> {
        let to = from.saturating_add(len).min(self.size());
        match &self.bytes {
            Source::Span(span) => {
                let start = u64::from(span.start);
                self.mailbox.read(self.uid, start + from..start + to).await
            }
            Source::Memory(bytes) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at(from)..at(to)))
            }
        }
    }
}

/// Finds what a URL names. `open`: the mailbox to which it can be relative, where that is not the one that is open here.
pub async fn find(session: &mut Session, text: &str, open: Option<&str>) -> Result<Found, Stop> {
    let bad = |why| Stop::from(Refusal::bad_url(text, why));
    let lacks = |missing: Missing| bad(missing.text());
    let url = Url::parse(text).map_err(|_| bad("Invalid URL"))?;
    if !url.is_of(&session.server.imapd.servername, session.user()?.id()) {
        return Err(bad("The URL names another server or user"));
    }
    let named = url.name(session.manner().utf8_names);
    let mailbox = match named.as_deref().or(open.filter(|open| !open.is_empty())) {
        Some(external) => {
            let (name, _, rights) = session.find(external).await.map_err(|_| lacks(Missing::Mailbox))?;
            if !rights.contains(Rights::READ) {
                let sees = rights.contains(Rights::LOOKUP);
                return Err(lacks(if sees { Missing::Right } else { Missing::Mailbox }));
            }
            session.server.store.mailbox(&name).await?
        }
        None => session.selected().map_err(|_| bad("No mailbox is selected"))?.mailbox.clone(),
    };
    let view = mailbox.view();
    if url.uidvalidity.is_some_and(|uidvalidity| uidvalidity != view.uidvalidity) {
        return Err(lacks(Missing::UidValidity));
    }
    let record = view.get(url.uid).cloned().ok_or_else(|| lacks(Missing::Message))?;
    let fragment = Fragment { peek: true, section: url.section, partial: url.partial };
    let item = Item::Section(fragment.clone());
    let wanted = Wanted { structure: needs_structure(&item), bytes: needs_bytes(&item) };
    let target = Target { sequence: 0, record };
    let ahead = read_ahead(&mailbox, std::slice::from_ref(&target), wanted, Lack::default());
    let run = unless_gone(session, ahead).await?.map_err(|_| Stop::from(StoreError::Closed))?;
    let read = match run.into_iter().next() {
        Some(Ok(read)) => read,
        Some(Err(StoreError::NoMessage)) | None => return Err(lacks(Missing::Message)),
        Some(Err(error)) => return Err(error.into()),
    };
    let reader = Reader { mailbox: &mailbox, target: &target, read };
    let located = unless_gone(session, reader.locate(&fragment)).await??;
    let bytes = match located {
        Located::Nothing => return Err(lacks(Missing::Section)),
        Located::Bytes(bytes) => Source::Memory(Bytes::copy_from_slice(cut(&bytes, fragment.partial))),
        Located::Span(span) => Source::Span(cut_span(span, fragment.partial)),
    };
    Ok(Found { mailbox, uid: url.uid, bytes })
}
