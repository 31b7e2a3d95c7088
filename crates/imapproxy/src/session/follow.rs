//! A selected mailbox that moves to another backend: the session goes on there, and its client need not notice.
//!
//! The backend that had it says so with what the client knows of it (`* OK [XMOVED server state] …`, see
//! [`protocol::imap::command::adopt`]), after all that it has told the client. Nothing more of it comes from there. The one that has it
//! now is given the state by XADOPT, and tells what has happened since at the next command.

use directory::lookup::Found;
use protocol::imap::command::adopt::{Adoption, parts};
use tracing::{info, warn};
use upstream::wire::imap::Moved;
use work::aside::weighed;

use super::relay::To;
use super::{Selected, Session, Stop};
use crate::limits::STATE_WORD;

impl Session {
    /// Goes after the selected mailbox, if its backend has said that it has moved. True if it has. Where the session cannot go on, it ends.
    pub async fn follow_selected(&mut self) -> Result<bool, Stop> {
        let Some(selected) = self.selected.clone() else { return Ok(false) };
        let link = self.links.get_mut(&selected.server);
        let Some(Moved { server: told, state }) = link.and_then(|link| link.wire.take_moved()) else {
            return Ok(false);
        };
        let weight = state.len() / STATE_WORD;
        // Another backend hears of it: of this mailbox, and no more than a state can say.
        let name = selected.name.to_string();
        let read =
            move || Adoption::parse(&state).filter(|state| state.name == name).map(|state| state.to_string());
        let Some(state) = weighed(weight, read).await else {
            warn!(mailbox = %selected.name, from = selected.server, "a backend says of the selected mailbox that another has moved, or nothing that can be read: the session ends");
            return Err(Stop::lost());
        };
        // Boxed: rare, and large beside what a command needs.
        let server = Box::pin(self.adopted(&selected, &state)).await.inspect_err(|_| {
            warn!(mailbox = %selected.name, from = selected.server, to = told, "the selected mailbox has moved, and the session cannot go on there");
        })?;
        info!(mailbox = %selected.name, from = selected.server, to = server, "the selected mailbox has moved: the session goes on there");
        self.selected = Some(Selected { server, ..selected });
        Ok(true)
    }

    /// The backend where the session goes on. It is the list that says which: a backend's word alone must not send anybody's login
    /// anywhere.
    async fn adopted(&mut self, selected: &Selected, state: &str) -> Result<String, Stop> {
        self.node.directory.barrier().await.map_err(|_| Stop::lost())?;
        let Found::Active(entry) = self.node.directory.find(&selected.name).await else {
            return Err(Stop::lost());
        };
        let server = entry.server().to_owned();
        if server == selected.server {
            return Err(Stop::lost());
        }
        // It may have left something of an IDLE.
        self.links.remove(&selected.server);
        self.selected = None;
        match self.adopt(&server, state).await {
            Ok(true) => Ok(server),
            Ok(false) | Err(Stop::Backend { .. } | Stop::Refused(_) | Stop::Relayed(_)) => Err(Stop::lost()),
            Err(stop) => Err(stop),
        }
    }

    /// Has a backend go on with the state, which may need more than one line. False: it does not.
    async fn adopt(&mut self, server: &str, state: &str) -> Result<bool, Stop> {
        self.link(server).await?;
        for part in parts(state) {
            if !self.ask(server, format!("XADOPT {part}"), To::Nobody).await?.is_ok() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
