//! The frontend's side of one client: finds a backend for each recipient, then sends the message to all backends at
//! once.

use std::path::PathBuf;
use std::sync::Arc;

use directory::lookup::Lookup;
use lmtp::{Deliver, Envelope, Message, Spool};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};
use service::sessions::Seat;
use tokio::task::JoinSet;
use tracing::{Instrument, info};
use upstream::Pool;

use crate::limits::{REROUTED, rows};
use crate::route::Policy;
use crate::transaction::{Route, Terms, Transaction};

/// What the clients of a listener share.
#[derive(Clone)]
pub struct Settings {
    pub policy: Policy,
    pub terms: Terms,
    /// The backend of this node, if it is a unified one.
    pub beside: Option<String>,
    /// `temp_path`
    pub spool: PathBuf,
}

/// One client's deliveries.
pub struct Proxy {
    settings: Arc<Settings>,
    directory: Arc<dyn Lookup>,
    pool: Pool,
    seat: Seat,
    accepted: Vec<Route>,
}

impl Proxy {
    pub fn new(settings: Arc<Settings>, directory: Arc<dyn Lookup>, pool: Pool, seat: Seat) -> Proxy {
        Proxy { settings, directory, pool, seat, accepted: Vec::new() }
    }
}

impl Deliver for Proxy {
    type Incoming = Spool;

    async fn recipient(&mut self, mail: &Mail, rcpt: Rcpt) -> Result<(), Refusal> {
        let route = match self.beside().filter(|_| self.seat.is_node()) {
            // It comes from a proxy: what is not here is elsewhere.
            Some(server) => {
                Route { server: server.to_owned(), to: rcpt.to.clone(), ignore_quota: rcpt.ignore_quota }
            }
            None => self.settings.policy.route(mail, &rcpt, &*self.directory).await?,
        };
        self.accepted.push(route);
        Ok(())
    }

    async fn begin(&mut self, _: Option<u64>) -> Result<Spool, Refusal> {
        Ok(Spool::new(&self.settings.spool))
    }

    async fn deliver(&mut self, envelope: Envelope, spool: Spool) -> Vec<Verdict> {
        let message = match spool.finish().await {
            Ok(message) => message,
            Err(refusal) => return vec![Verdict::Refused(refusal); self.accepted.len()],
        };
        let letter = Letter {
            message: Arc::new(message),
            mail: Arc::new(envelope.mail),
            utf8_header: envelope.utf8_header,
        };
        let mut verdicts = vec![Verdict::Refused(Refusal::Retry); self.accepted.len()];
        let mut left: Vec<usize> = (0..self.accepted.len()).collect();
        for rerouted in 0..=REROUTED {
            self.send(&letter, &left, &mut verdicts).await;
            left = self.moved(&letter.mail, &left, &verdicts).await;
            if left.is_empty() {
                break;
            }
            if rerouted == REROUTED {
                rows::REROUTED
                    .met("a recipient's mailbox has moved again and again: the sender is asked to come back");
            }
        }
        verdicts
    }

    fn reset(&mut self) {
        self.accepted.clear();
    }
}

/// A message and what all its deliveries share.
struct Letter {
    message: Arc<Message>,
    mail: Arc<Mail>,
    utf8_header: bool,
}

impl Proxy {
    /// The backend of this very node, if it is a unified one.
    fn beside(&self) -> Option<&str> {
        self.settings.beside.as_deref()
    }

    /// Sends the message to the backends of some recipients, all at once, and notes the verdicts.
    async fn send(&self, letter: &Letter, recipients: &[usize], verdicts: &mut [Verdict]) {
        let mut running = JoinSet::new();
        for (server, places) in by_server(&self.accepted, recipients) {
            let routes: Vec<Route> = places.iter().filter_map(|&at| self.accepted.get(at).cloned()).collect();
            let (settings, pool) = (self.settings.clone(), self.pool.clone());
            let (message, mail, utf8_header) =
                (letter.message.clone(), letter.mail.clone(), letter.utf8_header);
            let group = async move {
                let transaction = Transaction {
                    server: &server,
                    mail: &mail,
                    utf8_header,
                    routes: &routes,
                    message: &message,
                    terms: &settings.terms,
                };
                (places, transaction.run(&pool).await)
            };
            running.spawn(group.in_current_span());
        }
        while let Some(group) = running.join_next().await {
            // A group that panicked leaves its recipients with "try again".
            let Ok((places, outcome)) = group else { continue };
            for (at, verdict) in places.into_iter().zip(outcome) {
                if let Some(slot) = verdicts.get_mut(at) {
                    *slot = verdict;
                }
            }
        }
    }

    /// The recipients whose backend has said that it has not got their mailbox, and which the list, brought up to date, has elsewhere:
    /// from now on they go there.
    async fn moved(&mut self, mail: &Mail, recipients: &[usize], verdicts: &[Verdict]) -> Vec<usize> {
        let may_be = |at: &&usize| {
            let verdict = verdicts.get(**at);
            matches!(verdict, Some(Verdict::Refused(Refusal::Moving | Refusal::Elsewhere)))
        };
        let asked: Vec<usize> = recipients.iter().filter(may_be).copied().collect();
        if self.seat.is_node() && self.beside().is_some() {
            return Vec::new();
        }
        if asked.is_empty() || self.directory.barrier().await.is_err() {
            return Vec::new();
        }
        let mut moved = Vec::new();
        for at in asked {
            let Some(route) = self.accepted.get_mut(at) else { continue };
            if let Some(server) = self.settings.policy.elsewhere(mail, route, &*self.directory).await {
                info!(from = route.server, to = server, recipient = %route.to, "the mailbox has moved: sent there");
                route.server = server;
                moved.push(at);
            }
        }
        moved
    }
}

/// The places of each server's recipients, servers in the order of their first recipient.
fn by_server(accepted: &[Route], recipients: &[usize]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for &at in recipients {
        let Some(route) = accepted.get(at) else { continue };
        match groups.iter_mut().find(|(server, _)| *server == route.server) {
            Some((_, places)) => places.push(at),
            None => groups.push((route.server.clone(), vec![at])),
        }
    }
    groups
}
