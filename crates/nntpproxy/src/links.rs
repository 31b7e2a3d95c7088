//! A session's connections to backends: made when they are needed, and kept for the session.
//!
//! Whoever wants something of a backend takes its connection, and gives it back when the answer was read to its end: what is not
//! given back is closed. A connection that was kept may have ended unseen; then one new one is made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::nntp::words::GroupName;
use service::sessions::Seat;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};
use upstream::Upstream;

use crate::gone::Gone;
use crate::limits::ENOUGH;
use crate::link::{Link, Status};

/// The connections of one session.
pub struct Links {
    reach: Arc<Reach>,
    /// At rest, by server.
    kept: HashMap<String, Link>,
}

/// How a connection is made.
pub struct Reach {
    pub upstream: Upstream,
    /// Whom all of them act for.
    pub user: String,
    pub servername: String,
    pub seat: Seat,
}

/// The group that numbers count in.
#[derive(Debug, Clone)]
pub struct Selected {
    pub group: GroupName,
    /// The current article; none: the group is empty.
    pub article: Option<u32>,
}

/// What a backend made of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As it was.
    There,
    /// The current article has been removed meanwhile.
    ArticleGone,
}

impl Links {
    pub fn new(reach: Reach) -> Links {
        Links { reach: Arc::new(reach), kept: HashMap::new() }
    }

    /// How long a backend may take.
    pub fn bound(&self) -> Duration {
        self.reach.bound()
    }

    /// Asks one backend.
    pub async fn ask(&mut self, server: &str, text: &str) -> Result<(Link, Status), Gone> {
        let kept = self.kept.remove(server);
        self.reach.ask(kept, server, text).await.inspect_err(|gone| self.lost(server, gone))
    }

    /// Asks one backend for what depends on the group that is selected, and on the current article; or answers without it.
    pub async fn ask_within(
        &mut self,
        server: &str,
        selected: &Selected,
        text: impl Fn(Place) -> Result<String, Status>,
    ) -> Result<(Link, Status), Gone> {
        let kept = self.kept.remove(server);
        let was_kept = kept.is_some();
        let first = self.reach.ask_within(kept, server, selected, &text).await;
        let asked = match first {
            Err(gone) if was_kept && gone.may_be_stale() => {
                debug!("{gone}: connecting anew");
                self.reach.ask_within(None, server, selected, &text).await
            }
            first => first,
        };
        asked.inspect_err(|gone| self.lost(server, gone))
    }

    /// Asks several backends at once; all answers within one `client_timeout`, and the connections of those that gave one. Once an
    /// answer is `enough`, the others are waited for no longer than a healthy backend takes.
    pub async fn ask_all(
        &mut self,
        servers: Vec<String>,
        text: &str,
        enough: impl Fn(&Status) -> bool,
    ) -> Vec<Result<(Link, Status), Gone>> {
        let mut asked = JoinSet::new();
        let bound = self.bound();
        let mut until = Instant::now() + bound;
        let mut waited: HashSet<String> = servers.iter().cloned().collect();
        for server in servers {
            let (reach, kept, text) = (self.reach.clone(), self.kept.remove(&server), text.to_owned());
            asked.spawn(async move { (reach.ask(kept, &server, &text).await, server) });
        }
        let mut answers = Vec::new();
        while let Ok(Some(joined)) = timeout_at(until, asked.join_next()).await {
            // A panic is logged where it happens; to the client it is a backend that gave no answer.
            let Ok((answer, server)) = joined else { continue };
            waited.remove(&server);
            if answer.as_ref().is_ok_and(|(_, status)| enough(status)) {
                until = until.min(Instant::now() + ENOUGH);
            }
            answers.push(answer.inspect_err(|gone| self.lost(&server, gone)));
        }
        answers.extend(waited.into_iter().map(|server| {
            let late = Gone::Late { server: server.clone(), bound };
            self.lost(&server, &late);
            Err(late)
        }));
        answers
    }

    /// What all of an article's backends say of it, in parallel.
    pub fn reach(&self) -> Arc<Reach> {
        self.reach.clone()
    }

    /// A connection, if there is one.
    pub fn take(&mut self, server: &str) -> Option<Link> {
        self.kept.remove(server)
    }

    /// Gives a connection back; one that is not at rest is closed.
    pub fn give_back(&mut self, link: Link) {
        if link.is_at_rest() {
            self.kept.insert(link.server().to_owned(), link);
        } else {
            self.reach.seat.unlinked(link.server());
        }
    }

    /// A connection is no more.
    pub fn lost(&self, server: &str, gone: &Gone) {
        self.reach.seat.unlinked(server);
        match gone {
            // Logged where it happened.
            Gone::Unreached(_) => {}
            Gone::Lost { .. } | Gone::Late { .. } | Gone::OutOfStep { .. } | Gone::Strange { .. } => {
                warn!(user = self.reach.user, "{gone}: the connection is closed");
            }
        }
    }
}

impl Reach {
    pub fn bound(&self) -> Duration {
        transport::settings::client_timeout(&self.upstream.imapd())
    }

    /// Asks on a connection that was kept, or on a new one. One that ends before it has answered is made anew, once: no command that is
    /// asked here has changed anything before its answer, IHAVE neither (a Cyrus ends a process that has served enough).
    pub async fn ask(&self, kept: Option<Link>, server: &str, text: &str) -> Result<(Link, Status), Gone> {
        let was_kept = kept.is_some();
        match self.ask_on(kept, server, text).await {
            Err(gone) if gone.is_lost() || (was_kept && gone.may_be_stale()) => {
                debug!("{gone}: connecting anew");
                self.ask_on(None, server, text).await
            }
            asked => asked,
        }
    }

    async fn ask_on(&self, kept: Option<Link>, server: &str, text: &str) -> Result<(Link, Status), Gone> {
        let mut link = match kept {
            Some(link) => link,
            None => self.connect(server).await?,
        };
        let status = link.ask(text).await?;
        Ok((link, status))
    }

    async fn ask_within(
        &self,
        kept: Option<Link>,
        server: &str,
        selected: &Selected,
        text: impl Fn(Place) -> Result<String, Status>,
    ) -> Result<(Link, Status), Gone> {
        let mut link = match kept {
            Some(link) => link,
            None => self.connect(server).await?,
        };
        let mut place = Place::There;
        if link.selected.as_ref() != Some(&selected.group) {
            let status = link.ask(&format!("GROUP {}", selected.group)).await?;
            if status.code != SELECTED {
                return Ok((link, status));
            }
            match selected.article {
                Some(article) if link.ask(&format!("STAT {article}")).await?.code != FOUND => {
                    place = Place::ArticleGone;
                }
                Some(_) | None => link.selected = Some(selected.group.clone()),
            }
        }
        let status = match text(place) {
            Ok(text) => link.ask(&text).await?,
            Err(status) => status,
        };
        Ok((link, status))
    }

    async fn connect(&self, server: &str) -> Result<Link, Gone> {
        let origin = self.seat.as_origin(&self.servername);
        let connection = self.upstream.nntp(server, &self.user, Some(&origin)).await?;
        self.seat.linked(server, &connection.text);
        Ok(Link::new(server, connection, self.bound()))
    }
}

const SELECTED: u16 = 211;
const FOUND: u16 = 223;
