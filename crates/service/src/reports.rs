//! What the kernel reports of files that an operator or a tool may change (inotify): the runtime hears of it beside the commands of
//! clients. A change that another host makes on a network file system is not reported.

use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;

/// A queue of the kernel's.
#[derive(Debug)]
pub(crate) struct Reports {
    queue: Receiver,
}

impl Reports {
    /// Within a runtime. None: there are no more such descriptors.
    pub fn open() -> Option<Reports> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        // It is read like a pipe.
        Receiver::from_owned_fd_unchecked(queue).ok().map(|queue| Reports { queue })
    }

    /// Watches a file or directory for `changes`, and whether another one comes into its place. To be said again at each look: it may be
    /// another one now.
    pub fn watch(&self, path: &Path, changes: WatchFlags) {
        if let Some(directory) = path.parent() {
            let _ = inotify::add_watch(&self.queue, directory, WatchFlags::CREATE | WatchFlags::MOVED_TO);
        }
        let _ = inotify::add_watch(&self.queue, path, changes);
    }

    /// Whether there was anything, as far as the runtime has heard; afterwards there is not.
    pub fn take(&self) -> bool {
        let mut reports = [0u8; 4096];
        let mut any = false;
        while self.queue.try_read(&mut reports).is_ok_and(|length| length > 0) {
            any = true;
        }
        any
    }

    /// Returns when there is something, which is taken.
    pub async fn heard(&self) {
        if self.queue.readable().await.is_err() {
            return std::future::pending().await;
        }
        self.take();
    }
}
