//! What an address means in this backend's store, and whether it may get mail now.

use std::net::IpAddr;

use config::imapd::{GroupSource, Imapd};
use identity::deny::DenyList;
use mailboxes::{Entry, Flags, State};
use protocol::acl::{Rights, UNKNOWN_GROUPS, Who};
use protocol::lmtp::command::{Mail, Path, Rcpt};
use protocol::lmtp::recipient::{AddressError, Recipient, Rules};
use protocol::lmtp::refusal::Refusal;
use protocol::name::MailboxName;

use store::{Quota, Store, StoreError};

/// The options of imapd.conf that deliveries depend on.
pub(super) struct Policy {
    rules: Rules,
    /// `lmtp_catchall_mailbox`
    catchall: Option<String>,
    /// `lmtp_fuzzy_mailbox_match`
    fuzzy: bool,
    /// `lmtp_strict_quota`: the message counts; without it, one message may exceed a quota that is not used up.
    strict_quota: bool,
    pub over_quota_forever: bool,
    /// `duplicatesuppression`
    pub suppress_duplicates: bool,
    /// `userdeny_db`: who is denied this service gets no mail through it.
    denied: DenyList,
    service: String,
    /// What else the service's settings are, for scripts.
    pub imapd: Imapd,
    /// The client's address.
    pub remote: Option<IpAddr>,
}

/// An accepted recipient.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub recipient: Recipient,
    /// As it came in RCPT.
    pub address: Path,
    pub ignore_quota: bool,
}

impl Policy {
    pub fn new(
        imapd: &Imapd,
        settings: &::lmtp::Settings,
        denied: DenyList,
        remote: Option<IpAddr>,
    ) -> Policy {
        Policy {
            rules: settings.rules.clone(),
            catchall: imapd.lmtp_catchall_mailbox.clone(),
            fuzzy: imapd.lmtp_fuzzy_mailbox_match,
            strict_quota: imapd.lmtp_strict_quota,
            over_quota_forever: imapd.lmtp_over_quota_perm_failure,
            suppress_duplicates: imapd.duplicatesuppression,
            denied,
            service: imapd.identity().to_owned(),
            imapd: imapd.clone(),
            remote,
        }
    }

    /// RCPT: whether there is such a mailbox, and room in it.
    pub async fn accept(&self, store: &Store, mail: &Mail, rcpt: &Rcpt) -> Result<Target, Refusal> {
        let recipient = match self.resolve(store, mail, &rcpt.to).await {
            Err(Refusal::UnknownUser) => {
                let user = self.catchall.as_deref().ok_or(Refusal::UnknownUser)?;
                self.resolve(store, mail, &Path::new(user, rcpt.to.domain())).await?
            }
            other => other?,
        };
        if let Recipient::User { userid, .. } = &recipient {
            self.check_denied(userid).await?;
        }
        if !rcpt.ignore_quota {
            let size = if self.strict_quota { mail.size.unwrap_or(0) } else { 0 };
            self.check_quota(store, recipient.required(), size).await?;
        }
        Ok(Target { recipient, address: rcpt.to.clone(), ignore_quota: rcpt.ignore_quota })
    }

    async fn check_denied(&self, userid: &str) -> Result<(), Refusal> {
        let (denied, service, userid) = (self.denied.clone(), self.service.clone(), userid.to_owned());
        let looked = tokio::task::spawn_blocking(move || denied.denial(&userid, &service)).await;
        match looked.map_err(std::io::Error::other).flatten() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Refusal::Disabled),
            Err(error) => {
                tracing::error!(%error, "{}", self.denied.path().display());
                Err(Refusal::Io)
            }
        }
    }

    /// The mailbox that a recipient's message goes to: the folder that the detail means, where there is one and the
    /// sender may post to it, else INBOX, whatever its ACL says.
    pub async fn mailbox(&self, store: &Store, mail: &Mail, recipient: &Recipient) -> MailboxName {
        let (inbox, folders) = match recipient {
            Recipient::Shared(name) => return name.clone(),
            Recipient::User { inbox, folders, .. } => (inbox, folders),
        };
        for folder in folders {
            let found = match look_up(store, folder).await.ok().flatten() {
                Some(entry) => Some((folder.clone(), entry)),
                None if self.fuzzy => alike(store, folder, Some(inbox)).await,
                None => None,
            };
            if let Some((name, entry)) = found
                && check(&entry).is_ok()
                && rights(store, &name, &entry, mail).contains(Rights::POST)
                && !self.is_excluded(store, recipient, &name).await
            {
                return name;
            }
        }
        inbox.clone()
    }

    /// `lmtp_exclude_specialuse`: a mailbox of such a use gets nothing by a detail.
    async fn is_excluded(&self, store: &Store, recipient: &Recipient, name: &MailboxName) -> bool {
        let (Recipient::User { userid, .. }, excluded) = (recipient, &self.imapd.lmtp_exclude_specialuse)
        else {
            return false;
        };
        if excluded.is_empty() {
            return false;
        }
        let uses = store.special_uses(userid).await.unwrap_or_default();
        let is_one = |one: &String| excluded.iter().any(|excluded| excluded.eq_ignore_ascii_case(one));
        uses.get(name).is_some_and(|uses| uses.iter().any(is_one))
    }

    /// Whether a delivery of `size` bytes may go beyond the quota, or is refused by it.
    pub async fn check_quota(&self, store: &Store, name: &MailboxName, size: u64) -> Result<(), Refusal> {
        let quota = match store.quota_root(name) {
            Some(root) => store.quota(&root).await,
            None => None,
        };
        match quota {
            Some(quota) if is_full(&quota, size) && self.over_quota_forever => Err(Refusal::OverQuotaForever),
            Some(quota) if is_full(&quota, size) => Err(Refusal::OverQuota),
            Some(_) | None => Ok(()),
        }
    }

    pub fn strict_quota(&self) -> bool {
        self.strict_quota
    }

    async fn resolve(&self, store: &Store, mail: &Mail, to: &Path) -> Result<Recipient, Refusal> {
        let recipient = Recipient::parse(to, &self.rules, mail.smtputf8).map_err(|error| match error {
            AddressError::Syntax => Refusal::BadAddress,
            AddressError::NoSuchName => Refusal::UnknownUser,
        })?;
        match recipient {
            Recipient::User { ref userid, ref inbox, .. } => {
                let entry = match look_up(store, inbox).await? {
                    Some(entry) => entry,
                    None => created(store, userid, inbox).await?,
                };
                check(&entry)?;
                Ok(recipient)
            }
            Recipient::Shared(name) => {
                let (name, entry) = match look_up(store, &name).await? {
                    Some(entry) => (name, entry),
                    None if self.fuzzy => alike(store, &name, None).await.ok_or(Refusal::UnknownUser)?,
                    None => return Err(Refusal::UnknownUser),
                };
                check(&entry)?;
                let rights = rights(store, &name, &entry, mail);
                if rights.contains(Rights::POST) {
                    Ok(Recipient::Shared(name))
                } else if rights.contains(Rights::LOOKUP) {
                    Err(Refusal::PermissionDenied)
                } else {
                    Err(Refusal::UnknownUser)
                }
            }
        }
    }
}

