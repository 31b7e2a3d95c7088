//! Quotas (RFC 9208): kept by the backend that has the mailboxes below the root.

use protocol::imap::Refusal;
use protocol::imap::command::quota::SetQuota;

use super::Request;
use crate::session::{Located, Outcome, Session, Stop};

/// `GETQUOTAROOT mailbox`
pub async fn get_root(s: &mut Session, request: &Request) -> Outcome {
    let (mailbox, _) = request.head.mailbox(&request.raw)?;
    let located = s.locate(&mailbox).await?;
    pass(s, request, &located).await
}

/// `GETQUOTA root`
pub async fn get(s: &mut Session, request: &Request, root: &str) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let located = whole_tree(s, root).await?;
    pass(s, request, &located).await
}

/// `SETQUOTA root (limits)`
pub async fn set(s: &mut Session, request: &Request, set: SetQuota) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let located = whole_tree(s, set.root.strip_prefix('+').unwrap_or(&set.root)).await?;
    pass(s, request, &located).await
}

async fn pass(s: &mut Session, request: &Request, located: &Located) -> Outcome {
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// The mailbox that a root is named after, if all that is below it is on one backend: each counts only its own.
async fn whole_tree(s: &Session, root: &str) -> Result<Located, Stop> {
    let located = match s.locate(root).await {
        Err(Stop::Refused(Refusal::NoMailbox)) => return Err(Refusal::NoQuotaRoot.into()),
        other => other?,
    };
    on_one_server(s, &located)?;
    Ok(located)
}

/// Refuses where something below a mailbox is on another backend.
pub fn on_one_server(s: &Session, root: &Located) -> Result<(), Stop> {
    let list = s.node.directory.list();
    let mut after = None;
    loop {
        let page = list.subtree(&root.name, after.as_ref(), PAGE).map_err(crate::node::unreadable)?;
        if page.entries.iter().any(|(_, entry)| entry.server() != root.server()) {
            return Err(Refusal::SplitHierarchy.into());
        }
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more {
            return Ok(());
        }
    }
}

/// Entries taken at once from the list.
const PAGE: usize = 1000;
