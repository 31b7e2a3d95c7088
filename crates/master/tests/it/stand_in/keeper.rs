//! A program of DAEMON: `keeper NAME [wait]`. With `wait` it says ok on descriptor 3 once it runs.

use std::fs::File;
use std::io::{Read, Write};
use std::process::exit;

use tokio::signal::unix::SignalKind;

use super::{inherited, on_signals, say, var};

pub fn run(words: &[String]) -> ! {
    let name = words[0].clone();
    assert_eq!((var("CYRUS_ISDAEMON"), var("CYRUS_SERVICE")), ("1".to_owned(), name.clone()));
    let pid = std::process::id();
    let ending = name.clone();
    on_signals(&[SignalKind::terminate()], move |_| {
        say(&format!("{ending} {pid} ends"));
        exit(0);
    });
    say(&format!("{name} runs as {pid}"));
    if words.iter().any(|word| word == "wait") {
        File::from(inherited(3)).write_all(b"ok\r\n").unwrap();
    }
    loop {
        std::thread::park();
    }
}

/// Holds a file as Cyrus's master locks its pid file (fcntl), until its standard input ends.
pub fn hold(words: &[String]) -> ! {
    let file = File::create(&words[0]).unwrap();
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    say("held");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    exit(0)
}
