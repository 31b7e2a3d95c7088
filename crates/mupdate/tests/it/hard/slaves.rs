//! Slaves whose master is killed.

use std::time::{Duration, Instant};

use mupdate::daemon::Mode;

use super::{clients::Link, murder::Hard, way::Way};
use crate::world::{Node, eventually, follows, name};

/// Makes mailboxes, and returns when all are.
async fn make(link: &mut Link, names: impl Iterator<Item = String>) {
    let mut asked = 0;
    let mut commands = String::new();
    for name in names {
        asked += 1;
        commands.push_str(&format!("T ACTIVATE \"{name}\" \"be1!p\" \"anyone\tlrs\t\"\r\n"));
    }
    link.say(&commands).await.unwrap();
    for _ in 0..asked {
        assert!(link.line().await.unwrap().starts_with("T OK"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_whose_master_is_killed_streams_from_another_within_a_second_and_gets_no_listing() {
    let Some(mut hard) = Hard::start(&[]).await else { return };
    let mut first = Link::open(hard.masters[0].port).await.unwrap();
    make(&mut first, (0..2000).map(|n| format!("user.m{n}"))).await;
    drop(first);
    let mut ways = Vec::new();
    for master in &hard.masters {
        ways.push(Way::to(master.port).await);
    }
    let all: Vec<String> = ways.iter().map(|way| format!("127.0.0.1:{}", way.port())).collect();
    let conf = follows("127.0.0.1:1".parse().unwrap()).replacen("127.0.0.1:1", &all.join(" "), 1);
    let slave = Node::start(Mode::Slave, "127.0.0.1:0", tempfile::tempdir().unwrap(), &conf).await;
    let mut took = Vec::new();
    for round in 0..3 {
        // As long as a stream must last to be one that works.
        let (before, lasts) = (Instant::now(), if round == 0 { 0 } else { 1 });
        let at = eventually(async || {
            let upstream = slave.status().await["upstream"].clone();
            let live = upstream["live"] == true && slave.names().await.len() >= 2000 + round;
            let lasted = before.elapsed() >= Duration::from_secs(lasts);
            all.iter().position(|one| live && lasted && upstream["server"] == one.as_str())
        });
        let at = at.await;
        let carried: usize = ways.iter().map(Way::carried).sum();
        hard.masters[at].process.kill();
        let began = Instant::now();
        let mut other = Link::open(hard.masters[(at + 1) % 3].port).await.unwrap();
        let text = format!("user.new{round}");
        make(&mut other, std::iter::once(text.clone())).await;
        eventually(async || slave.client().await.find(&name(&text)).await.ok().flatten()).await;
        took.push(began.elapsed());
        let carried = ways.iter().map(Way::carried).sum::<usize>() - carried;
        assert!(carried < 20_000, "{carried} bytes came: 2,000 entries are some 100,000");
        hard.masters[at].run();
        hard.masters[at].serves().await;
    }
    println!("killed to visible at its slave: {took:?}");
    // The median: other tests run beside this one.
    took.sort();
    assert!(took[1] < Duration::from_secs(1), "{took:?}");
}
