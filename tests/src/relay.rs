//! A cable that can be pulled: a TCP relay that stops to pass bytes on, and goes on later, without closing anything. What
//! came meanwhile arrives in one piece then.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Ends with the process; its connections end with their ends.
#[derive(Debug)]
pub struct Relay {
    cable: Arc<Cable>,
    port: u16,
}

#[derive(Debug, Default)]
struct Cable {
    /// To the server, and back from it.
    cut: [AtomicBool; 2],
    held: AtomicUsize,
    passed: AtomicUsize,
    connections: AtomicUsize,
}

const THERE: usize = 0;
const BACK: usize = 1;

impl Relay {
    /// Passes what comes to a port of its own, on the target's address, on to the target.
    pub fn new(target: SocketAddr) -> Relay {
        Relay::rewriting(target, |said| said)
    }

    /// The same, with the server's words changed on their way.
    pub fn rewriting(target: SocketAddr, change: fn(Vec<u8>) -> Vec<u8>) -> Relay {
        let listener = TcpListener::bind((target.ip(), 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cable = Arc::new(Cable::default());
        let shared = cable.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let cable = shared.clone();
                cable.connections.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || connect(&client, target, &cable, change));
            }
        });
        Relay { cable, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn cut(&self) {
        self.set([true, true]);
    }

    /// Holds back only what the server says.
    pub fn hold(&self) {
        self.cable.held.store(0, Ordering::Relaxed);
        self.set([false, true]);
    }

    pub fn mend(&self) {
        self.set([false, false]);
    }

    /// Lets the server's words through; how many bytes were passed in one piece.
    pub fn mend_and_see(&self) -> usize {
        self.mend();
        while self.cable.held.load(Ordering::Acquire) != 0 {
            std::thread::park_timeout(TICK / 10);
        }
        self.cable.passed.load(Ordering::Acquire)
    }

    /// Bytes of the server that were held back since [`Relay::hold`].
    pub fn held(&self) -> usize {
        self.cable.held.load(Ordering::Acquire)
    }

    /// How many have come so far, also to the cut cable.
    pub fn connections(&self) -> usize {
        self.cable.connections.load(Ordering::Relaxed)
    }

    fn set(&self, [there, back]: [bool; 2]) {
        self.cable.cut[THERE].store(there, Ordering::Release);
        self.cable.cut[BACK].store(back, Ordering::Release);
    }
}

impl Cable {
    fn is_cut(&self, way: usize) -> bool {
        self.cut.get(way).is_some_and(|cut| cut.load(Ordering::Acquire))
    }

    fn wait(&self, way: usize) {
        while self.is_cut(way) {
            std::thread::park_timeout(TICK);
        }
    }
}

fn connect(client: &TcpStream, target: SocketAddr, cable: &Arc<Cable>, change: fn(Vec<u8>) -> Vec<u8>) {
    cable.wait(THERE);
    let Ok(server) = TcpStream::connect(target) else { return };
    let (Ok(from), Ok(to)) = (server.try_clone(), client.try_clone()) else { return };
    let back = cable.clone();
    std::thread::spawn(move || pump(from, to, &back, BACK, change));
    if let Ok(client) = client.try_clone() {
        pump(client, server, cable, THERE, |said| said);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, cable: &Cable, way: usize, change: fn(Vec<u8>) -> Vec<u8>) {
    let (mut buffer, mut gathered) = ([0; 16 * 1024], Vec::new());
    let _ = from.set_read_timeout(Some(TICK)).and_then(|()| to.set_nodelay(true));
    let mut open = true;
    while open {
        match from.read(&mut buffer) {
            Ok(read @ 1..) => {
                gathered.extend_from_slice(&change(buffer.get(..read).unwrap_or_default().to_vec()));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => open = false,
        }
        if cable.is_cut(way) {
            if way == BACK {
                cable.held.store(gathered.len(), Ordering::Release);
            }
        } else {
            open &= to.write_all(&gathered).is_ok();
            if cable.held.load(Ordering::Acquire) > 0 && way == BACK {
                cable.passed.store(gathered.len(), Ordering::Release);
                cable.held.store(0, Ordering::Release);
            }
            gathered.clear();
        }
    }
    // the end of a connection does not get through a cut cable either
    cable.wait(way);
    let _ = to.write_all(&gathered);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// How often a pump looks whether the cable was cut or mended.
const TICK: Duration = Duration::from_millis(1);
