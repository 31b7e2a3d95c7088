//! Slaves and proxies: what they hold, what they say, and when they may say no.

use std::{path::Path, sync::Arc, time::Duration};

use directory::client::{Address, Measure};
use directory::lookup::Found;
use directory::replica::{Replica, Settings};
use mailboxes::store::Memory;
use mailboxes::{List, Options};
use mupdate::daemon::Mode;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::world::{Node, PATIENCE, at, eventually, follows, name};

async fn put(node: &Node, names: &[&str]) {
    let mut client = node.client().await;
    for n in names {
        client.activate(&name(n), &at("be1!default"), "anyone\tlrs\t").await.unwrap();
    }
}

/// The first numbers of names, as `user.u00000` …
async fn put_many(node: &Node, count: usize) {
    let mut client = node.client().await;
    for n in 0..count {
        client.activate(&name(&format!("user.u{n:05}")), &at("be1!default"), "").await.unwrap();
    }
}

fn settings() -> Settings {
    Settings {
        retry_delay: Duration::from_secs(2),
        chance: || 0,
        measure: Measure { entries: usize::MAX, octets: usize::MAX },
    }
}

#[tokio::test]
async fn a_slave_holds_what_its_master_holds_and_passes_it_on() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.a.b", "user.a-b"]).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let second = Node::slave(&slave, "").await;
    second.catches_up_with(&master).await;
    let mut client = master.client().await;
    client.delete(&name("user.a")).await.unwrap();
    client.reserve(&name("user.z"), &at("be2!p")).await.unwrap();
    slave.catches_up_with(&master).await;
    second.catches_up_with(&master).await;
    assert_eq!(second.status().await["position"], master.status().await["position"]);
    let refused = slave.client().await.delete(&name("user.z")).await;
    assert_eq!(refused.unwrap_err().to_string(), "read-only session");
}

#[tokio::test]
async fn a_slave_that_reconnects_drops_mailboxes_deleted_meanwhile() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.b"]).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let (slave_dir, _) = slave.stop().await;
    master.client().await.delete(&name("user.a")).await.unwrap();
    put(&master, &["user.c"]).await;
    let (master_dir, address) = master.stop().await;
    let slave = Node::start(Mode::Slave, "127.0.0.1:0", slave_dir, &follows(address)).await;
    // The master is down: the last known state is served meanwhile.
    assert_eq!(slave.names().await, ["user.a", "user.b"]);
    assert_eq!(slave.status().await["upstream"]["live"], false);
    let master = Node::start(Mode::Master, &address.to_string(), master_dir, "").await;
    slave.catches_up_with(&master).await;
    assert_eq!(slave.names().await, ["user.b", "user.c"]);
    assert_eq!(slave.status().await["position"], master.status().await["position"]);
}

#[tokio::test]
async fn a_look_up_finds_what_was_made_a_moment_ago_and_proves_what_is_missing() {
    let master = Node::master("").await;
    let stop = CancellationToken::new();
    let dir = tempfile::tempdir().unwrap();
    let list = List::open(dir.path(), Options::replica()).unwrap();
    let replica = Replica::start(list, Address::Socket(master.socket()), settings(), stop.clone());
    replica.live().await;
    let mut client = master.client().await;
    for n in 0..50 {
        let name = name(&format!("user.n{n}"));
        client.activate(&name, &at("be1!p"), "").await.unwrap();
        assert!(matches!(replica.find(&name).await, Found::Active(_)), "{name}");
    }
    assert_eq!(replica.find(&name("user.none")).await, Found::Missing);
    for n in 0..50 {
        let name = name(&format!("user.r{n}"));
        client.reserve(&name, &at("be1!p")).await.unwrap();
        eventually(|| std::future::ready(replica.list().get(&name).unwrap())).await;
        client.activate(&name, &at("be1!p"), "").await.unwrap();
        let Found::Active(entry) = replica.find(&name).await else { panic!("{name} is there") };
        assert!(entry.is_active(), "{name}");
    }
    let (_dir, _) = master.stop().await;
    eventually(|| std::future::ready((!replica.freshness().live).then_some(()))).await;
    assert!(matches!(replica.find(&name("user.n7")).await, Found::Active(_)));
    assert!(matches!(replica.find(&name("user.other")).await, Found::Unknown(_)));
    stop.cancel();
}

