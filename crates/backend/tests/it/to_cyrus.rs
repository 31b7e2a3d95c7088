//! Moves to a backend that is taken for a Cyrus: one of ours behind a mask, through which it does not say what it is, and knows SYNCGET,
//! SYNCAPPLY and MUPDATEPUSH as a Cyrus does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::master::eventually;
use super::moving::{Pair, answers, assert_same, die_at_each_write, fill, login, shown};

/// Stands before a backend, and has nobody ask it whether it is one of ours.
pub struct Mask {
    address: SocketAddr,
    behind: Arc<Mutex<Option<SocketAddr>>>,
}

const QUESTION: &[u8] = b"/vendor/murder/options";
const NOTHING: &[u8] = b"/vendor/nobody/options";

impl Mask {
    pub async fn new() -> Mask {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), Arc::<Mutex<Option<SocketAddr>>>::default());
        let to = behind.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to = *to.lock().unwrap();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(to.unwrap()).await else { return };
                    let (client, server) = (client.into_split(), server.into_split());
                    tokio::spawn(said(client.0, server.1));
                    let (mut from, mut to) = (server.0, client.1);
                    let _ = copy(&mut from, &mut to).await;
                });
            }
        });
        Mask { address, behind }
    }

    /// Stands before this address from now on.
    pub fn before(&self, address: SocketAddr) -> SocketAddr {
        *self.behind.lock().unwrap() = Some(address);
        self.address
    }
}

/// What a client says: line by line, so that the question is seen whole.
async fn said(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut held = Vec::new();
    while from.read_buf(&mut held).await.is_ok_and(|read| read > 0) {
        while let Some(at) = held.windows(QUESTION.len()).position(|some| some == QUESTION) {
            held[at..at + QUESTION.len()].copy_from_slice(NOTHING);
        }
        if to.write_all(&held).await.is_err() {
            return;
        }
        held.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_moves_as_to_a_cyrus_and_back_and_nothing_that_imap_shows_differs() {
    let pair = Pair::masked().await;
    fill(&pair.be1).await;
    shown(&pair.be1, "fred").await;
    let mut before = shown(&pair.be1, "fred").await;
    for (from, to, server) in [(&pair.be1, &pair.be2, "be2"), (&pair.be2, &pair.be1, "be1")] {
        eventually(async || {
            let answer = answers(&mut login(from, "cyrus").await, &format!("XFER user/fred {server}")).await;
            (answer.last().is_some_and(|last| last == "x OK Completed")).then_some(())
        })
        .await;
        assert_same(&shown(to, "fred").await, &before);
        eventually(async || {
            let places = pair.places().await;
            let at = format!(" {server}!default");
            places
                .iter()
                .filter(|place| place.contains("fred"))
                .all(|place| place.ends_with(&at))
                .then_some(())
        })
        .await;
        let mut fred = login(to, "fred").await;
        fred.append("INBOX", "Subject: new\n\nnew\n").await;
        fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS (\\Deleted)\nS: …\nS: b OK …\nC: c EXPUNGE\nS: …\nS: c OK …\nC: d UNSELECT\nS: d OK …").await;
        shown(to, "fred").await;
        before = shown(to, "fred").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_whole_on_one_backend_whenever_one_dies_in_a_move_as_to_a_cyrus() {
    let deaths = die_at_each_write(Pair::masked().await).await;
    assert!(deaths >= 16, "{deaths} deaths");
}
