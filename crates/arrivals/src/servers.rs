//! On which backend a new top-level mailbox is made.
//!
//! But for two faults it is Cyrus's choice: a server that is down is left out, instead of turning the choice into a lottery that it
//! takes part in, and `defaultserver` acts as its manual says.

use std::sync::Arc;

use config::imapd::Imapd;
use placement::{Candidate, Chooser, Rules, Space, dice};
use tokio::sync::Mutex;
use tokio::time::Instant;
use upstream::{Proto, Upstream};

use crate::survey::survey;

/// The backends that take new mailboxes; one per process, cheap to clone.
#[derive(Clone)]
pub struct Servers {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `serverlist`, as the figures were read for it.
    listed: Vec<String>,
    chooser: Chooser,
}

impl Servers {
    pub fn new(upstream: Upstream) -> Servers {
        let chooser = Chooser::new(Rules::of_servers(&upstream.imapd()));
        Servers { upstream, state: Arc::new(Mutex::new(State { listed: Vec::new(), chooser })) }
    }

    /// The server for a mailbox that nothing else places: `defaultserver`, or a choice among `serverlist` less those that cannot be
    /// reached by `proto` and those that were tried. `None`: there is none, or none is left. Takes some seconds at most.
    pub async fn choose(&self, imapd: &Imapd, proto: Proto, tried: &[String]) -> Option<String> {
        if let Some(server) = &imapd.defaultserver {
            return (!tried.contains(server)).then(|| server.clone());
        }
        if imapd.serverlist.is_empty() {
            return None;
        }
        let rules = Rules::of_servers(imapd);
        // Held while the servers are asked: whoever comes meanwhile waits for the same figures.
        let mut state = self.state.lock().await;
        if state.listed != imapd.serverlist || state.chooser.rules() != rules {
            *state = State { listed: imapd.serverlist.clone(), chooser: Chooser::new(rules) };
        }
        let is_tried = |server: &str| tried.iter().any(|one| one == server);
        let can_take = |server: &str| !is_tried(server) && self.upstream.admit(server, proto).is_ok();
        if !state.chooser.is_due(Instant::now().into_std()) {
            let chosen = state.chooser.choose(dice(), can_take);
            // One that told nothing when it was asked last may be back.
            let unread = |server: &String| !is_tried(server) && !state.chooser.has_read(server);
            if chosen.is_some() || !state.listed.iter().any(unread) {
                return chosen;
            }
        }
        let candidates = match rules.needs_figures() {
            true => survey(&self.upstream, &state.listed, rules.mode).await,
            false => state.listed.iter().map(|server| without_figures(server)).collect(),
        };
        state.chooser.read(candidates, Instant::now().into_std());
        state.chooser.choose(dice(), can_take)
    }
}

fn without_figures(server: &str) -> Candidate {
    Candidate { name: server.to_owned(), space: Space::default() }
}
