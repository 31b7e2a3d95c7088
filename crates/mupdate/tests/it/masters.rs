//! Several masters that share one list. Here they are two slaves of one master: they have its list id and its numbers, as masters
//! over one authority have.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use directory::client::Client;
use mupdate::daemon::Mode;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::world::{Node, at, eventually, follows, imapd, name};

/// The lines of an imapd.conf with a choice of masters.
fn either(masters: &[SocketAddr]) -> String {
    let all: Vec<String> = masters.iter().map(SocketAddr::to_string).collect();
    follows(masters[0]).replacen(&masters[0].to_string(), &all.join(" "), 1)
}

async fn choosing(masters: &[SocketAddr]) -> Node {
    Node::start(Mode::Slave, "127.0.0.1:0", tempfile::tempdir().unwrap(), &either(masters)).await
}

async fn put(node: &Node, names: &[&str]) {
    let mut client = node.client().await;
    for n in names {
        client.activate(&name(n), &at("be1!default"), "anyone\tlrs\t").await.unwrap();
    }
}

async fn upstream(node: &Node) -> Value {
    node.status().await["upstream"].clone()
}

async fn follows_live(node: &Node, master: SocketAddr) {
    eventually(async || {
        let upstream = upstream(node).await;
        (upstream["live"] == true && upstream["server"] == master.to_string()).then_some(())
    })
    .await;
}

/// A way to a master on which all that it says is kept.
async fn overheard(master: SocketAddr) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, said) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(String::new())));
    let heard = said.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, heard) = (TcpStream::connect(master).await.unwrap(), heard.clone());
            let ((mut from, mut to), (mut back, mut out)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut out).await });
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = back.read(&mut bytes).await {
                    heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
                    to.write_all(&bytes[..read]).await?;
                }
                to.shutdown().await
            });
        }
    });
    (address, said)
}

#[tokio::test]
async fn a_slave_whose_master_ends_streams_from_another_within_a_second_and_is_told_only_what_changed() {
    let list = Node::master("").await;
    put(&list, &["user.a", "user.b", "user.c"]).await;
    let (one, two) = (Node::slave(&list, "").await, Node::slave(&list, "").await);
    one.catches_up_with(&list).await;
    two.catches_up_with(&list).await;
    let (way, said) = overheard(two.address).await;
    let slave = choosing(&[one.address, way]).await;
    follows_live(&slave, one.address).await;
    slave.catches_up_with(&list).await;
    assert_eq!(*said.lock().unwrap(), "", "who works is kept: the other is not asked");
    let began = Instant::now();
    let (_dir, _) = one.stop().await;
    put(&list, &["user.d"]).await;
    follows_live(&slave, way).await;
    slave.catches_up_with(&list).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let said = said.lock().unwrap().clone();
    assert!(!said.contains(" FULL"), "{said}");
    assert!(said.contains("user.d") && !said.contains("user.a"), "{said}");
    let status = slave.status().await;
    assert_eq!(status["position"], list.status().await["position"]);
    let masters = status["masters"].as_array().unwrap();
    assert_eq!(masters.len(), 2);
    assert_eq!(masters[1]["address"], way.to_string());
    assert!(masters[0]["trouble"].is_string() && masters[1]["trouble"].is_null(), "{masters:?}");
}

#[tokio::test]
async fn a_master_that_is_behind_what_a_slave_holds_is_left_for_another() {
    let list = Node::master("").await;
    put(&list, &["user.a"]).await;
    let late = Node::slave(&list, "").await;
    late.catches_up_with(&list).await;
    let (late_dir, late_address) = late.stop().await;
    put(&list, &["user.b"]).await;
    let good = Node::slave(&list, "").await;
    good.catches_up_with(&list).await;
    // It was here, and knows user.b; its first master comes back without having heard of that.
    let slave = choosing(&[late_address, good.address]).await;
    follows_live(&slave, good.address).await;
    slave.catches_up_with(&list).await;
    let (slave_dir, _) = slave.stop().await;
    let (_list_dir, _) = list.stop().await;
    let nowhere = follows("127.0.0.1:9".parse().unwrap());
    let late = Node::start(Mode::Slave, &late_address.to_string(), late_dir, &nowhere).await;
    assert_eq!(late.names().await, ["user.a"]);
    let conf = either(&[late.address, good.address]);
    let slave = Node::start(Mode::Slave, "127.0.0.1:0", slave_dir, &conf).await;
    follows_live(&slave, good.address).await;
    assert_eq!(slave.names().await, ["user.a", "user.b"]);
    // The good one goes too: nothing is taken from one that has less, while it is not known what the other has.
    let (_good_dir, _) = good.stop().await;
    let trouble = eventually(async || {
        let upstream = upstream(&slave).await;
        upstream["trouble"].as_str().filter(|why| why.contains("behind")).map(str::to_owned)
    })
    .await;
    assert!(trouble.contains("behind what is held"), "{trouble}");
    assert_eq!(slave.names().await, ["user.a", "user.b"]);
}

