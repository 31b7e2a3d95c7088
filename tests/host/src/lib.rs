//! What a test takes from the host that it runs on: ports and addresses that no other test has, and programs that may be missing.

pub mod kdc;
pub mod sink;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A port that is this process's own until it ends, on all addresses of the host, in both families, for TCP and UDP. Something
/// else binds it, later and as often as the test likes.
///
/// It lies below the ports that the system gives away by itself, and every test on this host asks here.
pub fn port() -> u16 {
    let port = port_between(FIRST_PORT, first_of_the_system());
    port.unwrap_or_else(|| panic!("after {ATTEMPTS} attempts there is no port that nobody has"))
}

/// The same, of the ports that only root may open, where this process may.
pub fn low_port() -> Option<u16> {
    port_between(300, 1024)
}

fn port_between(first: u16, end: u16) -> Option<u16> {
    let span = end.saturating_sub(first).max(1);
    let choose = |random: u16| (format!("port {}", first + random % span), first + random % span);
    own(choose, is_free)
}

/// A loopback address that is this process's own until it ends, with all its ports.
pub fn address() -> Ipv4Addr {
    let choose = |random: u16| {
        let [high, low] = random.to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low.max(1));
        (format!("address {address}"), address)
    };
    let address = own(choose, |_| true);
    address.unwrap_or_else(|| panic!("after {ATTEMPTS} attempts there is no address that nobody has"))
}

/// Says aloud that the test that runs now is skipped, and why: the harness shows it though the test passes.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("\nSKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    // In one write, so that no other test's words come between. Not eprintln, which the test harness keeps to itself.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Whether these programs are in the path; skips the test where one is not.
pub fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = programs.iter().find(|program| {
        let there = |directory: &Path| directory.join(program).metadata().is_ok_and(|file| file.len() > 0);
        !std::env::split_paths(&path).any(|directory| there(&directory))
    });
    if let Some(program) = missing {
        skip(&format!("there is no {program} on this machine"));
    }
    missing.is_none()
}

/// What `choose` makes of a random number, with the name under which it is known, once nobody else has it and `is_good`.
///
/// Whoever binds the name in the abstract namespace of UNIX sockets has it. The namespace is as wide as that of ports, and
/// the system takes the name back when the process ends, in whatever way.
fn own<T: Copy>(choose: impl Fn(u16) -> (String, T), is_good: impl Fn(T) -> bool) -> Option<T> {
    static KEPT: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    for _ in 0..ATTEMPTS {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("the system has randomness");
        let (name, chosen) = choose(u16::from_be_bytes(random));
        let lease = UnixAddr::from_abstract_name(format!("murder's tests: {name}"))
            .and_then(|name| UnixDatagram::bind_addr(&name));
        // Looked at by its owner alone: to look is to bind it for a moment.
        if let Ok(lease) = lease
            && is_good(chosen)
        {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
            return Some(chosen);
        }
    }
    None
}

fn is_free(port: u16) -> bool {
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    // A host without IPv6 has no other obstacle there.
    let binds = |result: io::Result<()>| match result.map_err(|error| error.kind()) {
        Ok(()) => true,
        Err(kind) => !matches!(kind, io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied),
    };
    // One after the other, since the socket of IPv6 may be that of IPv4 too.
    [v4, v6].into_iter().all(|address| {
        binds(TcpListener::bind(address).map(drop)) && binds(UdpSocket::bind(address).map(drop))
    })
}

/// The first of the ports that the system gives to whoever asks for any.
fn first_of_the_system() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first > FIRST_PORT + 1000).unwrap_or(32_768)
}

const FIRST_PORT: u16 = 10_000;
const ATTEMPTS: usize = 1000;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_and_no_address_is_given_twice_while_its_process_lives() {
        let ports: Vec<u16> = (0..300).map(|_| port()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 300);
        assert!(ports.iter().all(|port| (FIRST_PORT..first_of_the_system()).contains(port)));
        let addresses: HashSet<Ipv4Addr> = (0..300).map(|_| address()).collect();
        assert_eq!(addresses.len(), 300);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(!is_free(held.local_addr().expect("its address").port()));
        assert!(is_free(port()));
    }

    #[test]
    fn a_program_that_is_not_there_is_missed() {
        assert!(has(&["sh"]));
        assert!(!has(&["sh", "no-program-has-this-name"]));
    }
}
