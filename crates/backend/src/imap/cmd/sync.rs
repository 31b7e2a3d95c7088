//! SYNCGET, SYNCAPPLY and SYNCRESTART, by which a mailbox comes from another backend; what their words are is in
//! [`protocol::sync`], and what becomes of what comes in [`crate::transit`].
//!
//! They are an administrator's of the whole node, as itself, or those of `move_servers`. To others they are commands that do not exist.

mod apply;
mod get;
mod scripts;
mod user;

use std::sync::Arc;

use bytes::Bytes;
use protocol::frame::Literal;
use protocol::imap::{Assembled, Refusal, Reply, Tag};
use protocol::sync::{Code, Command, File, Upload};
use store::{Staging, StoreError};
use work::aside::weighed;

use crate::imap::conn::Gone;
use crate::imap::limits::WORD;
use crate::imap::reply::Stop;
use crate::imap::session::Session;
use crate::transit::Refused;

/// How such a command ends.
type Done = Result<(), Refused>;

impl Session {
    /// Another backend, as one of `move_servers`: it takes part in moves, and is no administrator.
    pub fn is_move_server(&self) -> bool {
        let own = |user: &crate::imap::user::User| {
            user.login.authid == user.login.userid
                && self.server.imapd.move_servers.contains(&user.login.authid)
        };
        self.user.as_ref().is_some_and(own)
    }

    /// Why whoever is logged in may not replicate; none: it may.
    pub fn may_replicate(&self) -> Result<(), Refusal> {
        match &self.user {
            None => Err(Refusal::NotLoggedIn),
            Some(user) if user.is_node_admin(&self.server.namespace) => Ok(()),
            Some(_) if self.is_move_server() => Ok(()),
            Some(_) => Err(Refusal::Unrecognized),
        }
    }
}

/// A command without messages.
pub async fn run(session: &mut Session, tag: Option<Tag>, text: Bytes) -> Result<(), Gone> {
    let command = weighed(text.len() / WORD, move || Command::parse(&text)).await;
    let done = match command {
        Ok(Command::Get(get)) => get::run(session, get).await?,
        Ok(Command::Apply(apply)) => apply::run(session, apply).await?,
        Ok(Command::Restart) => {
            session.uploads = Default::default();
            reply(session, tag.as_ref(), Reply::ok("Restarting"));
            return Ok(());
        }
        Err(code) => Err(code.into()),
    };
    answer(session, tag.as_ref(), done);
    Ok(())
}

/// Messages: the first one's bytes are on their way.
pub async fn upload(
    session: &mut Session,
    tag: Option<Tag>,
    file: Result<File, Code>,
    literal: Literal,
) -> Result<(), Gone> {
    let (mut literal, mut next) = (literal, file.map_err(Refused::from));
    loop {
        // What is refused is heard to its end: the client sends it unasked.
        let (file, staging) = match begin(session, next).await {
            Ok(begun) => begun,
            Err(refused) => return give_up(session, tag.as_ref(), literal, refused).await,
        };
        let taken = receive(session, &file, staging, literal.size).await?;
        let patience = session.patience();
        let (text, following) = match session.conn.next(patience).await? {
            Assembled::Tail { text, literal } => (text, literal),
            Assembled::Bad(bad) => {
                Refusal::from(bad).reply().write(tag.as_ref(), session.conn.out());
                return Ok(());
            }
            _ => return Err(Gone::Closed),
        };
        let found = Upload::next(&text).map_err(|_| Refused::from(Code::BadParameters));
        let found = taken.and(found);
        match (found, following) {
            (Ok(Some(file)), Some(announced)) => (next, literal) = (Ok(file), announced),
            (Ok(None), None) => {
                answer(session, tag.as_ref(), Ok(()));
                return Ok(());
            }
            (found, following) => {
                let refused = found.err().unwrap_or(Refused::Code(Code::BadParameters));
                return match following {
                    Some(literal) => give_up(session, tag.as_ref(), literal, refused).await,
                    None => {
                        answer(session, tag.as_ref(), Err(refused));
                        Ok(())
                    }
                };
            }
        }
    }
}

