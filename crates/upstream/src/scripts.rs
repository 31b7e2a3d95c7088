//! A user's Sieve scripts on a backend, read and written by ManageSieve (RFC 5804) as `proxy_authname` for the user.

use crate::dialog::Dialog;
use crate::handshake::sieve::{ManageSieve, answer};
use crate::wire::sieve::Answer;
use crate::{Error, Upstream};

/// A session on the scripts of one user.
pub struct Scripts {
    dialog: ManageSieve,
}

/// A script as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub active: bool,
}

impl Upstream {
    /// Logs in at a server for a user; each later step is bounded by `client_timeout`.
    pub async fn scripts(&self, server: &str, user: &str) -> Result<Scripts, Error> {
        let connection = self.sieve(server, user, None).await?;
        let bound = transport::settings::client_timeout(&self.imapd());
        Ok(Scripts { dialog: Dialog::resume(connection, server, bound) })
    }
}

impl Scripts {
    /// All scripts, in the server's order.
    pub async fn list(&mut self) -> Result<Vec<Listed>, Error> {
        let lines = self.must("LISTSCRIPTS", &[]).await?;
        let listed = |line: String| match line.strip_suffix(" ACTIVE") {
            Some(name) => Listed { name: name.to_owned(), active: true },
            None => Listed { name: line, active: false },
        };
        Ok(lines.into_iter().map(listed).collect())
    }

    /// The text of one. What is no UTF-8 is replaced.
    pub async fn get(&mut self, name: &str) -> Result<String, Error> {
        Ok(self.must("GETSCRIPT", &[name.as_bytes()]).await?.concat())
    }

    /// Stores one, in place of what has its name. An inner error is the server's reason why not.
    pub async fn put(&mut self, name: &str, script: &[u8]) -> Result<Result<(), String>, Error> {
        Ok(self.ask("PUTSCRIPT", &[name.as_bytes(), script]).await?.map(drop))
    }

    /// Makes one the active one.
    pub async fn activate(&mut self, name: &str) -> Result<Result<(), String>, Error> {
        Ok(self.ask("SETACTIVE", &[name.as_bytes()]).await?.map(drop))
    }

    async fn must(&mut self, word: &'static str, strings: &[&[u8]]) -> Result<Vec<String>, Error> {
        self.ask(word, strings).await?.map_err(|why| self.dialog.unexpected(word, &why))
    }

    async fn ask(
        &mut self,
        word: &'static str,
        strings: &[&[u8]],
    ) -> Result<Result<Vec<String>, String>, Error> {
        let d = &mut self.dialog;
        d.wire.command_with(word, strings, &mut d.out).map_err(d.out_of_step(word))?;
        match answer(d, word).await? {
            Answer::Ok(lines) => Ok(Ok(lines)),
            Answer::Refused(why) => Ok(Err(why)),
            Answer::Challenge(text) => Err(d.unexpected(word, &text)),
        }
    }
}
