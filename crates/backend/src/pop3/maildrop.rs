//! From a login to a locked maildrop, and from its deletions back into the mailbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use config::imapd::Imapd;
use identity::auth::Login;
use protocol::acl::{Rights, Who};
use protocol::imap::Flag;
use protocol::name::MailboxName;
use protocol::namespace::{Namespace, View};
use protocol::pop3::maildrop::{Maildrop, Message};
use protocol::pop3::reply::Reply;
use protocol::pop3::top::top_length;
use tracing::{error, info, warn};
use work::aside::weighed;

use super::locks::{Lock, Locked, Locks, Pace};
use super::refusal::unopenable;
use crate::imap::metadata::definitions::date;
use crate::imap::metadata::known;
use crate::moving::Moving;
use crate::pop3::limits::TOP_LINE;
use store::{FlagChange, FlagMask, How, Mailbox, SHARED, Store, StoreError};

/// An open maildrop: the mailbox, and the right to it.
pub(super) struct Opened {
    mailbox: Arc<Mailbox>,
    /// Whose it is, and what he calls it over IMAP.
    user: String,
    external: String,
    /// The way to the server that it may move to.
    moving: Option<Arc<Moving>>,
    /// `popuseimapflags`: messages sent become \Seen.
    mark_seen: bool,
    seen: BTreeSet<u32>,
    /// When the client logged in; epoch seconds.
    since: i64,
    _lock: Lock,
}

/// Opens and locks the maildrop of a login, and lists it.
pub(super) async fn open(
    store: &Store,
    locks: &Arc<Locks>,
    imapd: &Imapd,
    login: &Login,
    moving: Option<Arc<Moving>>,
) -> Result<(Opened, Maildrop), Reply> {
    let name = name(store.namespace(), login).ok_or_else(|| unopenable(&StoreError::BadName))?;
    let mailbox = mailbox(store, &name, login).await.map_err(|error| {
        warn!(user = login.userid, %name, %error, "maildrop not opened");
        unopenable(&error)
    })?;
    let header = mailbox.header();
    let who = Who { userid: &login.userid, groups: &login.groups };
    let rights = store.rights(&name, &header.acl, who);
    if imapd.popuseacl && !rights.contains(Rights::READ) {
        return Err(unopenable(&StoreError::Denied));
    }
    let pace = Pace { minimum: imapd.popminpoll, padding: imapd.poppollpadding };
    let lock = locks.take(&mailbox.uniqueid(), pace, Instant::now()).map_err(|locked| match locked {
        Locked::InUse => Reply::InUse,
        Locked::TooSoon => Reply::LoginDelay { minutes: imapd.popminpoll.as_secs().div_ceil(60) },
    })?;
    let view = mailbox.view();
    let after = mailbox.annotation(known::POP3_SHOW_AFTER, SHARED).and_then(|value| date(&value));
    let list = move || {
        // What is older than `pop3showafter` is not shown.
        let shown =
            view.records().iter().filter(|record| after.is_none_or(|after| record.internaldate >= after));
        let messages = shown.map(|record| Message { uid: record.uid, size: record.size });
        Maildrop::new(view.uidvalidity, messages.collect())
    };
    let maildrop = weighed(mailbox.view().exists(), list).await;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let mark_seen = imapd.popuseimapflags;
    let view = View { userid: &login.userid, admin: false, utf8: false };
    let (user, external) = (login.userid.clone(), store.namespace().external(&name, &view));
    let opened =
        Opened { mailbox, user, external, moving, mark_seen, seen: BTreeSet::new(), since, _lock: lock };
    let may_delete = !imapd.popuseacl || rights.contains(Rights::DELETE_MESSAGES | Rights::EXPUNGE);
    Ok((opened, if may_delete { maildrop } else { maildrop.without_deletion() }))
}

/// The user's INBOX, or with `popsubfolders` the folder after the `+`.
fn name(namespace: &Namespace, login: &Login) -> Option<MailboxName> {
    match login.detail.as_deref().filter(|detail| !detail.is_empty()) {
        None => namespace.inbox(&login.userid).ok(),
        Some(detail) => namespace.folder(&namespace.inbox(&login.userid).ok()?, detail).ok(),
    }
}

