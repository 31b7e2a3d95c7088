//! CREATE, DELETE and RENAME: done by a backend, which clears them with the MUPDATE master; known here before the
//! client hears that they are done.

use directory::lookup::Found;
use protocol::imap::Refusal;
use protocol::imap::command::mailbox::{Create, Rename};
use protocol::name::MailboxName;

use super::Request;
use crate::grammar::put_astring;
use crate::session::{Done, Outcome, Session, Stop};

impl Session {
    /// Has a backend change its list; when it says OK, the change is awaited here before the client hears of it.
    pub async fn change(&mut self, server: &str, request: &Request, command: &[u8]) -> Outcome {
        let answer = self.forward(server, &request.head.tag, command).await?;
        if answer.is_ok() {
            self.catch_up().await;
        }
        Ok(answer.into())
    }

    /// The same with the name that it gives, or takes from, a mailbox.
    async fn change_name(
        &mut self,
        server: &str,
        request: &Request,
        command: &[u8],
        mailbox: &str,
    ) -> Outcome {
        let done = self.change(server, request, command).await?;
        if matches!(&done, Done::There(answer) if answer.is_ok()) {
            self.knows_name(mailbox);
        }
        Ok(done)
    }
}

/// `CREATE mailbox [partition | server!partition | (options)]`
pub async fn create(s: &mut Session, request: &Request, create: Create) -> Outcome {
    let admin = s.user()?.is_admin();
    let placed = create.server.is_some() || create.partition.is_some() || create.mailbox_id.is_some();
    if placed && !admin {
        return Err(Refusal::Denied.into());
    }
    let name = s.internal(&create.mailbox)?;
    if let (Some(word), None) = (&create.partition, &create.server)
        && let Some(server) = server_of(s, word)
    {
        let (mailbox, word) = (create.mailbox.clone(), word.clone());
        return Err(Refusal::NotAPartition(mailbox, word, server).into());
    }
    let server = match &create.server {
        Some(server) => server.clone(),
        None => place(s, &name).await.map_err(|stop| explained(s, &create, stop))?,
    };
    if s.follows_referrals && admin {
        return Err(s.referral_to(&server, &create.mailbox));
    }
    super::lines::check_special_uses(s, &server, &create.mailbox, &create.special_use).await?;
    let command = match &create.server {
        // The name of the server is ours to use; the backend gets what concerns it.
        Some(_) => without_server(&create),
        None => request.text().to_vec(),
    };
    s.change_name(&server, request, &command, &create.mailbox).await
}

/// The server that is meant by a word which names one, whole or by its first part.
fn server_of(s: &Session, word: &str) -> Option<String> {
    let listed = s.listener.imapd().serverlist.clone();
    let named = s.node.directory.list().summary().locations;
    let named = named.into_iter().filter_map(|(location, _)| Some(location.split_once('!')?.0.to_owned()));
    let is_meant = |server: &String| {
        server.eq_ignore_ascii_case(word) || config::imapd::shorthost(server).eq_ignore_ascii_case(word)
    };
    listed.into_iter().chain(named).find(is_meant)
}

/// An administrator is told what is missing where this frontend has no server to choose.
fn explained(s: &Session, create: &Create, stop: Stop) -> Stop {
    let imapd = s.listener.imapd();
    let none = imapd.serverlist.is_empty() && imapd.defaultserver.is_none();
    let is_down = matches!(stop, Stop::Refused(Refusal::ServerDown));
    match is_down && none && s.user().is_ok_and(|user| user.is_admin()) {
        true => Refusal::NoServer(create.mailbox.clone()).into(),
        false => stop,
    }
}

/// Where a mailbox shall be: with itself (the backend says that it exists), with its nearest ancestor, or wherever
/// new mailboxes go.
async fn place(s: &mut Session, name: &MailboxName) -> Result<String, Stop> {
    let mut next = Some(name.clone());
    while let Some(name) = next {
        match s.node.directory.find(&name).await {
            Found::Active(entry) => return Ok(entry.server().to_owned()),
            Found::Reserved => return Err(Refusal::Reserved.into()),
            Found::Unknown(_) => return Err(Refusal::ListUnsure.into()),
            Found::Missing => next = name.parent(),
        }
    }
    super::place::choose(s).await?.ok_or(Refusal::ServerDown.into())
}

