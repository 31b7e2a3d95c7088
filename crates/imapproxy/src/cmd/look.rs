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
    let viewer = s.viewer()?;
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
