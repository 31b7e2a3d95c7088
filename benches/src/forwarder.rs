//! A cable that can be cut: connections to it go on to another address, until they are cut, and from when it is mended.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub struct Forwarder {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    cut: bool,
    ends: Vec<TcpStream>,
    /// When the first connection was let through after the mending.
    mended: Option<Instant>,
}

impl Forwarder {
    /// Listens for as long as the process lives.
    pub fn start(listen: SocketAddr, target: SocketAddr) -> io::Result<Forwarder> {
        let listener = TcpListener::bind(listen)?;
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who cannot be connected is cut off, as a broken cable would.
                let _ = connect(&shared, client, target);
            }
        });
        Ok(Forwarder { state })
    }

    pub fn cut(&self) {
        let mut state = self.state();
        state.cut = true;
        state.mended = None;
        for end in state.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.state().cut = false;
    }

    /// When a connection came through since then.
    pub fn connected(&self, patience: Duration) -> io::Result<Instant> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(at) = state.mended {
                return Ok(at);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            state = self.state.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(shared: &(Mutex<State>, Condvar), client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if state.cut {
        return Ok(());
    }
    let server = TcpStream::connect(target)?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
        state.ends.push(end.try_clone()?);
    }
    state.mended.get_or_insert_with(Instant::now);
    shared.1.notify_all();
    let (mut up, mut down) = ((client.try_clone()?, server.try_clone()?), (server, client));
    thread::spawn(move || io::copy(&mut up.0, &mut up.1));
    thread::spawn(move || io::copy(&mut down.0, &mut down.1));
    Ok(())
}
