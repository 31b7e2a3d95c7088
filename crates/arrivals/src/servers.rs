//! On which backend a new top-level mailbox is made.
//!
//! But for two faults it is Cyrus's choice: a server that is down is left out, instead of turning the choice into a lottery that it
//! takes part in, and `defaultserver` acts as its manual says.

use std::sync::Arc;

use config::imapd::Imapd;
use mailboxes::List;
use placement::{Candidate, Chooser, Rules, Space, dice};
use tokio::sync::Mutex;
use tokio::time::Instant;
use upstream::{Proto, Upstream};

use crate::survey::survey;

/// The backends that take new mailboxes; one per process, cheap to clone.
#[derive(Clone)]
pub struct Servers {
    upstream: Upstream,
    /// Where the master says which servers are cordoned.
    list: List,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `serverlist`, as the figures were read for it.
    listed: Vec<String>,
    chooser: Chooser,
}

impl Servers {
    /// `list` is the frontend's copy of the list, which has the cordoned servers too.
    pub fn new(upstream: Upstream, list: List) -> Servers {
        let chooser = Chooser::new(Rules::of_servers(&upstream.imapd()));
        Servers { upstream, list, state: Arc::new(Mutex::new(State { listed: Vec::new(), chooser })) }
    }

    /// The server for a mailbox that nothing else places: `defaultserver`, or a choice among `serverlist`, in both cases less those
    /// that are cordoned, cannot be reached by `proto`, or were tried. `None`: there is none, or none is left. Takes some seconds
    /// at most.
    pub async fn choose(&self, imapd: &Imapd, proto: Proto, tried: &[String]) -> Option<String> {
        let cordons = self.list.cordons();
        let is_open = |server: &str| !cordons.keys().any(|cordoned| cordoned.as_str() == server);
        if let Some(server) = imapd.defaultserver.as_ref().filter(|server| is_open(server)) {
            return (!tried.contains(server)).then(|| server.clone());
        }
        let mut listed = imapd.serverlist.clone();
        if imapd.is_unified() && !listed.contains(&imapd.servername) {
            listed.push(imapd.servername.clone());
        }
        if listed.is_empty() {
            return None;
        }
        let rules = Rules::of_servers(imapd);
        // Held while the servers are asked: whoever comes meanwhile waits for the same figures.
        let mut state = self.state.lock().await;
        if state.listed != listed || state.chooser.rules() != rules {
            *state = State { listed, chooser: Chooser::new(rules) };
        }
        let is_tried = |server: &str| tried.iter().any(|one| one == server);
        let is_up = |server: &str| self.upstream.admit(server, proto).is_ok();
        let can_take = |server: &str| !is_tried(server) && is_open(server) && is_up(server);
        if !state.chooser.is_due(Instant::now().into_std()) {
            let chosen = state.chooser.choose(dice(), can_take);
            // One that told nothing when it was asked last may be back.
            let unread =
                |server: &String| !is_tried(server) && is_open(server) && !state.chooser.has_read(server);
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
