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

use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;
use tracing::{info, warn};

use crate::context::Context;
use crate::limits::{DENIED_AGAIN, DENIED_LOOK};

/// Until it is dropped.
pub(crate) async fn follow(context: Context) {
    let (changes, mut reloads) = (open(), context.reloads());
    let (mut wait, mut is_readable) = (DENIED_LOOK, true);
    loop {
        let list = context.denied();
        if let Some(changes) = &changes {
            watch(changes, list.path());
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
async fn reported(changes: Option<&Receiver>) {
    let Some(changes) = changes else { return std::future::pending().await };
    if changes.readable().await.is_err() {
        return std::future::pending().await;
    }
    let mut reports = [0u8; 4096];
    while changes.try_read(&mut reports).is_ok_and(|length| length > 0) {}
}

fn open() -> Option<Receiver> {
    let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    // It is read like a pipe.
    Receiver::from_owned_fd_unchecked(changes).ok()
}

/// Watches the file, and whether another one comes into its place. Watched again each time: it may be another file now.
fn watch(changes: &Receiver, path: &Path) {
    if let Some(directory) = path.parent() {
        let _ = inotify::add_watch(changes, directory, WatchFlags::CREATE | WatchFlags::MOVED_TO);
    }
    let _ = inotify::add_watch(changes, path, WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY);
}
