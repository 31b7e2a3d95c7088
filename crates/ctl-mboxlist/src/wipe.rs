//! Putting away a local mailbox that another server has by now: it goes below `DELETED`, on this server alone, so that
//! an error of judgement can be undone. `cyr_expire` ends it later.

use config::imapd::Imapd;
use protocol::name::MailboxName;
use store::{Store, StoreError};

use crate::lists::{Failure, Lists};

/// Puts the mailboxes away: a running backend is asked to, a stopped one's store is opened. Says and returns at the
/// first that cannot be.
pub async fn all(imapd: &Imapd, lists: Lists, names: &[MailboxName]) -> Result<(), Failure> {
    let failed = |name: &MailboxName| service::complain!("couldn't delete defunct mailbox {name}");
    if let Lists::Daemon(mut client, _) = lists {
        for name in names {
            client.wipe(name).await.inspect_err(|_| failed(name))?;
        }
        client.logout().await;
        return Ok(());
    }
    // The store opens the list itself.
    lists.close().await?;
    if names.is_empty() {
        return Ok(());
    }
    let said = |error: StoreError| Failure::Said(error.to_string());
    let store = Store::open(imapd, service::names::namespace(imapd), None).await.map_err(said)?;
    for name in names {
        store.put_away(name).await.inspect_err(|_| failed(name)).map_err(said)?;
    }
    store.close().await;
    Ok(())
}
