//! Putting away a local mailbox that another server has by now: it goes below `DELETED`, on this server alone, so that
//! an error of judgement can be undone. `cyr_expire` ends it later.
//!
//! The store does that, so a running backend is asked. A stopped one does it by itself when it starts.

use config::imapd::Imapd;
use protocol::name::MailboxName;
use tracing::info;

use crate::lists::{Failure, Lists};

/// Puts the mailboxes away. Says and returns at the first that cannot be.
pub async fn all(_imapd: &Imapd, lists: Lists, names: &[MailboxName]) -> Result<(), Failure> {
    match lists {
        Lists::Daemon(mut client, _) => {
            for name in names {
                client
                    .wipe(name)
                    .await
                    .inspect_err(|_| eprintln!("couldn't delete defunct mailbox {name}"))?;
            }
            client.logout().await;
            Ok(())
        }
        lists => {
            names
                .iter()
                .for_each(|name| info!("{name}: left to the backend, which puts it away when it starts"));
            lists.close().await
        }
    }
}
