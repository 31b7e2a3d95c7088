//! A user who logs in and has no INBOX: a backend makes it, where `autocreate_quota` and `autocreate_users` say so here and there.

use arrivals::{Arrival, Next};
use protocol::imap::Refusal;
use tracing::{info, warn};
use upstream::Proto;

use crate::session::{Session, Stop};

impl Session {
    /// The server of the user's INBOX, which is made where it is missing. As at a backend, a failure keeps nobody out: without
    /// an INBOX the session goes on.
    pub async fn home_of_newcomer(&mut self) -> Result<Option<String>, Stop> {
        let home = self.home().await;
        if !matches!(home, Ok(None) | Err(Stop::Refused(Refusal::Reserved))) {
            return home;
        }
        let user = self.user()?;
        let imapd = self.listener.imapd();
        let (login, inbox) = (&user.login, user.inbox.clone());
        let wanted = placement::has_inbox_made(&imapd, &login.userid, &login.groups, false);
        let Some(inbox) = inbox.filter(|_| wanted && !login.is_any_admin()) else {
            return home;
        };
        let user = login.userid.clone();
        let node = self.node.clone();
        let mut arrival = Arrival::new(&node.servers, &*node.directory, &imapd, &inbox, Proto::Imap);
        loop {
            match arrival.next().await {
                Next::Home(entry) => {
                    info!(user, server = entry.server(), "a newcomer has an INBOX");
                    return Ok(Some(entry.server().to_owned()));
                }
                // A login makes the INBOX; a connection that is parked has its login behind it.
                Next::Ask(server) => match self.way(&server)?.open().await {
                    Ok(_) => arrival.answered(),
                    Err(error) => warn!(user, "{error}"),
                },
                Next::Nobody => {
                    warn!(user, "no backend has made an INBOX for a newcomer");
                    return Ok(None);
                }
                Next::Reserved => return Err(Refusal::Reserved.into()),
                Next::Unsure(stale) => {
                    warn!(user, "no INBOX is made for a newcomer: {stale}");
                    return Err(Refusal::ListUnsure.into());
                }
            }
        }
    }
}