#[tokio::test]
async fn a_proxy_says_whom_it_follows_and_that_the_slave_here_has_lost_the_master() {
    let master = Node::master("").await;
    put(&master, &["user.a"]).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let (socket, stop) = (slave.socket(), CancellationToken::new());
    let address = Address::Nearest { socket: socket.clone(), imapd: slave.context.imapd() };
    let replica = Replica::start(empty_copy(), address, settings(), stop.clone());
    replica.live().await;
    assert_eq!(replica.freshness().upstream, format!("the mupdate of this host ({})", socket.display()));
    assert_eq!(replica.freshness().behind, None);
    let (dir, at) = master.stop().await;
    let why = eventually(|| std::future::ready(replica.freshness().behind)).await;
    assert!(why.contains("out of date"), "{why}");
    assert!(replica.freshness().live, "what the slave has is still followed");
    let _master = Node::start(Mode::Master, &at.to_string(), dir, "").await;
    eventually(|| std::future::ready(replica.freshness().behind.is_none().then_some(()))).await;
    stop.cancel();
}

/// A list that follows another, and keeps nothing.
fn empty_copy() -> List {
    List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap()
}

#[tokio::test]
async fn nothing_is_proven_before_the_first_synchronisation() {
    let stop = CancellationToken::new();
    let nowhere = Address::Socket("/nonexistent/socket".into());
    let replica = Replica::start(empty_copy(), nowhere, settings(), stop.clone());
    assert!(matches!(replica.find(&name("user.a")).await, Found::Unknown(_)));
    assert!(replica.barrier().await.is_err());
    stop.cancel();
}

#[tokio::test]
async fn a_master_that_lost_its_list_does_not_empty_its_slaves() {
    let master = Node::master("").await;
    put_many(&master, 120).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let (_, address) = master.stop().await;
    let empty = Node::start(Mode::Master, &address.to_string(), tempfile::tempdir().unwrap(), "").await;
    let held = eventually(async || slave.status().await.get("held").cloned()).await;
    assert_eq!((held["entries"].as_u64(), held["removals"].as_u64()), (Some(120), Some(120)));
    assert_eq!(slave.names().await.len(), 120);
    put_many(&empty, 110).await;
    slave.catches_up_with(&empty).await;
    eventually(async || slave.status().await.get("held").is_none().then_some(())).await;

    // Lost again, and this time that is how it shall be.
    let (_, address) = empty.stop().await;
    let empty = Node::start(Mode::Master, &address.to_string(), tempfile::tempdir().unwrap(), "").await;
    eventually(async || slave.status().await.get("held").cloned()).await;
    slave.client().await.accept().await.unwrap();
    slave.catches_up_with(&empty).await;
    assert_eq!(slave.names().await, Vec::<String>::new());
    let again = slave.client().await.accept().await;
    assert_eq!(again.unwrap_err().to_string(), "nothing is held back");
}

#[tokio::test]
async fn a_master_that_lost_its_list_does_not_empty_a_small_slave_either_while_its_backends_fill_it() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.a.b", "user.c"]).await;
    master.client().await.activate(&name("user.other"), &at("be2!default"), "").await.unwrap();
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let all = slave.entries().await;
    let (_, address) = master.stop().await;
    let empty = Node::start(Mode::Master, &address.to_string(), tempfile::tempdir().unwrap(), "").await;
    let lacks = async |removals: u64| {
        eventually(async || (slave.status().await["held"]["removals"] == removals).then_some(())).await;
        assert_eq!(slave.entries().await, all);
    };
    lacks(4).await;
    // One backend has told what it has, but for what was deleted meanwhile, and the other is still to come.
    put(&empty, &["user.a", "user.c", "user.new"]).await;
    lacks(2).await;
    empty.client().await.activate(&name("user.other"), &at("be2!default"), "").await.unwrap();
    slave.catches_up_with(&empty).await;
    assert_eq!(slave.names().await, ["user.a", "user.c", "user.new", "user.other"]);
    eventually(async || slave.status().await.get("held").is_none().then_some(())).await;
}