#[tokio::test]
async fn a_master_that_does_not_answer_is_not_waited_for_where_another_does() {
    let list = Node::master("").await;
    put(&list, &["user.a"]).await;
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let began = Instant::now();
    let slave = choosing(&[silent.local_addr().unwrap(), list.address]).await;
    follows_live(&slave, list.address).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    slave.catches_up_with(&list).await;
}

#[tokio::test]
async fn one_wrong_password_of_two_masters_does_not_keep_a_slave_from_the_other() {
    let list = Node::master("").await;
    let other = Node::master("").await;
    other.context.passwords().set("frontend", "another").unwrap();
    let slave = choosing(&[other.address, list.address]).await;
    follows_live(&slave, list.address).await;
}

#[tokio::test]
async fn a_read_only_master_answers_and_is_followed_and_takes_no_change_from_anybody() {
    let master = Node::master("").await;
    put(&master, &["user.a"]).await;
    let (dir, _) = master.stop().await;
    let by_flag = Node::start(Mode::ReadOnly, "127.0.0.1:0", dir, "").await;
    let by_option = Node::master("mupdate_master_writes: no\n").await;
    for node in [&by_flag, &by_option] {
        let mut client = node.client().await;
        let refused = client.reserve(&name("user.b"), &at("be1!default")).await;
        assert_eq!(refused.unwrap_err().to_string(), "read-only session");
        let status = client.status().await.unwrap();
        assert_eq!((&status["role"], &status["writes"]), (&"master".into(), &false.into()));
        // From the network, as an admin, it is the same.
        let dir = tempfile::tempdir().unwrap();
        let mut client = Client::connect(&imapd(&dir, &follows(node.address))).await.unwrap();
        let refused = client.delete(&name("user.a")).await;
        assert_eq!(refused.unwrap_err().to_string(), "read-only session");
    }
    let slave = Node::slave(&by_flag, "").await;
    slave.catches_up_with(&by_flag).await;
    assert_eq!(slave.names().await, ["user.a"]);
    let writing = Node::master("").await;
    assert_eq!(writing.status().await["writes"], true);
}

#[tokio::test]
async fn the_master_of_a_replicated_murder_says_yes_to_a_reserve_of_what_is_there_and_a_delete_of_what_is_not()
 {
    let master = Node::master("mupdate_config: replicated\n").await;
    put(&master, &["user.a"]).await;
    let mut client = master.client().await;
    for place in ["be1!default", "be2!default"] {
        client.reserve(&name("user.a"), &at(place)).await.unwrap();
    }
    client.delete(&name("user.none")).await.unwrap();
    client.reserve(&name("user.b"), &at("be1!default")).await.unwrap();
    client.reserve(&name("user.b"), &at("be2!default")).await.unwrap();
    let entries = master.entries().await;
    let shown: Vec<_> = entries.iter().map(|(name, e)| (name.as_str(), e.is_active(), e.server())).collect();
    assert_eq!(shown, [("user.a", true, "be1"), ("user.b", false, "be1")], "nothing is taken from anybody");
    client.delete(&name("user.b")).await.unwrap();
    let standard = Node::master("").await;
    put(&standard, &["user.a"]).await;
    let mut client = standard.client().await;
    client.reserve(&name("user.a"), &at("be2!default")).await.unwrap_err();
    client.delete(&name("user.none")).await.unwrap_err();
}
