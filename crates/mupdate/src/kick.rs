//! The kick socket, `{configdirectory}/socket/mupdate.target`: a local Cyrus program connects, and reads `ok` when the
//! list of this host holds everything that the master had acknowledged.
//!
//! On a single master there is nothing to wait for. On a slave each round is one barrier, shared by all who wait. While the
//! stream is down the waiter is closed at once without a word, and goes on with what it has.

use std::{io, path::Path};

use directory::replica::Replica;
use mailboxes::List;
use service::Context;
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
};
use tracing::warn;

use crate::server::limits::KICK_FAILING;

/// Serves until the daemon ends.
pub(crate) fn start(context: &Context, list: List, replica: Option<Replica>) {
    let path = Path::new(&context.imapd().configdirectory).join("socket").join("mupdate.target");
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(why) => return warn!("{}: {why}: Cyrus programs on this host cannot kick", path.display()),
    };
    let stop = context.shutdown();
    context.tasks().spawn(async move {
        stop.run_until_cancelled(accept(listener, list, replica)).await;
    });
}

async fn accept(listener: UnixListener, list: List, replica: Option<Replica>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(answer(socket, list.clone(), replica.clone()));
            }
            Err(why) => {
                warn!("kick socket: {why}");
                tokio::time::sleep(KICK_FAILING).await;
            }
        }
    }
}

async fn answer(mut socket: UnixStream, list: List, replica: Option<Replica>) {
    let fresh = match replica {
        Some(replica) => replica.barrier().await.is_ok(),
        None => list.barrier().await.is_ok(),
    };
    if fresh {
        // Two bytes always fit; a kicker that has gone is no loss.
        let _ = socket.write_all(b"ok").await;
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        files::directory(directory, 0o755, None)?;
    }
    // As Cyrus: any local program may kick.
    UnixListener::from_std(files::listen(path, Some(0o777))?)
}
