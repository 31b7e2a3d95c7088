//! Ends what a user has open when an operator denies the service: `murder deny`, and Cyrus's own `cyr_deny`, write one file
//! ([`identity::deny`]), and each daemon follows it. Logins read it themselves.
//!
//! The kernel reports that the file is another one (inotify). A look goes through the sessions of this process; a second one follows,
//! for a login that was let in just before the file changed and took its seat just after.
//!
//! | bound | value |
//! | --- | --- |
//! | until a change that the kernel does not report (a network file system) is seen | [`DENIED_LOOK`] |
//! | looks at once | one |

use rustix::fs::inotify::WatchFlags;
use tracing::{info, warn};

use crate::context::Context;
use crate::limits::{DENIED_AGAIN, DENIED_LOOK};
use crate::reports::Reports;

/// Until it is dropped.
pub(crate) async fn follow(context: Context) {
    let (changes, mut reloads) = (Reports::open(), context.reloads());
    let (mut wait, mut is_readable) = (DENIED_LOOK, true);
    loop {
        let list = context.denied();
        if let Some(changes) = &changes {
            changes.watch(list.path(), WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY);
        }
        let sessions = context.sessions().clone();
        // In one go: whoever is let in again must not be ended by what was read before.
        let look = move || (list.all().map(|denials| sessions.end_denied(&denials)), list);
        let read = tokio::task::spawn_blocking(look).await;
        match read {
            Ok((Ok(ended), _)) => {
                is_readable = true;
                if ended > 0 {
                    info!("{ended} sessions end: their users are denied the service");
                }
            }
            Ok((Err(error), list)) if std::mem::take(&mut is_readable) => {
                warn!("{}: {error}: sessions of denied users go on", list.path().display());
            }
            // It was said before, or the runtime ends.
            Ok((Err(_), _)) | Err(_) => {}
        }
        wait = tokio::select! {
            () = reported(changes.as_ref()) => DENIED_AGAIN,
            _ = reloads.changed() => DENIED_AGAIN,
            () = tokio::time::sleep(wait) => DENIED_LOOK,
        };
    }
}

/// Returns when the kernel has something to report; never where it does not.
async fn reported(changes: Option<&Reports>) {
    match changes {
        Some(changes) => changes.heard().await,
        None => std::future::pending().await,
    }
}
