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
}

impl User {
    pub fn id(&self) -> &str {
        &self.login.userid
    }

    /// Admin rights of either kind: as itself, or through a proxy.
    pub fn is_admin(&self) -> bool {
        self.login.is_any_admin()
    }

    /// An admin of the node, as itself: not of one domain alone.
    pub fn is_node_admin(&self, namespace: &Namespace) -> bool {
        self.login.admin && namespace.is_of_all(&self.view())
    }

    pub fn view(&self) -> View<'_> {
        View { userid: &self.login.userid, admin: self.is_admin() }
    }

    pub fn who(&self) -> Who<'_> {
        Who { userid: &self.login.userid, groups: &self.login.groups }
    }

    /// The internal name of what the user calls `external`.
    pub fn internal(&self, external: &str, namespace: &Namespace) -> Result<MailboxName, Stop> {
        namespace.internal(external, &self.view()).map_err(|error| Refusal::from(error).into())
    }

    /// What the user calls a mailbox.
    pub fn external(&self, name: &MailboxName, namespace: &Namespace) -> String {
        namespace.external(name, &self.view())
    }
}
