//! From an imapd.conf, or the path of a socket, to a logged-in [`Link`].

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use config::imapd::Imapd;
use mailboxes::Position;
use tokio::{net::UnixStream, time::timeout};
use transport::stream::Stream;

use super::{
    Error, choice,
    link::Link,
    login::{Greeting, greet},
};
use crate::client::limits::{BLIND_TRIES, LOCAL, NEAREST_PAUSE, NEAREST_TRIES};
use crate::meter::Measure;

/// Opens connections to one server: what a simulated network gives instead of sockets.
pub trait Connect: std::fmt::Debug + Send + Sync {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + '_>>;
}

/// Where a server of lists is.
#[derive(Debug, Clone)]
pub enum Address {
    /// One of `mupdate_server` of this configuration.
    Server(Imapd),
    /// The Unix socket beside a daemon's list; no login.
    Socket(PathBuf),
    /// The socket of this host's `mupdate`; where none answers, `mupdate_server`.
    Nearest { socket: PathBuf, imapd: Imapd },
    /// Behind connections of another kind; no login.
    Through(Arc<dyn Connect>),
}

impl Address {
    /// The imapd.conf that names the masters, where there is a choice of them.
    pub fn choice(&self) -> Option<&Imapd> {
        match self {
            Address::Server(imapd) | Address::Nearest { imapd, .. } => Some(imapd),
            Address::Socket(_) | Address::Through(_) => None,
        }
    }

    /// The name shown in messages and in a slave's banner.
    pub fn name(&self) -> String {
        match self {
            Address::Server(imapd) => imapd.mupdate_server.clone().unwrap_or_default(),
            Address::Socket(path) => path.display().to_string(),
            Address::Nearest { socket, imapd } => {
                imapd.mupdate_server.clone().unwrap_or_else(|| socket.display().to_string())
            }
            Address::Through(connect) => format!("{connect:?}"),
        }
    }

    /// How much of a list its server may make us hold.
    pub fn measure(&self) -> Measure {
        match self {
            Address::Server(imapd) | Address::Nearest { imapd, .. } => Measure::new(imapd),
            // A daemon of this host has kept the bound already.
            Address::Socket(_) | Address::Through(_) => Measure::none(),
        }
    }

    /// Connects and logs in, each step bounded by `client_timeout`. `held`: up to where the caller's list goes; of several
    /// masters one that has not come so far is left for another.
    pub async fn dial(&self, held: Option<Position>) -> Result<(Link, Greeting), Error> {
        match self {
            Address::Server(imapd) => choice::dial(imapd, held).await,
            Address::Socket(path) => socket(path).await,
            Address::Nearest { socket: path, imapd } => nearest(path, imapd, held).await,
            Address::Through(connect) => trusted(self.name(), connect.connect()).await,
        }
    }
}

/// A `mupdate` that is just starting gets a moment: the directory beside its socket tells that there is one.
async fn nearest(path: &Path, imapd: &Imapd, held: Option<Position>) -> Result<(Link, Greeting), Error> {
    let mut tries = 0;
    loop {
        match socket(path).await {
            Ok((mut link, greeting)) => {
                link.server = format!("the mupdate of this host ({})", path.display());
                return Ok((link, greeting));
            }
            // At its very first start it may not have made the directory yet.
            Err(_)
                if tries
                    < if path.parent().is_some_and(Path::exists) { NEAREST_TRIES } else { BLIND_TRIES } =>
            {
                tries += 1;
                tokio::time::sleep(NEAREST_PAUSE).await;
            }
            Err(error) if imapd.mupdate_server.is_none() => return Err(error),
            Err(_) => return choice::dial(imapd, held).await,
        }
    }
}

async fn socket(path: &Path) -> Result<(Link, Greeting), Error> {
    let connect = async { Stream::unix(UnixStream::connect(path).await?) };
    trusted(path.display().to_string(), connect).await
}

/// A connection on which nobody logs in.
async fn trusted(
    name: String,
    connect: impl Future<Output = io::Result<Stream>>,
) -> Result<(Link, Greeting), Error> {
    let connected = timeout(LOCAL, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let lost = |why: io::Error| Error::Unavailable { server: name.clone(), why: why.into() };
    let mut link = Link::new(connected.map_err(lost)?, name.clone());
    let greeting = greet(&mut link, LOCAL).await?;
    Ok((link, greeting))
}
