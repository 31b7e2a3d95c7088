//! Several masters on one etcd, as their clients see them.

use mupdate::daemon::Mode;
use tokio::net::TcpStream;

use crate::{
    cluster::Cluster,
    transcript::{BANNER, Player},
    wire::CYRUS,
    world::{Node, at, eventually, name},
};

async fn master(cluster: &Cluster, servername: &str) -> Node {
    master_with(cluster, servername, "").await
}

async fn master_with(cluster: &Cluster, servername: &str, conf: &str) -> Node {
    let conf = format!("servername: {servername}\netcd_endpoints: {}\n{conf}", cluster.endpoints());
    // A port that the system chose would be another one after the socket was closed.
    let address = format!("127.0.0.1:{}", test_host::port());
    Node::start(Mode::Master, &address, tempfile::tempdir().unwrap(), &conf).await
}

/// A client from the network that has logged in.
async fn cyrus(node: &Node) -> Player<TcpStream> {
    let mut player = Player::new(TcpStream::connect(node.address).await.unwrap());
    player.play(&BANNER.replace("node.example.org", "a.example.org")).await;
    player.play(&format!("C: A0 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\nS: A0 OK \"Authenticated\"")).await;
    player
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_master_said_ok_to_every_other_finds_lists_and_streams() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    let (a, b) = (master(&cluster, "a.example.org").await, master(&cluster, "b.example.org").await);
    let (mut one, mut other) = (a.client().await, b.client().await);
    let slave = Node::slave(&b, "").await;
    for n in 0..20 {
        let (text, place) = (format!("user.u{n}"), at("be1!p"));
        one.reserve(&name(&text), &place).await.unwrap();
        assert!(other.find(&name(&text)).await.unwrap().is_some_and(|entry| !entry.is_active()));
        other.activate(&name(&text), &place, "anyone\tl\t").await.unwrap();
        assert!(one.find(&name(&text)).await.unwrap().is_some_and(|entry| entry.is_active()));
    }
    assert_eq!(one.list(None).await.unwrap().len(), 20);
    assert_eq!(a.status().await["position"], b.status().await["position"]);
    slave.catches_up_with(&a).await;
    assert_eq!(slave.status().await["position"], a.status().await["position"]);
    let masters = eventually(async || {
        let masters = cluster.admin().masters().await.unwrap();
        (masters.len() == 2).then_some(masters)
    });
    assert_eq!(masters.await[0].servername, "a.example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_replicated_murder_a_master_deletes_what_another_one_has_just_acknowledged() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    let conf = "mupdate_config: replicated\n";
    let a = master_with(&cluster, "a.example.org", conf).await;
    let b = master_with(&cluster, "b.example.org", conf).await;
    let (mut one, mut other) = (a.client().await, b.client().await);
    for n in 0..50 {
        let text = name(&format!("user.u{n}"));
        one.reserve(&text, &at("be1!p")).await.unwrap();
        other.delete(&text).await.unwrap();
        assert!(one.find(&text).await.unwrap().is_none(), "{n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_etcd_takes_no_connections_breaks_off_streams_and_comes_back_by_itself() {
    let Some(mut cluster) = Cluster::start(3, &[]).await else { return };
    let node = master(&cluster, "a.example.org").await;
    let mut local = node.client().await;
    local.reserve(&name("user.fred"), &at("be1!p")).await.unwrap();
    let mut stream = cyrus(&node).await;
    stream.play("C: U1 UPDATE\nS: U1 RESERVE \"user.fred\" \"be1!p\"\nS: U1 OK \"streaming starts\"").await;

    (0..2).for_each(|member| cluster.kill(member));
    // One that cannot be known is not said to be missing.
    let error = local.find(&name("user.nobody")).await.unwrap_err();
    assert!(!error.is_final(), "{error}");
    let error = local.reserve(&name("user.mary"), &at("be1!p")).await.unwrap_err();
    assert!(!error.is_final(), "{error}");
    let refused = async || TcpStream::connect(node.address).await.is_err().then_some(());
    eventually(refused).await;
    assert_eq!(stream.rest().await, "", "no BYE: a Cyrus peer takes it for the end of a listing");

    (0..2).for_each(|member| cluster.run(member));
    eventually(async || TcpStream::connect(node.address).await.ok()).await;
    cyrus(&node).await;
    let mut local = node.client().await;
    assert!(local.find(&name("user.fred")).await.unwrap().is_some());
}
