//! CREATE, DELETE and RENAME: done by a backend, which clears them with the MUPDATE master; known here before the
//! client hears that they are done.

use directory::lookup::Found;
use protocol::imap::code::Heard;
use protocol::imap::command::mailbox::{Create, Rename};
use protocol::imap::{Kind, Refusal};
use protocol::name::MailboxName;
use tracing::warn;
use upstream::Proto;
use upstream::wire::imap::Answer;

use super::Request;
use crate::grammar::put_astring;
use crate::limits::{CHOSEN, rows};
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
        Some(server) => Some(server.clone()),
        None => beside(s, &name).await?,
    };
    match server {
        Some(server) => create_at(s, request, &create, &server).await,
        None => create_anywhere(s, request, &create, &name).await,
    }
}

async fn create_at(s: &mut Session, request: &Request, create: &Create, server: &str) -> Outcome {
    if s.follows_referrals && s.user()?.is_admin() {
        return Err(s.referral_to(server, &create.mailbox));
    }
    super::lines::check_special_uses(s, server, &create.mailbox, &create.special_use).await?;
    let command = match &create.server {
        // The name of the server is ours to use; the backend gets what concerns it.
        Some(_) => without_server(create),
        None => request.text().to_vec(),
    };
    s.change_name(server, request, &command, &create.mailbox).await
}

/// Where nothing places a mailbox, this frontend chooses. A backend that cannot be reached, or cannot take it at the moment, leaves it
/// to the next. One that was lost may have made it all the same: then the list has it, or the MUPDATE master refuses the next.
async fn create_anywhere(s: &mut Session, request: &Request, create: &Create, name: &MailboxName) -> Outcome {
    let (node, imapd) = (s.node.clone(), s.listener.imapd());
    let (mut tried, mut last) = (Vec::new(), None);
    while let Some(server) = node.servers.choose(&imapd, Proto::Imap, &tried).await {
        if tried.len() >= CHOSEN {
            rows::CHOSEN.met(format_args!("{}: nor do others", tried.join(", ")));
            break;
        }
        tried.push(server.clone());
        match create_at(s, request, create, &server).await {
            Ok(Done::There(answer)) if may_go_elsewhere(&answer) => {
                warn!(server, mailbox = create.mailbox, "takes no new mailbox now: {}", answer.text());
                last = Some(Ok(Done::There(answer)));
            }
            Err(stop @ Stop::Backend { .. }) if s.selected_server() != Some(server.as_str()) => {
                if let Stop::Backend { server, why } = &stop {
                    s.links.remove(server);
                    warn!("{server}: {why}");
                }
                if let Found::Active(entry) = node.directory.find(name).await
                    && entry.server() == server
                {
                    s.knows_name(&create.mailbox);
                    return Ok(Done::completed());
                }
                last = Some(Err(stop));
            }
            other => return other,
        }
    }
    last.unwrap_or_else(|| Err(explained(s, create)))
}

/// Whether a refusal is about this backend, and not about the mailbox. Cyrus has no codes for that.
fn may_go_elsewhere(answer: &Answer) -> bool {
    let coded = matches!(answer.code(), Some(Heard::Unavailable | Heard::ServerBug));
    let remark = answer.remark();
    let told = PASSING.iter().any(|text| remark.trim_end().ends_with(text));
    answer.condition() == Some(Kind::No) && (coded || told)
}

/// What backends say that cannot create anything at the moment, or have not the partition that was asked for.
const PASSING: [&str; 7] = [
    "Server(s) unavailable to complete operation",
    "System I/O error",
    "no connection to server",
    "no authentication to server",
    "timed out waiting for server response",
    "No space left on device",
    "Unknown/invalid partition",
];

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

/// Why there is no server to choose. An administrator is told what is missing where this frontend names none.
fn explained(s: &Session, create: &Create) -> Stop {
    let imapd = s.listener.imapd();
    let none = imapd.serverlist.is_empty() && imapd.defaultserver.is_none();
    match none && s.user().is_ok_and(|user| user.is_admin()) {
        true => Refusal::NoServer(create.mailbox.clone()).into(),
        false => Refusal::ServerDown.into(),
    }
}

/// Where a mailbox must be: with itself (the backend says that it exists), or with its nearest ancestor.
async fn beside(s: &Session, name: &MailboxName) -> Result<Option<String>, Stop> {
    let mut next = Some(name.clone());
    while let Some(name) = next {
        match s.node.directory.find(&name).await {
            Found::Active(entry) => return Ok(Some(entry.server().to_owned())),
            Found::Reserved => return Err(Refusal::Reserved.into()),
            Found::Unknown(_) => return Err(Refusal::ListUnsure.into()),
            Found::Missing => next = name.parent(),
        }
    }
    Ok(None)
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