#[tokio::test]
async fn a_listing_that_breaks_off_deletes_nothing_however_it_ends() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.b", "user.c"]).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let (_, address) = master.stop().await;
    // A Cyrus slave takes each of these for the end of the list, and deletes what it did not name.
    let broken = eventually(async || TcpListener::bind(address).await.ok()).await;
    for end in
        ["* BYE \"no longer ready for connections\"\r\n", "U01 NO \"no\"\r\n", "U01 BAD \"bad\"\r\n", ""]
    {
        let mut peer = BufStream::new(timeout(PATIENCE, broken.accept()).await.unwrap().unwrap().0);
        let banner = "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";
        say(&mut peer, banner).await;
        hear(&mut peer, "A01 AUTHENTICATE").await;
        say(&mut peer, "A01 OK \"Authenticated\"\r\n").await;
        hear(&mut peer, "U01 UPDATE").await;
        say(&mut peer, &format!("U01 MAILBOX {{6+}}\r\nuser.b {{5+}}\r\nbe1!p {{0+}}\r\n\r\n{end}")).await;
    }
    eventually(async || timeout(PATIENCE, broken.accept()).await.unwrap().ok()).await;
    assert_eq!(slave.names().await, ["user.a", "user.b", "user.c"]);
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_does_not_keep_a_slave_from_all_others() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slave = Node::slave_of(upstream.local_addr().unwrap(), "").await;
    let mut peer = BufStream::new(timeout(PATIENCE, upstream.accept()).await.unwrap().unwrap().0);
    say(&mut peer, "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n").await;
    hear(&mut peer, "A01 AUTHENTICATE").await;
    say(&mut peer, "A01 OK \"Authenticated\"\r\n").await;
    hear(&mut peer, "U01 UPDATE").await;
    // Names with a control character and with bytes that are no text; a place with two partitions.
    say(&mut peer, "U01 MAILBOX {6+}\r\nuser.\x01 {5+}\r\nbe1!p {0+}\r\n\r\n").await;
    peer.write_all(b"U01 MAILBOX {7+}\r\nuser.\xe9\xff {5+}\r\nbe1!p {0+}\r\n\r\n").await.unwrap();
    say(&mut peer, "U01 RESERVE {6+}\r\nuser.c {7+}\r\nbe1!p!q\r\n").await;
    say(&mut peer, "U01 MAILBOX {6+}\r\nuser.b {5+}\r\nbe1!p {0+}\r\n\r\nU01 OK \"streaming starts\"\r\n")
        .await;
    say(&mut peer, "U01 DELETE {6+}\r\nuser.\x01\r\nU01 MAILBOX {6+}\r\nuser.d {5+}\r\nbe1!p {0+}\r\n\r\n")
        .await;
    eventually(async || (slave.names().await == ["user.b", "user.d"]).then_some(())).await;
}

/// A master that is none of ours, up to where its list begins.
async fn foreign_master(listener: &TcpListener) -> BufStream<TcpStream> {
    let mut peer = BufStream::new(timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0);
    say(&mut peer, "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n").await;
    hear(&mut peer, "A01 AUTHENTICATE").await;
    say(&mut peer, "A01 OK \"Authenticated\"\r\n").await;
    hear(&mut peer, "U01 UPDATE").await;
    peer
}

fn mailbox(name: &str, acl: &str) -> String {
    format!("U01 MAILBOX {{{}+}}\r\n{name} {{5+}}\r\nbe1!p {{{}+}}\r\n{acl}\r\n", name.len(), acl.len())
}

#[tokio::test]
async fn a_list_beyond_measure_is_not_taken_over_and_the_one_before_is_served_on() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slave = Node::slave_of(upstream.local_addr().unwrap(), "mupdate_entries_max: 3\n").await;
    let two = mailbox("user.a", "") + &mailbox("user.b", "");
    let mut peer = foreign_master(&upstream).await;
    say(&mut peer, &format!("{two}U01 OK \"streaming starts\"\r\n")).await;
    eventually(async || (slave.names().await == ["user.a", "user.b"]).then_some(())).await;
    let trouble = async |wanted: &str| {
        eventually(async || {
            let status = slave.status().await;
            status["upstream"]["trouble"].as_str().is_some_and(|why| why.contains(wanted)).then_some(())
        })
        .await;
        assert_eq!(slave.names().await, ["user.a", "user.b"]);
    };
    // More than may be, while it is followed.
    say(&mut peer, &(mailbox("user.c", "") + &mailbox("user.d", ""))).await;
    trouble("its list is not taken over: more than 3 entries (set mupdate_entries_max").await;
    // A listing without end: it hangs up.
    let mut peer = foreign_master(&upstream).await;
    for n in 0.. {
        let entry = mailbox(&format!("user.{n}"), "");
        if peer.write_all(entry.as_bytes()).await.is_err() || peer.flush().await.is_err() {
            break;
        }
    }
    trouble("more than 3 entries").await;
    // An ACL that nobody has.
    let mut peer = foreign_master(&upstream).await;
    let _ = peer.write_all(mailbox("user.a", &"x".repeat(300_000)).as_bytes()).await;
    let _ = peer.flush().await;
    trouble("an ACL of 300000 octets, for user.a").await;
    // Its refusals and names are not told at any length.
    let mut peer = foreign_master(&upstream).await;
    say(&mut peer, &format!("U01 NO \"{}\"\r\n", "y".repeat(200_000))).await;
    trouble("yyyy").await;
    assert!(slave.status().await["upstream"]["trouble"].as_str().unwrap().len() < 2000);
}

async fn say(peer: &mut BufStream<TcpStream>, text: &str) {
    peer.write_all(text.as_bytes()).await.unwrap();
    peer.flush().await.unwrap();
}

