//! Whose data a source tells.

use protocol::sync::Code;
use protocol::userid;
use store::UserData;

use crate::imap::session::Session;
use crate::transit::Refused;

/// What a user has here. It may be changed though the user is another server's still, or was here before.
pub(super) async fn own(session: &Session, user: &str) -> Result<UserData, Refused> {
    let state = session.server.store.user_state(user).await?;
    Ok(UserData {
        owner: Some(user.to_owned()),
        subscriptions: state.subscriptions.clone(),
        annotations: (*state.annotations).clone(),
        scripts: state.scripts.clone(),
        ..UserData::default()
    })
}

/// A user's name becomes that of a directory.
pub(super) fn check_user(user: &str) -> Result<(), Refused> {
    if userid::is_valid(user) { Ok(()) } else { Err(Code::InvalidUser.into()) }
}
