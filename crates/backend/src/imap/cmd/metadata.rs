//! GETMETADATA and SETMETADATA (RFC 5464), and GETANNOTATION for frontends of old, and of Cyrus.

use listing::Viewer;
use protocol::acl::Rights;
use protocol::imap::command::metadata::{
    Entry, GetAnnotation, GetMetadata, SetMetadata, print_annotation, print_metadata, print_of_murder,
};
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply, Tag};
use protocol::name::MailboxName;
use work::aside::{Budget, Pace};

use crate::imap::metadata::{self, Picked, Present};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;

pub async fn get(session: &mut Session, get: GetMetadata) -> Outcome {
    let get = if session.is_proxy() { get.of_frontend() } else { get };
    let mut longest = None;
    for mailbox in &get.mailboxes {
        let told = if mailbox.is_empty() {
            of_server(session, &get).await?
        } else if mailbox.contains(['*', '%']) {
            of_all(session, &get, mailbox).await?
        } else {
            let (name, _, rights) = session.find(mailbox).await?;
            metadata::mailbox::may_read(session, rights)?;
            write(session, &name, mailbox, &get).await?
        };
        longest = longest.max(told);
    }
    Ok(match longest {
        Some(bytes) => Reply::completed().code(Code::LongEntries(bytes)),
        None => Reply::completed(),
    })
}

/// The line of one mailbox. Gives the size of the longest value that was left out.
pub async fn write(
    session: &mut Session,
    name: &MailboxName,
    external: &str,
    get: &GetMetadata,
) -> Result<Option<u64>, Stop> {
    let present = match metadata::mailbox::listed(session, name, get)? {
        Some(present) => present,
        None => metadata::mailbox::present(session, name).await?,
    };
    answer(session, external, present, get).await
}

async fn answer(
    session: &mut Session,
    external: &str,
    present: Present,
    get: &GetMetadata,
) -> Result<Option<u64>, Stop> {
    let wide = get.entries.iter().any(|entry| entry.is_wide(get.options.depth));
    // What is asked for by name is looked up; what fits patterns is searched for.
    let Picked { values, longest } = match wide {
        false => metadata::pick(&present, &get.entries, get.options, None).unwrap_or_default(),
        true => {
            let (entries, options) = (get.entries.clone(), get.options);
            let pick = move |budget: &Budget| metadata::pick(&present, &entries, options, Some(budget));
            session.aside(pick).await?
        }
    };
    if !values.is_empty() {
        print_metadata(session.conn.out(), external, &values);
        session.conn.relieve().await?;
    }
    Ok(longest)
}

async fn of_server(session: &mut Session, get: &GetMetadata) -> Result<Option<u64>, Stop> {
    if let Some((entry, value)) = metadata::server::of_murder(session, &get.entries).await {
        print_of_murder(session.conn.out(), &entry.to_string(), value.as_bytes());
        return Ok(None);
    }
    let present = metadata::server::present(session).await?;
    answer(session, "", present, get).await
}

async fn of_all(session: &mut Session, get: &GetMetadata, pattern: &str) -> Result<Option<u64>, Stop> {
    let pattern = session.server.namespace.pattern("", pattern);
    let look = move |viewer: &Viewer, budget: &Budget| viewer.fitting(&pattern, budget);
    let (mut longest, mut pace) = (None, Pace::default());
    for seen in session.look(look).await? {
        if metadata::mailbox::may_read(session, seen.rights).is_err() {
            continue;
        }
        match write(session, &seen.name, &seen.external, get).await {
            Ok(told) => longest = longest.max(told),
            // It went away meanwhile, or cannot be opened.
            Err(Stop::Refused(_)) => {}
            Err(stop) => return Err(stop),
        }
        pace.steps(16).await;
    }
    Ok(longest)
}

pub async fn set(session: &mut Session, tag: &Tag, set: SetMetadata) -> Outcome {
    if set.mailbox.is_empty()
        && let Some(done) = metadata::server::order(session, tag, &set.values).await
    {
        return done;
    }
    match set.mailbox.is_empty() {
        true => metadata::server::set(session, set.values).await?,
        false => metadata::mailbox::set(session, &set.mailbox, set.values).await?,
    }
    Ok(Reply::completed())
}

/// `annotation_enable_legacy_commands`; a proxy of an earlier build asks so.
fn legacy(session: &Session) -> Result<(), Refusal> {
    let enabled = session.server.imapd.annotation_enable_legacy_commands;
    match enabled || session.is_proxy() {
        true => Ok(()),
        false => Err(Refusal::Denied),
    }
}

pub async fn annotation(session: &mut Session, get: GetAnnotation) -> Outcome {
    legacy(session)?;
    let Some(attributes) = &get.attributes else { return self::get(session, get.of_frontend()).await };
    let wanted = |attribute: &str| attribute == "*" || attribute == "value" || attribute.starts_with("value");
    if !attributes.iter().any(|attribute| wanted(attribute)) {
        return Ok(Reply::completed());
    }
    let entry = |name: &String| Entry::read(format!("/shared{name}").as_bytes(), true);
    let entries: Vec<Entry> = get.entries.iter().filter_map(entry).collect();
    let present = if get.mailbox.is_empty() {
        metadata::server::present(session).await?
    } else {
        let (name, _, rights) = session.find(&get.mailbox).await?;
        let admin = session.user()?.is_admin();
        if !admin && !rights.contains(Rights::LOOKUP) {
            return Err(Refusal::NoMailbox.into());
        }
        metadata::mailbox::present(session, &name).await?
    };
    let pick = move |budget: &Budget| metadata::pick(&present, &entries, Default::default(), Some(budget));
    for (entry, value) in session.aside(pick).await?.values {
        let Some(value) = value else { continue };
        print_annotation(session.conn.out(), &get.mailbox, &entry.name, &value);
        session.conn.relieve().await?;
    }
    Ok(Reply::completed())
}

/// SETANNOTATION sets nothing: SETMETADATA does.
pub fn set_annotation() -> Outcome {
    Err(Refusal::Denied.into())
}

/// XWARMUP: what a mailbox's sessions need first is read into memory, at most its index.
pub async fn warm_up(session: &mut Session, external: &str) -> Outcome {
    let (name, _, rights) = session.find(external).await?;
    require(rights, Rights::LOOKUP | Rights::READ)?;
    session.server.store.mailbox(&name).await?;
    Ok(Reply::completed())
}
