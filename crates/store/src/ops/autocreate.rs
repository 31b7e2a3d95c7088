//! Making a user's INBOX at login or delivery, with the folders and the script that the configuration names.

use std::{fs, path::PathBuf};

use config::imapd::Imapd;
use protocol::{
    acl::{Rights, Who},
    name::MailboxName,
    namespace::View,
    script::ScriptName,
};
use tracing::{info, warn};

use super::{AclChange, Actor, Create};
use crate::{
    Store, blocking,
    error::{Doing, StoreError},
    journal::{AUTOCREATE, Record},
    quota::Limits,
    scripts::ScriptError,
};

impl Store {
    /// Makes a user's INBOX and the configured folders where `autocreate_quota` (at login) or `autocreate_post` (at
    /// delivery) says so. Whether there is an INBOX now.
    pub async fn autocreate(
        &self,
        userid: &str,
        groups: &[String],
        at_delivery: bool,
    ) -> Result<bool, StoreError> {
        let imapd = self.policy();
        let inbox = self.inner.namespace.inbox(userid)?;
        let admin = Actor::admin("cyrus");
        // A user who has just moved is no new one.
        self.pass_names(&[&inbox]).await?;
        if self.inner.list.get(&inbox)?.is_some() {
            if let Some(record) = self.inner.journal.unfinished(userid) {
                self.autocreate_folders(userid, groups, &inbox, &admin).await;
                self.autocreate_script(userid).await;
                blocking(move || record.end()).await?;
                info!(userid, "what a crash kept from a new user is made");
            }
            return Ok(true);
        }
        if !placement::has_inbox_made(&imapd, userid, groups, at_delivery) {
            return Ok(false);
        }
        let storage = imapd.autocreate_quota.filter(|bytes| *bytes > 0).map(|bytes| bytes / 1024);
        let limits = Limits { storage, message: imapd.autocreate_quota_messages, ..Limits::default() };
        // The INBOX comes with its quota; what a crash keeps from being made after it is made at the next login.
        let record = Record {
            operation: AUTOCREATE.into(),
            id: userid.to_owned(),
            names: vec![inbox.to_string()],
            partitions: Vec::new(),
        };
        let store = self.clone();
        let record = match self.inner.journal.unfinished(userid) {
            Some(written) => written,
            None => blocking(move || store.inner.journal.begin(&record)).await?,
        };
        let limits = Some(limits).filter(|limits| *limits != Limits::default());
        let made = self.create(&admin, &inbox, Create { limits, ..Create::default() }).await;
        self.inner.journal.step("autocreate: INBOX made");
        if matches!(made, Ok(_) | Err(StoreError::Exists)) {
            self.autocreate_folders(userid, groups, &inbox, &admin).await;
            self.autocreate_script(userid).await;
        }
        blocking(move || record.end()).await?;
        match made {
            Ok(_) | Err(StoreError::Exists) => {}
            Err(error) => return Err(error),
        }
        info!(userid, "INBOX made");
        Ok(true)
    }