async fn hear(peer: &mut BufStream<TcpStream>, wanted: &str) {
    let mut line = String::new();
    while !line.starts_with(wanted) {
        line.clear();
        let read = timeout(PATIENCE, peer.read_line(&mut line)).await.unwrap().unwrap();
        assert_ne!(read, 0, "it says {wanted}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to.join(file.file_name())),
            false => drop(std::fs::copy(file.path(), to.join(file.file_name())).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_master_whose_disk_was_put_back_to_an_earlier_day_is_recognised() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.b"]).await;
    let (dir, address) = master.stop().await;
    let list = dir.path().join("murder/mupdate/list.sled");
    let day_before = tempfile::tempdir().unwrap();
    copy(&list, &day_before.path().join("list.sled"));
    let master = Node::start(Mode::Master, &address.to_string(), dir, "").await;
    let slave = Node::slave(&master, "").await;
    put(&master, &["user.c"]).await;
    master.client().await.delete(&name("user.a")).await.unwrap();
    slave.catches_up_with(&master).await;
    let lost = slave.status().await["position"].clone();
    let (dir, _) = master.stop().await;
    std::fs::remove_dir_all(&list).unwrap();
    copy(&day_before.path().join("list.sled"), &list);
    let master = Node::start(Mode::Master, &address.to_string(), dir, "").await;
    slave.catches_up_with(&master).await;
    assert_eq!(slave.names().await, ["user.a", "user.b"]);
    // The numbers that were given out before will mean other changes: the list is another one now.
    eventually(async || {
        let (master, slave) = (master.status().await, slave.status().await);
        (master["position"] == slave["position"] && master["position"]["list"] != lost["list"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_master_restored_from_a_dump_is_followed_from_its_beginning() {
    let master = Node::master("").await;
    put(&master, &["user.a", "user.b", "user.c"]).await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    let before = slave.status().await["position"]["list"].clone();
    let mut tool = master.client().await;
    let mut dumped = Vec::new();
    let servername = protocol::location::ServerName::parse("node.example.org").unwrap();
    tool.dump(&servername, |name, entry| dumped.push((name, entry))).await.unwrap();
    tool.delete(&name("user.a")).await.unwrap();
    put(&master, &["user.d"]).await;
    // What `ctl_mboxlist -u` does.
    tool.drop_entry(&name("user.d")).await.unwrap();
    for (name, entry) in &dumped {
        tool.put(name, entry).await.unwrap();
    }
    tool.renew().await.unwrap();
    eventually(async || (slave.status().await["position"]["list"] != before).then_some(())).await;
    slave.catches_up_with(&master).await;
    assert_eq!(slave.names().await, ["user.a", "user.b", "user.c"]);
}

#[tokio::test]
async fn a_slave_tells_up_to_where_and_since_when_it_is_complete() {
    let master = Node::master("").await;
    put(&master, &["user.a"]).await;
    let slave = Node::slave(&master, "").await;
    let fresh = eventually(async || {
        let status = slave.status().await;
        (status["upstream"]["live"] == true).then_some(status)
    })
    .await;
    assert_eq!(fresh["complete"], true);
    assert_eq!(fresh["position"], master.status().await["position"]);
    assert!(fresh["upstream"]["heard_seconds_ago"].as_f64().is_none_or(|seconds| seconds < 60.0));
    let since = fresh["upstream"]["since"].as_u64().unwrap();
    let (_dir, address) = master.stop().await;
    let stale = eventually(async || {
        let status = slave.status().await;
        (status["upstream"]["live"] == false).then_some(status)
    })
    .await;
    assert_eq!((&stale["complete"], &stale["position"]), (&fresh["complete"], &fresh["position"]));
    assert!(stale["upstream"]["since"].as_u64().unwrap() >= since);
    eventually(async || {
        let trouble = slave.status().await["upstream"]["trouble"].as_str().map(str::to_owned)?;
        trouble.contains(&address.to_string()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_kick_returns_when_the_slave_has_everything() {
    let master = Node::master("").await;
    let slave = Node::slave(&master, "").await;
    slave.catches_up_with(&master).await;
    eventually(async || slave.status().await["upstream"]["live"].as_bool().filter(|live| *live)).await;
    put(&master, &["user.kicked"]).await;
    let target = std::path::Path::new(&slave.context.imapd().configdirectory).join("socket/mupdate.target");
    let mut answer = Vec::new();
    UnixStream::connect(target).await.unwrap().read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"ok");
    assert_eq!(slave.names().await, ["user.kicked"]);
}

#[tokio::test]
async fn two_backends_that_claim_one_mailbox_are_shown() {
    let master = Node::master("").await;
    let mut client = master.client().await;
    client.activate(&name("user.a"), &at("be1!p"), "").await.unwrap();
    client.activate(&name("user.a"), &at("be2!p"), "").await.unwrap();
    let status = master.status().await;
    assert_eq!(status["conflicts"][0]["name"], "user.a");
    assert_eq!(status["conflicts"][0]["lost"], "be1!p");
    client.resolve(&name("user.a")).await.unwrap();
    assert_eq!(master.status().await["conflicts"].as_array().unwrap().len(), 0);
}
