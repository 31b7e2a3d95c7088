//! The source's side of a move, without input or output.
//!
//! [`Source::step`] names what is to be done now, [`Source::told`] takes how it ended. A step that could not be done, or whose outcome is
//! unknown, is named again ([`Source::attempts`] says how often it failed), unless there is another way to go on.
//!
//! What keeps mail in one place:
//! - SWITCHING is on disk before the write at the master is sent, so that a restart knows of the doubt.
//! - A doubt is never resolved by reading alone, since the write may still lie in a buffer: a second write with the same expectation
//!   (the *fence*) either makes the first one fail, or fails itself. Only then the entry is read.
//! - A master with another list knows nothing of the first write; then the destination's journal decides.

use serde::{Deserialize, Serialize};

use crate::{destination, limits::ATTEMPTS};

/// How far a move is, on disk at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Asked for; the destination knows nothing.
    Queued,
    /// The destination has a part. The source accepts changes.
    Copying,
    /// The write at the master may have been sent: nobody accepts changes until its outcome is known.
    Switching,
    /// The master says the destination.
    Switched,
    /// The destination serves. The source's copy is hidden.
    Kept,
    /// The mailboxes stay at the source.
    Aborted,
}

/// What the source does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Put the phase on disk.
    Write(Phase),
    /// Announce the move to the destination, and hear which copies it has.
    Begin,
    /// Send what changed since the last round.
    Round,
    /// Close the gates: no change any more.
    Freeze,
    /// Send the last difference; the destination compares, and promises to take over.
    Prepare,
    /// Open the gates: the source accepts changes.
    Thaw,
    /// The conditional write at the master: the decision.
    Activate,
    /// The same write for the source, with the same expectation: the first one fails from then on, or has happened.
    Fence,
    /// Ask the destination how far it is.
    AskPeer,
    /// Have the destination give up, on its disk.
    Withdraw,
    /// Have the destination take the mailboxes into its list.
    Commit,
    /// The destination lost its copy before anybody could change it: have the master say the source again.
    Return,
    /// Take the mailboxes out of the own list; whoever waits at the gates hears where they are.
    Hide,
    /// Have the master follow for the items other than the root.
    Follow,
    /// Note on disk that the master has followed.
    Settle,
    /// Tell the master again what is here: it lost its list.
    Retell,
    /// Tell the destination that it was in vain. Best effort: it asks, too.
    Dismiss,
    /// Nothing more.
    Rest,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    Done,
    /// Of a round: so little was left that the rest can be sent while nobody changes anything.
    Enough,
    /// It was not done, and would not be if it were tried again.
    Failed(String),
    /// Nobody answered in time: it may have been done, or may be done later.
    Silent,
    /// The master has another list than when the move began.
    OtherList,
    /// The master was read after the expected number had passed: no write of this move comes any more.
    At(Whose),
    /// The destination's phase; none: it knows no such move.
    Peer(Option<destination::Phase>),
    /// Of a commit, where the destination is a server of Cyrus: it has the mailbox no more, and never served it.
    Lost,
}

/// Whom the root's entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    Destination,
    Source,
    /// A third server, or nobody.
    Neither,
}

/// What the source does with changes of the mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    Open,
    /// Changes wait.
    Closed,
    /// Changes are refused: the mailboxes are at the destination.
    Moved,
}

/// One move at its source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    state: State,
    attempts: u32,
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Queued,
    Opening,
    Copying,
    Freezing,
    Preparing,
    /// Not frozen any more: another attempt, or none.
    Thawing {
        again: bool,
    },
    Deciding,
    Activating,
    Fencing,
    Asking,
    Withdrawing,
    Recording,
    Committing,
    Returning,
    Hiding {
        committed: bool,
    },
    Recommitting,
    Keeping,
    Following,
    Settling,
    Kept,
    Aborting(Way),
    /// `noted`: ABORTED is on disk.
    Releasing {
        way: Way,
        noted: bool,
    },
    Retelling,
    Dismissing,
    Aborted,
}

/// What an abort has to put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    /// The gates are closed.
    frozen: bool,
    /// The master has another list.
    lost: bool,
}

impl Source {
    /// A move that was just asked for, and is on disk as [`Phase::Queued`].
    pub fn new() -> Source {
        Source::in_state(State::Queued)
    }

    /// A move that a restart found on disk. `followed`: the master has followed for all items.
    pub fn resume(phase: Phase, followed: bool) -> Source {
        Source::in_state(match phase {
            Phase::Queued => State::Queued,
            Phase::Copying => State::Opening,
            Phase::Switching => State::Fencing,
            Phase::Switched => State::Committing,
            Phase::Kept if followed => State::Kept,
            Phase::Kept => State::Following,
            Phase::Aborted => State::Dismissing,
        })
    }

    fn in_state(state: State) -> Source {
        Source { state, attempts: 0, why: None }
    }

