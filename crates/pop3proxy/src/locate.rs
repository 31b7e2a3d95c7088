//! From a login to the backend that has its maildrop.

use directory::lookup::{Found, Lookup};
use identity::auth::Login;
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use protocol::pop3::reply::Reply;
use protocol::pop3::unopenable::Unopenable;
use tracing::debug;

/// Which mailbox a login opens: the INBOX, or with `popsubfolders` the folder after the `+`.
pub fn maildrop(namespace: &Namespace, login: &Login) -> Option<MailboxName> {
    let inbox = namespace.inbox(&login.userid).ok()?;
    match login.detail.as_deref().filter(|folder| !folder.is_empty()) {
        None => Some(inbox),
        Some(folder) => namespace.folder(&inbox, folder).ok(),
    }
}

/// The server that has it, or what the client is told.
pub async fn backend(directory: &dyn Lookup, name: &MailboxName) -> Result<String, Reply> {
    match directory.find(name).await {
        Found::Active(entry) => Ok(entry.server().to_owned()),
        Found::Reserved => Err(Reply::Unopenable(Unopenable::Reserved)),
        Found::Missing => Err(Reply::Unopenable(Unopenable::NoMailbox)),
        Found::Unknown(stale) => {
            debug!(mailbox = name.as_str(), "{stale}");
            Err(Reply::Unopenable(Unopenable::ListIncomplete))
        }
    }
}

/// What the client is told when the backend cannot be had. POP3 has no permanent refusal but `[AUTH]`, and the
/// password was right: all are temporary, or the backend's own words (`[IN-USE]`, `[LOGIN-DELAY]` …).
pub fn refusal(error: &upstream::Error) -> String {
    match error {
        upstream::Error::Denied { text, .. } if !text.is_empty() => format!("-ERR {text}"),
        upstream::Error::Denied { .. } | upstream::Error::NoMechanism { .. } => {
            "-ERR Authentication to backend server failed".to_owned()
        }
        upstream::Error::Io { .. }
        | upstream::Error::Timeout { .. }
        | upstream::Error::Down { .. }
        | upstream::Error::Strange { .. }
        | upstream::Error::Protocol { .. }
        | upstream::Error::Unprotected { .. }
        | upstream::Error::Tls { .. }
        // The user has his own password right: he must not be asked for another.
        | upstream::Error::WrongPassword { .. } => {
            Reply::Unopenable(Unopenable::Unavailable).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(detail: Option<&str>) -> Login {
        Login { detail: detail.map(str::to_owned), ..Login::trusted("fred") }
    }

    #[test]
    fn a_login_opens_the_inbox_or_the_folder_after_the_plus() {
        let alt = Namespace::default();
        let name = |namespace: &Namespace, detail| {
            maildrop(namespace, &login(detail)).map(|name| name.as_str().to_owned())
        };
        assert_eq!(name(&alt, None).as_deref(), Some("user.fred"));
        assert_eq!(name(&alt, Some("")).as_deref(), Some("user.fred"));
        assert_eq!(name(&alt, Some("a/b")).as_deref(), Some("user.fred.a.b"));
        let plain = Namespace { altnamespace: false, unixhierarchysep: false, ..Namespace::default() };
        assert_eq!(name(&plain, Some("a.b")).as_deref(), Some("user.fred.a.b"));
        // What stands behind the plus is a folder of the user's, whatever else such a name means.
        let domains = Namespace { virtdomains: true, ..Namespace::default() };
        for namespace in [&alt, &domains] {
            assert_eq!(
                name(namespace, Some("Other Users/bob")).as_deref(),
                Some("user.fred.Other Users.bob")
            );
            assert_eq!(name(namespace, Some("x@b.org")).as_deref(), Some("user.fred.x@b^org"));
        }
    }
}
