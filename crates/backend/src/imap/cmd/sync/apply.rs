//! SYNCAPPLY, but for MESSAGE with messages.

use std::collections::HashSet;

use protocol::name::MailboxName;
use protocol::ranges::joined;
use protocol::sync::{
    Apply, Code, Mailbox, MailboxAnnotation, Peer, Rename, Reserve, Script, Seen, Subscription, Told,
};
use store::{StoreError, UserData};

use super::user::{check_user, own};
use super::{Done, scripts};
use crate::imap::conn::Gone;
use crate::imap::session::Session;
use crate::transit::{Move, Refused};

/// The inner error is why it is not done.
pub async fn run(session: &mut Session, apply: Apply) -> Result<Done, Gone> {
    match apply {
        // Nothing is wanted besides.
        Apply::Capabilities(_) => {
            Told::Enabled(Vec::new()).write(Peer::Cyrus, session.conn.out());
            Ok(Ok(()))
        }
        Apply::Reserve(reserve) => match missing(session, reserve).await {
            Ok(missing) => {
                if missing != Told::Missing(Vec::new()) {
                    missing.write(Peer::Cyrus, session.conn.out());
                }
                session.conn.relieve().await?;
                Ok(Ok(()))
            }
            Err(refused) => Ok(Err(refused)),
        },
        own @ (Apply::Begin(_)
        | Apply::Round(_)
        | Apply::Prepare(_)
        | Apply::Commit(_)
        | Apply::Abort(_)
        | Apply::State(_)) => Ok(take(session, own).await),
        other => Ok(change(session, other).await),
    }
}

/// A word of a move between servers of ours.
async fn take(session: &mut Session, apply: Apply) -> Done {
    let Some(moving) = session.server.shared.moving.clone() else { return Err(Code::ProtocolError.into()) };
    if let Apply::Begin(begin) = &apply {
        session.comes = moving.comes(&begin.id);
    }
    // To its end, though the other server goes away: half a step is none.
    let stop = session.server.context.shutdown();
    let told = tokio::spawn(async move { stop.run_until_cancelled(moving.take(apply)).await }).await;
    let told = told.ok().flatten().unwrap_or(Err(StoreError::Closed.into()))?;
    told.iter().for_each(|told| told.write(Peer::Ours, session.conn.out()));
    Ok(())
}

async fn change(session: &mut Session, apply: Apply) -> Done {
    let shared = session.server.shared.clone();
    let (store, transit) = (session.server.store.clone(), &shared.transit);
    match apply {
        Apply::NoMessages | Apply::Capabilities(_) | Apply::Reserve(_) => Ok(()),
        Apply::LocalMailbox(mailbox) => put(session, *mailbox).await,
        Apply::LocalUnmailbox(name) => {
            if let Some(copy) = transit.named(&name) {
                store.forget_incoming(transit.take(&copy)?).await?;
                if let Some(moving) = &shared.moving {
                    moving.forgets(copy.uniqueid()).await?;
                }
            }
            Ok(())
        }
        Apply::LocalRename(rename) => move_name(session, rename).await,
        Apply::Quota(quota) => transit.set_quota(&store, quota).await,
        Apply::Unquota(root) => {
            transit.forget_quota(&root);
            Ok(())
        }
        Apply::Subscribe(one) => subscribe(session, one, true).await,
        Apply::Unsubscribe(one) => subscribe(session, one, false).await,
        Apply::Seen(seen) => see(session, seen).await,
        Apply::Annotation(note) => annotate(session, note).await,
        Apply::Unannotation(note) => {
            let annotation = protocol::sync::Annotation { value: None, ..note.annotation };
            annotate(session, MailboxAnnotation { annotation, ..note }).await
        }
        Apply::Sieve(script) => scripts::put(session, script).await,
        Apply::Unsieve(script) => scripts::remove(session, script).await,
        Apply::ActivateSieve(script) => scripts::activate(session, script).await,
        Apply::UnactivateSieve(script) => {
            scripts::activate(session, Script { file: String::new(), ..script }).await
        }
        // A replica is no destination of a move.
        Apply::Replication(_) => Err(Code::MailboxNotSupported.into()),
        Apply::Begin(_)
        | Apply::Round(_)
        | Apply::Prepare(_)
        | Apply::Commit(_)
        | Apply::Abort(_)
        | Apply::State(_) => Err(Code::ProtocolError.into()),
    }
}

/// LOCAL_MAILBOX. What a Cyrus sends is on disk when this returns: it removes its own before it says that it will.
async fn put(session: &mut Session, mailbox: Mailbox) -> Done {
    let shared = session.server.shared.clone();
    let (store, transit) = (session.server.store.clone(), &shared.transit);
    let expected = transit.expected(mailbox.uniqueid.as_str());
    let kept = expected.is_none();
    let of = match (expected, &shared.moving) {
        (Some(of), _) => of,
        (None, Some(moving)) => moving.arrives(&mailbox).await?,
        (None, None) => Move::of_cyrus(&mailbox.name, &store),
    };
    let copy = transit.open(&store, of, &mailbox).await?;
    copy.apply(&store, transit, mailbox, &mut session.uploads, kept).await
}

