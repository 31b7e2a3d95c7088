//! Which backend a recipient's mail goes to, and under which address.

use directory::lookup::{Found, Lookup};
use mailboxes::Entry;
use protocol::acl::{Acl, Rights, Who};
use protocol::lmtp::command::{Mail, Path, Rcpt};
use protocol::lmtp::recipient::{AddressError, Recipient, Rules};
use protocol::lmtp::refusal::Refusal;
use tracing::warn;

use crate::newcomer::{Newcomer, Newcomers};
use crate::transaction::Route;

/// The options that routing depends on.
#[derive(Clone)]
pub struct Policy {
    pub rules: Rules,
    /// `lmtp_catchall_mailbox`
    pub catchall: Option<String>,
    /// `lmtp_fuzzy_mailbox_match`
    pub fuzzy: bool,
    /// `autocreate_…`
    pub newcomers: Newcomers,
}

impl Policy {
    /// Finds the backend. A permanent refusal is given only where the list is known to be complete and current.
    pub async fn route(&self, mail: &Mail, rcpt: &Rcpt, directory: &dyn Lookup) -> Result<Route, Refusal> {
        match self.look_up(mail, &rcpt.to, directory).await {
            Ok(entry) => Ok(accepted(&entry, rcpt.to.clone(), rcpt.ignore_quota)),
            Err(Refusal::UnknownUser) => self.catch(mail, rcpt, directory).await,
            Err(refusal) => Err(refusal),
        }
    }

    /// The backend that a recipient's mailbox is on by now, where that is another than the one it was sent to.
    pub async fn elsewhere(&self, mail: &Mail, route: &Route, directory: &dyn Lookup) -> Option<String> {
        let entry = self.look_up(mail, &route.to, directory).await.ok()?;
        (entry.server() != route.server).then(|| entry.server().to_owned())
    }

    async fn look_up(&self, mail: &Mail, to: &Path, directory: &dyn Lookup) -> Result<Entry, Refusal> {
        let recipient = Recipient::parse(to, &self.rules, mail.smtputf8).map_err(|error| match error {
            AddressError::Syntax => Refusal::BadAddress,
            AddressError::NoSuchName => Refusal::UnknownUser,
        })?;
        let entry = match directory.find(recipient.required()).await {
            Found::Active(entry) => entry,
            Found::Unknown(stale) => {
                warn!(mailbox = %recipient.required(), "{stale}");
                return Err(Refusal::Unavailable);
            }
            missing @ (Found::Missing | Found::Reserved) => match self.newcomer(mail, to, &recipient) {
                // Boxed: rare, and large beside what a recipient needs as a rule.
                Some(newcomer) => Box::pin(self.newcomers.settle(newcomer, directory)).await?,
                None if missing == Found::Reserved => return Err(Refusal::Reserved),
                None => self.alike(&recipient, directory).await.ok_or(Refusal::UnknownUser)?,
            },
        };
        if let Recipient::Shared(_) = recipient {
            may_post(&entry, mail.auth.as_deref())?;
        }
        Ok(entry)
    }

    /// The recipient as one whose INBOX is to be made, if that is to be.
    fn newcomer<'a>(&self, mail: &'a Mail, to: &'a Path, recipient: &'a Recipient) -> Option<Newcomer<'a>> {
        match recipient {
            Recipient::User { userid, inbox, .. } if self.newcomers.takes(userid) => {
                Some(Newcomer { mail, to, userid, inbox })
            }
            Recipient::User { .. } | Recipient::Shared(_) => None,
        }
    }

    async fn alike(&self, recipient: &Recipient, directory: &dyn Lookup) -> Option<Entry> {
        match recipient {
            Recipient::Shared(name) if self.fuzzy => {
                let (list, name) = (directory.list().clone(), name.clone());
                let closest = tokio::task::spawn_blocking(move || lmtp::closest(&list, &name, None));
                closest.await.ok().flatten().map(|(_, entry)| entry)
            }
            Recipient::Shared(_) | Recipient::User { .. } => None,
        }
    }

    async fn catch(&self, mail: &Mail, rcpt: &Rcpt, directory: &dyn Lookup) -> Result<Route, Refusal> {
        let user = self.catchall.as_deref().ok_or(Refusal::UnknownUser)?;
        let to = Path::new(user, rcpt.to.domain());
        let entry = self.look_up(mail, &to, directory).await?;
        Ok(accepted(&entry, to, rcpt.ignore_quota))
    }
}

fn accepted(entry: &Entry, to: Path, ignore_quota: bool) -> Route {
    Route { server: entry.server().to_owned(), to, ignore_quota }
}

/// Whether the sender may post to a shared mailbox: the identity of MAIL's AUTH, or anyone.
fn may_post(entry: &Entry, identity: Option<&str>) -> Result<(), Refusal> {
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
    use std::sync::Arc;

    use config::imapd::Imapd;
    use mailboxes::store::Memory;
    use mailboxes::{Follow, List, Options};
    use protocol::lmtp::command::Command;
    use protocol::location::Location;
    use protocol::name::MailboxName;
    use protocol::namespace::Namespace;

    use super::*;

    async fn directory(stale: bool) -> List {
        let at = |server: &str| Location::parse(&format!("{server}!default")).unwrap();
        let entries = [
            ("user.fred", Entry::active(at("be1"), "fred\tlrswipkxtecda\t")),
            ("user.new", Entry::reserved(at("be2"))),
            ("shared.open", Entry::active(at("be2"), "anyone\tlp\t")),
            ("shared.staff", Entry::active(at("be2"), "anyone\tl\tjane\tlp\t")),
            ("shared.secret", Entry::active(at("be2"), "jane\tlrp\t")),
        ];
        let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
        let changes = entries.map(|(name, entry)| (MailboxName::parse(name).unwrap(), Some(entry)));
        let follow = Follow { changes: changes.into(), position: None, complete: !stale, whole: true };
        list.follow(follow).await.unwrap();
        list
    }

    fn policy() -> Policy {
        let rules =
            Rules { namespace: Namespace::default(), postuser: String::new(), downcase: true, strict: true };
        let imapd =
            Imapd::parse(std::path::Path::new("/nowhere/imapd.conf"), "configdirectory: /nowhere\n", "lmtp");
        let imapd = imapd.unwrap();
        let upstream = upstream::Upstream::new(&imapd);
        let servers = arrivals::Servers::new(upstream.clone(), List::memory());
        let newcomers = Newcomers::new(imapd, servers, upstream::Pool::new(upstream));
        Policy { rules, catchall: None, fuzzy: false, newcomers }
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
        let route = policy.route(&mail, &rcpt, &directory(stale).await).await?;
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
