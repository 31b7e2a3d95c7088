//! What mailbox a recipient's address means. The same rules hold on frontends and backends, which is why their options
//! must agree: `virtdomains`, `defaultdomain`, `unixhierarchysep`, `postuser`, `lmtp_downcase_rcpt`.
//!
//! `user[+detail][@domain]`: the detail is a folder below the user's INBOX. With the user part equal to `postuser`
//! (which is empty by default) the detail is the full name of a shared mailbox.

use super::command::Path;
use crate::mutf7;
use crate::name::MailboxName;
use crate::namespace::{Namespace, View};

/// The options that shape the meaning of addresses.
#[derive(Debug, Clone)]
pub struct Rules {
    pub namespace: Namespace,
    pub postuser: String,
    /// `lmtp_downcase_rcpt`
    pub downcase: bool,
    /// `lmtp_strict_rfc2821`: 8-bit local parts are refused; without it their bytes become X.
    pub strict: bool,
}

/// Where a message is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    User {
        userid: String,
        inbox: MailboxName,
        /// The folders that the detail may mean, best first; none exists ⇒ INBOX.
        folders: Vec<MailboxName>,
    },
    Shared(MailboxName),
}

/// Why an address means no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("bad address syntax")]
    Syntax,
    /// No mailbox can have such a name, or only a hidden one.
    #[error("no mailbox has such a name")]
    NoSuchName,
}

impl Recipient {
    /// `utf8`: the transaction is one with SMTPUTF8 (RFC 6531), in which addresses may be UTF-8.
    pub fn parse(path: &Path, rules: &Rules, utf8: bool) -> Result<Recipient, AddressError> {
        let local = match utf8 {
            true => String::from_utf8(path.local().to_vec()).map_err(|_| AddressError::Syntax)?,
            false => local_text(path.local(), rules)?,
        };
        let (user, detail) = match local.split_once('+') {
            Some((user, detail)) => (user, Some(detail).filter(|d| !d.is_empty())),
            None => (local.as_str(), None),
        };
        let ns = &rules.namespace;
        let domain = path.domain().filter(|d| ns.virtdomains && !d.eq_ignore_ascii_case(&ns.defaultdomain));
        let user = if rules.downcase { user.to_lowercase() } else { user.to_owned() };
        if let Some(detail) = detail
            && user == rules.postuser
        {
            return shared(detail, domain, ns);
        }
        // The local part is one's name in the domain, never another's with his domain (`"fred@a.org"@b.org`).
        let inbox = ns.inbox_of(&user, domain).map_err(|_| AddressError::NoSuchName)?;
        let userid = match domain {
            Some(domain) => format!("{user}@{domain}"),
            None => user,
        };
        let folders = detail.map(|detail| folders(detail, &inbox, ns)).unwrap_or_default();
        Ok(Recipient::User { userid, inbox, folders })
    }

    /// The mailbox that must exist for the address to be good.
    pub fn required(&self) -> &MailboxName {
        match self {
            Recipient::User { inbox, .. } => inbox,
            Recipient::Shared(name) => name,
        }
    }
}

fn local_text(local: &[u8], rules: &Rules) -> Result<String, AddressError> {
    if local.is_ascii() || !rules.strict {
        return Ok(local.iter().map(|&b| if b.is_ascii() { b as char } else { 'X' }).collect());
    }
    Err(AddressError::Syntax)
}

/// A detail as the sender wrote it, and, since a frontend that encodes it may stand before us, as modified UTF-7.
fn folders(detail: &str, inbox: &MailboxName, ns: &Namespace) -> Vec<MailboxName> {
    let name = |detail: &str| {
        let name = ns.folder(inbox, detail).ok()?;
        (!ns.is_hidden(&name)).then_some(name)
    };
    let encoded = mutf7::encode(detail);
    let raw = (encoded != detail && mutf7::decode(detail).is_some()).then(|| name(detail)).flatten();
    name(&encoded).into_iter().chain(raw).collect()
}

