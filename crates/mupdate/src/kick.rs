//! The kick socket, `{configdirectory}/socket/mupdate.target`: a local Cyrus program connects, and reads `ok` when the
//! list of this host holds everything that the master had acknowledged.
//!
//! On a master there is nothing to wait for. On a slave each round is one barrier, shared by all who wait. While the
//! stream is down the waiter is closed at once without a word, and goes on with what it has.

use std::{io, path::Path};

use directory::replica::Replica;
use service::Context;
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
};
use tracing::warn;

use crate::server::limits::KICK_FAILING;

/// Serves until the daemon ends.
pub(crate) fn start(context: &Context, replica: Option<Replica>) {
    let path = Path::new(&context.imapd().configdirectory).join("socket").join("mupdate.target");
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(why) => return warn!("{}: {why}: Cyrus programs on this host cannot kick", path.display()),
    };
    let stop = context.shutdown();
    context.tasks().spawn(async move {
        stop.run_until_cancelled(accept(listener, replica)).await;
    });
}

async fn accept(listener: UnixListener, replica: Option<Replica>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let replica = replica.clone();
                tokio::spawn(answer(socket, replica));
            }
            Err(why) => {
                warn!("kick socket: {why}");
                tokio::time::sleep(KICK_FAILING).await;
            }
        }
    }
}

async fn answer(mut socket: UnixStream, replica: Option<Replica>) {
    let fresh = match replica {
        Some(replica) => replica.barrier().await.is_ok(),
        None => true,
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
