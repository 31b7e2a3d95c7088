//! LIST with its extensions (RFC 3501, RFC 5258, RFC 5819, RFC 6154, RFC 8440, RFC 9590) and NAMESPACE (RFC 2342).
//!
//! What the user may see, and what is shown of it, is [`listing`]'s to say, on a blocking thread.

use std::collections::BTreeMap;

use listing::{Facts, Seen, Unseen, Viewer};
use protocol::acl::Rights;
use protocol::imap::command::acl::print_my_rights;
use protocol::imap::command::list::{Kind, Line, List, print_namespace};
use protocol::imap::command::metadata::GetMetadata;
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Code, Refusal, Reply};
use protocol::name::MailboxName;
use work::aside::{Budget, Pace};

use crate::imap::metadata;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;

impl Session {
    /// Looks through the list on a blocking thread.
    pub async fn look<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Viewer, &Budget) -> Result<T, Unseen> + Send + 'static,
    ) -> Result<T, Stop> {
        let viewer = self.viewer()?;
        let looked = self.aside(move |budget| match work(&viewer, budget) {
            Ok(seen) => Ok(Ok(seen)),
            Err(Unseen::Unreadable(error)) => Ok(Err(error)),
            Err(Unseen::Spent(spent)) => Err(spent),
        });
        looked.await?.map_err(unlisted)
    }

    pub fn viewer(&self) -> Result<Viewer, Stop> {
        let (user, server) = (self.user()?, &self.server);
        Ok(Viewer {
            list: server.store.list().clone(),
            namespace: server.namespace.clone(),
            granting: server.store.granting(),
            userid: user.id().to_owned(),
            groups: user.login.groups.clone(),
            admin: user.is_admin(),
            utf8: user.utf8,
            inbox: server.namespace.inbox(user.id()).ok(),
            hides_users: server.imapd.disable_user_namespace,
            hides_shared: server.imapd.disable_shared_namespace,
        })
    }
}

pub async fn list(session: &mut Session, list: List) -> Outcome {
    if list.patterns.iter().all(String::is_empty) && !list.extended {
        let kind = if list.xlist { Kind::Xlist } else { Kind::List };
        let separator = session.server.namespace.separator();
        Line::of_separator(kind, separator).print(session.conn.out());
        return Ok(Reply::completed());
    }
    let list = list.narrowed(session.server.imapd.foolstupidclients);
    if list.returns.status.contains(&StatusItem::HighestModseq) {
        session.enable_condstore();
    }
    let state = match list.returns.subscribed || list.select.subscribed {
        true => Some(session.server.store.user_state(session.user()?.id()).await?),
        false => None,
    };
    let uses = special_uses(session, &list).await?;
    let asked = list.clone();
    let look = move |viewer: &Viewer, budget: &Budget| {
        let names = state.iter().flat_map(|state| &state.subscriptions);
        let facts = Facts {
            subscribed: names.filter_map(|name| viewer.listed(name)).collect(),
            uses: uses.into_iter().filter_map(|(name, uses)| Some((viewer.named(&name)?, uses))).collect(),
            ..Facts::default()
        };
        listing::list(asked, facts, viewer, budget)
    };
    let answer = session.look(look).await?;
    let (mut pace, mut longest) = (Pace::default(), None);
    let wanted = GetMetadata {
        mailboxes: Vec::new(),
        options: list.select.metadata,
        entries: list.returns.metadata.clone(),
    };
    for line in &answer.lines {
        answer.print(line, session.conn.out());
        if let Some(seen) = answer.seen(line) {
            longest = longest.max(extras(session, &list, &wanted, seen).await?);
        }
        session.conn.relieve().await?;
        pace.step().await;
    }
    Ok(match longest {
        Some(bytes) => Reply::completed().code(Code::LongEntries(bytes)),
        None => Reply::completed(),
    })
}

/// STATUS, MYRIGHTS and METADATA lines behind a mailbox's LIST line. Gives the size of the longest value that was left out.
async fn extras(
    session: &mut Session,
    list: &List,
    wanted: &GetMetadata,
    seen: &Seen,
) -> Result<Option<u64>, Stop> {
    if !list.returns.status.is_empty() && seen.rights.contains(Rights::READ) {
        // A mailbox that went away meanwhile, or cannot be opened, just has no STATUS line (RFC 5819 section 2).
        let told = super::status::write(session, &seen.name, &seen.external, &list.returns.status).await;
        match told {
            Err(Stop::Refused(_)) => {}
            other => other?,
        }
    }
    if list.returns.my_rights {
        print_my_rights(session.conn.out(), &seen.external, seen.rights);
    }
    if wanted.entries.is_empty() || metadata::mailbox::may_read(session, seen.rights).is_err() {
        return Ok(None);
    }
    match super::metadata::write(session, &seen.name, &seen.external, wanted).await {
        Err(Stop::Refused(_)) => Ok(None),
        other => other,
    }
}

/// Special-use attributes of the user's own mailboxes, where this LIST, or `specialusealways`, asks for them.
async fn special_uses(session: &Session, list: &List) -> Result<BTreeMap<MailboxName, Vec<String>>, Stop> {
    let asked = list.xlist || list.select.special_use || list.returns.special_use;
    if !asked && !session.server.imapd.specialusealways {
        return Ok(BTreeMap::new());
    }
    let user = session.user()?;
    Ok(session.server.store.special_uses(user.id()).await?.into_iter().collect())
}

pub async fn namespace(session: &mut Session) -> Outcome {
    let user = session.user()?;
    let (namespace, imapd) = (&session.server.namespace, &session.server.imapd);
    let sep = namespace.separator();
    let inbox = namespace.inbox(user.id()).ok();
    let has_inbox = match &inbox {
        Some(inbox) => session.server.store.list().get(inbox).map_err(unlisted)?.is_some(),
        None => false,
    };
    let alt = namespace.altnamespace && !user.is_admin();
    let admin = user.is_admin();
    let own = if alt { String::new() } else { format!("INBOX{sep}") };
    let others = if alt { format!("{}{sep}", namespace.userprefix) } else { format!("user{sep}") };
    let shared = if alt { format!("{}{sep}", namespace.sharedprefix) } else { String::new() };
    let prefixes = [
        has_inbox.then_some(own.as_str()),
        (admin || !imapd.disable_user_namespace).then_some(others.as_str()),
        (admin || !imapd.disable_shared_namespace).then_some(shared.as_str()),
    ];
    print_namespace(session.conn.out(), sep, prefixes);
    Ok(Reply::completed())
}

/// The list of mailboxes cannot be read.
pub fn unlisted(error: mailboxes::Error) -> Stop {
    tracing::error!(%error, "the mailbox list cannot be read");
    Refusal::ListUnreadable.into()
}
