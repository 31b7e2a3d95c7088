//! Sieve scripts of users: what ManageSieve and delivery ask for. They lie in the user's log ([`crate::userlog`]), so that each
//! change is one durable write, and go where the user goes.
//!
//! Delivery asks [`Store::active_script`] for each recipient: of a user without an active script the database says so, without
//! the log being opened.

use std::sync::Arc;

use protocol::script::ScriptName;

use super::{
    Store,
    error::StoreError,
    limits::{SCRIPT_BYTES, rows},
    script::{Script, ScriptOp, UserScripts},
    userlog::{Op, State, UserLog},
};

/// Why a change of scripts is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScriptError {
    #[error("Script does not exist")]
    Missing,
    /// Of a deletion.
    #[error("Active script cannot be deleted")]
    Active,
    /// Of a new name.
    #[error("Script already exists")]
    Exists,
    /// `sieve_maxscripts`, which so many are.
    #[error("You are only allowed {0} scripts on this server")]
    TooMany(u32),
    /// `sieve_maxscriptsize`, bytes.
    #[error("Script size is too large. Max script size is {0} bytes")]
    TooLarge(u64),
    /// All scripts of the user together would be larger than so many bytes.
    #[error("Scripts are too large. All scripts of a user may have {0} bytes")]
    NoRoom(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The owner of the scripts for all users, which scripts include by `:global`: nobody can be called so.
pub const GLOBAL_SCRIPTS: &str = "";

/// The scripts of one user. Cheap to clone.
#[derive(Clone)]
pub struct Scripts {
    store: Store,
    log: Arc<UserLog>,
}

impl Store {
    /// The scripts of a user. Whether the user is somebody, and has an INBOX here, is the caller's to check.
    pub async fn scripts(&self, user: &str) -> Result<Scripts, StoreError> {
        Ok(Scripts { store: self.clone(), log: self.user_log(user).await? })
    }

    /// The script that runs when mail comes for a user; none: mail goes to the INBOX. Cheap where there is none.
    pub async fn active_script(&self, user: &str) -> Result<Option<Arc<Script>>, StoreError> {
        if !self.inner.db.has_active_script(user)? {
            return Ok(None);
        }
        Ok(self.user_log(user).await?.state().scripts.active().cloned())
    }

    /// Forgets the scripts and marks of a user who is gone, or who is new here and must not inherit those of somebody of the same name.
    pub(crate) async fn forget_scripts(&self, user: &str) -> Result<(), StoreError> {
        self.forget_marks(user)?;
        if !self.has_user_log(user).await? {
            return Ok(());
        }
        let log = self.user_log(user).await?;
        if !log.state().scripts.is_empty() {
            log.apply_moved(vec![Op::Script(ScriptOp::Replace(UserScripts::default()))]).await?;
        }
        Ok(())
    }
}

impl Scripts {
    /// All of them, as they are now.
    pub fn all(&self) -> Arc<UserScripts> {
        self.log.state().scripts.clone()
    }

    /// One of them.
    pub fn get(&self, name: &ScriptName) -> Option<Arc<Script>> {
        self.all().get(name).cloned()
    }

    /// Stores a script, in the place of one of the same name. It is on disk when this returns; an active one runs from then on.
    /// Whether it is a good script is the caller's to check.
    pub async fn put(&self, name: ScriptName, content: impl Into<Arc<[u8]>>) -> Result<(), ScriptError> {
        let script = Script::new(name, content, self.store.inner.shared.now());
        let (store, name, size) = (self.store.clone(), script.name.clone(), script.content.len() as u64);
        let judge = move |state: &State| admits(&store, &state.scripts, &name, size);
        self.change(ScriptOp::Put(script), judge).await
    }

    /// Whether a script of so many bytes would be stored.
    pub fn have_space(&self, name: &ScriptName, size: u64) -> Result<(), ScriptError> {
        admits(&self.store, &self.all(), name, size)
    }

    /// Makes a script the one that runs; none: no script runs.
    pub async fn activate(&self, name: Option<ScriptName>) -> Result<(), ScriptError> {
        let wanted = name.clone();
        let judge = move |state: &State| match &wanted {
            Some(name) => exists(&state.scripts, name),
            None => Ok(()),
        };
        self.change(ScriptOp::Activate(name), judge).await
    }

    /// Removes a script that is not active.
    pub async fn delete(&self, name: ScriptName) -> Result<(), ScriptError> {
        let doomed = name.clone();
        let judge = move |state: &State| {
            exists(&state.scripts, &doomed)?;
            if state.scripts.is_active(&doomed) { Err(ScriptError::Active) } else { Ok(()) }
        };
        self.change(ScriptOp::Delete(name), judge).await
    }

    /// Gives a script another name. An active one stays active.
    pub async fn rename(&self, old: ScriptName, new: ScriptName) -> Result<(), ScriptError> {
        let (from, to) = (old.clone(), new.clone());
        let judge = move |state: &State| {
            exists(&state.scripts, &from)?;
            if state.scripts.get(&to).is_some() { Err(ScriptError::Exists) } else { Ok(()) }
        };
        self.change(ScriptOp::Rename(old, new), judge).await
    }

    async fn change(
        &self,
        op: ScriptOp,
        judge: impl Fn(&State) -> Result<(), ScriptError> + Send,
    ) -> Result<(), ScriptError> {
        self.log.apply_if(vec![Op::Script(op)], judge).await
    }
}

fn exists(scripts: &UserScripts, name: &ScriptName) -> Result<(), ScriptError> {
    if scripts.get(name).is_some() { Ok(()) } else { Err(ScriptError::Missing) }
}

/// Only a new name counts against `sieve_maxscripts`, and who has too many since the option was lowered may still change them.
fn admits(store: &Store, scripts: &UserScripts, name: &ScriptName, size: u64) -> Result<(), ScriptError> {
    let policy = store.policy();
    if size > policy.sieve_maxscriptsize {
        rows::sieve_maxscriptsize.met("a Sieve script is larger than one may be: it is refused");
        return Err(ScriptError::TooLarge(policy.sieve_maxscriptsize));
    }
    let old = scripts.get(name).map(|old| old.content.len() as u64);
    let most = policy.sieve_maxscripts;
    if old.is_none() && scripts.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        rows::sieve_maxscripts.met("a user has as many Sieve scripts as may be: one more is refused");
        return Err(ScriptError::TooMany(most));
    }
    let after = scripts.bytes().saturating_sub(old.unwrap_or(0)).saturating_add(size);
    if after > SCRIPT_BYTES && size > old.unwrap_or(0) {
        rows::SCRIPT_BYTES.met("the Sieve scripts of a user are as large as can be: one more is refused");
        return Err(ScriptError::NoRoom(SCRIPT_BYTES));
    }
    Ok(())
}
