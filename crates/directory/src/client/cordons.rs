//! Which backends take no new mailboxes, as a server of lists of ours tells it.

use mailboxes::Cordons;
use protocol::{location::ServerName, mupdate::response::Body};

use super::{Client, Error};
use crate::client::limits::{CORDONED, rows};

impl Client {
    /// The servers that take no new mailboxes; none where the server of lists does not know of such.
    pub async fn cordons(&mut self) -> Result<Cordons, Error> {
        let mut all = Cordons::new();
        if self.greeting.has("SERVERS") {
            self.ask("SERVERS", &[], |body| {
                note(&mut all, &body);
                Ok(())
            })
            .await?;
        }
        Ok(all)
    }

    /// Has a server take no new mailboxes, or take them again. Of a master only.
    pub async fn cordon(&mut self, server: &ServerName, cordoned: bool) -> Result<(), Error> {
        let verb = if cordoned { "CORDON" } else { "UNCORDON" };
        self.ask(verb, &[server.as_str()], super::unasked).await
    }
}

/// Takes over a line that tells of a server. A name that no server can have is nobody's.
pub(crate) fn note(all: &mut Cordons, body: &Body) {
    let Body::Server { name, cordoned } = body else { return };
    let Ok(server) = ServerName::parse(name) else { return };
    match cordoned {
        Some(_) if all.len() >= CORDONED && !all.contains_key(&server) => {
            rows::CORDONED.met(format_args!("{server}: more servers are cordoned than are taken over"));
            None
        }
        Some(since) => all.insert(server, *since),
        None => all.remove(&server),
    };
}
