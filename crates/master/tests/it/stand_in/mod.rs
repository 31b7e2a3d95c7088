//! The small programs in the place of a node's daemons. They are this test's own binary, run again by a script that names the
//! part to play and passes the words of its command line on.

mod foreign;
mod keeper;
mod ours;

use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

/// A line of its own on standard error, which is the log of the node.
fn say(text: &str) {
    let prefix = std::env::var(PREFIX).unwrap_or_default();
    let _ = std::io::stderr().write_all(format!("{prefix}{text}\n").as_bytes());
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not in the environment"))
}

/// A descriptor that master left to this process.
#[allow(unsafe_code)]
fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the protocol with master says that it is open, and each is taken once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// From now on, does this at each of these signals, on a thread of its own.
fn on_signals(kinds: &[SignalKind], mut act: impl FnMut(SignalKind) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::channel(16);
    for &kind in kinds {
        let _inside = runtime.enter();
        let (mut signals, sender) = (signal(kind).unwrap(), sender.clone());
        runtime
            .spawn(async move { while signals.recv().await.is_some() && sender.send(kind).await.is_ok() {} });
    }
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Some(kind) = heard.recv().await {
                act(kind);
            }
        });
    });
}

/// The script in a node's `bin` that plays `part` by the binary at `itself`. The lines that the part says begin with `prefix`.
pub fn script(part: &str, prefix: &str, itself: &Path) -> String {
    let test = concat!(module_path!(), "::", "a_keeper_runs_until_it_is_terminated");
    let (_, test) = test.split_once("::").unwrap();
    format!(
        "#!/bin/sh\nexport {PART}='{part}' {PREFIX}='{prefix}' {WORDS}=\"$*\"\n\
         exec '{}' {test} --exact --nocapture --quiet --test-threads=1 >/dev/null\n",
        itself.display()
    )
}

/// Plays the part that the environment names, and never returns; returns where it names none.
fn play() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<String> = var(WORDS).split_whitespace().map(str::to_owned).collect();
    match part.as_str() {
        "ours" => ours::run(&words),
        "foreign" => foreign::run(&words),
        "keeper" => keeper::run(&words),
        "holder" => keeper::hold(&words),
        _ => panic!("{part} is no part to play"),
    }
}

#[test]
fn a_keeper_runs_until_it_is_terminated() {
    play();
    let node = crate::node::Node::new("");
    node.stand_in("keeper", "keeper");
    let mut command = std::process::Command::new(node.path("bin/keeper"));
    command.arg("it").env("CYRUS_ISDAEMON", "1").env("CYRUS_SERVICE", "it");
    let mut keeper = crate::node::Master::spawn(&mut command);
    let pid = crate::node::last_number(&keeper.expect("it runs as"));
    assert!(keeper.stop().contains(&format!("it {pid} ends")));
}

const PART: &str = "STAND_IN";
const PREFIX: &str = "STAND_IN_PREFIX";
const WORDS: &str = "STAND_IN_WORDS";
