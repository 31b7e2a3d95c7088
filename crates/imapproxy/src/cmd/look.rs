//! Looking through this node's list of mailboxes with a user's eyes.

use listing::{Unseen, Viewer};
use protocol::imap::Refusal;
use work::aside::{Budget, Spent, aside};

use crate::outcome::unreadable;
use crate::session::{Session, Stop};

/// Looks through the list on a blocking thread, where that holds up nobody, for `search_maxtime`.
pub async fn look_around<T: Send + 'static>(
    s: &Session,
    work: impl FnOnce(&Viewer, &Budget) -> Result<T, Unseen> + Send + 'static,
) -> Result<T, Stop> {
    let viewer = viewer(s)?;
    let limit = s.listener.imapd().search_maxtime;
    let looked = aside(limit, move |budget| match work(&viewer, budget) {
        Ok(seen) => Ok(Ok(seen)),
        Err(Unseen::Unreadable(error)) => Ok(Err(error)),
        Err(Unseen::Spent(spent)) => Err(spent),
    });
    match looked.await {
        Ok(seen) => seen.map_err(unreadable),
        Err(Spent) => {
            tracing::warn!(
                user = s.user()?.id(),
                ?limit,
                "a command took too long and was ended (search_maxtime)"
            );
            Err(Refusal::TakesTooLong.into())
        }
    }
}

/// The user, and what he may see.
pub fn viewer(s: &Session) -> Result<Viewer, Stop> {
    let (user, imapd) = (s.user()?, s.listener.imapd());
    Ok(Viewer {
        list: s.node.directory.list().clone(),
        namespace: s.node.namespace.clone(),
        granting: s.granting(),
        userid: user.id().to_owned(),
        groups: user.login.groups.clone(),
        admin: user.is_admin(),
        utf8: user.utf8,
        inbox: user.inbox.clone(),
        hides_users: imapd.disable_user_namespace,
        hides_shared: imapd.disable_shared_namespace,
    })
}
