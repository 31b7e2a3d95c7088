//! Servers that take no new mailboxes: set at the master, and told to those of its peers that ask.

use directory::client::Client;
use mupdate::daemon::Mode;
use protocol::location::ServerName;

use crate::{
    transcript::Player,
    wire::local,
    world::{Node, at, eventually, name},
};

async fn cordon(node: &Node, server: &str, cordoned: bool) {
    let mut client: Client = node.client().await;
    client.cordon(&ServerName::parse(server).unwrap(), cordoned).await.unwrap();
}

async fn cordoned(node: &Node) -> Vec<String> {
    let all = node.client().await.cordons().await.unwrap();
    all.keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_cordoned_server_is_kept_and_told_with_the_time() {
    let master = Node::master("").await;
    let mut operator = local(&master).await;
    operator
        .play(
            r#"
            C: X0 SERVERS
            S: X0 OK "servers complete"
            C: X1 CORDON "be1"
            S: X1 OK "done"
            C: X2 CORDON "be1"
            S: X2 OK "done"
            C: X3 CORDON "a b"
            S: X3 NO "Invalid server name"
            C: X4 SERVERS
            S: X4 SERVER "be1" "cordoned" …
            S: X4 OK "servers complete"
            C: X5 UNCORDON "be2"
            S: X5 OK "done"
            "#,
        )
        .await;
    let status = master.status().await;
    assert!(status["cordoned"]["be1"].as_u64().unwrap() > 1_700_000_000, "{}", status["cordoned"]);
    // It outlives the daemon, and is no mailbox.
    let (dir, _) = master.stop().await;
    let master = Node::start(Mode::Master, "127.0.0.1:0", dir, "").await;
    assert_eq!((cordoned(&master).await, master.names().await), (vec!["be1".to_owned()], vec![]));
    cordon(&master, "be1", false).await;
    assert_eq!(master.status().await["cordoned"].as_object().unwrap().len(), 0);
}

#[tokio::test]
async fn only_a_peer_that_asked_for_servers_hears_of_them() {
    let master = Node::master("").await;
    master.client().await.activate(&name("user.a"), &at("be1!p"), "").await.unwrap();
    let (mut ours, mut old, mut cyrus) = (local(&master).await, local(&master).await, local(&master).await);
    ours.play("C: S01 SERVERS\n S: S01 OK \"servers complete\"").await;
    for peer in [&mut ours, &mut old] {
        resume(peer).await;
    }
    cyrus.play("C: U01 UPDATE\n S: U01 MAILBOX \"user.a\" …\n S: U01 OK \"streaming starts\"").await;
    cordon(&master, "be1", true).await;
    ours.play("S: U01 SERVER \"be1\" \"cordoned\" …\n S: U01 POSITION …").await;
    cordon(&master, "be1", false).await;
    ours.play("S: U01 SERVER \"be1\" \"open\"\n S: U01 POSITION …").await;
    // The others hear of the next change of a mailbox, and of nothing before it.
    master.client().await.delete(&name("user.a")).await.unwrap();
    let line = loop {
        let line = old.line().await;
        if !line.starts_with("U01 POSITION") {
            break line;
        }
    };
    assert_eq!(line, "U01 DELETE \"user.a\"");
    cyrus.play("S: U01 DELETE \"user.a\"\n C: N1 NOOP\n S: N1 OK \"Noop done\"").await;
}

async fn resume(peer: &mut Player<tokio::net::UnixStream>) {
    peer.play(
        r#"
        C: U01 RESUME
        S: U01 FULL
        S: U01 MAILBOX "user.a" "be1!p" ""
        S: U01 POSITION …
        S: U01 OK "streaming starts"
        "#,
    )
    .await;
}

#[tokio::test]
async fn frontends_learn_of_a_cordon_from_their_slave_and_forget_it_when_it_ends() {
    let master = Node::master("").await;
    cordon(&master, "be1", true).await;
    let slave = Node::slave(&master, "").await;
    let second = Node::slave(&slave, "").await;
    let both = |wanted: &'static [&'static str]| {
        let (slave, second) = (&slave, &second);
        async move {
            for node in [slave, second] {
                eventually(async || (cordoned(node).await == wanted).then_some(())).await;
            }
        }
    };
    both(&["be1"]).await;
    // Nothing else changes, and they hear of it all the same.
    cordon(&master, "be2", true).await;
    both(&["be1", "be2"]).await;
    cordon(&master, "be1", false).await;
    both(&["be2"]).await;
}

#[tokio::test]
async fn who_may_only_read_cordons_nothing() {
    let master = Node::master("").await;
    let slave = Node::slave(&master, "").await;
    local(&slave)
        .await
        .play("C: X0 CORDON \"be1\"\n S: X0 BAD \"read-only session\"\n C: X1 SERVERS\n S: X1 OK \"servers complete\"")
        .await;
    assert!(cordoned(&master).await.is_empty());
}
