//! A way to a server that can be cut, in one direction or both, and mended: nothing is closed, and what came meanwhile passes then.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// Ends with the runtime.
pub struct Way {
    port: u16,
    there: watch::Sender<bool>,
    back: watch::Sender<bool>,
    carried: Arc<AtomicUsize>,
}

impl Way {
    /// To a port of this host, by one of its own.
    pub async fn to(target: u16) -> Way {
        let port = test_host::port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let ((there, to), (back, from)) = (watch::channel(true), watch::channel(true));
        let carried = Arc::new(AtomicUsize::new(0));
        let counted = carried.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, to.clone(), from.clone(), counted.clone()));
            }
        });
        Way { port, there, back, carried }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes that came back from the server so far.
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }

    /// Lets pass what goes to the server, and what comes back from it; or not.
    pub fn set(&self, there: bool, back: bool) {
        self.there.send_replace(there);
        self.back.send_replace(back);
    }
}

type Open = watch::Receiver<bool>;

async fn carry(
    client: TcpStream,
    target: u16,
    mut there: Open,
    back: Open,
    carried: Arc<AtomicUsize>,
) -> io::Result<()> {
    passes(&mut there).await?;
    let server = TcpStream::connect(("127.0.0.1", target)).await?;
    let ((from, to), (answers, out)) = (client.into_split(), server.into_split());
    // The end of one direction is that of both, once it gets through.
    tokio::select! {
        ended = pass(from, out, there, Arc::default()) => ended,
        ended = pass(answers, to, back, carried) => ended,
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: Open,
    carried: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        passes(&mut open).await?;
        if read == 0 {
            return Ok(());
        }
        carried.fetch_add(read, Ordering::Relaxed);
        to.write_all(&bytes[..read]).await?;
    }
}

async fn passes(open: &mut Open) -> io::Result<()> {
    open.wait_for(|open| *open).await.map(drop).map_err(io::Error::other)
}
