//! The Unix socket beside a list: `<configdirectory>/murder/<program>/socket`, for this host's proxies and tools.
//!
//! Only the daemon's own user and root may connect; they need not log in. A master's socket takes writes, any other's
//! only questions.

use service::Context;
use tokio::net::{UnixListener, UnixStream};
use tracing::{error, warn};
use transport::peer::Peer;
use transport::stream::Stream;

use super::Server;
use crate::serve::limits::FAILING;

/// Serves until the daemon ends. The file is removed then.
pub fn start(context: &Context, server: Server) {
    super::gauges::keep(context, server.clone());
    super::seen::keep(context, server.clone());
    let (path, stop) = (context.file("socket"), context.shutdown());
    // Of the daemon's own user.
    let listener = match files::listen(&path, Some(0o600)).and_then(UnixListener::from_std) {
        Ok(listener) => listener,
        Err(why) => {
            return error!("{}: {why}: the tools and proxies of this host cannot ask", path.display());
        }
    };
    let context = context.clone();
    context.clone().tasks().spawn(async move {
        stop.run_until_cancelled(accept(&context, listener, server)).await;
        // Another instance cannot have it yet: the directory is locked.
        let _ = files::remove_socket(&path);
    });
}

async fn accept(context: &Context, listener: UnixListener, server: Server) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let (server, stop) = (server.clone(), context.shutdown());
                context.tasks().spawn(async move {
                    if let Some(stream) = trusted(socket) {
                        server.serve_trusted(stream, stop).await;
                    }
                });
            }
            Err(why) => {
                warn!("local socket: {why}");
                tokio::time::sleep(FAILING).await;
            }
        }
    }
}

fn trusted(socket: UnixStream) -> Option<Stream> {
    let stream = Stream::unix(socket).ok()?;
    let own = rustix::process::geteuid().as_raw();
    match stream.peer() {
        Peer::Unix { uid, .. } if *uid == own || *uid == 0 => Some(stream),
        other => {
            warn!("local socket: {other:?} is neither our user nor root");
            None
        }
    }
}
