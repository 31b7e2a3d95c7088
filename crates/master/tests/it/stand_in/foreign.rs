//! A service process as Cyrus's are: status messages on descriptor 3, listener on 4. Sends each client "SERVICE ID PID", and
//! serves it until it hangs up. A client that says "die" makes it die while busy.
//!
//! Words: -crash (end with 1 while ready), -crash0 (so for the first address only), -flood (status messages without end),
//! -once STATUS (end so after the first client), -udp (answer datagrams), -self (greet with the limit of open files, the user,
//! the capabilities and the group, too).

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::exit;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Signal, getgid, getpid, getrlimit, getuid, kill_process};
use tokio::signal::unix::SignalKind;

use super::{inherited, on_signals, say, var};

pub fn run(words: &[String]) -> ! {
    let has = |word: &str| words.iter().any(|each| each == word);
    if has("-crash") || has(&format!("-crash{}", var("CYRUS_ID"))) {
        exit(1);
    }
    let status = File::from(inherited(3));
    while has("-flood") {
        tell(&status, CONNECTED);
    }
    assert!(std::env::var_os("LISTEN_PID").is_none() && !Path::new("/proc/self/fd/5").exists());
    let listener = inherited(4);
    let greeting = greeting(has("-self"));
    if has("-udp") {
        answer_datagrams(&UdpSocket::from(listener), &greeting);
    }
    let once = words.iter().position(|word| word == "-once").map(|at| words[at + 1].parse().unwrap());
    serve(&listener, &status, &greeting, once)
}

fn greeting(with_self: bool) -> String {
    let mut words = vec![var("CYRUS_SERVICE"), var("CYRUS_ID")];
    if with_self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        words.push(getrlimit(Resource::Nofile).current.unwrap().to_string());
        words.push(getuid().as_raw().to_string());
        words.push(capabilities.trim().to_owned());
        words.push(getgid().as_raw().to_string());
    }
    words.push(std::process::id().to_string());
    words.join(" ")
}

fn answer_datagrams(socket: &UdpSocket, greeting: &str) -> ! {
    loop {
        let (_, sender) = socket.recv_from(&mut [0; 1000]).unwrap();
        socket.send_to(greeting.as_bytes(), sender).unwrap();
    }
}

fn serve(listener: &OwnedFd, status: &File, greeting: &str, once: Option<i32>) -> ! {
    // A client that was accepted is served, whatever signal comes at the same time.
    let (woken, wake) = std::io::pipe().unwrap();
    on_signals(&[SignalKind::hangup()], move |_| (&wake).write_all(b"!").unwrap());
    rustix::io::ioctl_fionbio(listener, true).unwrap();
    say(&format!("{} waits", std::process::id()));
    loop {
        let mut waiting =
            [listener.as_fd(), woken.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut waiting, None).unwrap();
        if !waiting[1].revents().is_empty() {
            exit(0);
        }
        // Another worker may have been faster.
        let Ok(client) = rustix::net::accept(listener) else { continue };
        tell(status, UNAVAILABLE);
        tell(status, CONNECTED);
        attend(File::from(client), greeting);
        tell(status, AVAILABLE);
        if let Some(code) = once {
            exit(code);
        }
    }
}

/// Greets a client, and reads until it hangs up.
fn attend(mut client: File, greeting: &str) {
    let _ = client.write_all(format!("{greeting}\n").as_bytes());
    let mut text = [0; 100];
    while let Ok(length @ 1..) = client.read(&mut text) {
        if &text[..length] == b"die" {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

/// A status message: its code, and who sends it.
fn tell(mut status: &File, code: i32) {
    let message = [code.to_ne_bytes(), std::process::id().to_ne_bytes()].concat();
    status.write_all(&message).unwrap();
}

/// Codes of status messages, as Cyrus numbers them: free for a client, no longer free, and serving one.
const AVAILABLE: i32 = 1;
const UNAVAILABLE: i32 = 2;
const CONNECTED: i32 = 3;