/// The list's entry. A mailbox that was moved from here, or is being moved here, is none that does not exist.
async fn look_up(store: &Store, name: &MailboxName) -> Result<Option<Entry>, Refusal> {
    store.find(name).await.map_err(|error| match error {
        StoreError::Moved(_) | StoreError::Frozen => Refusal::Moving,
        error => {
            tracing::error!(mailbox = %name, %error, "the mailbox list cannot be read");
            Refusal::Io
        }
    })
}

/// The INBOX that `autocreate_post` makes for a user who has none.
async fn created(store: &Store, userid: &str, inbox: &MailboxName) -> Result<Entry, Refusal> {
    match store.autocreate(userid, &[], true).await {
        Ok(true) => look_up(store, inbox).await?.ok_or(Refusal::Retry),
        Ok(false) => Err(Refusal::UnknownUser),
        Err(error) => {
            tracing::warn!(userid, %error, "no INBOX could be made for a recipient");
            Err(Refusal::Retry)
        }
    }
}

/// Whether a mailbox takes mail at the moment.
pub(super) fn check(entry: &Entry) -> Result<(), Refusal> {
    if entry.state == State::Reserved {
        return Err(Refusal::Reserved);
    }
    if entry.moving.is_some() {
        return Err(Refusal::Moving);
    }
    // Without what only its own backend knows, it is another backend's.
    let local = entry.local.as_ref().ok_or(Refusal::Moving)?;
    if local.flags.has(Flags::DELETED) || local.flags.has(Flags::INTERMEDIATE) {
        return Err(Refusal::UnknownUser);
    }
    match local.mbtype.as_str() {
        "" | "e" => Ok(()),
        _ => Err(Refusal::NotMail),
    }
}

/// Whether any user may be in any group.
pub(super) fn groups_are_unknown(store: &Store) -> bool {
    store.policy().groups() == GroupSource::Unknown
}

fn rights(store: &Store, name: &MailboxName, entry: &Entry, mail: &Mail) -> Rights {
    let unknown = [UNKNOWN_GROUPS.to_owned()];
    let (userid, groups) = match mail.auth.as_deref() {
        Some(userid) if groups_are_unknown(store) => (userid, &unknown[..]),
        Some(userid) => (userid, &[][..]),
        None => ("anonymous", &[][..]),
    };
    store.rights(name, &entry.acl, Who { userid, groups })
}

async fn alike(
    store: &Store,
    name: &MailboxName,
    inbox: Option<&MailboxName>,
) -> Option<(MailboxName, Entry)> {
    let (list, name, inbox) = (store.list().clone(), name.clone(), inbox.cloned());
    tokio::task::spawn_blocking(move || ::lmtp::closest(&list, &name, inbox.as_ref())).await.ok().flatten()
}

/// Whether `size` more bytes and one more message are too many; 0: whether there is no room at all.
fn is_full(quota: &Quota, size: u64) -> bool {
    let bytes = quota.usage.storage;
    let storage = quota.limits.storage.is_some_and(|kib| {
        let limit = kib.saturating_mul(1024);
        bytes >= limit || bytes.saturating_add(size) > limit
    });
    storage || quota.limits.message.is_some_and(|limit| quota.usage.message >= limit)
}
