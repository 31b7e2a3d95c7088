//! A cable that can be pulled: a TCP relay that stops to pass bytes on, and goes on later, without closing anything.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Ends with the process; its connections end with their ends.
#[derive(Debug)]
pub struct Relay {
    cable: Arc<Cable>,
}

#[derive(Debug, Default)]
struct Cable {
    cut: Mutex<bool>,
    mended: Condvar,
    connections: AtomicUsize,
}

impl Relay {
    /// Passes what comes to `listen` on to `target`.
    pub fn new(listen: SocketAddr, target: SocketAddr) -> Relay {
        let listener = TcpListener::bind(listen).expect("the relay's address is free");
        let cable = Arc::new(Cable::default());
        let shared = cable.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let cable = shared.clone();
                cable.connections.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || connect(&client, target, &cable));
            }
        });
        Relay { cable }
    }

    pub fn cut(&self) {
        *self.cable.cut.lock().expect("no panic holds it") = true;
    }

    /// How many have come so far, also to the cut cable.
    pub fn connections(&self) -> usize {
        self.cable.connections.load(Ordering::Relaxed)
    }

    pub fn mend(&self) {
        *self.cable.cut.lock().expect("no panic holds it") = false;
        self.cable.mended.notify_all();
    }
}

fn connect(client: &TcpStream, target: SocketAddr, cable: &Arc<Cable>) {
    cable.wait();
    let Ok(server) = TcpStream::connect(target) else { return };
    let (Ok(from), Ok(to)) = (server.try_clone(), client.try_clone()) else { return };
    let back = cable.clone();
    std::thread::spawn(move || pump(from, to, &back));
    if let Ok(client) = client.try_clone() {
        pump(client, server, cable);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, cable: &Cable) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        cable.wait();
        if to.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
            break;
        }
    }
    // the end of a connection does not get through a cut cable either
    cable.wait();
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

impl Cable {
    fn wait(&self) {
        let mut cut = self.cut.lock().expect("no panic holds it");
        while *cut {
            cut = self.mended.wait(cut).expect("no panic holds it");
        }
    }
}
