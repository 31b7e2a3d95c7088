//! SYNCGET. A mailbox that comes in is shown as it is here by now, so that its source sends what is missing.

use std::sync::Arc;

use protocol::name::MailboxName;
use protocol::sync::{
    Annotation, Code, Get, Guid, HeldScript, Mailbox, MailboxAnnotation, Peer, Quota, Script, Seen, Told,
    UniqueId,
};
use protocol::userid;
use store::{Snapshot, StoreError};
use work::aside::weighed;

use super::Done;
use crate::imap::conn::Gone;
use crate::imap::session::Session;
use crate::transit::{Copy, Refused, convert, inbox};

/// The inner error is why there is no answer.
pub async fn run(session: &mut Session, get: Get) -> Result<Done, Gone> {
    match get {
        Get::User(user) => {
            if !userid::is_valid(&user) {
                return Ok(Err(Code::InvalidUser.into()));
            }
            if let Err(refused) = mailboxes_of(session, &user).await? {
                return Ok(Err(refused));
            }
            meta(session, &user).await
        }
        // Asked by servers of ours alone: they take away what an earlier stay has left.
        Get::Meta(user) => match meta(session, &user).await? {
            Ok(()) => own_annotations(session, &user).await,
            refused => Ok(refused),
        },
        Get::Mailboxes(names) => {
            for name in names {
                match mailbox(session, &name, false).await {
                    Ok(mailbox) => tell(session, &Told::Mailbox(Box::new(mailbox))).await?,
                    Err(Refused::Code(Code::MailboxNonexistent)) => {}
                    Err(refused) => return Ok(Err(refused)),
                }
            }
            Ok(Ok(()))
        }
        Get::FullMailbox(name) => match mailbox(session, &name, true).await {
            Ok(mailbox) => {
                let print = move || {
                    let mut out = Vec::new();
                    Told::Mailbox(Box::new(mailbox)).write(Peer::Cyrus, &mut out);
                    out
                };
                let out = weighed(usize::MAX, print).await;
                session.conn.write_through(&out).await?;
                Ok(Ok(()))
            }
            Err(refused) => Ok(Err(refused)),
        },
        // LOCAL_MAILBOX has said all of them. Cyrus asks once more before it removes its own copy, and has those removed here that it does
        // not find at home; 3.6 finds none where names have slashes, for it looks for `user.fred.x` where a client would write
        // `user/fred/x`. What it is not told of it cannot remove.
        Get::Annotation(_) => Ok(Ok(())),
        Get::Quota(root) => {
            if let Some(quota) = quota(session, &root).await {
                tell(session, &Told::Quota(quota)).await?;
            }
            Ok(Ok(()))
        }
    }
}

/// The copies of a user that come in. Mailboxes of the user's that are this server's are not shown: the source would take away what it
/// has not.
async fn mailboxes_of(session: &mut Session, user: &str) -> Result<Done, Gone> {
    let Some(inbox) = inbox(user, &session.server.store) else { return Ok(Ok(())) };
    let copies = session.server.shared.transit.of(&inbox);
    let mut roots = session.server.shared.transit.quota_roots(&inbox);
    for copy in copies {
        match copy.mailbox(false).await {
            Ok(mailbox) => {
                roots.extend(mailbox.quotaroot.clone());
                tell(session, &Told::Mailbox(Box::new(mailbox))).await?;
            }
            Err(refused) => return Ok(Err(refused)),
        }
    }
    roots.sort();
    roots.dedup();
    for root in roots {
        if let Some(quota) = quota(session, &root).await {
            tell(session, &Told::Quota(quota)).await?;
        }
    }
    Ok(Ok(()))
}

/// What is a user's beside mailboxes. Cyrus takes no ANNOTATION of the server's here, and ends the move where it reads one.
async fn meta(session: &mut Session, user: &str) -> Result<Done, Gone> {
    if !userid::is_valid(user) {
        return Ok(Err(Code::InvalidUser.into()));
    }
    let state = match session.server.store.user_state(user).await {
        Ok(state) => state,
        Err(error) => return Ok(Err(error.into())),
    };
    if !state.subscriptions.is_empty() {
        tell(session, &Told::Subscriptions(state.subscriptions.iter().cloned().collect())).await?;
    }
    for (uniqueid, seen) in &state.seen {
        let Some(uniqueid) = UniqueId::new(uniqueid) else { continue };
        let ranges = seen.uids.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}:{last}"),
        });
        let told = Seen {
            user: String::new(),
            uniqueid,
            lastread: seen.lastchange,
            lastuid: seen.recentuid,
            lastchange: seen.lastchange,
            uids: ranges.collect::<Vec<_>>().join(","),
        };
        tell(session, &Told::Seen(told)).await?;
    }
    let scripts = state.scripts.clone();
    for script in scripts.iter() {
        let told = HeldScript {
            file: Script::file_of(&script.name),
            last_update: script.changed,
            guid: Guid(script.guid()),
            active: scripts.is_active(&script.name),
        };
        tell(session, &Told::Script(told)).await?;
    }
    Ok(Ok(()))
}

/// A user's annotations of the server.
async fn own_annotations(session: &mut Session, user: &str) -> Result<Done, Gone> {
    let state = match session.server.store.user_state(user).await {
        Ok(state) => state,
        Err(error) => return Ok(Err(error.into())),
    };
    for (entry, value) in state.annotations.iter() {
        let value = Some(value.to_vec());
        let annotation = Annotation { entry: entry.clone(), user: user.to_owned(), value, modseq: 0 };
        tell(session, &Told::Annotation(MailboxAnnotation { name: None, annotation })).await?;
    }
    Ok(Ok(()))
}

/// A mailbox that comes in, or one of this server's.
async fn mailbox(session: &Session, name: &MailboxName, with_records: bool) -> Result<Mailbox, Refused> {
    let copy: Option<Arc<Copy>> = session.server.shared.transit.named(name);
    if let Some(copy) = copy {
        return copy.mailbox(with_records).await;
    }
    let mailbox = match session.server.store.mailbox(name).await {
        Err(
            StoreError::NoMailbox | StoreError::Moved(_) | StoreError::Reserved | StoreError::Elsewhere(_),
        ) => {
            return Err(Code::MailboxNonexistent.into());
        }
        other => other?,
    };
    let partition = mailbox.location().partition().unwrap_or_default().to_owned();
    let snapshot: Snapshot = mailbox.snapshot();
    // The checksums look at all messages.
    let weight = snapshot.records().len();
    let told = weighed(weight, move || {
        let crc = Some(convert::crc(&snapshot));
        convert::mailbox(&snapshot, &partition, with_records).map(|told| Mailbox { crc, ..told })
    });
    told.await.ok_or(Refused::Code(Code::MailboxNonexistent))
}

async fn quota(session: &Session, root: &MailboxName) -> Option<Quota> {
    if let Some(quota) = session.server.shared.transit.quota(root) {
        return Some(quota);
    }
    let limits = session.server.store.quota(root).await?.limits;
    Some(convert::quota(root.clone(), &limits))
}

async fn tell(session: &mut Session, told: &Told) -> Result<(), Gone> {
    told.write(Peer::Cyrus, session.conn.out());
    session.conn.relieve().await
}
