//! SUBSCRIBE, UNSUBSCRIBE and LSUB: a user's subscriptions are kept by the backend of his INBOX.

use std::collections::HashSet;

use protocol::acl::Rights;
use protocol::imap::Refusal;
use protocol::imap::command::list::{Kind, Line, Lsub};

use super::Request;
use super::look::look_around;
use crate::session::{Done, Outcome, Session, Stop};

/// `SUBSCRIBE mailbox`: it must exist somewhere, and the user know of it, unless `allowallsubscribe` says otherwise.
pub async fn subscribe(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    if s.listener.imapd().allowallsubscribe {
        s.internal(mailbox)?;
        return at_home(s, request, mailbox).await;
    }
    let located = s.locate(mailbox).await?;
    let rights = s.rights(&located.name, &located.entry.acl)?;
    if !rights.contains(Rights::LOOKUP) && !s.user()?.is_admin() {
        return Err(Refusal::NoMailbox.into());
    }
    at_home(s, request, mailbox).await
}

/// `UNSUBSCRIBE mailbox`: whether or not it exists.
pub async fn unsubscribe(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    s.internal(mailbox)?;
    at_home(s, request, mailbox).await
}

async fn at_home(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    let home = s.home().await?.ok_or(Refusal::NoInbox)?;
    let answer = s.forward(&home, &request.head.tag, request.text()).await?;
    if answer.is_ok() {
        s.knows_name(mailbox);
    }
    Ok(answer.into())
}

/// `LSUB reference pattern`, `RLSUB …`
pub async fn lsub(s: &mut Session, request: &Request, lsub: Lsub) -> Outcome {
    s.note_referrals(request.head.verb == "RLSUB");
    s.hear_selected("").await?;
    let separator = s.node.namespace.separator();
    if lsub.pattern.is_empty() {
        s.client.print(|out| Line::of_separator(Kind::Lsub, separator).print(out));
        return Ok(Done::completed());
    }
    let all = subscriptions(s).await?;
    let out = look_around(s, move |viewer, budget| listing::lsub(&lsub, &all, viewer, budget)).await?;
    s.client.put(out);
    Ok(Done::completed())
}

/// What the user is subscribed to, as he calls it. Without an INBOX, nothing.
pub async fn subscriptions(s: &mut Session) -> Result<HashSet<String>, Stop> {
    let Some(home) = s.home().await? else { return Ok(HashSet::new()) };
    let lines = super::lines::ask_lines(s, &home, "LSUB \"\" \"*\"", Kind::Lsub).await?;
    Ok(lines.into_iter().map(|line| line.name).collect())
}
