//! What goes where when a backend is emptied, or several are to be filled alike. Without input or output.

use std::collections::BTreeMap;

use moves::order::Size;

/// A backend as it is planned with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    /// Bytes.
    pub free: u64,
    pub total: u64,
}

/// What is made alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// How full the disks are
    Bytes,
    /// How many users, and shared mailboxes, there are
    Users,
}

/// One thing that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub from: String,
    pub to: String,
    pub size: Size,
}

/// Sends all to the servers that have most room, the largest first. What fits nowhere stays, and is returned.
pub fn empty(from: &str, mut sizes: Vec<Size>, targets: &[Server]) -> (Vec<Step>, Vec<Size>) {
    let mut free: Vec<(u64, &Server)> = targets.iter().map(|target| (room(target), target)).collect();
    sizes.sort_by(|a, b| (b.bytes, &a.root).cmp(&(a.bytes, &b.root)));
    let (mut steps, mut stay) = (Vec::new(), Vec::new());
    for size in sizes {
        let most = free.iter_mut().max_by_key(|(free, target)| (*free, std::cmp::Reverse(&target.name)));
        match most {
            Some((free, target)) if *free >= size.bytes => {
                *free -= size.bytes;
                steps.push(Step { from: from.to_owned(), to: target.name.clone(), size });
            }
            _ => stay.push(size),
        }
    }
    (steps, stay)
}

/// The fewest and coldest moves after which no server is fuller than the mean by more than `tolerance` (of 1), or none that helps is left.
/// No server gets what would fill it to more than nine tenths; `most`: bytes that may move.
pub fn alike(
    servers: &[Server],
    mut sizes: BTreeMap<String, Vec<Size>>,
    by: By,
    tolerance: f64,
    most: Option<u64>,
    now: u64,
) -> Vec<Step> {
    let mut all: Vec<Load> = servers.iter().map(|server| Load::of(server, &sizes, by)).collect();
    let mean = Load::mean(&all);
    let (mut steps, mut moved) = (Vec::new(), 0u64);
    // What is large and cold is worth most.
    for of in sizes.values_mut() {
        of.sort_by_cached_key(|size| {
            let age = u128::from(now.saturating_sub(size.last).max(1));
            let worth = match by {
                By::Bytes => age * u128::from(size.bytes),
                By::Users => age,
            };
            (worth, size.root.clone())
        });
    }
    let fullest = |all: &[Load]| (0..all.len()).max_by(|a, b| all[*a].level().total_cmp(&all[*b].level()));
    while let Some(from) = fullest(&all) {
        if all[from].level() <= mean * (1.0 + tolerance) {
            break;
        }
        let excess = all[from].excess(mean);
        let Some(size) = sizes.get_mut(&servers[from].name).and_then(Vec::pop) else {
            all[from].stuck = true;
            continue;
        };
        // More than it has too much would only turn things round.
        if all[from].counted(&size) > excess
            || most.is_some_and(|most| moved.saturating_add(size.bytes) > most)
        {
            continue;
        }
        let to = (0..all.len())
            .filter(|to| *to != from && all[*to].takes(&size))
            .min_by(|a, b| all[*a].level().total_cmp(&all[*b].level()));
        let Some(to) = to.filter(|to| all[*to].level() < mean) else { continue };
        moved = moved.saturating_add(size.bytes);
        all[from].changes(&size, false);
        all[to].changes(&size, true);
        steps.push(Step { from: servers[from].name.clone(), to: servers[to].name.clone(), size });
    }
    steps
}

/// How much of a server there is, by what is made alike.
struct Load {
    by: By,
    used: f64,
    capacity: f64,
    room: u64,
    /// Nothing of it can go any more.
    stuck: bool,
}

impl Load {
    fn of(server: &Server, sizes: &BTreeMap<String, Vec<Size>>, by: By) -> Load {
        let users = sizes.get(&server.name).map_or(0, Vec::len);
        let (used, capacity) = match by {
            By::Bytes => (server.total.saturating_sub(server.free) as f64, server.total.max(1) as f64),
            By::Users => (users as f64, 1.0),
        };
        Load { by, used, capacity, room: room(server), stuck: false }
    }