    /// What is to be done now.
    pub fn step(&self) -> Step {
        match self.state {
            State::Queued => Step::Write(Phase::Copying),
            State::Opening => Step::Begin,
            State::Copying => Step::Round,
            State::Freezing => Step::Freeze,
            State::Preparing => Step::Prepare,
            State::Deciding => Step::Write(Phase::Switching),
            State::Activating => Step::Activate,
            State::Fencing => Step::Fence,
            State::Asking => Step::AskPeer,
            State::Withdrawing => Step::Withdraw,
            State::Recording => Step::Write(Phase::Switched),
            State::Committing | State::Recommitting => Step::Commit,
            State::Returning => Step::Return,
            State::Hiding { .. } => Step::Hide,
            State::Keeping => Step::Write(Phase::Kept),
            State::Following => Step::Follow,
            State::Settling => Step::Settle,
            State::Aborting(_) => Step::Write(Phase::Aborted),
            State::Thawing { .. } | State::Releasing { .. } => Step::Thaw,
            State::Retelling => Step::Retell,
            State::Dismissing => Step::Dismiss,
            State::Kept | State::Aborted => Step::Rest,
        }
    }

    /// How often in a row the way here failed: whoever drives this pauses before the next attempt. While the gates are closed for the
    /// first time ([`Step::Prepare`]) there is none.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why the move was given up, or what it waits for.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Whether the mailboxes accept changes here.
    pub fn gate(&self) -> Gate {
        match self.state {
            State::Queued | State::Opening | State::Copying | State::Freezing => Gate::Open,
            State::Preparing
            | State::Thawing { .. }
            | State::Deciding
            | State::Activating
            | State::Fencing
            | State::Asking
            | State::Withdrawing
            | State::Recording
            | State::Committing
            | State::Returning
            | State::Releasing { .. } => Gate::Closed,
            State::Hiding { .. }
            | State::Recommitting
            | State::Keeping
            | State::Following
            | State::Settling
            | State::Kept => Gate::Moved,
            State::Aborting(Way { frozen: false, .. }) => Gate::Open,
            State::Aborting(Way { frozen: true, .. }) => Gate::Closed,
            State::Retelling | State::Dismissing | State::Aborted => Gate::Open,
        }
    }

    /// Whether it is known where the mailboxes are, and no step of this move changes that.
    pub fn is_decided(&self) -> bool {
        self.gate() == Gate::Moved || matches!(self.state, State::Dismissing | State::Aborted)
    }

    /// How the step ended that was named. An outcome that the step cannot have counts as none.
    pub fn told(&mut self, outcome: Outcome) {
        if let Outcome::Failed(why) = &outcome {
            self.why = Some(why.clone());
        }
        match self.state {
            State::Queued
            | State::Opening
            | State::Copying
            | State::Freezing
            | State::Preparing
            | State::Thawing { .. }
            | State::Deciding => self.before(outcome),
            State::Activating | State::Fencing | State::Asking | State::Withdrawing | State::Recording => {
                self.deciding(outcome)
            }
            State::Committing
            | State::Returning
            | State::Hiding { .. }
            | State::Recommitting
            | State::Keeping
            | State::Following
            | State::Settling
            | State::Kept => self.after(outcome),
            State::Aborting(_)
            | State::Releasing { .. }
            | State::Retelling
            | State::Dismissing
            | State::Aborted => self.aborting(outcome),
        }
    }

    /// Until SWITCHING is on disk: whatever goes wrong, the mailboxes stay.
    fn before(&mut self, outcome: Outcome) {
        use Outcome::{Done, Enough, Failed, Peer, Silent};
        use destination::Phase::{Aborted, Committed, Done as Finished};
        match (self.state, outcome) {
            (State::Queued, Done) => self.go(State::Opening),
            (State::Queued, Failed(_)) => self.go(State::Aborting(OPEN)),
            // Failed attempts are forgotten only when a round has come through.
            (State::Opening, Done) => self.state = State::Copying,
            // It has taken over already: this side's disk is older than that.
            (State::Opening, Peer(Some(Committed | Finished))) => self.go(State::Recording),
            (State::Opening, Failed(_) | Peer(Some(Aborted))) => self.go(State::Aborting(OPEN)),
            (State::Opening, Silent) => self.again(State::Opening),
            (State::Copying, Done) => self.go(State::Copying),
            (State::Copying, Enough) => self.state = State::Freezing,
            (State::Copying, Failed(_)) => self.go(State::Aborting(OPEN)),
            (State::Copying, Silent) => self.again(State::Opening),
            (State::Freezing, Done) => self.state = State::Preparing,
            (State::Freezing, Silent) => self.state = State::Thawing { again: true },
            (State::Freezing, Failed(_)) => self.state = State::Thawing { again: false },
            (State::Preparing, Done) => self.go(State::Deciding),
            (State::Preparing, Silent) => self.state = State::Thawing { again: true },
            (State::Preparing, Failed(_)) => self.state = State::Thawing { again: false },
            (State::Thawing { again: true }, Done) => self.again(State::Opening),
            (State::Thawing { again: false }, Done) => self.go(State::Aborting(OPEN)),
            (State::Deciding, Done) => self.go(State::Activating),
            (State::Deciding, Failed(_)) => self.state = State::Thawing { again: false },
            _ => {}
        }
    }

