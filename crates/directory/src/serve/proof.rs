//! Reads of a list that other masters change too: before it is read, it must have what any of them had acknowledged when the
//! question came.
//!
//! Where nobody can say, there is no answer. A peer of ours is told so, and asks elsewhere. One of Cyrus's takes a NO for "not
//! found": its connection is dropped without a word.

use std::io;

use tokio::time::timeout;

use super::conversation::Conversation;
use crate::serve::limits::{PROOF, rows};
use protocol::mupdate::reply::Reply;

impl Conversation {
    /// Returns when the list may be read; false: the client was told that it cannot be. `ours`: what it asks, no other program asks.
    pub(super) async fn proven(&mut self, tag: &str, ours: bool) -> io::Result<bool> {
        self.complete().await;
        // What came together is proven together.
        if self.proven || !self.server.list().is_shared() {
            return Ok(true);
        }
        self.proven = true;
        let why = match timeout(PROOF, self.server.list().barrier()).await {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                rows::PROOF
                    .met("a question was not answered: this master does not know what the others have");
                "the other masters' changes are not known in time".to_owned()
            }
        };
        self.proven = false;
        if !ours && !self.is_ours() {
            return Err(io::Error::other(why));
        }
        self.say(tag, Reply::no(format!("[UNAVAILABLE] {why}")));
        Ok(false)
    }
}
