//! Everything that a seed decides, and the time of day. Kept per thread, since one thread runs one simulation, and the
//! daemons' own code is handed plain functions.

use std::{cell::RefCell, future::Future, io, ops::Range, pin::Pin, time::Duration};

use tokio::time::Instant;

struct State {
    numbers: u64,
    began: Instant,
    /// What the clock has been set forward or back, in seconds.
    stepped: i64,
    trace: Vec<String>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| work(state.as_mut().expect("a simulation runs on this thread")))
}

/// Begins a simulation on this thread.
pub fn begin(seed: u64) {
    let numbers = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let state = State { numbers, began: Instant::now(), stepped: 0, trace: Vec::new() };
    STATE.set(Some(state));
}

/// Ends it; gives what was noted.
pub fn end() -> Vec<String> {
    STATE.take().map(|state| state.trace).unwrap_or_default()
}

/// Notes an event with its time.
pub fn note(event: impl FnOnce() -> String) {
    STATE.with_borrow_mut(|state| {
        let Some(state) = state.as_mut() else { return };
        let line = format!("{:9.3} {}", state.began.elapsed().as_secs_f64(), event());
        state.trace.push(line);
    });
}

/// SplitMix64.
pub fn number() -> u64 {
    with(|state| {
        state.numbers = state.numbers.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.numbers;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

pub fn below(limit: usize) -> usize {
    (number() % limit.max(1) as u64) as usize
}

/// True so many times in a hundred.
pub fn odds(percent: usize) -> bool {
    below(100) < percent
}

pub fn pick<T>(from: &[T]) -> Option<&T> {
    from.get(below(from.len()))
}

/// A time in milliseconds.
pub fn millis(range: Range<u64>) -> Duration {
    let span = range.end.saturating_sub(range.start).max(1);
    Duration::from_millis(range.start + number() % span)
}

/// Sets the clock, as a careless operator or a broken time server does.
pub fn step_clock(seconds: i64) {
    with(|state| state.stepped += seconds);
}

/// Epoch seconds: what a list is handed.
pub fn clock() -> u64 {
    with(|state| (1_800_000_000 + state.began.elapsed().as_secs()).saturating_add_signed(state.stepped))
}

/// Identities: what a list is handed.
pub fn identity() -> u128 {
    u128::from(number()) << 64 | u128::from(number())
}

/// Jitter: what a replica is handed.
pub fn jitter() -> u16 {
    (number() & 0xffff) as u16
}

/// Runs a list's task among all others.
pub fn spawn(_: &'static str, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
    tokio::spawn(task);
    Ok(())
}
