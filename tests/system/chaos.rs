//! Users move back and forth between backends while mail is delivered, clients write, and daemons are killed and stopped at
//! random: afterwards every mailbox is whole on one backend, by itself.
//!
//! ```text
//! misfortune ─► kill -9, or SIGSTOP for a while, of a backend, the master, a daemon of the frontend
//! mover      ─► RENAME of a user to a backend, at the frontend
//! people     ─► an MTA, which sends again what was not accepted; a client that appends, flags and expunges
//!                  └─► ledger: what was promised ─► compared with what is there in the end
//! ```
//!
//! `MURDER_SEED` and `MURDER_CHAOS_SECONDS` repeat a run, as far as processes can be made to repeat anything, and make it long.

mod ledger;
mod people;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use murder::clients::Imap;
use rustix::process::{Pid, Signal, kill_process};
use system_tests::{Murder, Plan, within};

use ledger::Ledger;

/// Who moves.
const USERS: [&str; 3] = ["fred", "wilma", "barney"];

/// What is killed and stopped.
const VICTIMS: [(&str, &str); 7] = [
    ("backend1", "backend"),
    ("backend2", "backend"),
    ("backend1", "backend"),
    ("backend2", "backend"),
    ("mupdate", "mupdate"),
    ("frontend1", "imapproxy"),
    ("frontend1", "lmtpproxy"),
];

/// Numbers of a seed (splitmix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64, part: u64) -> Chance {
        Chance(seed.wrapping_mul(31).wrapping_add(part))
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.below(all.len() as u64)).expect("an index");
        *all.get(at).expect("below its length")
    }
}

/// What the mover does.
#[derive(Default)]
struct Moves {
    done: AtomicUsize,
    under_way: AtomicBool,
}

/// Ends what waits for the flag, also when a test fails.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn asked(option: &str) -> Option<u64> {
    std::env::var(option).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{option} is a number")))
}

#[test]
fn users_who_move_while_daemons_die_and_hang_have_all_their_mail_once_and_on_one_backend() {
    let seed = asked("MURDER_SEED").unwrap_or_else(|| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap();
        u32::from_le_bytes(bytes).into()
    });
    let lasts = Duration::from_secs(asked("MURDER_CHAOS_SECONDS").unwrap_or(6));
    // Shown when the test fails; a long run shows it at once.
    eprintln!("MURDER_SEED={seed} MURDER_CHAOS_SECONDS={}", lasts.as_secs());
    let murder = USERS
        .iter()
        .zip(["backend1", "backend2", "backend1"])
        .fold(Plan::nodes(1, 2).option("*", "allowusermoves", "yes"), |plan, (user, at)| plan.user(user, at))
        .start();
    let ledgers = USERS.map(|user| Ledger::of(&murder, user));
    let (over, moves) = (AtomicBool::new(false), Moves::default());
    std::thread::scope(|scope| {
        let (murder, over, moves) = (&murder, &over, &moves);
        for (n, ledger) in (0..).zip(&ledgers) {
            scope.spawn(move || people::mta(murder, ledger, over));
            scope.spawn(move || people::client(murder, ledger, over, Chance::new(seed, 100 + n)));
        }
        scope.spawn(move || mover(murder, over, moves, Chance::new(seed, 1)));
        let _over = OnDrop(over);
        misfortunes(murder, lasts, moves, &mut Chance::new(seed, 0));
    });
    everything_is_over(&murder);
    murder.agree(&["mupdate", "backend1", "backend2", "frontend1"]);
    let mut promised = 0;
    for ledger in &ledgers {
        promised += ledger.check(&murder);
    }
    eprintln!("{promised} promises kept, {} moves", moves.done.load(Ordering::SeqCst));
}

/// Moves whoever it happens to be to wherever it happens to be. Refused and cut off is what many moves are here.
fn mover(murder: &Murder, over: &AtomicBool, moves: &Moves, mut chance: Chance) {
    let mut admin: Option<Imap> = None;
    while !over.load(Ordering::SeqCst) {
        let (user, to) = (chance.of(&USERS), chance.of(&["backend1", "backend2"]));
        let Some(session) = &mut admin else {
            admin = people::session(murder, &murder.cluster.topology.admin.name);
            continue;
        };
        moves.under_way.store(true, Ordering::SeqCst);
        let answer = session.command(&format!("RENAME user/{user} user/{user} {to}.demo.test!"));
        moves.under_way.store(false, Ordering::SeqCst);
        match answer {
            Ok(answer) => moves.done.fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst),
            Err(_) => {
                admin = None;
                continue;
            }
        };
        std::thread::park_timeout(Duration::from_millis(chance.below(100)));
    }
}

/// Kills and stops one daemon after the other, mostly in the middle of a move.
fn misfortunes(murder: &Murder, lasts: Duration, moves: &Moves, chance: &mut Chance) {
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        // Some time again and again in which a move can succeed.
        let lull = chance.of(&[1300, 5000]);
        std::thread::park_timeout(Duration::from_millis(200 + chance.below(lull)));
        let enough = Instant::now() + Duration::from_secs(1);
        while !moves.under_way.load(Ordering::SeqCst) && Instant::now() < enough {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        std::thread::park_timeout(Duration::from_millis(chance.below(250)));
        let (node, program) = chance.of(&VICTIMS);
        let pids = murder.pids(node, program);
        if chance.below(3) == 0 {
            signal(&pids, Signal::STOP);
            std::thread::park_timeout(Duration::from_millis(50 + chance.below(2500)));
            signal(&pids, Signal::CONT);
        } else {
            signal(&pids, Signal::KILL);
        }
    }
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
            // Of one that has ended meanwhile there is nothing to tell.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Waits until no move is under way; the pauses of those that were cut off have grown by then.
fn everything_is_over(murder: &Murder) {
    let mut said = String::new();
    let over = || {
        let shown = murder.murder_with("frontend1", "moves", &[], b"");
        said = [shown.stdout, shown.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        let under_way =
            ["queued", "copying", "switching", "switched", "finishing", "incoming", "prepared", "committed"];
        let open =
            said.lines().any(|line| under_way.iter().any(|phase| line.contains(&format!(" {phase} "))));
        (shown.status.success() && !open).then_some(())
    };
    let result =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| within(150, "moves are over", over)));
    assert!(result.is_ok(), "moves are not over:\n{said}");
}