    fn mean(all: &[Load]) -> f64 {
        let sum = |of: fn(&Load) -> f64| all.iter().map(of).sum::<f64>();
        sum(|load| load.used) / sum(|load| load.capacity).max(1.0)
    }

    fn level(&self) -> f64 {
        if self.stuck { f64::MIN } else { self.used / self.capacity }
    }

    fn excess(&self, mean: f64) -> f64 {
        self.used - mean * self.capacity
    }

    fn counted(&self, size: &Size) -> f64 {
        match self.by {
            By::Bytes => size.bytes as f64,
            By::Users => 1.0,
        }
    }

    fn takes(&self, size: &Size) -> bool {
        !self.stuck && size.bytes <= self.room
    }

    fn changes(&mut self, size: &Size, comes: bool) {
        let counted = self.counted(size);
        self.used += if comes { counted } else { -counted };
        // What goes leaves its copy for some days.
        if comes {
            self.room = self.room.saturating_sub(size.bytes);
        }
    }
}

/// What may come until nine tenths are full.
fn room(server: &Server) -> u64 {
    server.free.saturating_sub(server.total / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, free: u64) -> Server {
        Server { name: name.to_owned(), free, total: 1000 }
    }

    fn size(root: &str, bytes: u64, last: u64) -> Size {
        Size { root: root.to_owned(), mailboxes: 1, bytes, last }
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| format!("{} {}>{}", step.size.root, step.from, step.to)).collect()
    }

    #[test]
    fn a_server_is_emptied_onto_those_with_most_room_and_what_fits_nowhere_stays() {
        let sizes = vec![size("a", 300, 0), size("b", 200, 0), size("c", 900, 0), size("d", 10, 0)];
        let (steps, stay) = empty("be1", sizes, &[server("be2", 500), server("be3", 400)]);
        assert_eq!(shown(&steps), ["a be1>be2", "b be1>be3", "d be1>be2"]);
        assert_eq!(stay, [size("c", 900, 0)]);
    }

    #[test]
    fn the_fewest_and_coldest_go_from_the_fullest_to_the_emptiest() {
        let servers = [server("be1", 200), server("be2", 800), server("be3", 500)];
        let be1 =
            vec![size("cold", 300, 0), size("hot", 300, 990), size("small", 10, 0), size("huge", 600, 0)];
        let sizes = BTreeMap::from([("be1".to_owned(), be1)]);
        let steps = alike(&servers, sizes.clone(), By::Bytes, 0.05, None, 1000);
        // The huge one is more than be1 has too much.
        assert_eq!(shown(&steps), ["cold be1>be2"]);
        assert_eq!(alike(&servers, sizes.clone(), By::Bytes, 0.05, Some(299), 1000).len(), 1);
        assert_eq!(shown(&alike(&servers, sizes, By::Bytes, 0.05, Some(299), 1000)), ["small be1>be2"]);
    }

    #[test]
    fn nobody_goes_to_a_server_that_is_nine_tenths_full_or_turns_things_round() {
        let full = [server("be1", 50), server("be2", 120)];
        let sizes = BTreeMap::from([("be1".to_owned(), vec![size("a", 30, 0)])]);
        assert_eq!(alike(&full, sizes, By::Bytes, 0.01, None, 1000), []);
        let even = [server("be1", 500), server("be2", 500)];
        let users = |n: usize| (0..n).map(|n| size(&format!("u{n}"), 1, n as u64)).collect::<Vec<_>>();
        let sizes = BTreeMap::from([("be1".to_owned(), users(6)), ("be2".to_owned(), users(2))]);
        let steps = alike(&even, sizes, By::Users, 0.05, None, 1000);
        assert_eq!(shown(&steps), ["u0 be1>be2", "u1 be1>be2"]);
    }
}
