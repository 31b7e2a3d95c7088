//! SERVERS, CORDON, UNCORDON, and what a stream says of cordoned servers to a peer that has asked for them. A Cyrus peer and
//! an old one of ours ask for nothing, and are sent nothing that they would not know.

use std::{io, sync::Arc};

use mailboxes::Cordons;
use protocol::{
    location::ServerName,
    mupdate::reply::{self, Reply},
};

use super::{
    conversation::{Conversation, Flow},
    write,
};

impl Conversation {
    /// All of them; what changes from now on comes with the stream.
    pub(super) fn servers(&mut self, tag: &str) -> Flow {
        self.cordons = Some(Arc::default());
        self.send_cordons(tag);
        self.say(tag, Reply::ok("servers complete"));
        Flow::On
    }

    pub(super) async fn cordon(&mut self, tag: &str, server: &str, cordoned: bool) -> io::Result<Flow> {
        if !self.proven(tag, true).await? {
            return Ok(Flow::On);
        }
        let reply = match ServerName::parse(server) {
            Ok(server) => write::outcome(self.server.list().cordon(server, cordoned).await)?,
            Err(_) => Reply::no("Invalid server name"),
        };
        self.say(tag, reply);
        Ok(Flow::On)
    }

    /// Sends what the client does not know yet, if it wants to; whether there was any.
    pub(super) fn send_cordons(&mut self, tag: &str) -> bool {
        let now = self.server.list().cordons();
        let Some(told) = self.cordons.as_mut().filter(|told| **told != now) else { return false };
        let told = std::mem::replace(told, now.clone());
        let mut out = Vec::new();
        put_changes(&mut out, tag, &told, &now);
        self.wire.output().extend_from_slice(&out);
        true
    }
}

fn put_changes(out: &mut Vec<u8>, tag: &str, told: &Cordons, now: &Cordons) {
    for server in told.keys().filter(|server| !now.contains_key(*server)) {
        reply::put_server(out, tag, server.as_str(), None);
    }
    for (server, since) in now.iter().filter(|(server, since)| told.get(*server) != Some(*since)) {
        reply::put_server(out, tag, server.as_str(), Some(*since));
    }
}
