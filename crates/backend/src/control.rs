//! How the tools have a running backend do something: one request, one answer, on a Unix socket beside its database
//! (`<configdirectory>/murder/backend/control`). Each a line of JSON. Only the daemon's own user and root may ask.

use std::{
    io,
    path::{Path, PathBuf},
};

use config::imapd::Imapd;
use serde::{Deserialize, Serialize};
use service::Context;
use store::{Ages, Expired, Indexed, Reconstructed, Store, Which};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tracing::{info, warn};

use crate::clearance::Clearance;
use crate::limits::{FAILING, REQUEST, TOOL};

/// What a tool asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    Expire(Ages),
    Reconstruct(Which),
    Index(Which),
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    Expired(Expired),
    Reconstructed(Reconstructed),
    Indexed(Indexed),
    Failed(String),
}

/// Has the backend of this configuration do something: the daemon where it runs, else this process.
pub async fn ask(imapd: &Imapd, request: Request) -> Result<Answer, String> {
    let path = socket(&imapd.program_directory("backend"));
    match UnixStream::connect(&path).await {
        Ok(stream) => exchange(stream, &request).await.map_err(|e| format!("{}: {e}", path.display())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            let master = Clearance::for_tool(imapd).map(|c| std::sync::Arc::new(c) as _);
            let namespace = service::names::namespace(imapd);
            let store = Store::open(imapd, namespace, master).await.map_err(|e| e.to_string())?;
            let answer = answer(&store, request).await;
            store.close().await;
            Ok(answer)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

async fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut text = String::new();
    // How long it takes depends on the store; the daemon's end ends it.
    BufReader::new(stream).read_line(&mut text).await?;
    Ok(serde_json::from_str(&text)?)
}

/// Serves the socket until the daemon ends.
pub fn start(context: &Context, store: Store) -> io::Result<()> {
    let path = socket(context.directory());
    let listener = UnixListener::from_std(files::listen(&path, Some(0o600))?)?;
    let stop = context.shutdown();
    context.tasks().spawn(async move {
        stop.run_until_cancelled(accept(&listener, &store)).await;
        // Best effort: the next start removes it too.
        let _ = files::remove_socket(&path);
    });
    Ok(())
}

async fn accept(listener: &UnixListener, store: &Store) {
    loop {
        match listener.accept().await {
            // One at a time: all of it is long work on the whole store.
            Ok((stream, _)) => {
                if let Err(error) = serve(stream, store).await {
                    info!(%error, "a tool went away");
                }
            }
            Err(error) => {
                warn!(%error, "control socket");
                tokio::time::sleep(FAILING).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, store: &Store) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {peer} may not ask")));
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(REQUEST));
    tokio::time::timeout(TOOL, read.read_line(&mut line)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => answer(store, request).await,
        Err(error) => Answer::Failed(format!("not understood: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}

async fn answer(store: &Store, request: Request) -> Answer {
    let done = match request {
        Request::Expire(ages) => store.expire(&ages).await.map(Answer::Expired),
        Request::Reconstruct(which) => store.reconstruct(&which).await.map(Answer::Reconstructed),
        Request::Index(which) => store.index_texts(&which).await.map(Answer::Indexed),
    };
    done.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control")
}