/// Passes over a command of which a literal was announced last, and that whoever sends it may not send.
pub async fn refuse(
    session: &mut Session,
    tag: Option<Tag>,
    literal: Option<Literal>,
    refusal: Refusal,
) -> Result<(), Gone> {
    if let Some(literal) = literal {
        let patience = session.patience();
        session.conn.skip(literal, patience).await?;
    }
    let refused = refusal.reply();
    refused.write(tag.as_ref(), session.conn.out());
    session.note(refused.kind);
    Ok(())
}

async fn give_up(
    session: &mut Session,
    tag: Option<&Tag>,
    literal: Literal,
    refused: Refused,
) -> Result<(), Gone> {
    let patience = session.patience();
    session.conn.skip(literal, patience).await?;
    answer(session, tag, Err(refused));
    Ok(())
}

async fn begin(session: &Session, file: Result<File, Refused>) -> Result<(File, Staging), Refused> {
    let file = file?;
    let largest = super::session::append_limit(&session.server.imapd);
    let staging = session.uploads.begin(&session.server.store, &file, largest).await?;
    Ok((file, staging))
}

/// Takes a message's bytes. The inner error is why it is not kept, once it has been heard to its end.
async fn receive(session: &mut Session, file: &File, mut staging: Staging, size: u64) -> Result<Done, Gone> {
    let patience = session.patience();
    let (mut rest, mut taken) = (size, Ok(()));
    while rest > 0 {
        match session.conn.next(patience).await? {
            Assembled::Data { bytes, rest: left } => {
                rest = left;
                if taken.is_ok() {
                    taken = staging.write(&bytes).await;
                }
            }
            _ => return Err(Gone::Closed),
        }
    }
    session.conn.acknowledge();
    Ok(match taken {
        Ok(()) => session.uploads.end(file, staging).await,
        Err(error) => Err(error.into()),
    })
}

/// The tagged line.
fn answer(session: &mut Session, tag: Option<&Tag>, done: Done) {
    let answer = match done {
        Ok(()) => Reply::ok("success"),
        Err(Refused::Store(error)) => {
            let text = error.to_string();
            if let StoreError::Damaged { .. } = error {
                tracing::warn!(%error, "another backend sends what is refused");
            }
            // Logs what is this server's own fault.
            let _ = crate::imap::reply::refusal(error);
            Reply::no(text)
        }
        Err(refused) => Reply::no(refused.to_string()),
    };
    reply(session, tag, answer);
}

/// The same for a client that asks for the last step by a command of its own.
pub fn refusal(refused: Refused) -> Stop {
    match refused {
        Refused::Store(error) => error.into(),
        Refused::Code(Code::MailboxNonexistent) => Refusal::NoMailbox.into(),
        Refused::Code(_) | Refused::Text(_) | Refused::Said(_) => Refusal::NotSupported.into(),
    }
}

fn reply(session: &mut Session, tag: Option<&Tag>, reply: Reply) {
    reply.write(tag, session.conn.out());
}

/// Makes a copy that a Cyrus has brought this server's, and tells the master: the last step of its move.
pub async fn commit(session: &Session, copy: &Arc<crate::transit::Copy>) -> Done {
    let (store, transit) = (&session.server.store, &session.server.shared.transit);
    if let Some(moving) = &session.server.shared.moving {
        let (moving, copy) = (moving.clone(), copy.clone());
        // To its end, though the client goes away.
        let landed = tokio::spawn(async move { moving.land(&copy).await }).await;
        return landed.unwrap_or_else(|_| Err(StoreError::Closed.into()));
    }
    let (name, root) = (copy.name(), copy.of().root.clone());
    let item = store::Item {
        name: name.clone(),
        uniqueid: copy.uniqueid().to_owned(),
        partition: copy.partition().to_owned(),
    };
    store.adopt(&root, vec![transit.take(copy)?]).await?;
    transit.forget_quota(&name);
    store.finish_adoption(&root, &[item]).await?;
    tracing::info!(mailbox = %name, "has come from another server");
    Ok(())
}
