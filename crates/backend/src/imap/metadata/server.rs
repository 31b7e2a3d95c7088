//! Annotations of the server.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::acl::Rights;
use protocol::imap::command::metadata::Entry;
use protocol::imap::{Refusal, Reply, Tag};
use service::notices::Notice;
use store::{SHARED, Setting};

use super::definitions::Scope;
use super::known::{self, FREE_SPACE, OURS};
use super::{May, Present, settable};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::server::VERSION;
use crate::imap::session::Session;

/// All that the user sees of the server's annotations.
pub async fn present(session: &Session) -> Result<Present, Stop> {
    let (store, user) = (&session.server.store, session.user()?.id());
    let mut present = Present::new();
    for (private, of) in [(false, SHARED), (true, user)] {
        for (name, value) in store.server_annotations(of).await?.iter() {
            present.insert(Entry { private, name: name.clone() }, value.clone());
        }
    }
    let notices = session.server.context.notices();
    for (name, text) in [(known::MOTD, notices.motd().await), (known::SHUTDOWN, notices.shutdown().await)] {
        if let Some(text) = text {
            present.insert(Entry::shared(name), Arc::from(text.into_bytes()));
        }
    }
    for (name, value) in room(session) {
        present.insert(Entry::shared(&name), Arc::from(value.into_bytes()));
    }
    Ok(present)
}

/// How much room there is for new mailboxes, KiB: a frontend that chooses among backends asks for it.
fn room(session: &Session) -> [(String, String); 3] {
    let spaces = session.server.store.free_space();
    let (free, total) = spaces.iter().fold((0u64, 0u64), |(free, total), space| {
        (free.saturating_add(space.0), total.saturating_add(space.1))
    });
    let percent = |(free, total): (u64, u64)| free as f64 * 100.0 / total.max(1) as f64;
    let more =
        |most: (u64, u64), space: &(u64, u64)| if percent(*space) > percent(most) { *space } else { most };
    let (most_free, most_total) = spaces.iter().fold(spaces.first().copied().unwrap_or_default(), more);
    [
        (FREE_SPACE.to_owned(), free.to_string()),
        (format!("{FREE_SPACE}/total"), format!("{free};{total}")),
        (format!("{FREE_SPACE}/percent/most"), format!("{most_free};{most_total}")),
    ]
}

/// What one node of a murder tells another: what its options say, who is on, and what moves. For admins and proxies only, and by name.
pub async fn of_murder(session: &Session, entries: &[Entry]) -> Option<(Entry, String)> {
    let user = session.user.as_ref()?;
    let imapd = &session.server.imapd;
    let is_move_server = session.is_move_server();
    if !(user.is_node_admin(&session.server.namespace) || session.is_proxy() || is_move_server) {
        return None;
    }
    let asked = |name: &str| {
        let entry = Entry::shared(&format!("{OURS}/{name}"));
        entries.contains(&entry).then_some(entry)
    };
    if let Some(entry) = asked("options") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let told = serde_json::json!({ "options": imapd.shared_options(), "time": now, "version": VERSION, "server": imapd.servername, "moves": session.server.shared.moving.as_ref().map(|moving| moving.welcome()) });
        return Some((entry, told.to_string()));
    }
    if is_move_server && !user.is_node_admin(&session.server.namespace) {
        return None;
    }
    for entry in entries {
        if let Some(told) = of_moves(session, entry).await {
            return Some((entry.clone(), told));
        }
    }
    let mut sessions = session.server.context.sessions().list();
    // Who asks is only here to ask.
    sessions.retain(|shown| shown.session != session.server.name);
    asked("sessions").zip(serde_json::to_string(&sessions).ok())
}

