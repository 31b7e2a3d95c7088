//! Freezing: for a moment nobody changes what moves.

use std::sync::Arc;

use mailboxes::Entry;
use protocol::{
    acl::{Rights, Who},
    name::MailboxName,
};

use crate::{
    Store,
    error::StoreError,
    gates::{Gate, State, Whereabouts},
    shared::Shared,
    turns::Turn,
};

/// Nobody changes the mailboxes, the user's log and the part of the list that were frozen, until this is dropped. Whoever wants to
/// waits, some seconds at most, and then goes on, or is told [`StoreError::Moved`] or [`StoreError::Frozen`]. Reading goes on.
pub struct Frozen {
    shared: Arc<Shared>,
    ids: Vec<String>,
    user: Option<String>,
    tree: String,
    /// Given back after the gates are open.
    turn: Option<Turn>,
}

/// Whoever looks for names that this server's list does not have waits for them, while this lives; see [`Store::hold`].
pub struct Held {
    shared: Arc<Shared>,
    names: Vec<MailboxName>,
}

impl Store {
    /// Closes the gates of a move: of the list below `root` (a user's INBOX, or a shared mailbox: its whole top-level tree waits), of
    /// the mailboxes of these unique ids, whether or not they are open, and of the log of the user whose INBOX the root is. What was
    /// on its way holds when this returns, and is in [`crate::Mailbox::snapshot`].
    ///
    /// It waits for operations on the list that are under way: the caller bounds that by dropping the future.
    pub async fn freeze(&self, root: &MailboxName, ids: &[String]) -> Result<Frozen, StoreError> {
        let tree = self.turn_of(root);
        let turn = self.inner.turns.take(&tree).await?;
        let user = root.is_inbox().then(|| self.inner.namespace.owner(root)).flatten();
        let (shared, ids) = (self.inner.shared.clone(), ids.to_vec());
        let frozen = Frozen { shared, ids, user, tree, turn: Some(turn) };
        frozen.shared.gates.set(frozen.gates(), Some(&State::Closed));
        for id in &frozen.ids {
            // Whoever builds a change has looked at the gate before it was closed: that change comes before the snapshot.
            if let Some(mailbox) = self.inner.open.peek(id) {
                drop(mailbox.turn.lock().await);
            }
        }
        // The seen states of anybody in these mailboxes.
        self.inner.users.alive().iter().for_each(|log| log.let_pass());
        self.inner.shared.commit.settle().await;
        Ok(frozen)
    }

    /// Has whoever looks for one of these names wait for it, some seconds at most, and never hear that it does not exist: a move
    /// brings it here, and whose it is is being decided. [`Store::adopt`] makes an end of it, and so does dropping the result.
    pub fn hold(&self, names: &[MailboxName]) -> Held {
        let held = Held { shared: self.inner.shared.clone(), names: names.to_vec() };
        held.shared.gates.set(held.names.iter().map(Gate::Name), Some(&State::Closed));
        held
    }

    /// The server that the mailbox of a name was given away to, if it was, and the name is not used again.
    pub fn moved_to(&self, name: &MailboxName) -> Option<String> {
        self.inner.shared.gates.moved(Gate::Name(name))
    }

    /// The list's entry of a name; none: there is none. Waits, some seconds at most, while a move brings the mailbox here.
    /// [`StoreError::Moved`]: it was given away; who may know that is the caller's to ask ([`Store::absence`]).
    pub async fn find(&self, name: &MailboxName) -> Result<Option<Entry>, StoreError> {
        match self.inner.list.get(name)? {
            None => {
                self.pass_names(&[name]).await?;
                Ok(self.inner.list.get(name)?)
            }
            found => Ok(found),
        }
    }

    /// What somebody is told of a name that the list does not have. Whoever may not know of a mailbox hears nothing of its move.
    pub fn absence(&self, name: &MailboxName, who: Who<'_>, admin: bool) -> StoreError {
        let gates = &self.inner.shared.gates;
        match gates.state(Gate::Name(name)) {
            Some(State::Moved(moved)) if admin || self.rights(name, &moved.acl, who) != Rights::NONE => {
                StoreError::Moved(moved.to.to_string())
            }
            Some(State::Closed) => StoreError::Frozen,
            Some(State::Moved(_)) | None => StoreError::NoMailbox,
        }
    }

    /// Waits while a move brings one of these names here; an error where it was given away, or the user's INBOX was.
    pub(crate) async fn pass_names(&self, names: &[&MailboxName]) -> Result<(), StoreError> {
        for name in names {
            let inbox = name.inbox();
            for name in std::iter::once(*name).chain(inbox.iter()) {
                self.inner.shared.gates.pass(Gate::Name(name)).await?;
            }
        }
        Ok(())
    }

    /// What is said of a name that the list does not have.
    pub(crate) fn missing(&self, name: &MailboxName) -> StoreError {
        let inbox = name.inbox();
        let mut names = std::iter::once(name).chain(inbox.iter());
        let said = names.find_map(|name| self.inner.shared.gates.check(Gate::Name(name)).err());
        said.unwrap_or(StoreError::NoMailbox)
    }
}

impl Frozen {
    /// It is decided: the mailboxes, and what is the user's, are on another server now. Whoever waits, or comes later, is told so.
    pub fn gone_to(&self, server: &str) {
        let moved = State::Moved(Whereabouts { to: server.into(), acl: "".into(), copy: "".into() });
        let own = self.gates().into_iter().filter(|gate| !matches!(gate, Gate::Tree(_)));
        self.shared.gates.set(own, Some(&moved));
    }

    fn gates(&self) -> Vec<Gate<'_>> {
        let ids = self.ids.iter().map(|id| Gate::Mailbox(id));
        let user = self.user.iter().map(|user| Gate::User(user));
        ids.chain(user).chain([Gate::Tree(&self.tree)]).collect()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.turn.take());
        self.shared.gates.open(self.gates());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.gates.open(self.names.iter().map(Gate::Name));
    }
}
