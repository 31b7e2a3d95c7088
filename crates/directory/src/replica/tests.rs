//! An upstream that does not work, on a clock that does not take its time.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, io};

use mailboxes::store::Memory;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};
use tracing::{Event, Level, Metadata, Subscriber, span};
use transport::{peer::Peer, stream::Stream};

use super::*;
use crate::client::Connect;

/// A master that greets, sends its list, and breaks off at once; it counts who comes.
#[derive(Default)]
struct BreaksOff(AtomicUsize);

impl fmt::Debug for BreaksOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m.example.org")
    }
}

impl Connect for BreaksOff {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + '_>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = duplex(4096);
        tokio::spawn(async move {
            let mut pipe = BufReader::new(theirs);
            pipe.write_all(b"* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n").await?;
            pipe.read_line(&mut String::new()).await?;
            pipe.write_all(b"U01 OK \"streaming starts\"\r\n").await
        });
        let peer = Peer::Unix { uid: 0, gid: 0, pid: None };
        Box::pin(async move { Ok(Stream::memory(ours, peer)) })
    }
}

/// Counts warnings of the thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.is_event()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_master_that_takes_us_and_breaks_off_is_asked_ever_more_seldom_and_the_log_has_it_once() {
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    let spawn = |_, task| {
        tokio::spawn(task);
        Ok(())
    };
    let list = List::with_store(Arc::new(Memory::new()), Options { spawn, ..Options::replica() }).unwrap();
    let master = Arc::new(BreaksOff::default());
    let measure = Measure { entries: usize::MAX, octets: usize::MAX };
    let settings = Settings { retry_delay: Duration::from_secs(20), chance: || 0, measure };
    let stop = CancellationToken::new();
    let replica = Replica::start(list, Address::Through(master.clone()), settings, stop.clone());
    timeout(Duration::from_secs(600), pending::<()>()).await.unwrap_err();
    let came = master.0.load(Ordering::Relaxed);
    // Every half of 20 s in the end.
    assert!((50..=70).contains(&came), "{came} times in ten minutes");
    assert!(replica.is_complete(), "its list was taken over each time");
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    stop.cancel();
}
