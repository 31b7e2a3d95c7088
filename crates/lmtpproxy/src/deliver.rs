//! The frontend's side of one client: finds a backend for each recipient, then sends the message to all backends at
//! once.

use std::path::PathBuf;
use std::sync::Arc;

use directory::lookup::Lookup;
use lmtp::{Deliver, Envelope, Spool};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};
use tokio::task::JoinSet;
use tracing::Instrument;
use upstream::Pool;

use crate::route::Policy;
use crate::transaction::{Route, Terms, Transaction};

/// What the clients of a listener share.
#[derive(Clone)]
pub struct Settings {
    pub policy: Policy,
    pub terms: Terms,
    /// `temp_path`
    pub spool: PathBuf,
}

/// One client's deliveries.
pub struct Proxy {
    settings: Arc<Settings>,
    directory: Arc<dyn Lookup>,
    pool: Pool,
    accepted: Vec<Route>,
}

impl Proxy {
    pub fn new(settings: Arc<Settings>, directory: Arc<dyn Lookup>, pool: Pool) -> Proxy {
        Proxy { settings, directory, pool, accepted: Vec::new() }
    }
}

impl Deliver for Proxy {
    type Incoming = Spool;

    async fn recipient(&mut self, mail: &Mail, rcpt: Rcpt) -> Result<(), Refusal> {
        let route = self.settings.policy.route(mail, &rcpt, &*self.directory).await?;
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
        let (message, mail) = (Arc::new(message), Arc::new(envelope.mail));
        let utf8_header = envelope.utf8_header;
        let mut verdicts = vec![Verdict::Refused(Refusal::Retry); self.accepted.len()];
        let mut running = JoinSet::new();
        for (server, places) in by_server(&self.accepted) {
            let routes: Vec<Route> = places.iter().filter_map(|&at| self.accepted.get(at).cloned()).collect();
            let (settings, pool) = (self.settings.clone(), self.pool.clone());
            let (message, mail) = (message.clone(), mail.clone());
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
        verdicts
    }

    fn reset(&mut self) {
        self.accepted.clear();
    }
}

/// The places of each server's recipients, servers in the order of their first recipient.
fn by_server(accepted: &[Route]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (at, route) in accepted.iter().enumerate() {
        match groups.iter_mut().find(|(server, _)| *server == route.server) {
            Some((_, places)) => places.push(at),
            None => groups.push((route.server.clone(), vec![at])),
        }
    }
    groups
}