/// LOCAL_RENAME.
async fn move_name(session: &Session, rename: Rename) -> Done {
    let (store, transit) = (&session.server.store, &session.server.shared.transit);
    let Some(copy) = transit.named(&rename.from) else { return Err(Code::MailboxNonexistent.into()) };
    if copy.partition() != rename.partition {
        return Err(Code::MailboxNotSupported.into());
    }
    if transit.named(&rename.to).is_some() || is_listed(session, &rename.to)? {
        return Err(Code::MailboxMoved.into());
    }
    if let Some(moving) = &session.server.shared.moving {
        moving.renames(copy.uniqueid(), &rename.to).await?;
    }
    copy.rename(store, rename.to).await
}

fn is_listed(session: &Session, name: &MailboxName) -> Result<bool, StoreError> {
    let entry = session.server.store.list().get(name);
    Ok(entry.map_err(|error| StoreError::List(error.to_string()))?.is_some())
}

async fn subscribe(session: &Session, one: Subscription, on: bool) -> Done {
    check_user(&one.user)?;
    let data = own(session, &one.user).await?;
    let mut subscriptions = data.subscriptions.clone();
    if if on { subscriptions.insert(one.name) } else { subscriptions.remove(&one.name) } {
        session.server.store.take_user_data(&UserData { subscriptions, ..data }).await?;
    }
    Ok(())
}

async fn see(session: &Session, seen: Seen) -> Done {
    check_user(&seen.user)?;
    let uids = ranges(&seen.uids).ok_or(Code::BadParameters)?;
    let state = store::Seen { recentuid: seen.lastuid, lastchange: seen.lastchange, uids };
    let (store, transit) = (&session.server.store, &session.server.shared.transit);
    if transit.expected(seen.uniqueid.as_str()).is_some() {
        // Of a mailbox that is the source's, the source alone knows what was seen: what is here is left of an earlier stay.
        transit.heard_of_seen(seen.uniqueid.as_str(), &seen.user)?;
        return Ok(store.take_seen(&seen.user, seen.uniqueid.as_str(), state).await?);
    }
    let mut data = UserData::default();
    data.seen.insert((seen.user, seen.uniqueid.as_str().to_owned()), state);
    Ok(session.server.store.take_user_data(&data).await?)
}

/// `1:7,9` as ascending ranges that do not touch.
fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        Some((first.min(last), first.max(last)))
    };
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(range).collect::<Option<Vec<_>>>().map(joined)
}

/// ANNOTATION. Those that everybody shares of the server are the server's own, and stay as they are here.
async fn annotate(session: &Session, note: MailboxAnnotation) -> Done {
    let (store, transit) = (&session.server.store, &session.server.shared.transit);
    let MailboxAnnotation { name, annotation } = note;
    match name {
        Some(name) => {
            let Some(copy) = transit.named(&name) else { return Err(Code::MailboxNonexistent.into()) };
            copy.annotate(store, annotation).await
        }
        None if annotation.user.is_empty() => Ok(()),
        None => {
            check_user(&annotation.user)?;
            // As subscriptions: whoever was here before, and comes back, is another server's still.
            let mut data = own(session, &annotation.user).await?;
            match annotation.value {
                Some(value) => drop(data.annotations.insert(annotation.entry, value.into())),
                None => drop(data.annotations.remove(&annotation.entry)),
            }
            Ok(store.take_user_data(&data).await?)
        }
    }
}

/// Which messages are to be sent: the connection has not brought them, and no copy of the move has them.
async fn missing(session: &Session, reserve: Reserve) -> Result<Told, Refused> {
    let Reserve { names, guids, .. } = reserve;
    let (store, transit) = (&session.server.store, &session.server.shared.transit);
    let mut wanted: HashSet<_> = guids.iter().copied().filter(|guid| !session.uploads.has(guid)).collect();
    let mut roots: Vec<MailboxName> = names.iter().map(|name| crate::transit::root(name, store)).collect();
    roots.sort();
    roots.dedup();
    for root in roots {
        for guid in transit.messages(&root, wanted.clone()).await?.keys() {
            wanted.remove(&protocol::sync::Guid(*guid));
        }
    }
    Ok(Told::Missing(guids.into_iter().filter(|guid| wanted.contains(guid)).collect()))
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn what_a_user_has_seen_is_ranges_that_do_not_touch() {
        assert_eq!(ranges(""), Some(vec![]));
        assert_eq!(ranges("5,1:3,4,9:7"), Some(vec![(1, 5), (7, 9)]));
        for bad in ["x", "1:", ":", "1:*", "-1", "99999999999"] {
            assert_eq!(ranges(bad), None, "{bad}");
        }
    }
}