async fn mailbox(store: &Store, name: &MailboxName, login: &Login) -> Result<Arc<Mailbox>, StoreError> {
    match store.mailbox(name).await {
        Err(StoreError::NoMailbox) if name.is_inbox() => {
            if !store.autocreate(&login.userid, &login.groups, false).await? {
                return Err(StoreError::NoMailbox);
            }
            store.mailbox(name).await
        }
        other => other,
    }
}

impl Opened {
    /// What RETR (`top` none) or TOP sends of a message.
    pub async fn message(&mut self, uid: u32, top: Option<u32>) -> Result<Bytes, Reply> {
        let bytes = match top {
            None => self.mailbox.message(uid).await,
            Some(lines) => self.top(uid, lines).await,
        };
        match bytes {
            Ok(bytes) => {
                if top.is_none() && self.mark_seen {
                    self.seen.insert(uid);
                }
                Ok(bytes)
            }
            Err(StoreError::NoMessage) => Err(Reply::NoSuchMessage),
            Err(error) => {
                error!(uid, %error, "message not read");
                Err(Reply::Unreadable)
            }
        }
    }

    async fn top(&self, uid: u32, lines: u32) -> Result<Bytes, StoreError> {
        let view = self.mailbox.view();
        let record = view.get(uid).ok_or(StoreError::NoMessage)?;
        // As many bytes as that many ordinary lines can have; if these are longer, all of it.
        let guess = u64::from(record.header_size) + u64::from(lines) * TOP_LINE;
        let mut bytes = self.mailbox.read(uid, 0..guess.min(record.size)).await?;
        let mut cut = top(bytes.clone(), lines).await;
        if cut.len() == bytes.len() && (bytes.len() as u64) < record.size {
            bytes = self.mailbox.message(uid).await?;
            cut = top(bytes, lines).await;
        }
        Ok(cut)
    }

    /// QUIT: removes what was marked (UIDs, ascending), and notes when the client logged in: at the end, as in Cyrus, so that a
    /// session that breaks off changes nothing.
    pub async fn update(&mut self, deleted: &[u32]) -> Reply {
        if let Err(error) = self.mailbox.pop3_login(self.since).await {
            warn!(%error, "the time of the last POP3 login is not kept");
        }
        self.store_seen(deleted).await;
        if deleted.is_empty() {
            return Reply::Bye;
        }
        match self.mailbox.remove(deleted).await {
            Ok(gone) => {
                info!(count = gone.len(), "messages removed");
                Reply::Bye
            }
            Err(StoreError::Moved(server)) => self.update_there(&server, deleted).await,
            Err(error) => {
                error!(%error, "deleted messages were not removed");
                Reply::NotRemoved
            }
        }
    }

    /// The same where the mailbox is now: the client was told of its messages before it moved.
    async fn update_there(&self, server: &str, deleted: &[u32]) -> Reply {
        let Some(moving) = &self.moving else { return Reply::NotRemoved };
        let seen: Vec<u32> = self.unseen_by(deleted);
        let removed = async {
            let mut errand = moving.errand(server, &self.user).await?;
            errand.remove(&self.external, self.mailbox.view().uidvalidity, deleted, &seen).await
        };
        match removed.await {
            Ok(true) => {
                info!(count = deleted.len(), server, "messages removed where the mailbox is now");
                Reply::Bye
            }
            Ok(false) => {
                warn!(server, "the mailbox has moved, and what was deleted was not removed there");
                Reply::NotRemoved
            }
            Err(why) => {
                warn!(%why, server, "the mailbox has moved, and what was deleted was not removed there");
                Reply::NotRemoved
            }
        }
    }

    /// What was sent, and stays.
    fn unseen_by(&self, deleted: &[u32]) -> Vec<u32> {
        self.seen.iter().copied().filter(|uid| deleted.binary_search(uid).is_err()).collect()
    }

    /// Flags what was sent; a failure costs a flag, not the session.
    async fn store_seen(&mut self, deleted: &[u32]) {
        let seen = self.unseen_by(deleted);
        if seen.is_empty() {
            return;
        }
        let change =
            FlagChange { how: How::Add, flags: vec![Flag::Seen], unchanged_since: None, may: FlagMask::ALL };
        if let Err(error) = self.mailbox.store(&seen, change).await {
            warn!(%error, "messages that were read are not marked as seen");
        }
    }
}

/// The header and so many lines of a message.
async fn top(bytes: Bytes, lines: u32) -> Bytes {
    weighed(bytes.len() / 64, move || bytes.slice(..top_length(&bytes, lines))).await
}
