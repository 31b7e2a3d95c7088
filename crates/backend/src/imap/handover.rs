//! A session whose open mailbox has moved to another backend: what its frontend needs to go on there.

use protocol::imap::command::adopt::parts;
use protocol::imap::{Code, Reply};
use tracing::info;
use work::aside::weighed;

use super::limits::{ADOPTED, rows};
use super::selected::Selected;
use super::session::Session;

impl Session {
    /// What a frontend of ours is told of a mailbox that has moved to another server, and which nobody changes here any more, so that it goes on there: its client need not
    /// notice. Others hear a BYE.
    pub(super) async fn handed_over(&self, selected: &Selected) -> Option<(Vec<Reply>, String)> {
        let server = selected.mailbox.moved_to()?;
        let watches_others = self.notify.as_ref().is_some_and(|notify| notify.others.is_some());
        if !self.server.seat.origin().is_some_and(|origin| origin.adopts) || watches_others {
            return None;
        }
        let (view, numbering) = (selected.view().exists(), selected.adoption());
        let state = weighed(view, move || numbering.to_string()).await;
        if state.len() > ADOPTED {
            rows::ADOPTED
                .met("a session has a mailbox open that has moved, and too many gaps to go on: it ends");
            return None;
        }
        info!(mailbox = %selected.name, to = server, "the open mailbox has moved: the session goes on there");
        let told = parts(&state).into_iter();
        let told = told.map(|part| Reply::told(Code::XMoved(format!("{server} {part}"))));
        Some((told.collect(), server))
    }
}
