//! User names as they are typed, and as they are kept.

use super::Settings;

/// The same for a name in which nothing may be cut off: a certificate's. One for `fred+x` is not one for `fred`.
pub(super) fn canonical_whole(settings: &Settings, name: &str) -> Option<String> {
    canonical(settings, name).filter(|(_, detail)| detail.is_none()).map(|(name, _)| name)
}

/// A name in its canonical form, and what stood after a `+` where that is allowed.
pub(super) fn canonical(settings: &Settings, typed: &str) -> Option<(String, Option<String>)> {
    let (name, detail) = match typed.split_once('+') {
        Some((name, detail)) if settings.plus_detail => (name, Some(detail.to_owned())),
        _ => (typed, None),
    };
    let name = name.trim();
    let mut name = if settings.username_tolower { name.to_lowercase() } else { name.to_owned() };
    if let Some((local, domain)) = name.rsplit_once('@') {
        if local.is_empty() || domain.is_empty() {
            return None;
        }
        if settings.virtdomains {
            if domain.eq_ignore_ascii_case(&settings.defaultdomain) {
                name = local.to_owned();
            }
        } else if !settings.loginrealms.iter().any(|realm| realm.eq_ignore_ascii_case(domain)) {
            return None;
        }
    }
    is_valid(&name).then_some((name, detail))
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
