//! Writes: judged on the tables, proposed as one group, answered when the tables have what happened.
//!
//! A refusal is a reading of the list, and as true as a change: the names that it was judged by are compared with the group, so that all
//! answers of one group hold at one position. Where somebody else was faster, everything is judged again on what there is then.

use std::collections::VecDeque;

use protocol::mupdate::position::Position;
use tokio::sync::mpsc;

use super::{Desk, UNHEARD};
use crate::{
    authority::{Outcome, Room, Shared},
    change::Change,
    conflict::{self, Claim},
    error::CommitError,
    judge::Draft,
    limits::{AROUND_ENTRY, GROUP, ROUNDS},
    writer::Request,
};

pub(super) async fn run<A: Shared>(mut desk: Desk<A>, mut requests: mpsc::Receiver<Request>) {
    let room = desk.authority.room();
    let (mut waiting, mut rounds) = (VecDeque::new(), 0);
    let mut come = Vec::new();
    loop {
        if waiting.is_empty() {
            rounds = 0;
            if requests.recv_many(&mut come, GROUP).await == 0 {
                return;
            }
            waiting.extend(come.drain(..));
        }
        while waiting.len() < GROUP
            && let Ok(request) = requests.try_recv()
        {
            waiting.push_back(request);
        }
        let (taken, draft) = take(&desk, room, &mut waiting);
        match settle(&mut desk, draft, rounds).await {
            Verdict::Again => {
                rounds += 1;
                taken.into_iter().rev().for_each(|(request, _)| waiting.push_front(request));
            }
            Verdict::All(error) => {
                rounds = 0;
                taken.into_iter().for_each(|(request, _)| request.answer(Err(error.clone())));
            }
            Verdict::At(position) => {
                rounds = 0;
                taken.into_iter().for_each(|(request, judged)| request.answer(judged.map(|_| position)));
            }
        }
    }
}

/// A request, and how it was judged.
type Judged = (Request, Result<Position, CommitError>);

/// What became of a group.
enum Verdict {
    /// All that was judged holds at this position.
    At(Position),
    /// Somebody else was faster.
    Again,
    /// It is the same for all of them.
    All(CommitError),
}

/// Takes as many of the requests that wait as fit into one group, and judges them.
fn take<A: Shared>(desk: &Desk<A>, room: Room, waiting: &mut VecDeque<Request>) -> (Vec<Judged>, Draft) {
    let (history, time) = (desk.published.read().history, (desk.published.options.clock)());
    let mut draft = Draft::new(history, time);
    let (mut taken, mut octets) = (Vec::new(), 0usize);
    while let Some(request) = waiting.pop_front() {
        let (names, more) = size(&request);
        octets = octets.saturating_add(more);
        let fits = held(desk, &draft).saturating_add(names) <= room.names && octets <= room.octets;
        if !fits && !taken.is_empty() {
            waiting.push_front(request);
            break;
        }
        let judged = match fits {
            true => judge(desk, &mut draft, &request),
            false => Err(CommitError::Unavailable("more at once than the masters' database takes".into())),
        };
        taken.push((request, judged));
    }
    (taken, draft)
}

/// The names that a request may add to a group, and about how many octets.
fn size(request: &Request) -> (usize, usize) {
    match request {
        Request::Commit { changes, .. } => (changes.len(), changes.iter().map(octets).sum()),
        Request::Resolve { .. } | Request::Cordon { .. } => (1, AROUND_ENTRY),
        Request::Follow { .. }
        | Request::News { .. }
        | Request::Renew { .. }
        | Request::Cordons { .. }
        | Request::Close { .. } => (0, 0),
    }
}

fn octets(change: &Change) -> usize {
    AROUND_ENTRY.saturating_add(change.name.as_str().len()).saturating_add(change.weight())
}

/// What a group holds: each of these is one comparison or one write.
fn held<A>(desk: &Desk<A>, draft: &Draft) -> usize {
    let group = &draft.group;
    let known = desk.published.read().conflicts.len();
    let taken = draft.claims.iter().filter(|claim| matches!(claim, Claim::Taken { .. })).count();
    let settled = draft.claims.len().saturating_sub(taken).min(known);
    group.proposals.len() + group.witnesses.len() + group.cordons.len() + taken + settled
}

fn judge<A>(desk: &Desk<A>, draft: &mut Draft, request: &Request) -> Result<Position, CommitError> {
    let published = &desk.published;
    match request {
        Request::Commit { changes, .. } => draft.judge(changes.clone(), |name| {
            published.get(name).map_err(|error| CommitError::Unavailable(error.to_string().into()))
        }),
        Request::Resolve { name, .. } => Ok(draft.settle(name.clone())),
        Request::Cordon { server, cordoned, .. } => {
            let known = published.read().cordons.clone();
            draft.cordon(server.clone(), *cordoned, &known)
        }
        // Each change has a number of the authority, and reaches every replica: nobody needs to begin anew.
        Request::Renew { .. } => Ok(draft.position()),
        Request::Follow { .. } | Request::News { .. } | Request::Cordons { .. } => Err(CommitError::ReadOnly),
        Request::Close { .. } => Err(CommitError::Closed),
    }
}

/// Asks the authority, and waits for what happened to be in the tables.
async fn settle<A: Shared>(desk: &mut Desk<A>, mut draft: Draft, rounds: usize) -> Verdict {
    if !draft.claims.is_empty() {
        let claims = std::mem::take(&mut draft.claims);
        draft.group.conflicts =
            conflict::remember(&desk.published.read().conflicts, claims, draft.group.time);
    }
    let group = &draft.group;
    let empty = group.proposals.is_empty() && group.witnesses.is_empty();
    if empty && group.conflicts.is_empty() && group.cordons.is_empty() {
        return Verdict::At(draft.position());
    }
    if !desk.live.get() {
        return Verdict::All(CommitError::Unavailable(UNHEARD.into()));
    }
    if !desk.published.read().history.complete {
        return Verdict::All(CommitError::Unavailable("the mailbox list is not read yet".into()));
    }
    match desk.authority.propose(group).await {
        Outcome::Done(done) => match desk.reach(done.position).await {
            Ok(()) => Verdict::At(done.position),
            // It happened, and nobody here can see it.
            Err(error) => Verdict::All(CommitError::Unknown(error.to_string().into())),
        },
        Outcome::Stale(_) if rounds + 1 >= ROUNDS => {
            Verdict::All(CommitError::Unavailable("other masters change the same mailboxes".into()))
        }
        Outcome::Stale(_) => match desk.authority.barrier().await {
            Ok(position) => match desk.reach(position).await {
                Ok(()) => Verdict::Again,
                Err(_) => Verdict::All(CommitError::Unavailable(UNHEARD.into())),
            },
            Err(error) => Verdict::All(CommitError::Unavailable(error.to_string().into())),
        },
        Outcome::Undone(error) => Verdict::All(CommitError::Unavailable(error.to_string().into())),
        Outcome::Unknown(error) => Verdict::All(CommitError::Unknown(error.to_string().into())),
    }
}
