//! Who a principal is here.
//!
//! | principal | is |
//! | --- | --- |
//! | `alice@` one of our own realms (`gssapi_realms`, else `default_realm`) | `alice`, as if she had typed that |
//! | `alice@OTHER` | the user `alice@OTHER`, where `loginrealms` has the realm; with virtual domains also where `loginrealms` is empty |
//! | `imap/fe1.example.org@…`, any with a `/` | itself, where `admins`, `proxyservers` or (MUPDATE) `mupdate_readers` has it, letter by letter |
//! | anything else | nobody |
//!
//! **Deviation:** a foreign realm by the name of `defaultdomain` needs `loginrealms`, or its users would be those of our own domain.

use transport::peer::Channel;

use crate::auth::{Settings, userid};

/// The user whom a ticket names. None: nobody of ours.
pub(in crate::auth) fn userid(
    settings: &Settings,
    realms: &[String],
    principal: &str,
    channel: &Channel,
) -> Option<String> {
    let (name, realm) = principal.split_once('@')?;
    // Kerberos writes a backslash before what would be mistaken for a separator: no user is called so.
    if name.is_empty() || realm.is_empty() || realm.contains('@') || principal.contains('\\') {
        return None;
    }
    let own = realms.iter().any(|one| one == realm);
    if !own && !admits(settings, realm) {
        return None;
    }
    let whole = if own { name } else { principal };
    match name.contains('/') {
        true => is_node(settings, whole).then(|| whole.to_owned()),
        false => userid::canonical_whole(settings, whole, channel),
    }
}

/// Whether users of another realm may come in.
fn admits(settings: &Settings, realm: &str) -> bool {
    let listed = settings.loginrealms.iter().any(|known| known.eq_ignore_ascii_case(realm));
    let by_domain = settings.virtdomains
        && settings.loginrealms.is_empty()
        && !realm.eq_ignore_ascii_case(&settings.defaultdomain);
    listed || by_domain
}

/// Whether the configuration knows the name as another node's or an admin's.
fn is_node(settings: &Settings, name: &str) -> bool {
    [&settings.admins, &settings.proxyservers, &settings.nodes]
        .iter()
        .any(|list| list.iter().any(|one| one == name))
}

#[cfg(test)]
mod tests {
    use transport::peer::Peer;

    use super::*;

    fn named(settings: &Settings, principal: &str) -> Option<String> {
        let any = "192.0.2.7:143".parse().unwrap();
        let channel = Channel::new(Peer::Tcp { remote: any, local: any });
        userid(settings, &["MURDER.TEST".to_owned()], principal, &channel)
    }

    #[test]
    fn a_principal_is_who_the_table_says() {
        let plain = Settings::default();
        let exact = Settings { username_tolower: false, ..Settings::default() };
        let realms = Settings { loginrealms: vec!["other.test".into()], ..Settings::default() };
        let domains =
            Settings { virtdomains: true, defaultdomain: "corp.test".into(), ..Settings::default() };
        let narrow = Settings { loginrealms: vec!["CORP.TEST".into()], ..domains.clone() };
        let nodes = Settings {
            admins: vec!["cyrus/admin".into()],
            proxyservers: vec!["imap/fe1.murder.test".into(), "imap/fe9@OTHER.TEST".into()],
            ..realms.clone()
        };
        for (settings, principal, expected) in [
            (&plain, "alice@MURDER.TEST", Some("alice")),
            (&plain, "Carol@MURDER.TEST", Some("carol")),
            (&exact, "Carol@MURDER.TEST", Some("Carol")),
            (&plain, "alice@murder.test", None),
            (&plain, "alice@OTHER.TEST", None),
            (&realms, "alice@OTHER.TEST", Some("alice@other.test")),
            (&realms, "alice@THIRD.TEST", None),
            (&domains, "alice@MURDER.TEST", Some("alice")),
            (&domains, "Alice@OTHER.TEST", Some("alice@other.test")),
            (&domains, "alice@CORP.TEST", None),
            (&narrow, "alice@CORP.TEST", Some("alice")),
            (&narrow, "alice@OTHER.TEST", None),
            (&plain, "bob/admin@MURDER.TEST", None),
            (&plain, "imap/fe1.murder.test@MURDER.TEST", None),
            (&nodes, "imap/fe1.murder.test@MURDER.TEST", Some("imap/fe1.murder.test")),
            (&nodes, "imap/fe1.murder.test@OTHER.TEST", None),
            (&nodes, "imap/fe9@OTHER.TEST", Some("imap/fe9@OTHER.TEST")),
            (&nodes, "imap/fe9@MURDER.TEST", None),
            (&nodes, "cyrus/admin@MURDER.TEST", Some("cyrus/admin")),
            (&nodes, "cyrus/Admin@MURDER.TEST", None),
        ] {
            assert_eq!(named(settings, principal).as_deref(), expected, "{principal}");
        }
    }

    #[test]
    fn no_spelling_of_another_name_is_a_user() {
        let plus = Settings {
            plus_detail: true,
            virtdomains: true,
            loginrealms: vec!["B.TEST".into()],
            ..Settings::default()
        };
        for principal in [
            "",
            "@",
            "alice",
            "@MURDER.TEST",
            "alice@",
            "alice@MURDER.TEST@B.TEST",
            "alice\\@B.TEST@MURDER.TEST",
            "alice\\/x@MURDER.TEST",
            "alice+folder@MURDER.TEST",
            "anyone@MURDER.TEST",
            "anonymous@MURDER.TEST",
            "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
            "group:staff@MURDER.TEST",
            "al\0ice@MURDER.TEST",
            "al\nice@MURDER.TEST",
        ] {
            assert_eq!(named(&plus, principal), None, "{principal:?}");
            assert_eq!(named(&Settings::default(), principal), None, "{principal:?}");
        }
    }
}