fn without_server(create: &Create) -> Vec<u8> {
    let mut out = b"CREATE ".to_vec();
    put_astring(&mut out, create.mailbox.as_bytes());
    let mut options = Vec::new();
    if !create.special_use.is_empty() {
        options.push(format!("USE ({})", create.special_use.join(" ")).into_bytes());
    }
    let mut valued = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            let mut option = format!("{name} ").into_bytes();
            put_astring(&mut option, value.as_bytes());
            options.push(option);
        }
    };
    valued("MAILBOXID", &create.mailbox_id);
    valued("TYPE", &create.kind);
    match (&create.partition, options.is_empty()) {
        (Some(partition), true) => {
            out.push(b' ');
            put_astring(&mut out, partition.as_bytes());
        }
        (None, true) => {}
        (partition, false) => {
            if let Some(partition) = partition {
                let mut option = b"PARTITION ".to_vec();
                put_astring(&mut option, partition.as_bytes());
                options.push(option);
            }
            out.extend_from_slice(b" (");
            out.extend_from_slice(&options.join(&b' '));
            out.push(b')');
        }
    }
    out
}

/// `DELETE mailbox`
pub async fn delete(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    let located = s.locate(mailbox).await?;
    if s.follows_referrals {
        return Err(s.referral(&located, mailbox));
    }
    s.change_name(located.server(), request, request.text(), mailbox).await
}

/// `RENAME old new [location]`
pub async fn rename(s: &mut Session, request: &Request, rename: Rename) -> Outcome {
    let located = s.locate(&rename.from).await?;
    let same = rename.from == rename.to;
    let Some(location) = &rename.location else {
        // A tree is renamed whole, or not at all. Of an INBOX that its owner renames the messages move, and nothing below it.
        if s.user()?.inbox.as_ref() != Some(&located.name) {
            super::quota::on_one_server(s, &located)?;
        }
        // The backend knows its own mailboxes only, and would have to ask the master. (Whoever is no admin may not hear of others'.)
        if s.user()?.is_admin()
            && let Ok(other) = s.locate(&rename.to).await
            && other.server() != located.server()
        {
            return Err(Refusal::Exists.into());
        }
        let done = s.change_name(located.server(), request, request.text(), &rename.to).await?;
        if matches!(&done, Done::There(answer) if answer.is_ok()) {
            follow(s, &located.name, &rename.to)?;
        }
        return Ok(done);
    };
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    if !same {
        return Err(Refusal::MoveWithRename.into());
    }
    match location.split_once('!') {
        Some((server, partition)) if server != located.server() => {
            let mut command = b"XFER ".to_vec();
            put_astring(&mut command, rename.from.as_bytes());
            command.push(b' ');
            put_astring(&mut command, server.as_bytes());
            if !partition.is_empty() {
                command.push(b' ');
                put_astring(&mut command, partition.as_bytes());
            }
            s.change(located.server(), request, &command).await
        }
        _ => s.change(located.server(), request, request.text()).await,
    }
}

/// The open mailbox may have another name now. That of an INBOX that its owner renames has not: only its messages went.
fn follow(s: &mut Session, from: &MailboxName, to: &str) -> Result<(), Stop> {
    let to = s.internal(to)?;
    let own = s.user()?.inbox.as_ref() == Some(from);
    if let Some(selected) = s.selected.as_mut().filter(|_| !own)
        && let Some(now) = selected.name.moved(from, &to)
    {
        selected.name = now;
    }
    Ok(())
}

/// `XFER mailbox server [partition]`: the backend that has the mailbox moves it.
pub async fn xfer(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let located = s.locate(mailbox).await?;
    s.change(located.server(), request, request.text()).await
}

/// `RECONSTRUCT mailbox`: an admin is told where to ask.
pub async fn reconstruct(s: &mut Session, request: &Request) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let (mailbox, _) = request.head.mailbox(&request.raw)?;
    let located = s.locate(&mailbox).await?;
    Err(s.referral(&located, &mailbox))
}
