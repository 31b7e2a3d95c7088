//! Who a session acts for, and what that one may do and see.

use identity::auth::Login;
use protocol::acl::Who;
use protocol::imap::Refusal;
use protocol::name::MailboxName;
use protocol::namespace::{Namespace, View};

use super::reply::Stop;

/// A logged-in user.
#[derive(Clone)]
pub struct User {
    pub login: Login,
    /// Names of mailboxes are told and taken in UTF-8.
    pub utf8: bool,
}

impl User {
    pub fn id(&self) -> &str {
        &self.login.userid
    }

    /// Admin rights of either kind: as itself, or through a proxy.
    pub fn is_admin(&self) -> bool {
        self.login.is_any_admin()
    }

    pub fn view(&self) -> View<'_> {
        View { userid: &self.login.userid, admin: self.is_admin(), utf8: self.utf8 }
    }

    pub fn who(&self) -> Who<'_> {
        Who { userid: &self.login.userid, groups: &self.login.groups }
    }

    /// The internal name of what the user calls `external`.
    pub fn internal(&self, external: &str, namespace: &Namespace) -> Result<MailboxName, Stop> {
        let unfit = if self.utf8 { Refusal::UnfitName } else { Refusal::BadName };
        namespace.internal(external, &self.view()).map_err(|_| unfit.into())
    }

    /// What the user calls a mailbox.
    pub fn external(&self, name: &MailboxName, namespace: &Namespace) -> String {
        namespace.external(name, &self.view())
    }
}
