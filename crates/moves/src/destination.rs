//! The destination's side of a move: what it does when something is asked or heard, by the phase that is on its disk.
//!
//! [`plan`] is the whole of it. The steps of a plan are done in their order; when one fails, the rest is not done, and whoever asked
//! hears that nothing is known. Only [`Step::Write`] changes the phase.
//!
//! The destination never switches by itself: from PREPARED it goes on by the source's word, or by the master's, when the master's list is
//! the one of which the source spoke and its entry is younger than the one that the source expected.

use serde::{Deserialize, Serialize};

/// How far a move is, on disk at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Copies come in; they are in no list.
    Incoming,
    /// The copies are whole. Whether they are served, the source's write at the master decides.
    Prepared,
    /// The mailboxes are this server's.
    Committed,
    /// So the master says for all of them.
    Done,
    /// The mailboxes stayed where they were.
    Aborted,
}

/// What is asked by the source, or heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Begin,
    /// A round's changes are sent, and are to be kept.
    Round,
    /// The last difference is sent: compare, and promise.
    Prepare,
    Commit,
    Abort,
    Ask,
    /// This server starts.
    Start,
    /// The source answered how far it is.
    Heard(Word),
    /// The master's list is the one that the source named, and the root is active here with a number above the expected one.
    Decided,
    /// The master says this server for every item.
    Followed,
    /// An operator knows that the source is lost: what has come so far is all there is.
    ByHand,
}

/// What the source says of a move when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// It is at it, and will say more by itself.
    Underway,
    /// The master has decided for the destination.
    Switched,
    Aborted,
    /// It knows no such move, and lists the root itself, with that id.
    ListsItself,
    /// It knows neither the move nor the mailbox: its disk was replaced.
    KnowsNothing,
}

/// A thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Write(Phase),
    /// Put what came on disk, files and index.
    Sync,
    /// Compare the copies with the source's digest; unequal ones fail.
    Compare,
    /// Take all items into the list, and serve them. May be repeated.
    Adopt,
    /// Let nobody in by the names until it is decided.
    Hold,
    /// Ask the source and the master.
    AskAround,
    /// Have the master say this server for every item.
    Follow,
    /// Remove the copies, or keep them as base of another attempt.
    Release,
}

/// What is answered to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done as asked.
    Yes,
    /// Not done: the phase forbids it. It is told.
    No,
    /// Nobody asked.
    Nothing,
}

/// Steps, then an answer.
pub type Plan = (&'static [Step], Reply);

/// What to do. `phase`: none before the move is known here.
pub fn plan(phase: Option<Phase>, event: Event) -> Plan {
    match phase {
        None => unknown(event),
        Some(Phase::Incoming) => incoming(event),
        Some(Phase::Prepared) => prepared(event),
        Some(Phase::Committed) => committed(event),
        Some(Phase::Done) => done(event),
        Some(Phase::Aborted) => aborted(event),
    }
}

fn unknown(event: Event) -> Plan {
    match event {
        Event::Begin => (&[Step::Write(Phase::Incoming)], Reply::Yes),
        Event::Abort | Event::Ask => (&[], Reply::Yes),
        Event::Round | Event::Prepare | Event::Commit | Event::ByHand => (&[], Reply::No),
        Event::Start | Event::Heard(_) | Event::Decided | Event::Followed => NOTHING,
    }
}

fn incoming(event: Event) -> Plan {
    match event {
        Event::Begin | Event::Ask => (&[], Reply::Yes),
        Event::Round => (&[Step::Sync, Step::Write(Phase::Incoming)], Reply::Yes),
        Event::Prepare => (&[Step::Sync, Step::Compare, Step::Write(Phase::Prepared)], Reply::Yes),
        // It was PREPARED, until a BEGIN of an earlier connection came late. The source froze before it switched: what it promised to
        // be equal still is.
        Event::Commit => (TAKE_OVER, Reply::Yes),
        Event::Heard(Word::Switched) | Event::Decided => (TAKE_OVER, Reply::Nothing),
        Event::ByHand => (&[Step::Sync, Step::Write(Phase::Committed), Step::Adopt], Reply::Yes),
        Event::Abort => (&[Step::Write(Phase::Aborted), Step::Release], Reply::Yes),
        Event::Start => (&[Step::AskAround], Reply::Nothing),
        Event::Heard(Word::Aborted | Word::ListsItself) => {
            (&[Step::Write(Phase::Aborted), Step::Release], Reply::Nothing)
        }
        Event::Heard(Word::Underway | Word::KnowsNothing) | Event::Followed => NOTHING,
    }
}

fn prepared(event: Event) -> Plan {
    match event {
        // The source could not wait, or restarted: it has not switched, and sends what changed since.
        Event::Begin => (&[Step::Write(Phase::Incoming)], Reply::Yes),
        Event::Round | Event::Prepare => (&[], Reply::No),
        Event::Commit | Event::ByHand => (&[Step::Write(Phase::Committed), Step::Adopt], Reply::Yes),
        Event::Abort => (&[Step::Write(Phase::Aborted), Step::Release], Reply::Yes),
        Event::Ask => (&[], Reply::Yes),
        Event::Start => (&[Step::Hold, Step::AskAround], Reply::Nothing),
        Event::Heard(Word::Switched) | Event::Decided => {
            (&[Step::Write(Phase::Committed), Step::Adopt], Reply::Nothing)
        }
        Event::Heard(Word::Aborted | Word::ListsItself) => {
            (&[Step::Write(Phase::Aborted), Step::Release], Reply::Nothing)
        }
        // It may be the only copy: it is kept, and shown.
        Event::Heard(Word::KnowsNothing) => NOTHING,
        Event::Heard(Word::Underway) => NOTHING,
        Event::Followed => NOTHING,
    }
}

fn committed(event: Event) -> Plan {
    match event {
        Event::Begin | Event::Round | Event::Prepare | Event::Abort | Event::ByHand => (&[], Reply::No),
        Event::Commit => (&[Step::Adopt], Reply::Yes),
        Event::Ask => (&[], Reply::Yes),
        Event::Start => (&[Step::Adopt, Step::Follow], Reply::Nothing),
        Event::Followed => (&[Step::Write(Phase::Done)], Reply::Nothing),
        Event::Heard(_) | Event::Decided => NOTHING,
    }
}

fn done(event: Event) -> Plan {
    match event {
        Event::Commit | Event::Ask => (&[], Reply::Yes),
        Event::Begin | Event::Round | Event::Prepare | Event::Abort | Event::ByHand => (&[], Reply::No),
        Event::Start | Event::Heard(_) | Event::Decided | Event::Followed => NOTHING,
    }
}

fn aborted(event: Event) -> Plan {
    match event {
        Event::Abort | Event::Ask => (&[], Reply::Yes),
        Event::Begin | Event::Round | Event::Prepare | Event::Commit | Event::ByHand => (&[], Reply::No),
        Event::Start => (&[Step::Release], Reply::Nothing),
        Event::Heard(_) | Event::Decided | Event::Followed => NOTHING,
    }
}

const TAKE_OVER: &[Step] = &[Step::Sync, Step::Compare, Step::Write(Phase::Committed), Step::Adopt];
const NOTHING: Plan = (&[], Reply::Nothing);
