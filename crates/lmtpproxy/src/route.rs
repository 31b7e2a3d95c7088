//! Which backend a recipient's mail goes to, and under which address.

use mailboxes::{Entry, State};
use protocol::acl::{Acl, Rights, Who};
use protocol::lmtp::command::{Mail, Path, Rcpt};
use protocol::lmtp::recipient::{AddressError, Recipient, Rules};
use protocol::lmtp::refusal::Refusal;

use crate::directory::{Directory, Found};

/// An accepted recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub server: String,
    /// What the backend is given: the address as it came, unless it was rewritten to another user. (Cyrus re-renders
    /// it, and encodes a folder's name twice by that.)
    pub to: Path,
    pub ignore_quota: bool,
}

/// The options that routing depends on.
#[derive(Debug, Clone)]
pub struct Policy {
    pub rules: Rules,
    /// `lmtp_catchall_mailbox`
    pub catchall: Option<String>,
    /// `lmtp_fuzzy_mailbox_match`
    pub fuzzy: bool,
}

impl Policy {
    /// Finds the backend. A permanent refusal is given only where the list is known to be complete and current.
    pub async fn route<D: Directory>(
        &self,
        mail: &Mail,
        rcpt: &Rcpt,
        directory: &D,
    ) -> Result<Route, Refusal> {
        match self.look_up(mail, &rcpt.to, directory).await {
            Ok(entry) => self.accept(entry, rcpt.to.clone(), rcpt.ignore_quota),
            Err(Refusal::UnknownUser) => self.catch(mail, rcpt, directory).await,
            Err(refusal) => Err(refusal),
        }
    }

    async fn look_up<D: Directory>(&self, mail: &Mail, to: &Path, directory: &D) -> Result<Entry, Refusal> {
        let recipient = Recipient::parse(to, &self.rules, mail.smtputf8).map_err(|error| match error {
            AddressError::Syntax => Refusal::BadAddress,
            AddressError::NoSuchName => Refusal::UnknownUser,
        })?;
        let entry = match directory.find(recipient.required()).await {
            Found::Mailbox(entry) => entry,
            Found::Unknown => return Err(Refusal::Unavailable),
            Found::Missing => self.alike(&recipient, directory).await.ok_or(Refusal::UnknownUser)?,
        };
        if let Recipient::Shared(_) = recipient {
            may_post(&entry, mail.auth.as_deref())?;
        }
        Ok(entry)
    }

    async fn alike<D: Directory>(&self, recipient: &Recipient, directory: &D) -> Option<Entry> {
        match recipient {
            Recipient::Shared(name) if self.fuzzy => directory.find_alike(name).await.map(|(_, entry)| entry),
            Recipient::Shared(_) | Recipient::User { .. } => None,
        }
    }

    async fn catch<D: Directory>(&self, mail: &Mail, rcpt: &Rcpt, directory: &D) -> Result<Route, Refusal> {
        let user = self.catchall.as_deref().ok_or(Refusal::UnknownUser)?;
        let to = Path::new(user, rcpt.to.domain());
        let entry = self.look_up(mail, &to, directory).await?;
        self.accept(entry, to, rcpt.ignore_quota)
    }

    fn accept(&self, entry: Entry, to: Path, ignore_quota: bool) -> Result<Route, Refusal> {
        match entry.state {
            State::Reserved => Err(Refusal::Reserved),
            State::Active => Ok(Route { server: entry.server().to_owned(), to, ignore_quota }),
        }
    }
}

