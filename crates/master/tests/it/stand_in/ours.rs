//! A daemon as this project's are: sockets by LISTEN_FDS, READY=1, lifeline. Sends each client "NAME PID" and closes.
//!
//! Words: -hold (keep the connection), -crash (end with 1 at once), -stubborn (ignore SIGTERM), -mute (never ready), -chatter
//! (status messages without end), -fixed (takes no changes), -busy (takes no clients after the first, until SIGHUP: it says so).

use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::exit;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;
use tokio::signal::unix::SignalKind;

use super::{inherited, on_signals, say, var};

/// A listener, and what master says of it.
struct Listener {
    socket: OwnedFd,
    row: Value,
}

impl Listener {
    fn name(&self) -> &str {
        self.row["name"].as_str().unwrap()
    }
}

pub fn run(words: &[String]) -> ! {
    let has = |word: &str| words.iter().any(|each| each == word);
    if has("-crash") {
        say("crashing");
        exit(1);
    }
    let (mut listeners, control, lifeline) = inherit();
    let pid = std::process::id();
    let (stubborn, busy) = (has("-stubborn"), has("-busy"));
    on_signals(&[SignalKind::terminate(), SignalKind::hangup()], move |kind| {
        if kind == SignalKind::hangup() {
            if busy {
                report("X_BUSY=0");
            }
            say(&format!("{pid} reloaded"));
        } else if !stubborn {
            say(&format!("{pid} drained"));
            exit(0);
        }
    });
    let own = words.iter().take_while(|word| *word != "-C").cloned().collect::<Vec<_>>().join(" ");
    say(&format!("{pid} serves {} with {own}", names(&listeners)));
    if !has("-mute") {
        report(if has("-fixed") { "READY=1" } else { "READY=1\nX_CONTROL=1" });
    }
    if has("-chatter") {
        std::thread::spawn(|| {
            loop {
                report("STATUS=busy");
            }
        });
    }
    let mut held = Vec::new();
    loop {
        let fds = listeners.iter().map(|listener| &listener.socket).chain([&lifeline, &control]);
        let mut waiting: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
        poll(&mut waiting, None).unwrap();
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[listeners.len() + 1] {
            listeners = change(&control, listeners);
            say(&format!("{pid} now serves {}", names(&listeners)));
            continue;
        }
        if ready[listeners.len()] {
            say(&format!("{pid}: master died"));
            exit(0);
        }
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            // One that fails was closed by master, who is about to say so.
            let Ok(client) = rustix::net::accept(&listener.socket) else { continue };
            let mut client = File::from(client);
            if busy {
                report("X_BUSY=1\nSTATUS=etcd does not answer");
            }
            let _ = client.write_all(format!("{} {pid}\n", listener.name()).as_bytes());
            if has("-hold") {
                held.push(client);
            }
        }
    }
}

/// The listeners, the control socket and the lifeline, as the environment says.
fn inherit() -> (Vec<Listener>, OwnedFd, OwnedFd) {
    assert_eq!(var("LISTEN_PID"), std::process::id().to_string());
    let rows: Vec<Value> = serde_json::from_str(&var("MURDER_LISTENERS")).unwrap();
    let sockets = 3..;
    let listeners: Vec<Listener> =
        sockets.zip(rows).map(|(fd, row)| Listener { socket: inherited(fd), row }).collect();
    assert_eq!(var("LISTEN_FDNAMES").replace(':', ","), names(&listeners));
    let [control, lifeline] =
        ["MURDER_CONTROL", "MURDER_LIFELINE"].map(|name| var(name).parse::<i32>().unwrap());
    let first = 3 + i32::try_from(listeners.len()).unwrap();
    assert_eq!((control, lifeline), (first, first + 1));
    (listeners, inherited(control), inherited(lifeline))
}

fn names(listeners: &[Listener]) -> String {
    listeners.iter().map(Listener::name).collect::<Vec<_>>().join(",")
}

/// Says something to master.
fn report(text: &str) {
    let name = var("NOTIFY_SOCKET");
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().unwrap();
    let _ = socket.send_to_addr(text.as_bytes(), &address.unwrap());
}

/// Takes the listeners that master names: those that are kept, by their addresses, and new ones, whose sockets come along.
fn change(control: &OwnedFd, mut before: Vec<Listener>) -> Vec<Listener> {
    let mut text = vec![0; 100_000];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let length = recvmsg(control, &mut parts, &mut ancillary, RecvFlags::empty()).unwrap().bytes;
    let mut sockets = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten();
    let rows: Vec<Value> = serde_json::from_slice(&text[..length]).unwrap();
    let listener = |row: Value| {
        if row["kept"] != true {
            return Listener { socket: sockets.next().unwrap(), row };
        }
        let at = before.iter().position(|listener| listener.row["address"] == row["address"]).unwrap();
        Listener { socket: before.swap_remove(at).socket, row }
    };
    rows.into_iter().map(listener).collect()
}