    /// From SWITCHING on disk to SWITCHED on disk: only the master's word, or the destination's, goes on.
    fn deciding(&mut self, outcome: Outcome) {
        use Outcome::{At, Done, Failed, OtherList, Peer, Silent};
        use destination::Phase::{Aborted, Committed, Done as Finished, Incoming, Prepared};
        match (self.state, outcome) {
            (State::Activating, Done) => self.go(State::Recording),
            // A master whose disk failed refuses, and may have the change all the same.
            (State::Activating, Silent | Failed(_)) => self.go(State::Fencing),
            (State::Activating | State::Fencing, At(Whose::Destination)) => self.go(State::Recording),
            (State::Activating | State::Fencing, At(Whose::Source | Whose::Neither)) => {
                self.go(State::Aborting(FROZEN))
            }
            (State::Activating | State::Fencing, OtherList) => self.go(State::Asking),
            (State::Asking | State::Withdrawing, Peer(Some(Committed | Finished))) => {
                self.go(State::Recording)
            }
            (State::Asking, Peer(Some(Prepared))) => self.go(State::Withdrawing),
            (State::Asking, Peer(Some(Incoming | Aborted) | None)) => self.go(State::Aborting(LOST)),
            (State::Withdrawing, Done) => self.go(State::Aborting(LOST)),
            (State::Withdrawing, Silent | Failed(_)) => self.retry(State::Asking),
            (State::Recording, Done) => self.go(State::Committing),
            (state, Silent | Failed(_)) => self.retry(state),
            _ => {}
        }
    }

    /// From SWITCHED on disk: the mailboxes are the destination's; each step is done until it is done.
    fn after(&mut self, outcome: Outcome) {
        use Outcome::{At, Done, Failed, Lost, Peer, Silent};
        match (self.state, outcome) {
            (State::Committing, Lost) => self.go(State::Returning),
            (State::Returning, At(Whose::Source)) => self.go(State::Aborting(FROZEN)),
            // Somebody had it there, and did away with it: the copy here stays a copy.
            (State::Returning, At(Whose::Neither)) => self.go(State::Hiding { committed: true }),
            (State::Committing, Done) => self.go(State::Hiding { committed: true }),
            // It asks the master when it starts. Whoever waits here is told now.
            (State::Committing, Silent | Failed(_) | Peer(_)) => self.go(State::Hiding { committed: false }),
            (State::Hiding { committed: true }, Done) => self.go(State::Keeping),
            (State::Hiding { committed: false }, Done) => self.retry(State::Recommitting),
            (State::Recommitting, Done) => self.go(State::Keeping),
            (State::Keeping, Done) => self.go(State::Following),
            (State::Following, Done) => self.go(State::Settling),
            (State::Settling, Done) => self.go(State::Kept),
            (state, Silent | Failed(_) | Peer(_)) => self.retry(state),
            _ => {}
        }
    }

    fn aborting(&mut self, outcome: Outcome) {
        use Outcome::{Done, Failed, Silent};
        match (self.state, outcome) {
            (State::Aborting(way), Done) if way.frozen => self.go(State::Releasing { way, noted: true }),
            (State::Aborting(Way { lost: true, .. }), Done) => self.go(State::Retelling),
            (State::Aborting(_), Done) => self.go(State::Dismissing),
            // Nobody waits for a disk: a restart would come to the same end.
            (State::Aborting(way), Failed(_)) if way.frozen => {
                self.go(State::Releasing { way, noted: false })
            }
            (state @ State::Aborting(_), Failed(_)) => self.retry(state),
            (State::Releasing { way, noted: false }, Done) => {
                self.retry(State::Aborting(Way { frozen: false, ..way }));
            }
            (State::Releasing { way: Way { lost: true, .. }, .. }, Done) => self.go(State::Retelling),
            (State::Releasing { .. }, Done) => self.go(State::Dismissing),
            (State::Retelling, Done | Failed(_) | Silent) => self.go(State::Dismissing),
            (State::Dismissing, Done | Failed(_) | Silent) => self.go(State::Aborted),
            _ => {}
        }
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.attempts = 0;
    }

    /// Another attempt at the copy, unless there were too many.
    fn again(&mut self, state: State) {
        self.retry(state);
        if self.attempts >= ATTEMPTS {
            self.go(State::Aborting(OPEN));
        }
    }

    fn retry(&mut self, state: State) {
        self.state = state;
        self.attempts = self.attempts.saturating_add(1);
    }
}

impl Default for Source {
    fn default() -> Source {
        Source::new()
    }
}

const OPEN: Way = Way { frozen: false, lost: false };
const FROZEN: Way = Way { frozen: true, lost: false };
const LOST: Way = Way { frozen: true, lost: true };
