//! One update stream, from its first listing to its end: an interpreter of responses.
//!
//! | upstream | asked by | listing | complete up to |
//! |---|---|---|---|
//! | Cyrus, or an old one of ours | UPDATE | everything | no numbers: the list counts by itself |
//! | ours | RESUME position | what changed since; or FULL, then everything | POSITION |
//!
//! A full listing is compared with what is held; only its final OK makes it valid, since anything else (NO, BAD, BYE, the
//! end of the connection) may have cut it. Names that it lacks are removed through the mass-delete guard, which looks
//! closer where the upstream has another list than before.

use std::sync::Arc;

use mailboxes::{
    Cordons, Entry, Follow, Listing, Position,
    guard::{Loss, Plan},
};
use protocol::{
    mupdate::response::{Body, Response},
    name::MailboxName,
};
use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

use super::{
    Shared,
    failure::{Failure, Waiters},
};
use crate::client::{Greeting, Link, cordons::note, entry_of};
use crate::meter::{Absurd, Meter};
use crate::replica::limits::{LISTING, LOOKS, NAME_SHOWN, PENDING, WEIGHED};

pub(super) struct Stream<'a> {
    shared: &'a Arc<Shared>,
    link: Link,
    /// The upstream is ours: it numbers its changes.
    numbered: bool,
    /// Changes read and not yet applied.
    pending: Vec<(MailboxName, Option<Entry>)>,
    meter: Meter,
    /// Octets of changes since the list was weighed.
    unweighed: usize,
    /// Lines were passed over: the log has the first.
    passed_over: bool,
    position: Option<Position>,
    /// The servers that take no new mailboxes, as the upstream has told by now.
    cordons: Cordons,
    /// It tells of them.
    knows_cordons: bool,
    noops: u64,
    /// Who waits for the NOOP that is out.
    waiting: Option<Vec<oneshot::Sender<()>>>,
}

impl<'a> Stream<'a> {
    pub fn new(shared: &'a Arc<Shared>, link: Link, greeting: &Greeting) -> Self {
        let numbered = greeting.has("RESUME");
        Stream {
            shared,
            link,
            numbered,
            pending: Vec::new(),
            meter: Meter::new(shared.settings.load().measure),
            unweighed: 0,
            passed_over: false,
            position: None,
            cordons: Cordons::new(),
            knows_cordons: numbered && greeting.has("SERVERS"),
            noops: 0,
            waiting: None,
        }
    }

    /// Asks for the list, or for what changed, and makes ours equal.
    pub async fn synchronise(&mut self) -> Result<(), Failure> {
        let list = &self.shared.list;
        let held = list.is_complete().then(|| list.position().to_string());
        if self.knows_cordons {
            self.ask_cordons().await?;
        }
        match self.numbered {
            true => self.link.say_tagged("U01", "RESUME", held.as_deref().as_slice()),
            false => self.link.say_tagged("U01", "UPDATE", &[]),
        }
        self.link.flush().await.map_err(|e| e.to_string())?;
        // With nothing to compare it with, a full listing is taken as it comes.
        let empty = list.scan(None, 1).map_err(|e| e.to_string())?.entries.is_empty();
        let to_compare = || (!empty).then(Listing::default);
        let (mut whole, mut listing) = match self.numbered {
            true => (false, None),
            false => (true, to_compare()),
        };
        loop {
            let response = self.link.response(LISTING).await.map_err(|e| e.to_string())?;
            match response.body {
                Body::Full => {
                    self.pending.clear();
                    self.meter.reset();
                    (whole, listing) = (true, to_compare());
                }
                Body::Ok(_) => break,
                Body::Position(position) => self.position = Some(position),
                body @ Body::Server { .. } => note(&mut self.cordons, &body),
                body => match (self.change_of(body)?, &mut listing) {
                    (None, _) => {}
                    (Some((name, Some(entry))), Some(listing)) => listing.put(&name, &entry),
                    (Some((name, None)), Some(listing)) => listing.remove(&name),
                    (Some(change), None) => self.pending.push(change),
                },
            }
        }
        if self.numbered && self.position.is_none() {
            return Err(Failure::broken("the upstream did not say where its list stands"));
        }
        match listing {
            Some(listing) => self.reconcile(listing).await,
            None => self.apply(whole).await,
        }
    }

    /// All cordoned servers, before what changes from then on.
    async fn ask_cordons(&mut self) -> Result<(), Failure> {
        self.link.say_tagged("S01", "SERVERS", &[]);
        self.link.flush().await.map_err(|e| e.to_string())?;
        loop {
            match self.link.response(LISTING).await.map_err(|e| e.to_string())?.body {
                body @ Body::Server { .. } => note(&mut self.cordons, &body),
                Body::Ok(_) => return Ok(()),
                other => return Err(format!("the upstream said {}", shown(&other)).into()),
            }
        }
    }

