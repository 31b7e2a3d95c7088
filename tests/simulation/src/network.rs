//! The network between nodes: connections with latency, which stall, break, and cannot be made across a partition.
//!
//! A connection is two pipes in memory with a pump for each direction between them. Bytes keep their order and arrive in
//! pieces of any size. What stalls is not lost, as in TCP; what breaks loses what was on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use directory::client::Connect;
use mailboxes::signal::Signal;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    sync::mpsc,
    time::{Duration, Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use transport::peer::Peer;
use transport::stream::Stream;

use crate::chance;

/// Cheap to clone.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    changed: Arc<Signal<u64>>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<String, mpsc::UnboundedSender<Incoming>>,
    links: Vec<Link>,
    /// Pairs of nodes between which nothing gets through, smaller name first.
    blocked: BTreeSet<(String, String)>,
}

/// A connection as the server's node gets it.
pub struct Incoming {
    pub stream: Stream,
    pub ended: Ended,
}

struct Link {
    from: String,
    to: String,
    cut: CancellationToken,
    stalled: Stalled,
}

/// Until when a connection lets nothing through; it loses nothing, as in TCP.
type Stalled = Arc<Mutex<Option<Instant>>>;

/// Whether the server's side of a connection is over, so that nothing sent on it can take effect any more.
#[derive(Clone, Default)]
pub struct Ended(Arc<AtomicBool>);

impl Ended {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { state: Arc::default(), changed: Arc::new(Signal::new(0)) }
    }
}

impl Network {
    /// Opens a node's port.
    pub fn listen(&self, node: &str) -> mpsc::UnboundedReceiver<Incoming> {
        let (incoming, accepted) = mpsc::unbounded_channel();
        self.state().listeners.insert(node.into(), incoming);
        accepted
    }

    /// The node is gone, with all its connections.
    pub fn remove(&self, node: &str) {
        let mut state = self.state();
        state.listeners.remove(node);
        state.links.retain(|link| {
            let its = link.from == node || link.to == node;
            if its {
                link.cut.cancel();
            }
            !its
        });
    }

    /// Breaks a connection.
    pub fn cut_one(&self) {
        let mut state = self.state();
        state.links.retain(|link| !link.cut.is_cancelled());
        let at = chance::below(state.links.len());
        if at < state.links.len() {
            let link = state.links.swap_remove(at);
            chance::note(|| format!("network: {} to {} breaks", link.from, link.to));
            link.cut.cancel();
        }
    }

    /// Stalls a node's newest connection alone: another one between the same nodes gets through.
    pub fn stall_newest(&self, from: &str, time: Duration) {
        let state = self.state();
        if let Some(link) = state.links.iter().rev().find(|link| link.from == from) {
            chance::note(|| format!("network: {} to {} stalls for {time:?}", link.from, link.to));
            *link.stalled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
        }
    }

    pub fn block(&self, a: &str, b: &str, blocked: bool) {
        let pair = pair(a, b);
        match blocked {
            true => self.state().blocked.insert(pair),
            false => self.state().blocked.remove(&pair),
        };
        self.changed.set(0);
    }

    pub fn heal(&self) {
        self.state().blocked.clear();
        self.changed.set(0);
    }

    /// Returns when something gets through between two nodes.
    pub async fn open(&self, from: &str, to: &str) {
        let mut changed = self.changed.watch();
        // The sender lives in `self`.
        let _ = changed.wait_for(|_| !self.state().blocked.contains(&pair(from, to))).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(a: &str, b: &str) -> (String, String) {
    if a < b { (a.into(), b.into()) } else { (b.into(), a.into()) }
}

/// Connects one node to the first of some others that listens.
pub struct Dialer {
    network: Network,
    from: String,
    to: Vec<String>,
    /// The servers do not tell of our extensions, as Cyrus would not.
    plain: bool,
    latest: Mutex<Ended>,
}

impl Dialer {
    pub fn new(network: &Network, from: &str, to: &[String], plain: bool) -> Dialer {
        let (network, latest) = (network.clone(), Mutex::default());
        Dialer { network, from: from.into(), to: to.to_vec(), plain, latest }
    }

    /// The end of the connection made last.
    pub fn latest(&self) -> Ended {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn dial(&self) -> io::Result<Stream> {
        for to in &self.to {
            sleep(chance::millis(1..20)).await;
            self.network.open(&self.from, to).await;
            let Some(listener) = self.network.state().listeners.get(to).cloned() else { continue };
            let (cut, ended) = (CancellationToken::new(), Ended::default());
            let (near, far) = (duplex(PIPE), duplex(PIPE));
            let server = Stream::memory(far.0, Peer::Unix { uid: 0, gid: 0, pid: None });
            if listener.send(Incoming { stream: server, ended: ended.clone() }).is_err() {
                continue;
            }
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = ended;
            let (client_read, client_write) = split(near.1);
            let (server_read, server_write) = split(far.1);
            let (from, stalled) = (self.from.clone(), Stalled::default());
            let way = Way { network: self.network.clone(), from, to: to.clone(), cut, stalled };
            self.network.state().links.push(Link {
                from: self.from.clone(),
                to: to.clone(),
                cut: way.cut.clone(),
                stalled: way.stalled.clone(),
            });
            tokio::spawn(way.clone().pump(client_read, server_write, false));
            tokio::spawn(way.pump(server_read, client_write, self.plain));
            return Ok(Stream::memory(near.0, Peer::Unix { uid: 0, gid: 0, pid: None }));
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

impl Connect for Dialer {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + '_>> {
        Box::pin(self.dial())
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.to.join(" or "), self.from)
    }
}

/// One direction of a connection.
#[derive(Clone)]
struct Way {
    network: Network,
    from: String,
    to: String,
    cut: CancellationToken,
    stalled: Stalled,
}

impl Way {
    async fn pump(self, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin, plain: bool) {
        // A broken connection breaks in both directions.
        let _ = self.cut.clone().run_until_cancelled(self.copy(from, to, plain)).await;
    }

    async fn copy(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        plain: bool,
    ) -> io::Result<()> {
        let mut buffer = [0; PIPE];
        let mut banner = plain.then(Vec::new);
        loop {
            let most = 1 + chance::below(PIPE);
            let read = from.read(&mut buffer[..most]).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            sleep(chance::millis(0..6)).await;
            self.network.open(&self.from, &self.to).await;
            let stalled = *self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(until) = stalled {
                sleep_until(until).await;
            }
            match &mut banner {
                None => to.write_all(&buffer[..read]).await?,
                Some(held) => {
                    held.extend_from_slice(&buffer[..read]);
                    // Held back until it is whole, and passed on without the line of ours.
                    if let Some(whole) = without_extensions(held) {
                        to.write_all(&whole).await?;
                        banner = None;
                    }
                }
            }
        }
    }
}

/// A banner, and what follows, as of a server that has no extensions of ours; none while it is not whole.
fn without_extensions(seen: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = seen.split_inclusive(|&byte| byte == b'\n').collect();
    let end = lines.iter().position(|line| line.starts_with(b"* OK") && line.ends_with(b"\n"))?;
    let kept = lines.iter().enumerate().filter(|(at, line)| *at > end || !line.starts_with(b"* MURDER"));
    Some(kept.flat_map(|(_, line)| line.iter().copied()).collect())
}

/// Bytes that a pipe holds.
const PIPE: usize = 4096;
