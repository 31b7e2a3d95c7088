//! How the tools have a running backend do something: one request, one answer, on a Unix socket beside its database
//! (`<configdirectory>/murder/backend/control`). Each a line of JSON. Only the daemon's own user and root may ask.
//!
//! Several tools are served at once, each kind one at a time ([`Turns`]): an index that is made for hours keeps nobody from expiring
//! messages. Where no daemon runs, the tool opens the store itself; while one starts or ends, the tool waits for it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use config::imapd::Imapd;
use serde::{Deserialize, Serialize};
use service::Context;
use store::{Ages, Expired, Indexed, Reconstructed, Store, Which};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Mutex, Semaphore},
    time::Instant,
};
use tracing::{info, warn};

use crate::clearance::Clearance;
use crate::limits::{FAILING, REQUEST, STARTING, STARTING_STEP, TOOL, TOOLS, rows};
use crate::partitions::{self, Partitions};

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
    let until = Instant::now() + STARTING;
    loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => {
                return exchange(stream, &request).await.map_err(|e| format!("{}: {e}", path.display()));
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
        match partitions::hold(imapd) {
            Ok(held) => return alone(imapd, request, held).await,
            Err(partitions::Error::InUse(_)) if Instant::now() < until => {
                tokio::time::sleep(STARTING_STEP).await;
            }
            Err(partitions::Error::InUse(why)) => {
                return Err(format!(
                    "{why}, or the backend starts or ends: it does not answer on {}. Try again later",
                    path.display()
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Does it in this process, which has the partitions to itself.
async fn alone(imapd: &Imapd, request: Request, _held: Partitions) -> Result<Answer, String> {
    let master = Clearance::for_tool(imapd).map(|c| Arc::new(c) as _);
    let namespace = service::names::namespace(imapd);
    let store = Store::open(imapd, namespace, master).await.map_err(|e| e.to_string())?;
    let answer = answer(&store, request).await;
    store.close().await;
    Ok(answer)
}

async fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // Who is refused is told so without being heard.
    let asked = stream.write_all(&line).await;
    let mut text = String::new();
    // How long it takes depends on the store; the daemon's end ends it.
    let read = BufReader::new(stream).read_line(&mut text).await;
    if text.is_empty() {
        asked?;
        read?;
    }
    Ok(serde_json::from_str(&text)?)
}

/// Which tools wait for each other.
#[derive(Default)]
struct Turns {
    /// Those that change what mailboxes hold.
    mailboxes: Mutex<()>,
    /// Those that only read messages, and write indexes beside them.
    indexes: Mutex<()>,
}

impl Turns {
    fn of(&self, request: &Request) -> &Mutex<()> {
        match request {
            Request::Expire(_) | Request::Reconstruct(_) => &self.mailboxes,
            Request::Index(_) => &self.indexes,
        }
    }
}

/// Serves the socket until the daemon ends.
pub fn start(context: &Context, store: Store) -> io::Result<()> {
    let path = socket(context.directory());
    let listener = UnixListener::from_std(files::listen(&path, Some(0o600))?)?;
    let (stop, tools) = (context.shutdown(), context.clone());
    context.tasks().spawn(async move {
        stop.run_until_cancelled(accept(&listener, &tools, store)).await;
        // Best effort: the next start removes it too.
        let _ = files::remove_socket(&path);
    });
    Ok(())
}

async fn accept(listener: &UnixListener, context: &Context, store: Store) {
    let (turns, room) = (Arc::new(Turns::default()), Arc::new(Semaphore::new(TOOLS)));
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let Ok(place) = room.clone().try_acquire_owned() else {
                    rows::TOOLS.met("more tools than are served at once: the last one is refused");
                    let many = "Too many tools are waiting for this backend: try again later";
                    if let Err(error) = say(&mut stream, &Answer::Failed(many.to_owned())).await {
                        info!(%error, "a tool went away");
                    }
                    continue;
                };
                let (stop, store, turns) = (context.shutdown(), store.clone(), turns.clone());
                context.tasks().spawn(async move {
                    let served = stop.run_until_cancelled(serve(stream, &store, &turns)).await;
                    if let Some(Err(error)) = served {
                        info!(%error, "a tool went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "control socket");
                tokio::time::sleep(FAILING).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, store: &Store, turns: &Turns) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {peer} may not ask")));
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(REQUEST));
    tokio::time::timeout(TOOL, read.read_line(&mut line)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => {
            let mut more = [0; 1];
            // A tool that is gone, or says more than it may, waits for nothing.
            let _turn = tokio::select! {
                turn = turns.of(&request).lock() => turn,
                _ = read.read(&mut more) => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            answer(store, request).await
        }
        Err(error) => Answer::Failed(format!("not understood: {error}")),
    };
    say(&mut write, &answer).await
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
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
