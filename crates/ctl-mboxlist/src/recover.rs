//! `ctl_cyrusdb -r`: the lists that nobody else could bring back are opened and read through, before their daemons do.
//!
//! A backend's list that is damaged is set aside, since the spool tells everything that was in it. A master's is not: only
//! a dump brings it back, and that is for the operator. A replica's is left to its daemon, which notices damage as it
//! loads and fills a new one: with a million mailboxes a second reading would delay the start by as much.
//!
//! Reservations stay. Unlike in Cyrus they survive a restart, since this line stands in START of every node while nobody
//! is connected; `--reservations SERVER` removes those of one server by hand.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use config::imapd::Imapd;
use directory::client::Client;
use mailboxes::{List, OpenError, Options};
use protocol::name::MailboxName;
use tracing::{info, warn};

use crate::lists::{Failure, Lists};
use crate::nodes;

/// Checks every list.
///
/// # Errors
/// A master's list is damaged.
pub async fn run(imapd: &Imapd) -> Result<(), Failure> {
    for (program, directory) in nodes::with_lists(imapd) {
        if !nodes::is_owner(&program, imapd) {
            continue;
        }
        match check(&directory).await {
            Ok(entries) => info!("{program}: {entries} mailboxes"),
            Err(Damage::InUse) => info!("{program}: in use by its daemon"),
            Err(Damage::Failed(failure)) => return Err(failure),
            Err(Damage::Broken(why)) if program == "mupdate" => {
                let backup = Path::new(&imapd.configdirectory).join("db.backup1/mupdate.json");
                let message = format!(
                    "{}: {why}. Move it away, and bring the list back with ctl_mboxlist -u < {}, or leave that to the \
                     backends, which tell what they have",
                    directory.join("list.sled").display(),
                    backup.display()
                );
                return Err(Failure::Said(message));
            }
            Err(Damage::Broken(why)) => set_aside(&program, &directory, &why)?,
        }
    }
    Ok(())
}

enum Damage {
    InUse,
    Broken(String),
    Failed(Failure),
}

async fn check(directory: &Path) -> Result<usize, Damage> {
    let open = |error: OpenError| match (error.is_busy(), error.is_corrupt()) {
        (true, _) => Damage::InUse,
        (_, true) => Damage::Broken(error.to_string()),
        _ => Damage::Failed(error.into()),
    };
    let list = List::open(directory, Options::owner().without_tables()).map_err(open)?;
    let (mut entries, mut after) = (0, None::<MailboxName>);
    loop {
        let page = list.scan(after.as_ref(), 1000).map_err(|error| Damage::Broken(error.to_string()))?;
        entries += page.entries.len();
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more {
            break;
        }
    }
    list.close().await.map_err(|error| Damage::Failed(error.into()))?;
    Ok(entries)
}

fn set_aside(program: &str, directory: &Path, why: &str) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (from, to) = (directory.join("list.sled"), directory.join(format!("list.sled.damaged-{now}")));
    warn!("{program}: {why}: set aside as {}", to.display());
    std::fs::rename(&from, &to).map_err(Failure::io(from.display().to_string()))
}

/// Frees the names that a server has reserved and not used, at this node's master list.
///
/// # Errors
/// The list cannot be reached, or is not a master's.
pub async fn reservations(imapd: &Imapd, server: &str) -> Result<(), Failure> {
    let mut lists = Lists::reach(imapd, "mupdate", None).await?;
    let mut reserved = Vec::new();
    lists
        .each(|name, entry| {
            if !entry.is_active() && entry.server() == server {
                reserved.push(name);
            }
        })
        .await?;
    match &mut lists {
        Lists::Daemon(client, _) => delete(client, &reserved).await?,
        lists => lists.remove(reserved.clone()).await?,
    }
    reserved.iter().for_each(|name| service::say!("removed reserved mailbox '{name}'"));
    lists.close().await
}

async fn delete(client: &mut Client, reserved: &[MailboxName]) -> Result<(), Failure> {
    for name in reserved {
        client.delete(name).await?;
    }
    Ok(())
}
