//! What a tool asks of the daemon that has a list open, over the socket beside it.

use mailboxes::{Entry, dump};
use protocol::{location::ServerName, mupdate::response::Body, name::MailboxName};

use super::{Client, Error, unasked};

impl Client {
    /// Every entry, whole, in key order. Those without a server are `servername`'s.
    pub async fn dump(
        &mut self,
        servername: &ServerName,
        mut each: impl FnMut(MailboxName, Entry),
    ) -> Result<(), Error> {
        let server = self.link.server.clone();
        let broken = |why: String| Error::Protocol { server: server.clone(), why };
        self.ask("DUMP", &[], |body| {
            if let Body::Entry(line) = body {
                let undump =
                    dump::read(&format!("{{{line}}}"), servername).map_err(|e| broken(e.to_string()))?;
                if undump.entries.is_empty() {
                    return Err(broken(undump.complaints.join("; ")));
                }
                undump.entries.into_iter().for_each(|(name, entry)| each(name, entry));
            }
            Ok(())
        })
        .await
    }

    /// Stores an entry whole, whatever was there.
    pub async fn put(&mut self, name: &MailboxName, entry: &Entry) -> Result<(), Error> {
        self.ask("PUT", &[&dump::line(name, entry)], unasked).await
    }

    /// Removes an entry, and nothing else.
    pub async fn drop_entry(&mut self, name: &MailboxName) -> Result<(), Error> {
        self.ask("DROP", &[name.as_str()], unasked).await
    }

    /// Gives the list a new identity.
    pub async fn renew(&mut self) -> Result<(), Error> {
        self.ask("RENEW", &[], unasked).await
    }

    /// Has a backend put a mailbox away under the deleted tree, without telling the master.
    pub async fn wipe(&mut self, name: &MailboxName) -> Result<(), Error> {
        self.ask("WIPE", &[name.as_str()], unasked).await
    }
}
