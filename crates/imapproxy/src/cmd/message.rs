//! Commands about messages: FETCH, STORE, SEARCH, SORT, THREAD, UIDBATCHES, EXPUNGE and their UID forms go to the selected backend
//! as they are, and so does what comes back.

use protocol::frame::Piece;
use protocol::imap::Refusal;

use crate::grammar::Head;
use crate::session::{Outcome, Session};

pub async fn pipe(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let Some(server) = s.selected_server().map(str::to_owned) else {
        s.client.skip(first).await?;
        return Err(Refusal::NothingSelected.into());
    };
    if let Piece::Line(text) | Piece::Header { text, .. } = &first {
        let text = head.untagged(text).to_vec();
        super::session::note_condstore(s, &head.verb, &text, &server).await?;
    }
    let id = s.up(&server, |link| link.begin(Some(head.tag.as_str())))?;
    Ok(s.pipe(&server, id, head.untagged_piece(first)).await?.into())
}
