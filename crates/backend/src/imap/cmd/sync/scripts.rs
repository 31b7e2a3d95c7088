//! SIEVE and its like: a user's scripts come in, one by one.
//!
//! A script that does not compile here is kept as it is, and a move from a Cyrus fails if it is the one that runs there: the user's
//! mail would be filed otherwise from then on. Between servers of ours a script runs as it did.

use protocol::sync::{Code, Script};
use store::{UserData, UserScripts};
use tracing::{info, warn};
use work::aside::weighed;

use super::Done;
use super::user::{check_user, own};
use crate::imap::session::Session;
use crate::transit::{Refused, inbox};

/// SIEVE. What Cyrus has compiled of a script is passed over.
pub async fn put(session: &Session, script: Script) -> Done {
    check_user(&script.user)?;
    let Some(name) = script.name() else {
        info!(user = script.user, file = script.file, "a file beside a user's scripts is not taken over");
        return Ok(());
    };
    let new = store::Script::new(name.clone(), script.content, script.last_update);
    change(session, &script.user, |scripts| scripts.with(new)).await
}

/// UNSIEVE.
pub async fn remove(session: &Session, script: Script) -> Done {
    check_user(&script.user)?;
    match script.name() {
        Some(name) => change(session, &script.user, |scripts| scripts.without(name)).await,
        None => Ok(()),
    }
}

/// ACTIVATE_SIEVE; without a name UNACTIVATE_SIEVE.
pub async fn activate(session: &Session, script: Script) -> Done {
    check_user(&script.user)?;
    let name = script.activated();
    if name.is_none() && !script.file.is_empty() {
        return Err(Code::BadParameters.into());
    }
    if let Some(name) = &name {
        let data = own(session, &script.user).await?;
        if data.scripts.get(name).is_none() {
            return Err(Code::BadParameters.into());
        }
    }
    change(session, &script.user, |scripts| scripts.with_active(name)).await
}

/// It may be done though the user is another server's still, or was here before.
async fn change(session: &Session, user: &str, edit: impl FnOnce(UserScripts) -> UserScripts) -> Done {
    let data = own(session, user).await?;
    let scripts = edit((*data.scripts).clone());
    if *data.scripts == scripts {
        return Ok(());
    }
    if comes_from_cyrus(session, user) {
        check_active(user, &scripts).await?;
    }
    let data = UserData { scripts: scripts.into(), ..data };
    Ok(session.server.store.take_user_data(&data).await?)
}

fn comes_from_cyrus(session: &Session, user: &str) -> bool {
    let Some(inbox) = inbox(user, &session.server.store) else { return false };
    session.server.shared.transit.of(&inbox).iter().any(|copy| copy.of().is_of_cyrus())
}

async fn check_active(user: &str, scripts: &UserScripts) -> Result<(), Refused> {
    let Some(active) = scripts.active().cloned() else { return Ok(()) };
    let content = active.content.clone();
    let weight = content.len();
    match weighed(weight, move || sieve::compile(&content, sieve::Extensions::all()).err()).await {
        None => Ok(()),
        Some(problems) => {
            let why = problems.first().map(ToString::to_string).unwrap_or_default();
            warn!(
                user,
                script = active.name.as_str(),
                why,
                "the active script of a user who comes from a Cyrus does not compile: the move is refused; have it changed, or \
                 deactivated, there"
            );
            Err(Code::SyncBadSieve.into())
        }
    }
}
