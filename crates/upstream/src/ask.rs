//! Questions to a backend that concern no user, on an IMAP connection of its own as `proxy_authname`: an operator's, and how much
//! room it has for new mailboxes.

use protocol::frame::{literal_at_end, trim_line};

use crate::dialog::Dialog;
use crate::handshake::imap;
use crate::limits::{ASK_MAX, AT_LENGTH};
use crate::{Capabilities, Error, Upstream};

/// What came back for one command.
#[derive(Debug, Default)]
pub struct Answer {
    /// Untagged lines, without their literals.
    pub lines: Vec<String>,
    pub literals: Vec<Vec<u8>>,
    /// The tagged line, without its tag.
    pub result: String,
}

impl Upstream {
    /// Logs in as `proxy_authname` itself and has one command executed, whatever its answer: what an ordinary user hears.
    pub async fn ask(&self, server: &str, command: &str) -> Result<Answer, Error> {
        self.ask_as(server, None, |_| command.to_owned()).await
    }

    /// The same as [`Upstream::asker`], with a command that depends on what the backend announces.
    pub async fn ask_by(
        &self,
        server: &str,
        command: impl FnOnce(&Capabilities) -> String,
    ) -> Result<Answer, Error> {
        self.ask_as(server, self.asker().as_deref(), command).await
    }

    /// As whom a frontend asks what no user wants to know: an admin, for whom no backend makes an INBOX. Cyrus's makes one for
    /// whoever else logs in and `autocreate_users` names, `proxy_authname` too. None: as itself, since it is one, or nobody is.
    pub fn asker(&self) -> Option<String> {
        let imapd = self.imapd();
        let is_own = imapd.admins.contains(&imapd.proxy_authname);
        // One of a domain is nobody elsewhere.
        let is_one = |admin: &&String| !admin.starts_with("group:") && !admin.contains('@');
        imapd.admins.iter().find(is_one).filter(|_| !is_own).cloned()
    }

    /// The same as an admin for what takes long: each untagged line is given as it comes. A server that says nothing for so long is gone.
    pub async fn ask_at_length(
        &self,
        server: &str,
        command: &str,
        mut each: impl FnMut(&str),
    ) -> Result<String, Error> {
        let connection = self.imap(server, self.asker().as_deref()).await?;
        let mut dialog = Dialog::resume(connection, server, AT_LENGTH);
        dialog.response_max = ASK_MAX;
        let told = |response: &[u8]| each(&String::from_utf8_lossy(trim_line(response)));
        Ok(imap::ask(&mut dialog, command, "question", told).await?.text())
    }

    async fn ask_as(
        &self,
        server: &str,
        user: Option<&str>,
        command: impl FnOnce(&Capabilities) -> String,
    ) -> Result<Answer, Error> {
        let connection = self.imap(server, user).await?;
        let command = command(&connection.capabilities);
        let mut dialog =
            Dialog::resume(connection, server, transport::settings::client_timeout(&self.imapd()));
        dialog.response_max = ASK_MAX;
        let mut answer = Answer::default();
        let result = imap::ask(&mut dialog, &command, "question", |response| answer.take(response)).await?;
        answer.result = result.text();
        Ok(answer)
    }

    /// The value of a server entry of ours (`/shared/vendor/murder/…`); none where the server does not know it.
    pub async fn server_entry(&self, server: &str, entry: &str) -> Result<Option<String>, Error> {
        self.server_entry_as(server, self.asker().as_deref(), entry).await
    }

    /// The same as somebody, or (none) as itself.
    pub async fn server_entry_as(
        &self,
        server: &str,
        user: Option<&str>,
        entry: &str,
    ) -> Result<Option<String>, Error> {
        let mut answer = self.ask_as(server, user, |_| format!("GETMETADATA \"\" ({entry})")).await?;
        Ok(answer.literals.pop().and_then(|value| String::from_utf8(value).ok()))
    }
}

impl Answer {
    /// One whole untagged response, cut into its lines and literals.
    fn take(&mut self, mut response: &[u8]) {
        while let Some(end) = response.iter().position(|&b| b == b'\n') {
            let (line, rest) = response.split_at(end + 1);
            self.lines.push(String::from_utf8_lossy(trim_line(line)).into_owned());
            response = rest;
            let size = literal_at_end(line).and_then(|literal| usize::try_from(literal.size).ok());
            if let Some((literal, rest)) = size.and_then(|size| response.split_at_checked(size)) {
                self.literals.push(literal.to_vec());
                response = rest;
            }
        }
    }
}
