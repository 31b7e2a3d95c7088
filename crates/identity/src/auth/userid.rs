//! User names as they are typed, and as they are kept.

use transport::peer::Channel;

use super::Settings;

/// The same for a name in which nothing may be cut off: a certificate's. One for `fred+x` is not one for `fred`.
pub(super) fn canonical_whole(settings: &Settings, name: &str, channel: &Channel) -> Option<String> {
    typed_at(settings, name, channel).filter(|(_, detail)| detail.is_none()).map(|(name, _)| name)
}

/// The same of a name that its owner has typed: where that has no domain, it is of the one of the connection
/// ([`super::domain`]).
pub(super) fn typed_at(
    settings: &Settings,
    typed: &str,
    channel: &Channel,
) -> Option<(String, Option<String>)> {
    let typed = typed.trim();
    let local = typed.split_once('+').filter(|_| settings.plus_detail).map_or(typed, |(local, _)| local);
    match settings.domain_for(local.trim(), channel).filter(|_| settings.virtdomains && !typed.contains('@'))
    {
        Some(domain) => canonical(settings, &format!("{typed}@{domain}")),
        None => canonical(settings, typed),
    }
}

/// A name in its canonical form, and what stood after a `+` where that is allowed: `user+detail`, and with virtual domains
/// `user+detail@domain` too, where the domain is the user's.
pub(super) fn canonical(settings: &Settings, typed: &str) -> Option<(String, Option<String>)> {
    let typed = typed.trim();
    let (name, domain) = match typed.rsplit_once('@') {
        Some((name, domain)) if settings.virtdomains => (name, Some(domain)),
        _ => (typed, None),
    };
    let (name, detail) = match name.split_once('+') {
        Some((name, detail)) if settings.plus_detail => (name, Some(detail.to_owned())),
        _ => (name, None),
    };
    let name = name.trim();
    let mut name = if settings.username_tolower { name.to_lowercase() } else { name.to_owned() };
    if settings.virtdomains {
        name = in_domain(settings, name, domain)?;
    } else if let Some((local, realm)) = name.rsplit_once('@')
        && (local.is_empty() || !settings.loginrealms.iter().any(|known| known.eq_ignore_ascii_case(realm)))
    {
        return None;
    }
    is_valid(&name).then_some((name, detail))
}

/// A user of a domain, which is lower-case whatever `username_tolower` says: domains have no case. In the default domain
/// nobody's name has an `@`, for it would be another domain's.
fn in_domain(settings: &Settings, local: String, domain: Option<&str>) -> Option<String> {
    match domain {
        None => Some(local),
        Some(domain) if local.is_empty() || domain.is_empty() => None,
        Some(domain) if domain.eq_ignore_ascii_case(&settings.defaultdomain) => {
            (!local.contains('@')).then_some(local)
        }
        Some(domain) => Some(format!("{local}@{}", domain.to_ascii_lowercase())),
    }
}

/// A name that names somebody.
fn is_valid(name: &str) -> bool {
    protocol::userid::is_valid(name) && !["anyone", "anonymous", "owner"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(settings: &Settings, typed: &str) -> Option<String> {
        canonical(settings, typed).map(|(name, _)| name)
    }

    #[test]
    fn names_are_lowered_and_trimmed() {
        assert_eq!(plain(&Settings::default(), " Fred.Smith ").as_deref(), Some("fred.smith"));
        let exact = Settings { username_tolower: false, ..Settings::default() };
        assert_eq!(plain(&exact, "Fred").as_deref(), Some("Fred"));
    }

    #[test]
    fn foreign_realms_need_loginrealms_unless_domains_are_virtual() {
        assert_eq!(plain(&Settings::default(), "fred@example.org"), None);
        let realms = Settings { loginrealms: vec!["example.org".into()], ..Settings::default() };
        assert_eq!(plain(&realms, "fred@EXAMPLE.org").as_deref(), Some("fred@example.org"));
        let virtual_ =
            Settings { virtdomains: true, defaultdomain: "home.org".into(), ..Settings::default() };
        assert_eq!(plain(&virtual_, "fred@other.org").as_deref(), Some("fred@other.org"));
        assert_eq!(plain(&virtual_, "fred@Home.org").as_deref(), Some("fred"));
    }

    #[test]
    fn a_user_of_a_domain_stays_in_it_whatever_is_typed_before_or_behind() {
        let domains = Settings {
            virtdomains: true,
            defaultdomain: "home.org".into(),
            plus_detail: true,
            username_tolower: false,
            ..Settings::default()
        };
        let whole = |typed: &str| canonical(&domains, typed);
        assert_eq!(plain(&domains, "Fred@Other.ORG").as_deref(), Some("Fred@other.org"));
        assert_eq!(whole("fred+a/b@other.org"), Some(("fred@other.org".into(), Some("a/b".into()))));
        assert_eq!(whole("fred+a/b@home.org"), Some(("fred".into(), Some("a/b".into()))));
        assert_eq!(whole("fred+x@a.org@b.org"), Some(("fred@b.org".into(), Some("x@a.org".into()))));
        // fred of other.org, by the name that the default domain's would have with an `@` in it.
        assert_eq!(whole("fred@other.org@home.org"), None);
        assert_eq!(plain(&domains, "x@y@other.org").as_deref(), Some("x@y@other.org"));
        for nobody in ["@other.org", "fred@", "+x@other.org", "anyone@home.org"] {
            assert_eq!(whole(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_could_be_mistaken_is_refused() {
        for name in [
            "",
            "  ",
            "anyone",
            "Anonymous",
            "group:staff",
            "a/b",
            "a*",
            "%",
            "dom!fred",
            "-fred",
            "a\0b",
            "@x",
            "a^b",
            "fred+x",
        ] {
            assert_eq!(plain(&Settings::default(), name), None, "{name:?}");
        }
    }

    #[test]
    fn a_detail_is_cut_off_where_allowed() {
        let plus = Settings { plus_detail: true, ..Settings::default() };
        assert_eq!(canonical(&plus, "fred+a/b"), Some(("fred".into(), Some("a/b".into()))));
        // Where it is not, nobody is called so: the next node on the way may cut it off.
        assert_eq!(plain(&Settings::default(), "fred+x"), None);
    }
}
