//! Clients that take their time, on a clock that does not.

use std::{sync::Arc, time::Duration};

use directory::serve::Server;
use mailboxes::{List, Options, store::Memory};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;
use transport::peer::Peer;
use transport::stream::Stream;

use super::{Gate, Guards, Visitor};

fn gate() -> Gate {
    let text = "configdirectory: /nonexistent\nservername: node.example.org\n";
    let imapd = config::imapd::Imapd::parse("imapd.conf".as_ref(), text, "mupdate").unwrap();
    // A list on threads of its own would not be waited for by a clock that leaps.
    let spawn = |_, task| {
        tokio::spawn(task);
        Ok(())
    };
    let options = Options { spawn, ..Options::owner() };
    let list = List::with_store(Arc::new(Memory::new()), options).unwrap();
    Gate::new(Server::master(list, &imapd), &imapd)
}

/// The client's end of a connection.
fn client(gate: &Gate) -> BufReader<DuplexStream> {
    let (near, far) = duplex(4096);
    let stream = Stream::memory(far, Peer::Unix { uid: 0, gid: 0, pid: None });
    let gate = gate.clone();
    tokio::spawn(async move {
        let visitor = Visitor::new(gate, stream, Guards::default(), None);
        visitor.run(&CancellationToken::new()).await.map(|_| ())
    });
    BufReader::new(near)
}

async fn last_line(client: &mut BufReader<DuplexStream>) -> String {
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    all.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_log_in_is_sent_away_however_busy_it_looks() {
    let gate = gate();
    let began = Instant::now();
    let mut client = client(&gate);
    let mut pace = interval(Duration::from_secs(10));
    // A letter of a command now and then.
    while client.get_mut().write_all(b"X").await.is_ok() && began.elapsed() < Duration::from_secs(600) {
        pace.tick().await;
    }
    assert_eq!(last_line(&mut client).await, "* BYE \"idle for too long\"");
    assert!((120..=135).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