/// Whether the sender may post to a shared mailbox: the identity of MAIL's AUTH, or anyone.
fn may_post(entry: &Entry, identity: Option<&str>) -> Result<(), Refusal> {
    if entry.state == State::Reserved {
        return Ok(());
    }
    let who = Who { userid: identity.unwrap_or("anonymous"), groups: &[] };
    let rights = Acl::parse(&entry.acl).rights(who);
    if rights.contains(Rights::POST) {
        Ok(())
    } else if rights.contains(Rights::LOOKUP) {
        Err(Refusal::PermissionDenied)
    } else {
        Err(Refusal::UnknownUser)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use protocol::lmtp::command::Command;
    use protocol::location::Location;
    use protocol::name::MailboxName;
    use protocol::namespace::Namespace;

    use super::*;

    #[derive(Clone, Default)]
    struct Fixed {
        entries: Arc<BTreeMap<String, Entry>>,
        stale: bool,
    }

    impl Directory for Fixed {
        async fn find(&self, name: &MailboxName) -> Found {
            match self.entries.get(name.as_str()) {
                Some(entry) => Found::Mailbox(entry.clone()),
                None if self.stale => Found::Unknown,
                None => Found::Missing,
            }
        }

        async fn find_alike(&self, name: &MailboxName) -> Option<(MailboxName, Entry)> {
            let alike = name.as_str().to_lowercase();
            self.entries.get(&alike).map(|entry| (MailboxName::parse(&alike).unwrap(), entry.clone()))
        }
    }

    fn directory(stale: bool) -> Fixed {
        let at = |server: &str| Location::parse(&format!("{server}!default")).unwrap();
        let mut entries = BTreeMap::new();
        entries.insert("user.fred".to_owned(), Entry::active(at("be1"), "fred\tlrswipkxtecda\t"));
        entries.insert("user.new".to_owned(), Entry::reserved(at("be2")));
        entries.insert("shared.open".to_owned(), Entry::active(at("be2"), "anyone\tlp\t"));
        entries.insert("shared.staff".to_owned(), Entry::active(at("be2"), "anyone\tl\tjane\tlp\t"));
        entries.insert("shared.secret".to_owned(), Entry::active(at("be2"), "jane\tlrp\t"));
        Fixed { entries: Arc::new(entries), stale }
    }

    fn policy() -> Policy {
        let rules =
            Rules { namespace: Namespace::default(), postuser: String::new(), downcase: true, strict: true };
        Policy { rules, catchall: None, fuzzy: false }
    }

    async fn route(
        policy: &Policy,
        address: &str,
        auth: &str,
        stale: bool,
    ) -> Result<(String, String), Refusal> {
        let Ok(Command::Rcpt(rcpt)) = Command::parse(format!("RCPT TO:<{address}>").as_bytes()) else {
            panic!("{address}");
        };
        let mail = Mail { auth: Some(auth.to_owned()).filter(|a| !a.is_empty()), ..Mail::default() };
        let route = policy.route(&mail, &rcpt, &directory(stale)).await?;
        Ok((route.server, route.to.to_string()))
    }

    #[tokio::test]
    async fn users_go_to_their_backend_under_the_address_as_it_came() {
        let expected = Ok(("be1".to_owned(), "Fred+Some/&Folder@example.com".to_owned()));
        assert_eq!(route(&policy(), "Fred+Some/&Folder@example.com", "", false).await, expected);
        assert_eq!(route(&policy(), "new", "", false).await, Err(Refusal::Reserved));
    }

    #[tokio::test]
    async fn an_unknown_user_is_refused_for_good_only_on_a_current_list() {
        assert_eq!(route(&policy(), "nobody", "", false).await, Err(Refusal::UnknownUser));
        assert_eq!(route(&policy(), "nobody", "", true).await, Err(Refusal::Unavailable));
        assert!(route(&policy(), "fred", "", true).await.is_ok());
    }

    #[tokio::test]
    async fn shared_mailboxes_need_the_right_to_post() {
        let policy = policy();
        assert!(route(&policy, "+shared/open", "", false).await.is_ok());
        assert_eq!(route(&policy, "+shared/staff", "", false).await, Err(Refusal::PermissionDenied));
        assert!(route(&policy, "+shared/staff", "jane", false).await.is_ok());
        assert_eq!(route(&policy, "+shared/secret", "", false).await, Err(Refusal::UnknownUser));
        assert_eq!(route(&policy, "+shared/none", "", false).await, Err(Refusal::UnknownUser));
        let fuzzy = Policy { fuzzy: true, ..policy };
        assert!(route(&fuzzy, "+Shared/OPEN", "", false).await.is_ok());
    }

    #[tokio::test]
    async fn the_catchall_takes_what_nobody_has() {
        let policy = Policy { catchall: Some("fred".into()), ..policy() };
        let expected = Ok(("be1".to_owned(), "fred@x.org".to_owned()));
        assert_eq!(route(&policy, "nobody@x.org", "", false).await, expected);
        assert_eq!(route(&policy, "nobody", "", true).await, Err(Refusal::Unavailable));
    }
}