    /// The folders are a courtesy: one that cannot be made does not keep the user out.
    async fn autocreate_folders(&self, userid: &str, groups: &[String], inbox: &MailboxName, admin: &Actor) {
        let imapd = self.policy();
        let view = View { userid, admin: false, utf8: false };
        let split = |list: &Option<String>| -> Vec<String> {
            let list = list.as_deref().unwrap_or_default().split('|');
            list.map(|folder| folder.trim().to_owned()).filter(|folder| !folder.is_empty()).collect()
        };
        let folder_name = |folder: &str| {
            let below = folder.replace(self.inner.namespace.separator(), ".");
            inbox.child(&below).map_err(StoreError::from)
        };
        let subscribed = split(&imapd.autocreate_subscribe_folders);
        for folder in split(&imapd.autocreate_inbox_folders) {
            let made = async {
                let name = folder_name(&folder)?;
                let special_use = xlist(&imapd, &folder);
                match self.create(admin, &name, Create { special_use, ..Create::default() }).await {
                    // Made before a crash.
                    Ok(_) | Err(StoreError::Exists) => {}
                    Err(error) => return Err(error),
                }
                self.autocreate_acl(admin, &folder, &name).await?;
                if subscribed.contains(&folder) {
                    self.subscribe(userid, &name, true).await?;
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = made.await {
                warn!(%error, userid, folder, "a folder of a new user could not be made");
            }
        }
        let mut names = vec![inbox.clone()];
        let shared = split(&imapd.autocreate_subscribe_sharedfolders);
        names.extend(shared.iter().filter_map(|folder| self.inner.namespace.internal(folder, &view).ok()));
        if imapd.autocreate_subscribe_sharedfolders_all {
            names.extend(self.readable_shared(userid, groups));
        }
        for name in names {
            if let Err(error) = self.subscribe(userid, &name, true).await {
                warn!(%error, userid, mailbox = %name, "a new user could not be subscribed");
            }
        }
    }

    /// `autocreate_sieve_script`, active from now on; a script that is active already stays so. A courtesy, too.
    async fn autocreate_script(&self, userid: &str) {
        let Some(path) = self.policy().autocreate_sieve_script.clone().filter(|path| !path.is_empty()) else {
            return;
        };
        let made = async {
            let scripts = self.scripts(userid).await?;
            if scripts.all().active().is_some() {
                return Ok(());
            }
            let path = PathBuf::from(&path);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = ScriptName::parse(name).map_err(|_| StoreError::BadName)?;
            let content = blocking(move || fs::read(&path).doing("read", &path)).await?;
            scripts.put(name.clone(), content).await?;
            scripts.activate(Some(name)).await
        };
        let made: Result<(), ScriptError> = made.await;
        if let Err(error) = made {
            warn!(%error, userid, path, "a new user gets no script (autocreate_sieve_script)");
        }
    }

    /// The shared mailboxes of this server that a user may read.
    fn readable_shared(&self, userid: &str, groups: &[String]) -> Vec<MailboxName> {
        let (who, view) = (Who { userid, groups }, View { userid, admin: false, utf8: false });
        let namespace = &self.inner.namespace;
        match self.inner.list.visible_to(None, userid, groups) {
            Ok(visible) => visible
                .into_iter()
                .filter(|(name, entry)| {
                    let listed = namespace.shows(name, &view) && namespace.named(name, &view).is_some();
                    let shared = listed && name.owner().is_none() && !namespace.is_hidden(name);
                    shared && self.rights(name, &entry.acl, who).contains(Rights::READ)
                })
                .map(|(name, _)| name)
                .collect(),
            Err(error) => {
                warn!(%error, userid, "a new user could not be subscribed to shared folders");
                Vec::new()
            }
        }
    }

    /// `autocreate_acl: folder identifier rights`.
    async fn autocreate_acl(
        &self,
        admin: &Actor,
        folder: &str,
        name: &MailboxName,
    ) -> Result<(), StoreError> {
        let policy = self.policy();
        let words: Vec<&str> =
            policy.autocreate_acl.as_deref().unwrap_or_default().split_whitespace().collect();
        for triple in words.chunks_exact(3) {
            if let [of, identifier, letters] = triple
                && *of == folder
            {
                let rights = self.granting().read(letters).map_err(|_| StoreError::NotSupported)?;
                self.set_acl(admin, name, identifier, AclChange::Set(rights)).await?;
            }
        }
        Ok(())
    }
}

/// `xlist-FLAG: folder`: what a folder that is made so is for.
fn xlist(imapd: &Imapd, folder: &str) -> Vec<String> {
    let flags = imapd.overflows().filter(|(_, named)| *named == folder);
    let flags = flags.filter_map(|(key, _)| key.strip_prefix("xlist-"));
    let known = |flag: &str| SPECIAL_USES.iter().find(|known| known.eq_ignore_ascii_case(flag));
    flags.filter_map(|flag| Some(format!("\\{}", known(flag)?))).collect()
}

const SPECIAL_USES: [&str; 6] = ["Archive", "Drafts", "Important", "Junk", "Sent", "Trash"];
