//! Who is connected: at most `mupdate_connections_max`, and those who have not logged in never keep the others out.
//!
//! When all places are taken, the stranger that has been there longest is sent away for the next one who comes. To log in
//! takes a moment, so that it is hardly ever one who was about to. Without strangers, who comes is refused. Strangers of one
//! address send only each other away. Whoever is sent away counts until the connection is gone.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::server::limits::{LEAVING, OF_ADDRESS, rows};

#[derive(Debug, Default)]
pub(super) struct Crowd {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All connections: of those who have logged in, of strangers, and of those that are being sent away or refused.
    connections: usize,
    /// Of them, those that are being sent away or refused.
    leaving: usize,
    /// The longest there first.
    strangers: VecDeque<Known>,
    /// Strangers of each address, those that are being sent away among them.
    of_address: HashMap<IpAddr, usize>,
    next: u64,
}

#[derive(Debug)]
struct Known {
    id: u64,
    address: Option<IpAddr>,
    sent_away: CancellationToken,
}

/// One of the connections.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    leaving: bool,
}

/// One that has not logged in; dropped when it has.
#[derive(Debug)]
pub(super) struct Stranger {
    crowd: Arc<Crowd>,
    id: u64,
    address: Option<IpAddr>,
    sent_away: CancellationToken,
}

/// What becomes of one who comes.
#[derive(Debug)]
pub(super) enum Admission {
    Stay(Place, Stranger),
    /// There is no place; it may be told so.
    Refuse(Place),
    /// Too many are being refused already.
    Drop,
}

impl Crowd {
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// A place for one more, if there is one or can be. `most`: `mupdate_connections_max`.
    pub fn admit(self: &Arc<Self>, most: usize, address: Option<IpAddr>) -> Admission {
        let address = address.map(network);
        let mut state = self.state();
        if state.connections >= most.saturating_add(LEAVING) {
            state.tell("the connection is dropped");
            return Admission::Drop;
        }
        let of_address =
            address.and_then(|address| state.of_address.get(&address)).copied().unwrap_or_default();
        let crowded = of_address >= OF_ADDRESS;
        if crowded {
            rows::OF_ADDRESS.met(
                "as many connections of one address as may be: one more is refused, or an older one ended",
            );
        }
        if crowded || state.connections - state.leaving >= most {
            let by_address = crowded.then_some(address).flatten();
            let oldest =
                state.strangers.iter().position(|one| by_address.is_none() || one.address == by_address);
            state.connections += 1;
            match oldest.and_then(|at| state.strangers.remove(at)) {
                Some(oldest) if of_address < OF_ADDRESS + LEAVING => oldest.sent_away.cancel(),
                _ => {
                    state.leaving += 1;
                    return Admission::Refuse(Place { crowd: self.clone(), leaving: true });
                }
            }
            state.leaving += 1;
            state.tell("the oldest is sent away");
        } else {
            state.connections += 1;
        }
        let (id, sent_away) = (state.next, CancellationToken::new());
        state.next += 1;
        state.strangers.push_back(Known { id, address, sent_away: sent_away.clone() });
        if let Some(address) = address {
            *state.of_address.entry(address).or_default() += 1;
        }
        let place = Place { crowd: self.clone(), leaving: false };
        Admission::Stay(place, Stranger { crowd: self.clone(), id, address, sent_away })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self, what: &str) {
        metrics::counter!("murder_strangers_refused_total").increment(1);
        rows::mupdate_connections_max.met(format_args!(
            "{} connections, {} of them before a login: too many, {what} (mupdate_connections_max)",
            self.connections,
            self.strangers.len()
        ));
    }
}

impl Stranger {
    /// Fires when this stranger must go; not when it has logged in.
    pub fn sent_away(&self) -> CancellationToken {
        self.sent_away.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.crowd.state();
        state.connections = state.connections.saturating_sub(1);
        if self.leaving {
            state.leaving = state.leaving.saturating_sub(1);
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut state = self.crowd.state();
        match self.sent_away.is_cancelled() {
            // It has left the queue, and is gone now.
            true => state.leaving = state.leaving.saturating_sub(1),
            false => state.strangers.retain(|one| one.id != self.id),
        }
        if let Some(address) = self.address
            && let Some(count) = state.of_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.of_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: of IPv6 a network of 64 bits, since a host has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(crowd: &Arc<Crowd>, most: usize, host: u8) -> Admission {
        crowd.admit(most, Some(IpAddr::from([192, 0, 2, host])))
    }

    fn stay(crowd: &Arc<Crowd>, most: usize, host: u8) -> (Place, Stranger) {
        match from(crowd, most, host) {
            Admission::Stay(place, stranger) => (place, stranger),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_oldest_stranger_makes_place_and_who_logged_in_stays() {
        let crowd = Arc::new(Crowd::default());
        let (_friend, logged_in) = stay(&crowd, 3, 1);
        let token = logged_in.sent_away();
        drop(logged_in);
        assert!(!token.is_cancelled(), "who has logged in is not sent away");
        let (first, second) = (stay(&crowd, 3, 1), stay(&crowd, 3, 2));
        let third = stay(&crowd, 3, 3);
        assert!(first.1.sent_away.is_cancelled() && !second.1.sent_away.is_cancelled());
        assert_eq!(crowd.connections(), 4, "who is sent away counts until it is gone");
        drop(first);
        assert_eq!(crowd.connections(), 3);
        drop((second.1, third.1));
        assert!(matches!(from(&crowd, 3, 4), Admission::Refuse(_)), "all have logged in");
        assert_eq!(crowd.connections(), 3);
    }

    #[test]
    fn strangers_of_one_address_send_only_each_other_away() {
        let crowd = Arc::new(Crowd::default());
        let other = stay(&crowd, 1000, 1);
        let mut crowded: VecDeque<_> = (0..OF_ADDRESS).map(|_| stay(&crowd, 1000, 2)).collect();
        for _ in 0..100 {
            crowded.push_back(stay(&crowd, 1000, 2));
            let (_, oldest) = crowded.front().unwrap();
            assert!(oldest.sent_away.is_cancelled());
            crowded.pop_front();
        }
        assert!(!other.1.sent_away.is_cancelled());
        assert_eq!(crowd.connections(), 1 + OF_ADDRESS);
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn those_who_are_sent_away_and_do_not_go_are_bounded() {
        let crowd = Arc::new(Crowd::default());
        for hosts in [1u8, 250] {
            let mut held = Vec::new();
            for n in 0..2000usize {
                held.push(from(&crowd, 100, (n % usize::from(hosts)) as u8));
                assert!(crowd.connections() <= 100 + LEAVING);
            }
            assert!(matches!(held.last(), Some(Admission::Drop | Admission::Refuse(_))));
            drop(held);
            assert_eq!(crowd.connections(), 0);
            let state = crowd.state();
            assert!(state.leaving == 0 && state.of_address.is_empty() && state.strangers.is_empty());
        }
    }
}
