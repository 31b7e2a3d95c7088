//! Where a list's own tasks run: its writer, its disk, its loader. A daemon gives each a thread, since all of them wait
//! for disks; a simulation runs them among its other tasks, in an order that a seed decides.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
};

/// A task of a list. It never ends before its list lets it.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a task under a name.
pub type Spawn = fn(&'static str, Task) -> io::Result<()>;

/// Each task on a thread of its own, which may block.
pub(crate) fn on_a_thread(name: &'static str, task: Task) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(move || block_on(task)).map(drop)
}

fn block_on(mut task: Task) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while task.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