/// `…/moves`, `…/moves/all`, either with `/after/<id>`: moves that are not over, or all, so many of them; `…/moves/one/<id>`; what became
/// of plans, `…/moves/plans`; what could move, `…/moves/sizes`, also with `/after/<name>`.
async fn of_moves(session: &Session, entry: &Entry) -> Option<String> {
    let asked = entry.name.strip_prefix(OURS)?.strip_prefix("/moves").filter(|_| !entry.private)?;
    let moving = session.server.shared.moving.as_ref();
    let told = match asked {
        _ if asked.starts_with("/sizes") => {
            let after = asked.strip_prefix("/sizes/after/");
            let sizes = match moving {
                Some(moving) => moving.sizes(after).await?,
                None => Vec::new(),
            };
            serde_json::to_string(&sizes)
        }
        _ if asked.starts_with("/one/") => {
            let id = asked.strip_prefix("/one/").unwrap_or_default();
            serde_json::to_string(&moving.and_then(|moving| moving.one(id)))
        }
        "/plans" => serde_json::to_string(&moving.map(|moving| moving.plans()).unwrap_or_default()),
        _ => {
            let (over, asked) = asked.strip_prefix("/all").map_or((false, asked), |rest| (true, rest));
            let after = asked.strip_prefix("/after/");
            if after.is_none() && !asked.is_empty() {
                return None;
            }
            serde_json::to_string(&moving.map(|moving| moving.shown(over, after)).unwrap_or_default())
        }
    };
    told.ok()
}

/// What an operator wants done about moves: a value of `…/moves`, which stands alone. None: something else is set.
pub async fn order(session: &mut Session, tag: &Tag, values: &[(Entry, Option<Vec<u8>>)]) -> Option<Outcome> {
    let [(entry, Some(value))] = values else { return None };
    if *entry != Entry::shared(&format!("{OURS}/moves")) {
        return None;
    }
    let (user, moving) = (session.user.as_ref()?, session.server.shared.moving.clone()?);
    // As for XFER: also one for whom a frontend or another node has logged in.
    if !user.is_admin() || !session.server.namespace.is_of_all(&user.view()) {
        return Some(Err(Refusal::Denied.into()));
    }
    let by = user.login.userid.clone();
    let done = match serde_json::from_slice(value) {
        Ok(order) => {
            // To its end, though the operator goes away.
            let stop = session.server.context.shutdown();
            let done = tokio::spawn(async move { stop.run_until_cancelled(moving.order(order, &by)).await });
            let done = session.finish(tag, done).await;
            done.ok().flatten().unwrap_or_else(|| Err("Server is shutting down".to_owned()))
        }
        Err(error) => Err(format!("not understood: {error}")),
    };
    Some(Ok(match done {
        Ok(Some(told)) => Reply::ok(told),
        Ok(None) => Reply::completed(),
        Err(text) => Reply::no(text),
    }))
}

/// Sets annotations of the server: shared ones are for admins, private ones for everybody. All or none, but for the operator's
/// notices, which are files and come last.
pub async fn set(session: &mut Session, values: Vec<(Entry, Option<Vec<u8>>)>) -> Result<(), Stop> {
    let user = session.user()?;
    let id = user.id().to_owned();
    // An admin of one domain is none of the node.
    let admin = user.is_admin() && session.server.namespace.is_of_all(&user.view());
    let rights = if admin { Rights::ALL } else { Rights::NONE };
    let may = May { shared: admin, admin, private: true, rights };
    let (mut shared, mut private, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, value) in values {
        let value = settable(session, Scope::Server, may, &entry, value.as_deref())?;
        let notice = match entry.name.as_str() {
            known::MOTD => Some(Notice::Motd),
            known::SHUTDOWN => Some(Notice::Shutdown),
            _ => None,
        };
        match (notice, entry.private) {
            (Some(notice), _) => notices.push((notice, value)),
            (None, true) => private.push(Setting { entry: entry.name, user: id.clone(), value }),
            (None, false) => shared.push(Setting { entry: entry.name, user: SHARED.to_owned(), value }),
        }
    }
    let told: Vec<(String, String)> = (shared.iter().chain(&private))
        .map(|setting: &Setting| (setting.entry.clone(), setting.user.clone()))
        .chain(notices.iter().map(|(notice, _)| (notice_entry(*notice).to_owned(), SHARED.to_owned())))
        .collect();
    let store = &session.server.store;
    if !private.is_empty() {
        store.annotate_server(&id, private).await?;
    }
    if !shared.is_empty() {
        store.annotate_server(SHARED, shared).await?;
    }
    for (notice, value) in notices {
        let set = session.server.context.notices().set(notice, value).await;
        set.map_err(|error| {
            tracing::error!(%error, "an operator's notice cannot be written");
            Refusal::Failed
        })?;
    }
    session.server.store.hub().tell_annotated(None, &told, session.watcher());
    Ok(())
}

fn notice_entry(notice: Notice) -> &'static str {
    match notice {
        Notice::Motd => known::MOTD,
        Notice::Shutdown => known::SHUTDOWN,
    }
}
