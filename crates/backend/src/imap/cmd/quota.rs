//! GETQUOTA, SETQUOTA and GETQUOTAROOT: RFC 9208. A frontend's users see their quota by GETQUOTAROOT; the other two are
//! for admins (spec of Cyrus: GETQUOTA too).

use protocol::acl::Rights;
use protocol::imap::command::quota::{SetQuota, Usage, print_quota, print_quota_root};
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply};
use protocol::name::{MailboxName, NameError};

use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;
use store::{Limits, Quota};

pub async fn get(session: &mut Session, root: &str) -> Outcome {
    if !session.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let name = named(session, root)?;
    let Some(quota) = session.server.store.quota(&name).await else {
        return Err(Refusal::NoQuotaRoot.into());
    };
    write_quota(session, root, &quota);
    Ok(Reply::completed())
}

/// What a root is called. An administrator of one domain knows of no roots in others.
fn named(session: &Session, root: &str) -> Result<MailboxName, Stop> {
    let namespace = &session.server.namespace;
    namespace.internal(root, &session.user()?.view()).map_err(|error| match error {
        NameError::Foreign => Refusal::NoQuotaRoot.into(),
        NameError::Invalid => Refusal::BadName.into(),
    })
}

pub async fn root(session: &mut Session, external: &str) -> Outcome {
    let (name, _, rights) = session.find(external).await?;
    if !session.user()?.is_admin() {
        require(rights, Rights::READ)?;
    }
    let store = &session.server.store;
    let found = match store.quota_root(&name) {
        Some(root) => store.quota(&root).await.map(|quota| (quota, root)),
        None => None,
    };
    let root = match &found {
        Some((_, root)) => Some(session.user()?.external(root, &session.server.namespace)),
        None => None,
    };
    print_quota_root(session.conn.out(), external, root.as_deref());
    if let (Some(root), Some((quota, _))) = (root, found) {
        write_quota(session, &root, &quota);
    }
    Ok(Reply::completed())
}

pub async fn set(session: &mut Session, set: SetQuota) -> Outcome {
    if !session.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let (root, force) = match set.root.strip_prefix('+') {
        Some(root) => (root, true),
        None => (set.root.as_str(), false),
    };
    let name = named(session, root)?;
    let mut limits = Limits::default();
    for (resource, limit) in set.limits {
        match resource.as_str() {
            "STORAGE" => limits.storage = limit,
            "MESSAGE" => limits.message = limit,
            "MAILBOX" | "X-NUM-FOLDERS" => limits.mailbox = limit,
            "ANNOTATION-STORAGE" | "X-ANNOTATION-STORAGE" => limits.annotation_storage = limit,
            _ => return Err(Refusal::UnknownResource.into()),
        }
    }
    session.server.store.set_quota(&session.actor()?, &name, limits, force).await?;
    // RFC 9208 section 4.1.4: what became of it.
    if let Some(quota) = session.server.store.quota(&name).await {
        write_quota(session, root, &quota);
    }
    Ok(Reply::completed())
}

fn write_quota(session: &mut Session, root: &str, quota: &Quota) {
    let resources = [
        ("STORAGE", kib(quota.usage.storage), quota.limits.storage),
        ("MESSAGE", quota.usage.message, quota.limits.message),
        ("MAILBOX", quota.usage.mailbox, quota.limits.mailbox),
        ("ANNOTATION-STORAGE", kib(quota.usage.annotation_storage), quota.limits.annotation_storage),
    ];
    let limited: Vec<Usage> = (resources.into_iter())
        .filter_map(|(name, used, limit)| limit.map(|limit| (name, used, limit)))
        .collect();
    print_quota(session.conn.out(), root, &limited);
}

/// Bytes as RFC 9208 section 5.1 counts them, whole units only, as in Cyrus.
pub fn kib(bytes: u64) -> u64 {
    bytes / 1024
}

/// `* NO [ALERT] …` where a quota is nearly full: `quotawarnpercent`, and less left than `quotawarnsize` or
/// `quotawarnmsg` where those are set.
pub fn warn(session: &mut Session, mailbox: &MailboxName) {
    let store = &session.server.store;
    let Some((quota, root)) =
        store.quota_root(mailbox).and_then(|root| Some((store.quota_now(&root)?, root)))
    else {
        return;
    };
    let imapd = &session.server.imapd;
    let near = |used: u64, limit: u64, left: u64| {
        let percent = used.saturating_mul(100) / limit.max(1);
        let full = percent >= u64::from(imapd.quotawarnpercent);
        (full && (left == 0 || limit.saturating_sub(used) < left)).then_some(percent)
    };
    let storage = quota
        .limits
        .storage
        .and_then(|limit| near(quota.usage.storage, limit.saturating_mul(1024), imapd.quotawarnsize));
    let messages = (quota.limits.message)
        .and_then(|limit| near(quota.usage.message, limit, u64::from(imapd.quotawarnmsg)));
    if (storage.is_none() && messages.is_none()) || !session.server.shared.warned.is_due(&root) {
        return;
    }
    let mut told = |text: String| Reply::no(text).code(Code::Alert).write(None, session.conn.out());
    for (resource, percent) in [("STORAGE", storage), ("MESSAGE", messages)] {
        match percent {
            Some(percent) if percent > 100 => {
                told(format!("Mailbox is over {resource} quota"));
            }
            Some(percent) => {
                told(format!("Mailbox is at {percent}% of {resource} quota"));
            }
            None => {}
        }
    }
}
