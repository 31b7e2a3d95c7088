//! What the tools of this host ask of a running daemon, over the local socket only: `DUMP`, `PUT`, `DROP`, `RENEW`, and
//! on a backend `WIPE`. An entry travels whole, as a line of `ctl_mboxlist -d`.

use std::{future::Future, io, pin::Pin, sync::Arc};

use mailboxes::{Change, dump};
use protocol::{
    location::ServerName,
    mupdate::{
        command::Tool,
        reply::{self, Reply},
    },
    name::MailboxName,
};

use super::{
    conversation::{Conversation, Flow},
    write,
};

/// Puts a mailbox away under the deleted tree, on this server alone: a backend's store does that. The error is for
/// the operator.
pub type Wipe =
    Arc<dyn Fn(MailboxName) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

impl Conversation {
    pub(super) async fn tool(&mut self, tag: &str, tool: Tool) -> io::Result<Flow> {
        let reply = match tool {
            Tool::Dump => return self.dump(tag).await,
            Tool::Put { entry } => self.put(&entry).await?,
            Tool::Drop { name } => match MailboxName::parse(&name) {
                Ok(name) => write::outcome(self.server.list().commit(vec![Change::delete(name)]).await)?,
                Err(error) => Reply::no(error.to_string()),
            },
            Tool::Renew => write::outcome(self.server.list().renew().await)?,
            Tool::Wipe { name } => self.wipe(&name).await,
        };
        self.say(tag, reply);
        Ok(Flow::On)
    }

    async fn dump(&mut self, tag: &str) -> io::Result<Flow> {
        if !self.proven(tag, true).await? {
            return Ok(Flow::On);
        }
        let sent =
            self.send_pages(|out, name, entry| reply::put_dumped(out, tag, &dump::line(name, entry))).await?;
        match sent {
            true => self.say(tag, Reply::ok("dump complete")),
            false => return Ok(Flow::End),
        }
        Ok(Flow::On)
    }

    async fn put(&mut self, entry: &str) -> io::Result<Reply> {
        let Ok(servername) = ServerName::parse(&self.server.settings().servername) else {
            return Ok(Reply::no("this server has no usable name"));
        };
        Ok(match dump::read(&format!("{{{entry}}}"), &servername) {
            Ok(undump) if undump.entries.is_empty() => Reply::no(undump.complaints.join("; ")),
            Ok(undump) => {
                let changes = undump.entries.into_iter().map(|(name, entry)| Change::put(name, entry));
                write::outcome(self.server.list().commit(changes.collect()).await)?
            }
            Err(error) => Reply::no(error.to_string()),
        })
    }

    async fn wipe(&mut self, name: &str) -> Reply {
        match (self.server.wiper(), MailboxName::parse(name)) {
            (Some(wipe), Ok(name)) => match wipe(name).await {
                Ok(()) => Reply::ok("done"),
                Err(why) => Reply::no(why),
            },
            (None, _) => Reply::no("no mailboxes are kept here"),
            (_, Err(error)) => Reply::no(error.to_string()),
        }
    }
}
