//! A way to a server that can be cut, in one direction or both, and mended: nothing is closed, and what came meanwhile passes then.

use std::io;

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
}

impl Way {
    /// To a port of this host, by one of its own.
    pub async fn to(target: u16) -> Way {
        let port = test_host::port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let ((there, to), (back, from)) = (watch::channel(true), watch::channel(true));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, to.clone(), from.clone()));
            }
        });
        Way { port, there, back }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets pass what goes to the server, and what comes back from it; or not.
    pub fn set(&self, there: bool, back: bool) {
        self.there.send_replace(there);
        self.back.send_replace(back);
    }
}

type Open = watch::Receiver<bool>;

async fn carry(client: TcpStream, target: u16, mut there: Open, back: Open) -> io::Result<()> {
    passes(&mut there).await?;
    let server = TcpStream::connect(("127.0.0.1", target)).await?;
    let ((from, to), (answers, out)) = (client.into_split(), server.into_split());
    // The end of one direction is that of both, once it gets through.
    tokio::select! {
        ended = pass(from, out, there) => ended,
        ended = pass(answers, to, back) => ended,
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: Open) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        passes(&mut open).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
    }
}

async fn passes(open: &mut Open) -> io::Result<()> {
    open.wait_for(|open| *open).await.map(drop).map_err(io::Error::other)
}
