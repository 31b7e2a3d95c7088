//! What all sessions of the process share: the list of mailboxes, the way to the backends, what is known of them.

use std::sync::Arc;
use std::time::Duration;

use arrivals::Servers;
use config::imapd::Imapd;
use directory::lookup::Lookup;
use mailboxes::hub::Hub;
use protocol::namespace::Namespace;
use upstream::Upstream;

use crate::capability::Learnt;
use crate::parked::Parked;

pub use service::listen::Listener;

/// The frontend.
pub struct Node {
    /// Where mailboxes are, as far as this node knows.
    pub directory: Arc<dyn Lookup>,
    pub namespace: Namespace,
    /// The way to the backends.
    pub upstream: Upstream,
    pub capabilities: Learnt,
    /// The backends that take new mailboxes.
    pub servers: Servers,
    /// Connections to backends that wait for their users' next sessions.
    pub parked: Parked,
    /// Who hears of changes of the list.
    pub hub: Hub,
}

impl Node {
    pub fn new(imapd: &Imapd, directory: Arc<dyn Lookup>) -> Arc<Node> {
        let upstream = Upstream::new(imapd);
        Arc::new(Node {
            namespace: service::names::namespace(imapd),
            servers: Servers::new(upstream.clone(), directory.list().clone()),
            directory,
            upstream,
            capabilities: Learnt::default(),
            parked: Parked::default(),
            hub: Hub::default(),
        })
    }

    /// The bound on what a backend should do at once.
    pub fn client_timeout(&self) -> Duration {
        self.upstream.imapd().client_timeout
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::{Mutex, PoisonError};
    use std::{fmt, io};

    use directory::client::{Address, Connect, Measure};
    use directory::lookup::Found;
    use directory::replica::{Replica, Settings};
    use mailboxes::{List, Options, store::Memory};
    use protocol::name::MailboxName;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
    use tokio_util::sync::CancellationToken;
    use transport::peer::Peer;
    use transport::stream::Stream;

    use super::*;

    /// One connection; there is no second.
    struct Once(Mutex<Option<DuplexStream>>);

    impl fmt::Debug for Once {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the master")
        }
    }

    impl Connect for Once {
        fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + '_>> {
            let pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            let peer = Peer::Unix { uid: 0, gid: 0, pid: None };
            Box::pin(async move { Ok(Stream::memory(pipe.ok_or(io::ErrorKind::ConnectionRefused)?, peer)) })
        }
    }

    /// A master with one reservation; gives how often it is asked whether everything has arrived.
    async fn master(pipe: DuplexStream) -> usize {
        let mut pipe = BufReader::new(pipe);
        pipe.write_all(b"* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n").await.unwrap();
        let (mut line, mut noops) = (String::new(), 0);
        while pipe.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let tag = line.split(' ').next().unwrap_or_default().to_owned();
            if line.contains("UPDATE") {
                pipe.write_all(b"U01 RESERVE \"user.a\" \"be1!p\"\r\nU01 OK \"streaming starts\"\r\n")
                    .await
                    .unwrap();
            } else if line.contains("NOOP") {
                noops += 1;
                pipe.write_all(format!("{tag} OK \"Noop done\"\r\n").as_bytes()).await.unwrap();
            }
            line.clear();
        }
        noops
    }

    #[tokio::test]
    async fn a_reservation_is_asked_for_at_the_master_once() {
        let (ours, theirs) = duplex(4096);
        let master = tokio::spawn(master(theirs));
        let stop = CancellationToken::new();
        let measure = Measure { entries: usize::MAX, octets: usize::MAX };
        let settings = Settings { retry_delay: Duration::from_secs(3600), chance: || 0, measure };
        let address = Address::Through(Arc::new(Once(Mutex::new(Some(ours)))));
        let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
        let replica = Replica::start(list, address, settings, stop.clone());
        replica.live().await;
        let directory: &dyn Lookup = &replica;
        let found = directory.find(&MailboxName::parse("user.a").unwrap()).await;
        assert!(matches!(found, Found::Reserved), "{found:?}");
        stop.cancel();
        assert_eq!(master.await.unwrap(), 1);
    }
}
