//! The node's list, wherever it is to be had: a daemon owns its database alone, so that while one runs the tools ask it
//! over the socket beside the list, and open the database themselves while none does.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use config::imapd::Imapd;
use directory::client::{self, Client};
use mailboxes::{Change, CommitError, Entry, LIST_PAGE, List, OpenError, Options};
use protocol::{location::LocationError, location::ServerName, name::MailboxName};
use service::process;
use store::Store;

/// Why a tool could not do its work, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    List(#[from] mailboxes::Error),
    #[error("{0}")]
    Commit(#[from] CommitError),
    #[error("{0}")]
    Daemon(#[from] client::Error),
    #[error("servername: {0}")]
    Servername(#[from] LocationError),
    #[error("{what}: {why}")]
    Io { what: String, why: std::io::Error },
    #[error("{0}")]
    Dump(#[from] mailboxes::dump::ParseError),
    /// Said already, or nothing more to say.
    #[error("{0}")]
    Said(String),
}

impl Failure {
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
        let what = what.into();
        move |why| Failure::Io { what, why }
    }
}

/// A way to one list.
pub enum Lists {
    /// Opened here; nobody else has it.
    Open(List),
    /// Asked of the daemon that has it.
    Daemon(Box<Client>, ServerName),
    /// Not there yet: nothing ever ran.
    Absent,
}

impl Lists {
    /// The list of a program of this node, or the database in another folder.
    ///
    /// # Errors
    /// The database cannot be opened, and no daemon answers for it.
    pub async fn reach(imapd: &Imapd, program: &str, other: Option<&Path>) -> Result<Lists, Failure> {
        let servername = ServerName::parse(&imapd.servername)?;
        let directory = match other {
            Some(path) => folder(path),
            None => imapd.program_directory(program),
        };
        let options = match crate::nodes::is_owner(program, imapd) {
            true => Options::owner(),
            false => Options::replica(),
        };
        let until = Instant::now() + PATIENCE;
        loop {
            // A socket that nobody listens on was left behind by a crash.
            if let Ok(client) = Client::local(&directory.join("socket")).await {
                return Ok(Lists::Daemon(Box::new(client), servername));
            }
            if !directory.join("list.sled").exists() {
                return Ok(Lists::Absent);
            }
            match List::open(&directory, options) {
                Ok(list) => return Ok(Lists::Open(list)),
                // The daemon is only just starting, or another tool is at work.
                Err(error) if error.is_busy() && Instant::now() < until => tokio::time::sleep(LOOK).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As [`Lists::reach`], for what is not urgent: a daemon that is only just starting is not kept from its list.
    pub async fn reach_patiently(imapd: &Imapd, program: &str) -> Result<Lists, Failure> {
        let directory = imapd.program_directory(program);
        let began = Instant::now();
        while Client::local(&directory.join("socket")).await.is_err() {
            let patience = if process::is_held(&directory) { OPENING } else { STARTING };
            if began.elapsed() > patience {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Lists::reach(imapd, program, None).await
    }

    /// As [`Lists::reach`], making the list where there is none yet: a backend's from its spool, which would not be read
    /// any more once there is a list.
    pub async fn reach_or_make(imapd: &Imapd, program: &str, other: Option<&Path>) -> Result<Lists, Failure> {
        match Lists::reach(imapd, program, other).await? {
            Lists::Absent if program == "backend" && other.is_none() => {
                let store = Store::open(imapd, service::names::namespace(imapd), None).await;
                store.map_err(|error| Failure::Said(error.to_string()))?.close().await;
                Lists::reach(imapd, program, other).await
            }
            Lists::Absent => {
                let directory = other.map_or_else(|| imapd.program_directory(program), folder);
                Ok(Lists::Open(List::open(&directory, Options::owner())?))
            }
            reached => Ok(reached),
        }
    }

    /// Whether a daemon runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Lists::Daemon(..))
    }

    /// Hands out every entry, in key order.
    pub async fn each(&mut self, mut each: impl FnMut(MailboxName, Entry)) -> Result<(), Failure> {
        match self {
            Lists::Absent => {}
            Lists::Open(list) => {
                let mut after: Option<MailboxName> = None;
                loop {
                    let page = list.scan(after.as_ref(), LIST_PAGE)?;
                    after = page.entries.last().map(|(name, _)| name.clone());
                    page.entries.into_iter().for_each(|(name, entry)| each(name, entry));
                    if !page.more {
                        break;
                    }
                }
            }
            Lists::Daemon(client, servername) => client.dump(servername, each).await?,
        }
        Ok(())
    }

    /// All of them.
    pub async fn all(&mut self) -> Result<Vec<(MailboxName, Entry)>, Failure> {
        let mut all = Vec::new();
        self.each(|name, entry| all.push((name, entry))).await?;
        Ok(all)
    }

    /// Stores entries, whatever was there.
    pub async fn put(&mut self, entries: Vec<(MailboxName, Entry)>) -> Result<(), Failure> {
        match self {
            Lists::Absent if entries.is_empty() => {}
            Lists::Absent => return Err(Failure::Said("there is no mailboxes database yet".into())),
            Lists::Open(list) => {
                for some in entries.chunks(LIST_PAGE) {
                    let changes = some.iter().map(|(name, entry)| Change::put(name.clone(), entry.clone()));
                    list.commit(changes.collect()).await?;
                }
            }
            Lists::Daemon(client, _) => {
                for (name, entry) in &entries {
                    client.put(name, entry).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes entries; those that are not there are no error.
    pub async fn remove(&mut self, names: Vec<MailboxName>) -> Result<(), Failure> {
        match self {
            Lists::Absent => {}
            Lists::Open(list) => {
                for some in names.chunks(LIST_PAGE) {
                    list.commit(some.iter().cloned().map(Change::delete).collect()).await?;
                }
            }
            Lists::Daemon(client, _) => {
                for name in &names {
                    client.drop_entry(name).await?;
                }
            }
        }
        Ok(())
    }

    /// Gives the list a new identity, after entries were put in from outside.
    pub async fn renew(&mut self) -> Result<(), Failure> {
        match self {
            Lists::Absent => {}
            Lists::Open(list) => drop(list.renew().await?),
            Lists::Daemon(client, _) => client.renew().await?,
        }
        Ok(())
    }

    /// Puts everything on disk and lets go.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Lists::Absent => {}
            Lists::Open(list) => drop(list.close().await?),
            Lists::Daemon(client, _) => client.logout().await,
        }
        Ok(())
    }
}

/// The folder that holds `list.sled`, however it was named.
fn folder(path: &Path) -> PathBuf {
    match path.file_name().is_some_and(|name| name == "list.sled") {
        true => path.parent().unwrap_or(Path::new(".")).to_owned(),
        false => path.to_owned(),
    }
}

/// How long a daemon may take to begin, and how long to open its list; and how often that is looked at.
const STARTING: Duration = Duration::from_secs(1);
const OPENING: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// How long somebody else may have the list open who does not answer for it yet.
const PATIENCE: Duration = Duration::from_secs(10);
