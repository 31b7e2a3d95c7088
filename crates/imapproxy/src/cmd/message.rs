//! Commands about messages: FETCH, STORE, SEARCH, SORT, THREAD, EXPUNGE and their UID forms go to the selected backend
//! as they are, and so does what comes back.

use protocol::frame::Piece;

use crate::grammar::Head;
use crate::session::{Session, Stop};

pub async fn pipe(s: &mut Session, head: Head, first: Piece) -> Result<(), Stop> {
    let Some(server) = s.selected_server().map(str::to_owned) else {
        s.client.skip(first).await?;
        return Err(Stop::bad("Please select a mailbox first"));
    };
    if let Piece::Line(text) | Piece::Header { text, .. } = &first {
        let text = head.untagged(text).to_vec();
        super::session::note_condstore(s, &text, &["MODSEQ", "CHANGEDSINCE", "UNCHANGEDSINCE"], &server)
            .await?;
    }
    let id = s.up(&server, |link| link.begin(Some(&head.tag)))?;
    let answer = s.pipe(&server, id, head.untagged_piece(first)).await?;
    s.client.put(answer.tagged(&head.tag));
    Ok(())
}