    /// Makes the list equal to a full listing, unless too much would go.
    async fn reconcile(&mut self, listing: Listing) -> Result<(), Failure> {
        let difference = self.shared.list.difference(listing).await.map_err(|e| e.to_string())?;
        let plan = Plan { held: difference.held, removals: difference.removals };
        if !plan.removals.is_empty() {
            self.judge(&plan, &difference.losses)?;
        }
        let mut changes = difference.upserts;
        changes.extend(plan.removals.into_iter().map(|name| (name, None)));
        self.pending = changes;
        self.apply(true).await
    }

    /// Whether the removals may be done. Another list than the one followed so far may be one that its backends are just
    /// filling: it is given time until what it lacks goes, and no server loses most of its mailboxes.
    fn judge(&self, plan: &Plan, losses: &[Loss]) -> Result<(), Failure> {
        let replaces = match (self.shared.list.followed(), self.position) {
            (Some(before), Some(now)) if (before.list, before.term) != (now.list, now.term) => Some(now.list),
            _ => None,
        };
        let lost = losses.iter().find(|loss| replaces.is_some() && !loss.is_safe());
        let mut state = self.shared.state();
        let accepted = state.accept >= plan.removals.len();
        if !accepted && (lost.is_some() || !plan.is_safe()) {
            let lost = lost.map(|loss| format!("; {loss}, by a list that is not the one before"));
            let why =
                format!("held back: {plan}{}; accept it, or fill the master again", lost.unwrap_or_default());
            state.held = Some(plan.clone());
            return Err(why.into());
        }
        if let Some(list) = replaces.filter(|_| !accepted) {
            let now = Instant::now();
            let first = state.replaced.filter(|(known, _)| *known == list).map_or(now, |(_, first)| first);
            let patience = self.shared.settings.load().retry_delay * LOOKS;
            if now.duration_since(first) < patience {
                (state.replaced, state.held) = (Some((list, first)), None);
                let why = format!("{plan}, by a list that is not the one before: it may still be filled");
                return Err(why.into());
            }
        }
        Ok(())
    }

    /// Follows the stream until it breaks.
    pub async fn follow(&mut self, waiters: &mut Waiters) -> Result<(), Failure> {
        let interval = self.shared.settings.load().retry_delay;
        if self.numbered {
            // A copy may be behind: it is asked at once.
            self.noop(Vec::new()).await?;
        }
        let mut heard = Instant::now();
        loop {
            while let Some(response) = self.link.buffered().map_err(|e| e.to_string())? {
                self.take(response).await?;
            }
            if !self.numbered {
                self.apply(false).await?;
            }
            // The deadline moves with every byte; a NOOP that is out must be answered within it.
            let deadline = heard + interval;
            tokio::select! {
                // A stream that never pauses must not keep those who wait waiting; one NOOP at a time is out.
                biased;
                waiter = waiters.recv(), if self.waiting.is_none() => {
                    let mut waiting: Vec<_> = waiter.into_iter().collect();
                    while let Ok(waiter) = waiters.try_recv() {
                        waiting.push(waiter);
                    }
                    self.noop(waiting).await?;
                    // It was asked just now: silence before that proves nothing.
                    heard = Instant::now();
                }
                more = self.link.more() => {
                    more.map_err(|e| e.to_string())?;
                    heard = Instant::now();
                    self.shared.state().heard = Some(heard);
                }
                () = tokio::time::sleep_until(deadline) => {
                    if self.waiting.is_some() {
                        return Err(Failure::broken("connection to master timed out"));
                    }
                    self.noop(Vec::new()).await?;
                    heard = Instant::now();
                }
            }
        }
    }

    async fn noop(&mut self, waiting: Vec<oneshot::Sender<()>>) -> Result<(), Failure> {
        self.waiting = Some(waiting);
        self.link.say_tagged(&format!("N{}", self.noops), "NOOP", &[]);
        self.noops += 1;
        Ok(self.link.flush().await.map_err(|e| e.to_string())?)
    }

