//! Real processes, killed without warning while backends write.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mupdate::client::{Client, Error};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::world::{PATIENCE, at, eventually, follows, imapd, name};

struct Process {
    child: Child,
}

impl Process {
    fn start(dir: &TempDir, conf: &str, port: u16, arguments: &[&str]) -> Process {
        let imapd = imapd(dir, conf);
        let child = Command::new(env!("CARGO_BIN_EXE_mupdate"))
            .arg("-C")
            .arg(imapd.path())
            .args(arguments)
            .arg("--listen")
            .arg(format!("mupdate=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Process { child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("murder/mupdate/socket")
}

async fn connect(socket: &Path) -> Client {
    eventually(async || Client::local(socket).await.ok()).await
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_acknowledged_survives_being_killed() {
    let (dir, slave_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = free_port();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let mut master = Process::start(&dir, "", port, &["-m"]);
    connect(&socket(&dir)).await;
    let passwords = service::passwords::PasswordDb::new(imapd(&dir, "").password_db());
    passwords.set("frontend", "frontend").unwrap();
    let mut slave = Process::start(&slave_dir, &follows(address), free_port(), &[]);
    let truth = Truth::default();
    let written = Arc::new(AtomicUsize::new(0));
    for round in 0..6usize {
        let mut backends = Vec::new();
        for number in 0..4 {
            let client = connect(&socket(&dir)).await;
            backends.push(tokio::spawn(backend(client, number, round, truth.clone(), written.clone())));
        }
        // Killed in the middle of the work: after so many acknowledgements, which differ from round to round.
        let enough = written.load(Ordering::Relaxed) + 40 + 37 * round;
        eventually(|| std::future::ready((written.load(Ordering::Relaxed) >= enough).then_some(()))).await;
        master.kill();
        if round == 3 {
            slave.kill();
            slave = Process::start(&slave_dir, &follows(address), free_port(), &[]);
        }
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
    timeout(
        Duration::from_secs(30),
        eventually(async || (state(&socket(&slave_dir)).await == wanted).then_some(())),
    )
    .await
    .expect("the slave converges");
    drop(slave);
}
