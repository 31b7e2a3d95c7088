//! A connection that is kept, to hear of a master that goes away, and to ask which list it has.

use mailboxes::{ListId, Position};
use protocol::mupdate::response::{Body, Response};

use super::{Client, Error};

impl Client {
    /// Says which server this connection is kept for, so that its master knows when it was last heard of. A master that does
    /// not take it is not asked.
    pub async fn speak_for(&mut self, server: &str) -> Result<(), Error> {
        match self.greeting.has("HERE") {
            true => self.ask("HERE", &[server], super::unasked).await,
            false => Ok(()),
        }
    }

    /// Which list the server has, and how far it has come. None: it is not one of ours, and cannot say.
    pub async fn position(&mut self) -> Result<Option<Position>, Error> {
        if !self.greeting.has("STATUS") {
            return Ok(None);
        }
        let status = self.status().await?;
        let told = &status["position"];
        let why = || format!("a status without a position: {told}");
        position(told)
            .map(Some)
            .ok_or_else(|| Error::Protocol { server: self.link.server.clone(), why: why() })
    }

    /// Returns when the server ends the connection, or says what nobody asked for. Safe to cancel.
    pub async fn ended(&mut self) -> Error {
        if let Err(error) = self.link.more().await {
            return error;
        }
        match self.link.buffered() {
            Ok(Some(Response { body: Body::Bye(why), .. })) => self.link.lost(why),
            _ => self.link.lost("it said what nobody asked for"),
        }
    }
}

/// `position` of a status.
pub(super) fn position(told: &serde_json::Value) -> Option<Position> {
    Some(Position {
        list: ListId::parse(told["list"].as_str()?)?,
        term: told["term"].as_u64()?,
        seq: told["seq"].as_u64()?,
    })
}
