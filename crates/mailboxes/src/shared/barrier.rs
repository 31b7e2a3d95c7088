//! Proofs: everything that was acknowledged, by whichever master, before somebody asked is in the tables.
//!
//! Who comes while the authority is asked shares the next answer: the one that is out proves nothing to them.

use tokio::sync::mpsc;

use super::{Asked, Desk, UNHEARD};
use crate::{authority::Shared, error::CommitError, limits::GROUP};

pub(super) async fn run<A: Shared>(desk: Desk<A>, mut asked: mpsc::Receiver<Asked>) {
    let mut waiting = Vec::new();
    while asked.recv_many(&mut waiting, GROUP).await > 0 {
        let proof = prove(&desk).await;
        for one in waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = one.send(proof.clone());
        }
    }
}

async fn prove<A: Shared>(desk: &Desk<A>) -> Result<protocol::mupdate::position::Position, CommitError> {
    if !desk.live.get() {
        return Err(CommitError::Unavailable(UNHEARD.into()));
    }
    let position = match desk.authority.barrier().await {
        Ok(position) => position,
        Err(error) => return Err(CommitError::Unavailable(error.to_string().into())),
    };
    desk.reach(position).await?;
    Ok(position)
}
