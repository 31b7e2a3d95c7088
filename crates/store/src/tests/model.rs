//! The table of what is open, as it is, under a scheduler that tries one order of steps after the other.
//!
//! A directory has a number, the last UID. Whoever opens it reads the number; whoever appends raises what they read and writes
//! it back. Two that have one directory open at a time give one UID twice.

use std::collections::{BTreeSet, HashMap};

use primitives::{Arc, Mutex};
use shuttle::{future::block_on, thread};
use tokio::sync::OnceCell;

use openings::{Openings, Place, Shutting, Sought};

// The same file under other primitives; what only the store calls has no caller here.
#[allow(clippy::duplicate_mod, dead_code)]
#[path = "../openings.rs"]
mod openings;

mod primitives {
    pub use shuttle::sync::{Arc, Mutex, MutexGuard, Weak};
}

/// Directories by name, and all UIDs that were given.
#[derive(Default)]
struct Disk {
    last: Mutex<HashMap<String, u32>>,
    given: Mutex<BTreeSet<(String, u32)>>,
}

/// An open directory.
struct Open {
    name: String,
    disk: Arc<Disk>,
    /// None: it is to be used no more.
    last: Mutex<Option<u32>>,
    _place: Option<Place<Open>>,
}

impl Open {
    fn new(disk: &Arc<Disk>, name: &str, place: Option<Place<Open>>) -> Arc<Open> {
        let last = disk.last.lock().unwrap().get(name).copied().unwrap_or(0);
        thread::yield_now();
        let (name, last) = (name.to_owned(), Mutex::new(Some(last)));
        Arc::new(Open { name, disk: disk.clone(), last, _place: place })
    }

    fn append(&self) {
        let mut last = self.last.lock().unwrap();
        let Some(uid) = last.map(|last| last + 1) else { return };
        *last = Some(uid);
        thread::yield_now();
        self.disk.last.lock().unwrap().insert(self.name.clone(), uid);
        let new = self.disk.given.lock().unwrap().insert((self.name.clone(), uid));
        assert!(new, "UID {uid} of {} was given twice", self.name);
    }

    fn leave(&self) {
        *self.last.lock().unwrap() = None;
    }
}

fn find(table: &Openings<Open>, disk: &Arc<Disk>, name: &str) -> Option<Arc<Open>> {
    let told = match table.seek(name) {
        Sought::Open(value) => return Some(value),
        Sought::Shut => return None,
        Sought::Wait(told) => told,
        Sought::Vacant(ticket, told) => {
            let (disk, name) = (disk.clone(), name.to_owned());
            thread::spawn(move || ticket.finish(|place| Ok(Open::new(&disk, &name, Some(place)))));
            told
        }
    };
    block_on(told).unwrap().ok()
}

/// Three that append to more directories than are kept open, in different orders.
fn appended(find: impl Fn(&Arc<Disk>, &str) -> Option<Arc<Open>> + Send + Sync + 'static) {
    let (disk, find) = (Arc::new(Disk::default()), Arc::new(find));
    let tasks = [["a", "b", "a"], ["b", "a", "c"], ["a", "c", "b"]].map(|names| {
        let (disk, find) = (disk.clone(), find.clone());
        thread::spawn(move || {
            for name in names {
                if let Some(open) = find(&disk, name) {
                    open.append();
                }
            }
        })
    });
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let last = disk.last.lock().unwrap();
    let given = disk.given.lock().unwrap();
    assert_eq!(given.len() as u32, last.values().sum::<u32>());
}

#[test]
fn no_directory_is_open_twice_in_whichever_order_it_is_asked_for() {
    let murder = || {
        let table = Openings::new(1);
        appended(move |disk, name| find(&table, disk, name));
    };
    shuttle::check_random(murder, ORDERS);
    shuttle::check_pct(murder, ORDERS, 3);
}

#[test]
fn a_directory_that_is_shut_is_nobodys_until_it_may_be_opened_again() {
    let murder = || {
        let (table, disk) = (Openings::<Open>::new(1), Arc::new(Disk::default()));
        let repair = {
            let (table, disk) = (table.clone(), disk.clone());
            move || {
                let (shut, open) = loop {
                    match table.shut("a") {
                        Shutting::Done(shut, open) => break (shut, open),
                        Shutting::Wait(told) => drop(block_on(told)),
                        Shutting::Already => unreachable!("one repairs"),
                    }
                };
                if let Some(open) = open {
                    open.leave();
                }
                let before = disk.last.lock().unwrap().get("a").copied();
                thread::yield_now();
                assert!(matches!(table.seek("a"), Sought::Shut));
                assert_eq!(
                    disk.last.lock().unwrap().get("a").copied(),
                    before,
                    "it was used while it was shut"
                );
                drop(shut);
            }
        };
        let repair = thread::spawn(repair);
        let seeker = table.clone();
        appended(move |_, name| find(&seeker, &disk, name));
        repair.join().unwrap();
        // Nobody holds anything but what is kept.
        assert!(table.len() <= 1, "{}", table.len());
    };
    shuttle::check_random(murder, ORDERS);
    shuttle::check_pct(murder, ORDERS, 3);
}

/// The rule that the table replaced: cells whose value only the map holds are dropped, and those without one. Whoever has taken
/// a cell and not yet its value is not counted.
#[test]
#[should_panic(expected = "was given twice")]
fn a_table_that_does_not_count_who_is_opening_gives_a_uid_twice() {
    shuttle::check_random(
        || {
            let cells: Mutex<HashMap<String, Arc<OnceCell<Arc<Open>>>>> = Mutex::default();
            appended(move |disk, name| {
                let cell = {
                    let mut cells = cells.lock().unwrap();
                    cells.retain(|_, cell| cell.get().is_none_or(|open| Arc::strong_count(open) > 1));
                    cells.entry(name.to_owned()).or_default().clone()
                };
                let open = cell.get_or_init(|| async { Open::new(disk, name, None) });
                Some(block_on(open).clone())
            });
        },
        ORDERS,
    );
}

/// Orders that are tried.
const ORDERS: usize = 1000;
