//! A recipient who has no INBOX and is to get one: a backend makes it, where `autocreate_quota`, `autocreate_post` and
//! `autocreate_users` say so here and there.

use std::io;

use arrivals::{Arrival, Next, Servers};
use config::imapd::Imapd;
use directory::lookup::Lookup;
use mailboxes::Entry;
use protocol::lmtp::command::{Mail, Path};
use protocol::lmtp::refusal::Refusal;
use protocol::lmtp::reply::Answer;
use protocol::name::MailboxName;
use tracing::{info, warn};
use upstream::{Pool, Proto};

use crate::transaction::Dialog;

/// How a listener's newcomers get an INBOX.
#[derive(Clone)]
pub struct Newcomers {
    imapd: Imapd,
    servers: Servers,
    pool: Pool,
}

/// A recipient without an INBOX.
pub struct Newcomer<'a> {
    pub mail: &'a Mail,
    pub to: &'a Path,
    pub userid: &'a str,
    pub inbox: &'a MailboxName,
}

impl Newcomers {
    pub fn new(imapd: Imapd, servers: Servers, pool: Pool) -> Newcomers {
        Newcomers { imapd, servers, pool }
    }

    pub fn takes(&self, userid: &str) -> bool {
        placement::has_inbox_made(&self.imapd, userid, &[], true)
    }

    /// Where the INBOX is, once a backend has made it. "No such user" is said only if backends were asked, and all said so: who
    /// cannot be asked now may make it the next time.
    pub async fn settle(&self, who: Newcomer<'_>, directory: &dyn Lookup) -> Result<Entry, Refusal> {
        let mut arrival = Arrival::new(&self.servers, directory, &self.imapd, who.inbox, Proto::Lmtp);
        let names_some = !self.imapd.serverlist.is_empty() || self.imapd.defaultserver.is_some();
        let mut failure = if names_some { Refusal::Unavailable } else { Refusal::UnknownUser };
        let mut may_come = false;
        loop {
            match arrival.next().await {
                Next::Home(entry) => {
                    info!(user = who.userid, server = entry.server(), "a newcomer has an INBOX");
                    return Ok(entry);
                }
                Next::Ask(server) => match self.hand_in(&server, &who).await {
                    Ok(answer) if answer.code >= 500 => {
                        warn!(user = who.userid, server, code = answer.code, "makes no INBOX");
                        arrival.answered();
                        failure = Refusal::UnknownUser;
                    }
                    Ok(answer) => {
                        info!(user = who.userid, server, code = answer.code, "has heard of a newcomer");
                        arrival.answered();
                        may_come = true;
                    }
                    Err(error) => {
                        warn!(user = who.userid, server, %error, "cannot be asked for an INBOX");
                        may_come = true;
                    }
                },
                Next::Nobody if may_come => return Err(Refusal::Unavailable),
                Next::Nobody => return Err(failure),
                Next::Reserved => return Err(Refusal::Reserved),
                Next::Unsure(stale) => {
                    warn!(mailbox = %who.inbox, "{stale}");
                    return Err(Refusal::Unavailable);
                }
            }
        }
    }

    /// A transaction that ends with the recipient: the answer to RCPT, or to MAIL if that is refused.
    async fn hand_in(&self, server: &str, who: &Newcomer<'_>) -> io::Result<Answer> {
        loop {
            let mut connection = self.pool.take(server).await.map_err(io::Error::other)?;
            let mut dialog = Dialog::new(&mut connection, self.imapd.client_timeout);
            let utf8 = who.mail.smtputf8 && dialog.offers("SMTPUTF8");
            let mail = if utf8 { "MAIL FROM:<> SMTPUTF8" } else { "MAIL FROM:<>" };
            let recipient = [b"RCPT TO:<", who.to.raw(), b">"].concat();
            let answers = dialog.exchange(&[mail.into(), recipient, b"RSET".to_vec()]).await;
            match answers {
                Ok(answers) => {
                    connection.give_back();
                    let mut answers = answers.into_iter();
                    let first = answers.next().filter(|mail| !mail.is_positive());
                    return first.or(answers.next()).ok_or_else(|| io::ErrorKind::InvalidData.into());
                }
                Err(_) if connection.reused => {}
                Err(error) => return Err(error),
            }
        }
    }
}