fn shared(detail: &str, domain: Option<&str>, ns: &Namespace) -> Result<Recipient, AddressError> {
    let view = View { userid: "", admin: true };
    let mut external = mutf7::encode(detail);
    if ns.virtdomains {
        external = format!("{external}@{}", domain.unwrap_or(&ns.defaultdomain));
    }
    let name = ns.internal(&external, &view).map_err(|_| AddressError::NoSuchName)?;
    if ns.is_hidden(&name) {
        return Err(AddressError::NoSuchName);
    }
    Ok(Recipient::Shared(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { namespace: Namespace::default(), postuser: String::new(), downcase: true, strict: true }
    }

    fn read(address: &str, rules: &Rules) -> Result<Recipient, AddressError> {
        Recipient::parse(&Path::parse(format!("<{address}>").as_bytes()).unwrap().0, rules, false)
    }

    fn user(userid: &str, inbox: &str, folders: &[&str]) -> Result<Recipient, AddressError> {
        let name = |text: &str| MailboxName::parse(text).unwrap();
        let folders = folders.iter().map(|f| name(f)).collect();
        Ok(Recipient::User { userid: userid.into(), inbox: name(inbox), folders })
    }

    #[test]
    fn users_and_details() {
        let rules = rules();
        assert_eq!(read("Fred@example.com", &rules), user("fred", "user.fred", &[]));
        assert_eq!(read("fred+Lists/x", &rules), user("fred", "user.fred", &["user.fred.Lists.x"]));
        assert_eq!(read("f.red+a.b", &rules), user("f.red", "user.f^red", &["user.f^red.a^b"]));
        assert_eq!(
            read("fred+a&APw-", &rules),
            user("fred", "user.fred", &["user.fred.a&-APw-", "user.fred.a&APw-"])
        );
        assert_eq!(read("fred+#calendars", &rules), user("fred", "user.fred", &[]));
    }

    #[test]
    fn shared_mailboxes_by_postuser() {
        let mut rules = rules();
        let shared = Ok(Recipient::Shared(MailboxName::parse("shared.x").unwrap()));
        assert_eq!(read("+shared/x@example.com", &rules), shared);
        assert_eq!(read("+DELETED/user/fred/5", &rules), Err(AddressError::NoSuchName));
        rules.postuser = "bb".into();
        assert_eq!(read("BB+shared/x", &rules), shared);
        assert_eq!(read("bb", &rules), user("bb", "user.bb", &[]));
    }

    #[test]
    fn domains_count_with_virtdomains_only() {
        let mut rules = rules();
        rules.namespace.virtdomains = true;
        rules.namespace.defaultdomain = "internal".into();
        assert_eq!(read("fred@example.com", &rules), user("fred@example.com", "example.com!user.fred", &[]));
        assert_eq!(read("fred@internal", &rules), user("fred", "user.fred", &[]));
    }

    #[test]
    fn a_quoted_local_part_is_nobody_in_another_domain() {
        let mut rules = rules();
        rules.namespace.virtdomains = true;
        for stranger in ["\"fred@a.org\"", "\"fred@a.org\"@internal", "\"a.org!user.fred\"@b.org"] {
            assert_eq!(read(stranger, &rules), Err(AddressError::NoSuchName), "{stranger}");
        }
        let fred = user("fred@a.org", "a.org!user.fred", &["a.org!user.fred.x@b^org"]);
        assert_eq!(read("\"fred+x@b.org\"@A.org", &rules), fred);
    }

    #[test]
    fn a_shared_mailbox_is_of_the_domain_of_its_address() {
        let mut rules = rules();
        rules.namespace.virtdomains = true;
        let shared = |name: &str| Ok(Recipient::Shared(MailboxName::parse(name).unwrap()));
        assert_eq!(read("+news@a.org", &rules), shared("a.org!news"));
        assert_eq!(read("+news@Internal", &rules), shared("news"));
        assert_eq!(read("+news", &rules), shared("news"));
        assert_eq!(read("\"+news@a.org\"", &rules), shared("news@a^org"));
    }

    #[test]
    fn what_names_no_mailbox_is_told() {
        let mut rules = rules();
        assert_eq!(read("fr\u{fc}d@x", &rules), Err(AddressError::Syntax));
        rules.strict = false;
        assert_eq!(read("fr\u{fc}d@x", &rules), user("frxxd", "user.frxxd", &[]));
        assert_eq!(read("\"fr/ed\"@x", &rules), Err(AddressError::NoSuchName));
    }

    #[test]
    fn with_smtputf8_addresses_are_utf8() {
        let read = |address: &[u8]| Recipient::parse(&Path::parse(address).unwrap().0, &rules(), true);
        let entwuerfe = user("fred", "user.fred", &["user.fred.Entw&APw-rfe"]);
        assert_eq!(read("<fred+Entwürfe@bücher.example>".as_bytes()), entwuerfe);
        assert_eq!(read(b"<fr\xfcd@x>"), Err(AddressError::Syntax));
    }
}
