//! ARTICLE, HEAD, BODY, STAT: which article, and how it is shown. Xref is made now, of where the article is, and one that is
//! stored is not shown.

use std::sync::Arc;

use bytes::Bytes;
use identity::auth::Login;
use mime::Fields;
use protocol::nntp::command::Part;
use protocol::nntp::words::{Article, MessageId};
use protocol::nntp::{No, Reply};
use store::{Mailbox, Record, StoreError};
use tokio::time::timeout;
use tracing::error;
use work::aside::weighed;

use super::limits::{KNOWN, rows};
use super::listing::Listing;
use super::node::{Node, with_own};
use super::refusal::broken;
use super::selected::Selected;

/// An article that somebody may read.
pub(super) struct Chosen {
    pub mailbox: Arc<Mailbox>,
    pub record: Record,
    /// In the selected group; 0: it was asked for by its Message-ID, and is elsewhere.
    pub number: u32,
}

/// The answer, and what follows it.
pub(super) type Answer = (Reply, Option<Listing>);

impl Node {
    /// The article that a command names.
    pub(super) async fn choose(
        &self,
        selected: &mut Option<Selected>,
        which: Article,
        login: &Login,
    ) -> Result<Chosen, No> {
        if let Article::Id(id) = which {
            return self.by_id(selected.as_ref(), &id, login).await;
        }
        let selected = self.readable(selected, login)?;
        let record = match which {
            Article::Number(number) => selected.select(number)?,
            Article::Current | Article::Id(_) => selected.current()?,
        };
        let (mailbox, number) = (selected.mailbox.clone(), record.uid);
        Ok(Chosen { mailbox, record, number })
    }

    /// The selected group, if it is there and may be read still.
    pub(super) fn readable<'a>(
        &self,
        selected: &'a mut Option<Selected>,
        login: &Login,
    ) -> Result<&'a mut Selected, No> {
        if selected.as_ref().is_some_and(|selected| !self.may_read(&selected.mailbox, login)) {
            *selected = None;
        }
        selected.as_mut().ok_or(No::NoGroup)
    }

    /// The article of a message-id, where it may be read: in the selected group before others.
    pub(super) async fn by_id(
        &self,
        selected: Option<&Selected>,
        id: &MessageId,
        login: &Login,
    ) -> Result<Chosen, No> {
        let found = self.store.find_article(id.as_str()).await.map_err(|error| {
            error!(%error, "an article is not looked up by its Message-ID");
            No::Failed
        })?;
        let mut found: Vec<_> =
            found.into_iter().filter(|found| self.may_read(&found.mailbox, login)).collect();
        let is_current =
            |mailbox: &Arc<Mailbox>| selected.is_some_and(|selected| Arc::ptr_eq(&selected.mailbox, mailbox));
        found.sort_by_key(|found| !is_current(&found.mailbox));
        for found in found {
            let number = if is_current(&found.mailbox) { found.uid } else { 0 };
            if let Some(record) = found.mailbox.view().get(found.uid).cloned() {
                return Ok(Chosen { mailbox: found.mailbox, record, number });
            }
        }
        Err(No::NoSuchId)
    }

    /// Sends an article, or a part of it.
    pub(super) async fn show(&self, part: Part, chosen: &Chosen, login: &Login) -> Result<Answer, No> {
        let Chosen { mailbox, record, number } = chosen;
        let header_size = u64::from(record.header_size);
        let range = match part {
            Part::Article => 0..u64::MAX,
            Part::Head | Part::Stat => 0..header_size,
            Part::Body => 0..u64::MAX,
        };
        let bytes = mailbox.read(record.uid, range).await.map_err(|error| unreadable(record.uid, &error))?;
        let id = message_id(bytes.get(..record.header_size as usize).unwrap_or(&bytes));
        let reply = Reply::Article { code: part.code(), number: *number, id: id.clone() };
        let cut = (record.header_size as usize).min(bytes.len());
        let text = match part {
            Part::Stat => return Ok((reply, None)),
            Part::Body => bytes.slice(cut..),
            Part::Head | Part::Article => {
                let xref = self.xref_of(chosen, bytes.get(..cut).unwrap_or_default(), &id, login).await;
                let whole = part == Part::Article;
                weighed(bytes.len() / 512, move || with_xref(&bytes, cut, &xref, whole)).await
            }
        };
        Ok((reply, Some(Listing::article(text))))
    }

    /// What stands behind `Xref: ` of one article.
    async fn xref_of(&self, chosen: &Chosen, header: &[u8], id: &str, login: &Login) -> String {
        let is_crosspost =
            Fields::first(header, "newsgroups").is_some_and(|field| field.value.contains(&b','));
        if is_crosspost {
            self.know_articles().await;
        }
        let others = if is_crosspost { self.store.crossposts(id) } else { Vec::new() };
        self.xref(&with_own(&chosen.mailbox, chosen.record.uid, others), login)
    }

    /// Has the groups of new crossposts known, unless that takes long: then an Xref lacks some.
    pub(super) async fn know_articles(&self) {
        match timeout(KNOWN, self.store.know_articles()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => broken("an Xref", &error),
            Err(_) => rows::KNOWN.met("articles are still being read: an Xref lacks groups"),
        }
    }
}

/// The header with this Xref and no other, and on demand the body.
fn with_xref(bytes: &Bytes, cut: usize, xref: &str, whole: bool) -> Bytes {
    let (header, body) = bytes.split_at(cut);
    let mut out = Vec::with_capacity(bytes.len() + xref.len() + 16);
    for field in Fields::new(header).filter(|field| !field.is("xref")) {
        out.extend_from_slice(field.raw);
    }
    out.extend_from_slice(format!("Xref: {xref}\r\n").as_bytes());
    if whole {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }
    out.into()
}

/// As answers repeat it; `<0>` where there is none (RFC 3977 section 6.2.1.1).
fn message_id(header: &[u8]) -> String {
    let id = Fields::first(header, "message-id").map(|field| field.unfolded()).unwrap_or_default();
    let id = String::from_utf8_lossy(&id).into_owned();
    MessageId::parse(&id).map_or_else(|| "<0>".to_owned(), |id| id.to_string())
}

/// One that was expunged meanwhile is none.
pub(super) fn unreadable(uid: u32, error: &StoreError) -> No {
    if matches!(error, StoreError::NoMessage) {
        return No::NoSuchNumber;
    }
    error!(uid, %error, "an article is not read");
    No::Failed
}