    async fn take(&mut self, response: Response) -> Result<(), Failure> {
        match response.body {
            Body::Position(position) => {
                self.position = Some(position);
                self.apply(false).await
            }
            // The answer to a NOOP: everything before it counts.
            Body::Ok(_) if self.waiting.is_some() => {
                self.apply(false).await?;
                self.upstream_is_behind(None);
                for waiter in self.waiting.take().into_iter().flatten() {
                    // Who no longer waits does not hear it.
                    let _ = waiter.send(());
                }
                Ok(())
            }
            // A slave that cannot reach its own upstream: no proof, but the stream goes on.
            Body::No(why) if self.waiting.is_some() && self.numbered => {
                self.waiting = None;
                self.upstream_is_behind(Some(why));
                Ok(())
            }
            Body::Ok(text) | Body::No(text) | Body::Bad(text) | Body::Bye(text) => {
                Err(format!("{}: {text}", self.link.server).into())
            }
            body @ Body::Server { .. } => {
                note(&mut self.cordons, &body);
                Ok(())
            }
            body => {
                let change = self.change_of(body)?;
                self.pending.extend(change);
                if self.pending.len() >= PENDING && !self.numbered {
                    self.apply(false).await?;
                }
                Ok(())
            }
        }
    }

    /// Keeps what the upstream says of its own upstream; the log has each change of it.
    fn upstream_is_behind(&self, why: Option<String>) {
        let why = why.map(|why| why.trim_start_matches("[UNAVAILABLE]").trim_start().to_owned());
        let before = std::mem::replace(&mut self.shared.state().behind, why.clone());
        match (before, why) {
            (None, Some(why)) => warn!("{} does not follow its master: {why}", self.link.server),
            (Some(_), None) => info!("{} follows its master again", self.link.server),
            _ => {}
        }
    }

    /// Takes over what was read. A numbered stream's changes count with the position after them.
    async fn apply(&mut self, whole: bool) -> Result<(), Failure> {
        let position = self.position.take();
        if self.numbered && position.is_none() {
            return Ok(());
        }
        let list = &self.shared.list;
        if *list.cordons() != self.cordons {
            list.follow_cordons(self.cordons.clone()).await.map_err(|e| e.to_string())?;
        }
        if self.pending.is_empty()
            && list.is_complete()
            && (position.is_none() || position == Some(list.position()))
        {
            self.meter.reset();
            return Ok(());
        }
        self.weigh(whole)?;
        let follow = Follow { changes: std::mem::take(&mut self.pending), position, complete: true, whole };
        list.follow(follow).await.map_err(|e| e.to_string())?;
        self.meter.reset();
        Ok(())
    }

    /// Whether the list stays within its measure with what is to be applied. A whole one was counted as it came.
    fn weigh(&mut self, whole: bool) -> Result<(), Failure> {
        let (list, measure) = (&self.shared.list, self.shared.settings.load().measure);
        self.unweighed = self.unweighed.saturating_add(self.meter.octets());
        if !whole && list.count().saturating_add(self.pending.len()) > measure.entries {
            let is_new = |name| matches!(list.get(name), Ok(None));
            let new = self.pending.iter().filter(|(name, entry)| entry.is_some() && is_new(name)).count();
            if new > 0 && list.count().saturating_add(new) > measure.entries {
                return Err(Absurd::Entries(measure.entries).into());
            }
        }
        if self.unweighed > WEIGHED {
            self.unweighed = 0;
            if list.weight() > measure.octets {
                return Err(Absurd::Octets(measure.octets).into());
            }
        }
        Ok(())
    }

    /// A data line as a change. None: of a mailbox that no client here can name, or that is nowhere where it could be; one
    /// such does not keep all others away.
    fn change_of(&mut self, body: Body) -> Result<Option<(MailboxName, Option<Entry>)>, Failure> {
        let change = match &body {
            Body::Delete { name } => MailboxName::parse(name).ok().map(|name| (name, None)),
            Body::Mailbox { .. } | Body::Reserve { .. } => {
                entry_of(&body).map(|(name, entry)| (name, Some(entry)))
            }
            Body::Unreadable => None,
            other => return Err(format!("the upstream said {}", shown(other)).into()),
        };
        let (name, entry) =
            change.as_ref().map(|(name, entry)| (Some(name), entry.as_ref())).unwrap_or_default();
        self.meter.count(name, entry)?;
        if change.is_none() && !std::mem::replace(&mut self.passed_over, true) {
            let what = shown(&body);
            warn!("passed over what the upstream said of a mailbox that cannot be, and all like it: {what}");
        }
        Ok(change)
    }
}

/// What was said, for the log.
fn shown(body: &Body) -> String {
    let cut = |text: &str| text.chars().take(NAME_SHOWN).collect::<String>();
    match body {
        Body::Mailbox { name, location, .. } | Body::Reserve { name, location } => {
            format!("{:?} at {:?}", cut(name), cut(location))
        }
        Body::Delete { name } => format!("DELETE {:?}", cut(name)),
        Body::Status(_) => "STATUS".to_owned(),
        Body::Entry(_) => "ENTRY".to_owned(),
        // Short, or shortened.
        other => cut(&format!("{other:?}")),
    }
}
