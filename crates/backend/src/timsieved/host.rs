//! From a login to its scripts, and what each command does with them.

use identity::auth::Login;
use managesieve::{Answer, Host, Welcome};
use protocol::managesieve::{Code, Command, Reply, ScriptName, write_string};
use protocol::name::MailboxName;
use store::{Scripts, Store, StoreError};
use tracing::warn;

use super::refusal::{refused, unopenable};

/// The scripts of whoever has logged in.
pub(super) struct Scripted {
    store: Store,
    open: Option<Open>,
}

struct Open {
    user: String,
    scripts: Scripts,
    /// Where the user's mail is; none: the scripts are those for all users.
    inbox: Option<MailboxName>,
}

impl Scripted {
    pub fn new(store: Store) -> Scripted {
        Scripted { store, open: None }
    }

    /// Whose scripts a login works on. An admin without an INBOX works on those for all users, which scripts include by `:global`.
    async fn owner(&self, login: &Login) -> Result<(String, Option<MailboxName>), Reply> {
        let nobody = || Reply::no("Authentication Error");
        let inbox = self.store.namespace().inbox(&login.userid).map_err(|_| nobody())?;
        match self.is_here(&inbox).await {
            Ok(()) => Ok((login.userid.clone(), Some(inbox))),
            Err(StoreError::NoMailbox) if login.admin => Ok((GLOBAL.to_owned(), None)),
            // Whether there is somebody of the name is nobody's business.
            Err(StoreError::NoMailbox) => Err(nobody()),
            Err(error) => Err(unopenable(&error)),
        }
    }

    /// Whether the mail of a user is here: where it is the scripts are.
    async fn is_here(&self, inbox: &MailboxName) -> Result<(), StoreError> {
        let entry = self.store.find(inbox).await?.ok_or(StoreError::NoMailbox)?;
        match () {
            () if !entry.is_active() => Err(StoreError::Reserved),
            () if entry.local.is_none() => Err(StoreError::Elsewhere(entry.server().to_owned())),
            () => Ok(()),
        }
    }

    async fn command(&self, open: &Open, command: Command) -> Result<Answer, Reply> {
        let scripts = &open.scripts;
        match command {
            Command::HaveSpace { name, size } => scripts.have_space(&name, size).map_err(failed(&name))?,
            Command::PutScript { name, script } => {
                scripts.put(name.clone(), script).await.map_err(failed(&name))?;
            }
            Command::DeleteScript(name) => scripts.delete(name.clone()).await.map_err(failed(&name))?,
            Command::RenameScript { old, new } => {
                scripts.rename(old.clone(), new.clone()).await.map_err(renaming(&old, &new))?;
            }
            Command::SetActive(name) => {
                let shown = name.clone();
                scripts.activate(name).await.map_err(|error| refused(&error, shown.as_ref()))?;
            }
            Command::GetScript(name) => {
                let script = scripts.get(&name).ok_or_else(missing)?;
                let mut data = Vec::with_capacity(script.content.len() + 16);
                Reply::write_data(&script.content, &mut data);
                return Ok(Answer { data, reply: Reply::OK });
            }
            Command::ListScripts => {
                let (all, mut data) = (scripts.all(), Vec::new());
                for script in all.iter() {
                    write_string(script.name.as_str().as_bytes(), &mut data);
                    let active = if all.is_active(&script.name) { " ACTIVE\r\n" } else { "\r\n" };
                    data.extend_from_slice(active.as_bytes());
                }
                return Ok(Answer { data, reply: Reply::OK });
            }
            Command::Authenticate { .. }
            | Command::Capability
            | Command::CheckScript(_)
            | Command::Logout
            | Command::Noop(_)
            | Command::StartTls
            | Command::Unauthenticate
            | Command::XClient(_) => return Err(Reply::no("Expected a command. Got something else.")),
        }
        Ok(Reply::OK.into())
    }
}

impl Host for Scripted {
    const TAKES_ORIGINS: bool = true;

    async fn login(&mut self, login: &Login) -> Result<Welcome, Reply> {
        let (user, inbox) = self.owner(login).await?;
        let scripts = self.store.scripts(&user).await.map_err(|error| {
            warn!(user, %error, "the scripts of a user cannot be opened");
            unopenable(&error)
        })?;
        self.open = Some(Open { user, scripts, inbox });
        Ok(Welcome::Here)
    }

    async fn serve(&mut self, command: Command) -> Answer {
        let Some(open) = &self.open else { return Reply::no("Authenticate first").into() };
        if let Some(inbox) = &open.inbox
            && let Err(error) = self.is_here(inbox).await
        {
            // The user has been moved or removed: nothing here is theirs any more.
            let reply = unopenable(&error);
            return Reply::bye(reply.text).code(Code::TryLater).into();
        }
        self.command(open, command).await.unwrap_or_else(Answer::from)
    }

    async fn has(&self, name: &str, global: bool) -> Option<bool> {
        let open = self.open.as_ref()?;
        let Ok(name) = ScriptName::parse(name) else { return Some(false) };
        if !global || open.user == GLOBAL {
            return Some(open.scripts.get(&name).is_some());
        }
        let scripts = self.store.scripts(GLOBAL).await.ok()?;
        Some(scripts.get(&name).is_some())
    }

    fn logout(&mut self) {
        self.open = None;
    }
}

/// The owner of the scripts for all users: nobody can be called so.
const GLOBAL: &str = store::GLOBAL_SCRIPTS;

fn failed(name: &ScriptName) -> impl Fn(store::ScriptError) -> Reply {
    move |error| refused(&error, Some(name))
}

fn renaming(old: &ScriptName, new: &ScriptName) -> impl Fn(store::ScriptError) -> Reply {
    move |error| match &error {
        store::ScriptError::Missing => {
            Reply::no(format!("Script {old} does not exist")).code(Code::NonExistent)
        }
        store::ScriptError::Exists => {
            Reply::no(format!("Script {new} already exists.")).code(Code::AlreadyExists)
        }
        _ => refused(&error, Some(new)),
    }
}

fn missing() -> Reply {
    refused(&store::ScriptError::Missing, None)
}
