//! What a script asks of the store. Nothing is changed here.
//!
//! Some answers lie in memory; others must be waited for. On the thread of the delivery nobody waits: the run is given up there, and
//! made again on a thread that may.

use std::future::Future;
use std::sync::Arc;

use protocol::managesieve::ScriptName;
use protocol::name::MailboxName;
use sieve::{Env, Location, Program};
use store::{GLOBAL_SCRIPTS, SHARED, StoreError};
use time::{OffsetDateTime, UtcOffset};
use tokio::runtime::Handle;
use tracing::warn;

use super::names;
use super::trial::Trial;

/// The answers to one run.
pub(super) struct Answers<'t> {
    trial: &'t Trial,
    /// Where it can be waited; none: it cannot.
    waiting: Option<Handle>,
    /// An answer was not to be had without waiting.
    pub unanswered: bool,
}

impl<'t> Answers<'t> {
    pub fn new(trial: &'t Trial, waiting: Option<Handle>) -> Answers<'t> {
        Answers { trial, waiting, unanswered: false }
    }

    fn wait<T>(&mut self, asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let Some(handle) = &self.waiting else {
            self.unanswered = true;
            return None;
        };
        match handle.block_on(asked) {
            Ok(answer) => Some(answer),
            Err(StoreError::NoMailbox) => None,
            Err(error) => {
                warn!(%error, userid = self.trial.userid, "a script's question is not answered");
                None
            }
        }
    }

    fn takes(&self, name: &MailboxName) -> bool {
        names::takes(&self.trial.store, &self.trial.userid, name).unwrap_or(false)
    }
}

impl Env for Answers<'_> {
    fn now(&self) -> i64 {
        self.trial.now
    }

    fn offset(&self, at: i64) -> i32 {
        let at = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC).whole_seconds()
    }

    fn mailbox_exists(&mut self, name: &str) -> bool {
        if name.starts_with('\\') {
            return self.special_use_exists(None, name);
        }
        let found = names::mailbox(&self.trial.store, &self.trial.userid, name);
        found.is_some_and(|name| self.takes(&name))
    }

    fn mailbox_id_exists(&mut self, id: &str) -> bool {
        if self.waiting.is_none() {
            // It looks through all that the user sees.
            self.unanswered = true;
            return false;
        }
        let found = names::of_id(&self.trial.store, &self.trial.userid, id);
        found.is_some_and(|name| self.takes(&name))
    }

    fn special_use_exists(&mut self, mailbox: Option<&str>, special_use: &str) -> bool {
        let trial = self.trial;
        let found = self.wait(names::of_use(&trial.store, &trial.userid, special_use)).flatten();
        let Some(found) = found.filter(|found| self.takes(found)) else { return false };
        match mailbox {
            None => true,
            Some(name) => {
                let Some(name) = names::mailbox(&trial.store, &trial.userid, name) else { return false };
                if name == found {
                    return true;
                }
                let uses = self.wait(trial.store.special_uses(&trial.userid)).unwrap_or_default();
                let has = |uses: &Vec<String>| uses.iter().any(|one| one.eq_ignore_ascii_case(special_use));
                uses.get(&name).is_some_and(has) && self.takes(&name)
            }
        }
    }

    fn metadata(&mut self, mailbox: &str, entry: &str) -> Option<String> {
        let trial = self.trial;
        let name = names::mailbox(&trial.store, &trial.userid, mailbox)?;
        if !self.takes(&name) {
            return None;
        }
        let (entry, user) = whose(entry, &trial.userid)?;
        let mailbox = self.wait(trial.store.mailbox(&name))?;
        let value = mailbox.annotation(&entry, user)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn server_metadata(&mut self, entry: &str) -> Option<String> {
        let trial = self.trial;
        let (entry, user) = whose(entry, &trial.userid)?;
        let all = self.wait(trial.store.server_annotations(user))?;
        all.get(&entry).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn duplicate_seen(&mut self, id: &str) -> bool {
        let marked = self.trial.store.is_marked(&self.trial.userid, &[b"duplicate", id.as_bytes()]);
        marked.unwrap_or_else(|error| {
            warn!(%error, userid = self.trial.userid, "it is not known whether a message came before");
            false
        })
    }

    fn include(&mut self, location: Location, name: &str) -> Result<Option<Arc<Program>>, String> {
        let trial = self.trial;
        let Ok(name) = ScriptName::parse(name) else { return Ok(None) };
        let script = match location {
            Location::Personal => trial.scripts.get(&name).cloned(),
            Location::Global => self.wait(trial.store.scripts(GLOBAL_SCRIPTS)).and_then(|all| all.get(&name)),
        };
        let Some(script) = script else { return Ok(None) };
        if self.waiting.is_none() && trial.rules.programs.known(&script).is_none() {
            self.unanswered = true;
            return Ok(None);
        }
        trial.rules.programs.compile(&script).map(Some).map_err(|why| why.to_string())
    }

    fn environment(&mut self, item: &str) -> Option<String> {
        let trial = self.trial;
        let host = &trial.servername;
        match item {
            "domain" => host.split_once('.').map(|(_, domain)| domain.to_owned()),
            "host" => Some(host.clone()),
            "location" => Some("MDA".to_owned()),
            "name" => Some("Murder LMTP".to_owned()),
            "phase" => Some("during".to_owned()),
            "remote-ip" => trial.remote.map(|address| address.to_string()),
            "version" => Some(env!("CARGO_PKG_VERSION").to_owned()),
            _ => None,
        }
    }
}

/// `/private/comment`, `/shared/comment`: the entry, and whose value is meant.
fn whose<'u>(entry: &str, userid: &'u str) -> Option<(String, &'u str)> {
    let entry = entry.to_ascii_lowercase();
    let (user, rest) = match entry.strip_prefix("/private/") {
        Some(rest) => (userid, rest),
        None => (SHARED, entry.strip_prefix("/shared/")?),
    };
    Some((format!("/{rest}"), user))
}
