//! Commands about messages: FETCH, STORE, SEARCH, SORT, THREAD, UIDBATCHES, EXPUNGE and their UID forms go to the selected backend
//! as they are, and so does what comes back.

use protocol::frame::Piece;
use protocol::imap::Refusal;
use protocol::imap::enabled::implies_condstore;

use crate::grammar::Head;
use crate::session::{Outcome, Session};

pub async fn pipe(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let Some(server) = s.selected_server().map(str::to_owned) else {
        s.client.skip(first).await?;
        return Err(Refusal::NothingSelected.into());
    };
    let implies = match &first {
        Piece::Line(text) | Piece::Header { text, .. } => implies_condstore(&head.verb, head.untagged(text)),
        _ => false,
    };
    let id = s.up(&server, |link| link.begin(Some(head.tag.as_str())))?;
    let answer = s.pipe(&server, id, head.untagged_piece(first)).await?;
    super::session::note_condstore(s, implies, &server, &answer).await?;
    Ok(answer.into())
}
