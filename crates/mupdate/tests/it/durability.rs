//! Real processes, killed without warning while backends write.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use config::imapd::Imapd;
use directory::client::{Client, Error};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    process::{Process, socket},
    transcript::{BANNER, Player},
    world::{PATIENCE, at, eventually, follows, imapd, name},
};

async fn connect(socket: &Path) -> Client {
    eventually(async || Client::local(socket).await.ok()).await
}

/// What is known of a name: its acknowledged ACL, or that a change of it had no answer.
type Truth = Arc<Mutex<BTreeMap<String, Vec<Option<String>>>>>;

/// A backend that creates, changes and deletes its mailboxes until the master dies. Every name's possible states are
/// kept: one after an acknowledgement, two while there is none.
async fn backend(mut client: Client, number: usize, round: usize, truth: Truth, written: Arc<AtomicUsize>) {
    let place = at(&format!("be{number}!p"));
    for step in 0.. {
        let mailbox = format!("user.b{number}.m{}", step % 17);
        let wanted = (step % 5 != 4).then(|| format!("u\tlrs{round}{step}\t"));
        let known = truth.lock().unwrap().get(&mailbox).cloned().unwrap_or_else(|| vec![None]);
        let mut possible = known.clone();
        possible.push(wanted.clone());
        truth.lock().unwrap().insert(mailbox.clone(), possible);
        let done = match &wanted {
            Some(acl) => client.activate(&name(&mailbox), &place, acl).await,
            None => client.delete(&name(&mailbox)).await,
        };
        match done {
            Ok(()) => {
                truth.lock().unwrap().insert(mailbox, vec![wanted]);
                written.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Refused(_)) => {
                truth.lock().unwrap().insert(mailbox, vec![None]);
            }
            Err(_) => return,
        }
    }
}

async fn state(socket: &Path) -> BTreeMap<String, String> {
    let all = connect(socket).await.list(None).await.unwrap();
    all.into_iter().map(|(name, entry)| (name.to_string(), entry.acl.to_string())).collect()
}

/// A moment that nobody planned, between some acknowledged changes and some more.
fn at_random(from: usize, span: usize) -> usize {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).unwrap();
    from + usize::from(u16::from_be_bytes(bytes)) % span
}

/// A backend's connection as it is in a murder: over the network, logged in.
async fn log_in(conf: &Imapd) -> Client {
    eventually(async || Client::connect(conf).await.ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_acknowledged_survives_being_killed() {
    let [dir, first_dir, second_dir, backend_dir] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let port = test_host::port();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let mut master = Process::start(&dir, "", port, &["-m"]);
    connect(&socket(&dir)).await;
    let passwords = identity::passwords::PasswordDb::new(imapd(&dir, "").password_db());
    passwords.set("frontend", "frontend").unwrap();
    let conf = imapd(&backend_dir, &follows(address));
    let mut slaves = [&first_dir, &second_dir]
        .map(|dir| (dir, Process::start(dir, &follows(address), test_host::port(), &[])));
    let truth = Truth::default();
    let written = Arc::new(AtomicUsize::new(0));
    for round in 0..8usize {
        let mut backends = Vec::new();
        for number in 0..4 {
            let client = log_in(&conf).await;
            backends.push(tokio::spawn(backend(client, number, round, truth.clone(), written.clone())));
        }
        let enough = written.load(Ordering::Relaxed) + at_random(20, 300);
        eventually(|| std::future::ready((written.load(Ordering::Relaxed) >= enough).then_some(()))).await;
        // A slave dies in the middle of it, or the master, or both.
        if round % 2 == 1 {
            let (dir, slave) = &mut slaves[round / 2 % 2];
            slave.kill();
            *slave = Process::start(dir, &follows(address), test_host::port(), &[]);
            let enough = written.load(Ordering::Relaxed) + at_random(1, 60);
            eventually(|| std::future::ready((written.load(Ordering::Relaxed) >= enough).then_some(())))
                .await;
        }
        master.kill();
        for backend in backends {
            timeout(PATIENCE, backend).await.unwrap().unwrap();
        }
        master = Process::start(&dir, "", port, &["-m"]);
        let found = state(&socket(&dir)).await;
        for (name, possible) in truth.lock().unwrap().iter_mut() {
            let now = found.get(name).cloned();
            assert!(possible.contains(&now), "round {round}: {name} is {now:?}, not one of {possible:?}");
            *possible = vec![now];
        }
        assert!(found.keys().all(|name| truth.lock().unwrap().contains_key(name)));
    }
    let wanted = state(&socket(&dir)).await;
    let at = position(&socket(&dir)).await;
    for (dir, _slave) in &slaves {
        let there = eventually(async || (position(&socket(dir)).await == at).then_some(()));
        timeout(Duration::from_secs(30), there).await.expect("the slave converges");
        assert_eq!(state(&socket(dir)).await, wanted);
    }
}

async fn position(socket: &Path) -> serde_json::Value {
    connect(socket).await.status().await.unwrap()["position"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stop_reading_cost_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let master = Process::start(&dir, "", test_host::port(), &["-m"]);
    let mut writer = connect(&socket(&dir)).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = Player::new(UnixStream::connect(socket(&dir)).await.unwrap());
        stream.play(BANNER).await;
        stream.play("C: U01 UPDATE\n S: U01 OK \"streaming starts\"").await;
        stalled.push(stream);
    }
    // Ten mailboxes that change all the time: what a queue would have to hold grows, what the list holds does not.
    let mut churn = async |rounds: usize| {
        for n in 0..rounds {
            let acl = format!("u\tlrs\t{}{n}\t", "x".repeat(20_000));
            writer.activate(&name(&format!("user.m{}", n % 10)), &at("be1!p"), &acl).await.unwrap();
        }
    };
    churn(100).await;
    let before = master.memory();
    churn(400).await;
    // 400 changes of 20 KB for each of 20 streams are 160 MB.
    let grown = master.memory().saturating_sub(before);
    assert!(grown < 60 * 1024, "{grown} KiB for twenty stalled streams");
    assert_eq!(connect(&socket(&dir)).await.status().await.unwrap()["streams"], 20);
}
