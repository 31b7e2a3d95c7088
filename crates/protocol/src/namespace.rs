//! What a viewer calls a mailbox: conversion between internal names and the names that clients see. Every daemon converts
//! here and nowhere else.
//!
//! Three layouts, chosen by imapd.conf and by who looks:
//!
//! | internal | admin | altnamespace | without |
//! | --- | --- | --- | --- |
//! | `user.me` | `user/me` | `INBOX` | `INBOX` |
//! | `user.me.Sent` | `user/me/Sent` | `Sent` | `INBOX/Sent` |
//! | `user.me.INBOX` | `user/me/INBOX` | `Alt Folders/INBOX` | `INBOX/INBOX` |
//! | `user.me.INBOX.x` | `user/me/INBOX/x` | `INBOX/x` | `INBOX/INBOX/x` |
//! | `user.bob.x` | `user/bob/x` | `Other Users/bob/x` | `user/bob/x` |
//! | `news.x` | `news/x` | `Shared Folders/news/x` | `news/x` |
//!
//! The separator is `/` with `unixhierarchysep` (a `.` inside a name is `^` internally), else `.`. With virtual
//! domains a name of another domain than the viewer's ends in `@domain`.

use unicode_normalization::UnicodeNormalization;

use crate::{
    mutf7,
    name::{MailboxName, NameError},
    pattern::Pattern,
};

/// The options of imapd.conf that shape names. They must be the same on every node.
#[derive(Debug, Clone)]
pub struct Namespace {
    pub unixhierarchysep: bool,
    pub altnamespace: bool,
    /// `userprefix`: "Other Users".
    pub userprefix: String,
    /// `sharedprefix`: "Shared Folders".
    pub sharedprefix: String,
    /// `altprefix`: "Alt Folders".
    pub altprefix: String,
    /// `deletedprefix`: "DELETED".
    pub deletedprefix: String,
    /// `virtdomains` is not off.
    pub virtdomains: bool,
    pub defaultdomain: String,
}

/// Who looks. Admins (and POP3, and proxied admins) see the plain internal layout.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub userid: &'a str,
    pub admin: bool,
    /// Names are UTF-8, as IMAP4rev2 and UTF8=ACCEPT have it; else modified UTF-7, as they are stored.
    pub utf8: bool,
}

impl Default for Namespace {
    fn default() -> Self {
        Namespace {
            unixhierarchysep: true,
            altnamespace: true,
            userprefix: "Other Users".into(),
            sharedprefix: "Shared Folders".into(),
            altprefix: "Alt Folders".into(),
            deletedprefix: "DELETED".into(),
            virtdomains: false,
            defaultdomain: "internal".into(),
        }
    }
}

impl Namespace {
    pub fn separator(&self) -> char {
        if self.unixhierarchysep { '/' } else { '.' }
    }

    /// A user's INBOX. `NameError` where the id cannot name one (empty, a separator inside, …).
    pub fn inbox(&self, userid: &str) -> Result<MailboxName, NameError> {
        let (local, domain) = self.split_user(userid);
        let local = self.component_in(local)?;
        if local.starts_with('%') {
            return Err(NameError::Invalid);
        }
        self.with_domain(domain, &format!("user.{local}"))
    }

    /// The internal name of what a viewer calls `external`. A trailing separator is ignored; INBOX is known in any case.
    pub fn internal(&self, external: &str, view: &View<'_>) -> Result<MailboxName, NameError> {
        if view.utf8 {
            let coded = mutf7::encode(&normal(external)?);
            return self.internal(&coded, &View { utf8: false, ..*view });
        }
        let sep = self.separator();
        let (external, domain) = self.split_domain(external, view)?;
        let external = external.strip_suffix(sep).unwrap_or(external);
        let parts: Vec<&str> = external.split(sep).collect();
        let [first, rest @ ..] = parts.as_slice() else { return Err(NameError::Invalid) };
        let own = domain.is_none();
        let domain = domain.unwrap_or_else(|| self.split_user(view.userid).1);
        if own && first.eq_ignore_ascii_case("INBOX") {
            return match rest {
                [] => self.inbox(view.userid),
                // A folder of its own, whatever case INBOX is written in.
                _ if self.altnamespace && !view.admin => {
                    let parts: Vec<&str> = std::iter::once("INBOX").chain(rest.iter().copied()).collect();
                    self.below(&self.inbox(view.userid)?, &parts)
                }
                _ => self.below(&self.inbox(view.userid)?, rest),
            };
        }
        if view.admin || !self.altnamespace {
            return self.with_domain(domain, &self.join(&parts)?);
        }
        if *first == self.userprefix {
            return self.with_domain(domain, &format!("user.{}", self.join(rest)?));
        }
        if *first == self.sharedprefix {
            let shared = self.join(rest)?;
            if shared == "user" || shared.starts_with("user.") {
                return Err(NameError::Invalid);
            }
            return self.with_domain(domain, &shared);
        }
        let inbox = self.inbox(view.userid)?;
        if *first == self.altprefix {
            if rest.first().is_none_or(|clash| !self.clashes(clash, true)) {
                return Err(NameError::Invalid);
            }
            return self.below(&inbox, rest);
        }
        self.below(&inbox, &parts)
    }

    /// What a viewer calls a mailbox.
    pub fn external(&self, name: &MailboxName, view: &View<'_>) -> String {
        let coded = self.external_coded(name, view);
        // A name that is no modified UTF-7 is nothing else either.
        if view.utf8 { mutf7::decode(&coded).unwrap_or(coded) } else { coded }
    }

    fn external_coded(&self, name: &MailboxName, view: &View<'_>) -> String {
        let sep = self.separator();
        let (mine, domain) = self.split_user(view.userid);
        let suffix = if name.domain() == domain || (name.domain().is_none() && domain.is_none()) {
            String::new()
        } else {
            format!("@{}", name.domain().unwrap_or(&self.defaultdomain))
        };
        let parts: Vec<String> = name.components().map(|c| self.component_out(c)).collect();
        let joined = |parts: &[String]| parts.join(&sep.to_string());
        if view.admin {
            return joined(&parts) + &suffix;
        }
        let text = match parts.as_slice() {
            [user, owner, rest @ ..] if user == "user" && *owner == mine && suffix.is_empty() => match rest {
                [] => "INBOX".to_owned(),
                [first, below @ ..] if self.altnamespace && self.clashes(first, below.is_empty()) => {
                    format!("{}{sep}{}", self.altprefix, joined(rest))
                }
                _ if self.altnamespace => joined(rest),
                _ => format!("INBOX{sep}{}", joined(rest)),
            },
            [user, rest @ ..] if user == "user" && self.altnamespace => {
                format!("{}{sep}{}", self.userprefix, joined(rest))
            }
            _ if self.altnamespace => format!("{}{sep}{}", self.sharedprefix, joined(&parts)),
            _ => joined(&parts),
        };
        text + &suffix
    }

    /// Whether a name may be created: length, characters, modified UTF-7, names that mean something else.
    pub fn check_create(&self, name: &MailboxName) -> Result<(), NameError> {
        if name.as_str().len() > CREATE_MAX || name.components().count() > CREATE_DEPTH {
            return Err(NameError::Invalid);
        }
        if self.is_deleted(name) {
            return Ok(());
        }
        let local = name.local();
        let reserved = local == "user"
            || ["user.anyone", "user.anonymous"].contains(&local)
            || local.starts_with("user.%");
        let start = local.starts_with(['$', '.', '~', '&']) && !local.starts_with('&');
        let doubled = name.components().any(str::is_empty);
        let charset = local.bytes().all(|b| b.is_ascii_alphanumeric() || ALLOWED.contains(&b));
        let coded = name.components().all(|c| mutf7::decode(&c.replace('^', ".")).is_some());
        let inbox_twice = name.inbox().is_some_and(|inbox| {
            name.as_str().strip_prefix(inbox.as_str()).is_some_and(|rest| {
                let first = rest.trim_start_matches('.').split('.').next().unwrap_or_default();
                first.eq_ignore_ascii_case("INBOX") && !self.altnamespace
            })
        });
        if reserved || start || doubled || !charset || !coded || inbox_twice {
            return Err(NameError::Invalid);
        }
        Ok(())
    }

    /// Whether a name lies in the tree of delayed deletes.
    pub fn is_deleted(&self, name: &MailboxName) -> bool {
        name.local().strip_prefix(self.deletedprefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Whether clients do not see a name in LIST, nor LMTP deliver to it: delayed deletes, and the collections that
    /// belong to other services (`#calendars`, `#addressbooks`, `#sieve`, …).
    pub fn is_hidden(&self, name: &MailboxName) -> bool {
        self.is_deleted(name) || name.components().any(|component| COLLECTIONS.contains(&component))
    }

    /// The name of a delayed delete: `DELETED.<name>.<hexadecimal time>`, the domain staying in front.
    pub fn to_deleted(&self, name: &MailboxName, epoch_seconds: u64) -> Result<MailboxName, NameError> {
        let text = format!("{}.{}.{epoch_seconds:08X}", self.deletedprefix, name.local());
        self.with_domain(name.domain(), &text)
    }

    /// The name that a delayed delete had, and when it was deleted (seconds since 1970).
    pub fn undeleted(&self, name: &MailboxName) -> Option<(MailboxName, u64)> {
        let rest = name.local().strip_prefix(self.deletedprefix.as_str())?.strip_prefix('.')?;
        let (old, time) = rest.rsplit_once('.')?;
        let time = u64::from_str_radix(time, 16).ok()?;
        Some((self.with_domain(name.domain(), old).ok()?, time))
    }

    /// The user whose data a mailbox is, a deleted one's too.
    pub fn owner(&self, name: &MailboxName) -> Option<String> {
        name.owner().or_else(|| self.undeleted(name)?.0.owner())
    }

    /// A LIST pattern with its reference, for one viewer. `%` stops at the separator, `*` does not.
    pub fn pattern(&self, reference: &str, pattern: &str) -> Pattern {
        let sep = self.separator();
        // `LIST a/ /b` is `LIST "" a/b`, as in Cyrus: no name begins with the separator.
        let reference = match pattern.starts_with(sep) {
            true => reference.strip_suffix(sep).unwrap_or(reference),
            false => reference,
        };
        Pattern::new(&format!("{reference}{pattern}"), sep)
    }

    /// `fred` or `fred@dom` to its local part and its domain, none for the default domain's.
    pub fn split_user<'a>(&self, userid: &'a str) -> (&'a str, Option<&'a str>) {
        if !self.virtdomains {
            return (userid, None);
        }
        match userid.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain).filter(|d| *d != self.defaultdomain)),
            None => (userid, None),
        }
    }

    /// Splits `…@domain` off; the outer `None` means that the viewer's own domain is meant.
    fn split_domain<'a>(
        &self,
        external: &'a str,
        view: &View<'_>,
    ) -> Result<(&'a str, Option<Option<&'a str>>), NameError> {
        match external.rsplit_once('@').filter(|_| self.virtdomains) {
            Some((rest, domain)) if !domain.is_empty() && !domain.contains(['!', self.separator()]) => {
                let domain = Some(domain).filter(|d| *d != self.defaultdomain);
                let own = self.split_user(view.userid).1;
                if own.is_some() && own != domain {
                    return Err(NameError::Foreign);
                }
                Ok((rest, Some(domain).filter(|d| *d != own || view.admin)))
            }
            _ => Ok((external, None)),
        }
    }

    fn with_domain(&self, domain: Option<&str>, local: &str) -> Result<MailboxName, NameError> {
        match domain {
            Some(domain) => MailboxName::parse(&format!("{domain}!{local}")),
            None => MailboxName::parse(local),
        }
    }

    fn below(&self, inbox: &MailboxName, parts: &[&str]) -> Result<MailboxName, NameError> {
        MailboxName::parse(&format!("{}.{}", inbox.as_str(), self.join(parts)?))
    }

    fn join(&self, parts: &[&str]) -> Result<String, NameError> {
        let parts: Vec<String> = parts.iter().map(|p| self.component_in(p)).collect::<Result<_, _>>()?;
        if parts.is_empty() {
            return Err(NameError::Invalid);
        }
        Ok(parts.join("."))
    }

    /// One component, external to internal: `^` has no other meaning than a dot, so it cannot come from outside.
    fn component_in(&self, text: &str) -> Result<String, NameError> {
        let forbidden = if self.unixhierarchysep { text.contains('^') } else { text.contains('.') };
        if text.is_empty() || forbidden || text.contains(['!', '/']) {
            return Err(NameError::Invalid);
        }
        Ok(if self.unixhierarchysep { text.replace('.', "^") } else { text.to_owned() })
    }

    fn component_out(&self, text: &str) -> String {
        if self.unixhierarchysep { text.replace('^', ".") } else { text.to_owned() }
    }

    /// Whether a user's own top-level folder would be taken for something else under altnamespace; `alone`: the folder
    /// itself, not what is below it.
    fn clashes(&self, first: &str, alone: bool) -> bool {
        (first.eq_ignore_ascii_case("INBOX") && (alone || first != "INBOX"))
            || [&self.userprefix, &self.sharedprefix, &self.altprefix].iter().any(|p| *p == first)
    }
}

/// A name in UTF-8 in the one form in which it is kept (NFC, RFC 5198): no control characters, line separators or noncharacters,
/// and nothing that was no UTF-8 when it came.
pub fn normal(text: &str) -> Result<String, NameError> {
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffd}' | '\u{fdd0}'..='\u{fdef}')
            || u32::from(c) & 0xfffe == 0xfffe
    };
    if text.chars().any(unfit) {
        return Err(NameError::Invalid);
    }
    Ok(if text.is_ascii() { text.to_owned() } else { text.nfc().collect() })
}

/// Bytes of a name that may be created (Cyrus 3.6).
const CREATE_MAX: usize = 490;
/// Components of a name that may be created: each CREATE may make all that is above, and each is an entry in every list of
/// the murder. Cyrus bounds the bytes alone.
const CREATE_DEPTH: usize = 64;
/// The folders of a user that hold no mail. Others may begin with `#` too.
const COLLECTIONS: &[&str] = &[
    "#addressbooks",
    "#calendars",
    "#drive",
    "#jmap",
    "#jmapnotification",
    "#jmappushsubscription",
    "#jmapsubmission",
    "#notifications",
    "#sieve",
];
/// ASCII allowed in names beside letters and digits, `&` only as modified UTF-7 has it.
const ALLOWED: &[u8] = b" #$'()*+,-.:=?@[]^_~&";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ns(unix: bool, alt: bool, virt: bool) -> Namespace {
        Namespace {
            unixhierarchysep: unix,
            altnamespace: alt,
            virtdomains: virt,
            defaultdomain: "def.org".into(),
            ..Namespace::default()
        }
    }

    fn view<'a>(userid: &'a str, admin: bool) -> View<'a> {
        View { userid, admin, utf8: false }
    }

    #[test]
    fn one_name_has_two_forms() {
        let ns = ns(true, true, false);
        let (old, new) = (view("fred", false), View { utf8: true, ..view("fred", false) });
        for (utf8, coded) in [
            ("Entwürfe & Co", "Entw&APw-rfe &- Co"),
            ("台北/日本語", "&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("plain.dot", "plain.dot"),
            ("inbox", "INBOX"),
            ("Other Users/bob/é", "Other Users/bob/&AOk-"),
        ] {
            let name = ns.internal(utf8, &new).unwrap();
            assert_eq!(name, ns.internal(coded, &old).unwrap(), "{utf8}");
            assert_eq!(ns.external(&name, &old), coded);
            let normal: String = utf8.nfc().collect();
            assert_eq!(ns.external(&name, &new), if coded == "INBOX" { coded } else { &normal });
        }
        for unfit in ["a\tb", "a\u{2028}", "\u{fffd}", "\u{fdd0}", "x\u{ffff}", "\u{1fffe}", "a\u{85}"] {
            assert!(ns.internal(unfit, &new).is_err(), "{unfit:?}");
        }
    }

    #[test]
    fn the_table_of_layouts() {
        let me = view("me", false);
        let rows = [
            ("user.me", "user/me", "INBOX", "INBOX"),
            ("user.me.Sent", "user/me/Sent", "Sent", "INBOX/Sent"),
            ("user.me.a^b.c", "user/me/a.b/c", "a.b/c", "INBOX/a.b/c"),
            ("user.me.INBOX", "user/me/INBOX", "Alt Folders/INBOX", "INBOX/INBOX"),
            ("user.me.INBOX.x", "user/me/INBOX/x", "INBOX/x", "INBOX/INBOX/x"),
            ("user.me.Other Users", "user/me/Other Users", "Alt Folders/Other Users", "INBOX/Other Users"),
            ("user.bob.x", "user/bob/x", "Other Users/bob/x", "user/bob/x"),
            ("user.j^d", "user/j.d", "Other Users/j.d", "user/j.d"),
            ("news.x", "news/x", "Shared Folders/news/x", "news/x"),
        ];
        for (internal, admin, alt, std) in rows {
            let name = MailboxName::parse(internal).unwrap();
            for (ns, view, external) in [
                (ns(true, true, false), view("cyrus", true), admin),
                (ns(true, true, false), me, alt),
                (ns(true, false, false), me, std),
            ] {
                assert_eq!(ns.external(&name, &view), external);
                assert_eq!(ns.internal(external, &view), Ok(name.clone()), "{external}");
            }
        }
    }

    #[test]
    fn without_unixhierarchysep_the_dot_separates() {
        let ns = ns(false, false, false);
        assert_eq!(ns.internal("INBOX.a.b", &view("me", false)).unwrap().as_str(), "user.me.a.b");
        assert_eq!(ns.internal("inbox", &view("me", false)).unwrap().as_str(), "user.me");
        assert_eq!(ns.internal("user.bob", &view("cyrus", true)).unwrap().as_str(), "user.bob");
        assert!(ns.inbox("john.doe").is_err());
    }

    #[test]
    fn what_cannot_be_a_name() {
        let ns = ns(true, true, false);
        for bad in ["", "/", "a//b", "INBOX//x", "Other Users", "Shared Folders/user/x", "a^b", "x!y"] {
            assert!(ns.internal(bad, &view("me", false)).is_err(), "{bad}");
        }
        assert_eq!(ns.internal("a/", &view("me", false)).unwrap().as_str(), "user.me.a");
        for bad in
            ["user", "user.anyone", "a%b", "$x", ".x", "a..b", "a.", "ü", "a&b", "user.%x", "a\"b", "a/b"]
        {
            assert!(MailboxName::parse(bad).is_ok_and(|n| ns.check_create(&n).is_err()), "{bad}");
        }
        for good in ["user.fred.Entw&APw-rfe", "shared.a b+c", "user.fred.a^b", "DELETED.user.x%.00"] {
            assert!(ns.check_create(&MailboxName::parse(good).unwrap()).is_ok(), "{good}");
        }
        for (depth, fits) in [(62, true), (63, false)] {
            let deep = MailboxName::parse(&format!("user.fred{}", ".a".repeat(depth))).unwrap();
            assert_eq!(ns.check_create(&deep).is_ok(), fits, "{depth}");
        }
    }

    #[test]
    fn domains_route_by_their_suffix() {
        let ns = ns(true, true, true);
        let fred = view("fred@a.org", false);
        assert_eq!(ns.internal("INBOX", &fred).unwrap().as_str(), "a.org!user.fred");
        assert_eq!(ns.internal("Sent", &fred).unwrap().as_str(), "a.org!user.fred.Sent");
        let admin = view("cyrus", true);
        assert_eq!(ns.internal("user/fred/x@a.org", &admin).unwrap().as_str(), "a.org!user.fred.x");
        assert_eq!(ns.internal("user/fred@def.org", &admin).unwrap().as_str(), "user.fred");
        let name = MailboxName::parse("a.org!user.fred.x").unwrap();
        assert_eq!(ns.external(&name, &admin), "user/fred/x@a.org");
        assert_eq!(ns.external(&name, &fred), "x");
        assert_eq!(ns.internal("Other Users/bob@b.org", &fred), Err(NameError::Foreign));
    }

    #[test]
    fn delayed_deletes_keep_their_domain_and_owner() {
        let ns = ns(true, true, true);
        let name = MailboxName::parse("a.org!user.fred.x").unwrap();
        let gone = ns.to_deleted(&name, 0x66F3_A1B2).unwrap();
        assert_eq!(gone.as_str(), "a.org!DELETED.user.fred.x.66F3A1B2");
        assert!(ns.is_deleted(&gone) && ns.is_hidden(&gone));
        assert_eq!(ns.undeleted(&gone), Some((name, 0x66F3_A1B2)));
        assert_eq!(ns.owner(&gone).unwrap(), "fred@a.org");
        assert!(ns.is_hidden(&MailboxName::parse("user.fred.#calendars.x").unwrap()));
        assert!(!ns.is_hidden(&MailboxName::parse("user.fred.#1 priority").unwrap()));
    }

    proptest! {
        #[test]
        fn names_go_out_and_come_back(
            text in "(user\\.(me|bob|j\\^d)(\\.[a-zA-Z &#^-]{1,6}){0,3})|([a-tv-z][a-z]{0,5}(\\.[a-z ]{1,6}){0,3})",
            unix in any::<bool>(), alt in any::<bool>(), admin in any::<bool>(),
        ) {
            let name = MailboxName::parse(&text).unwrap();
            // without unixhierarchysep there is no way to write a dot inside a component, and none is ever stored
            prop_assume!(unix || !text.contains('^'));
            // a shared mailbox may not be called INBOX where it stands at the top, as with every IMAP server
            prop_assume!(!text.to_ascii_lowercase().starts_with("inbox"));
            let (ns, view) = (ns(unix, alt, false), view("me", admin));
            let external = ns.external(&name, &view);
            prop_assert_eq!(ns.internal(&external, &view), Ok(name), "{}", external);
        }

        #[test]
        fn no_external_name_panics(text in ".{0,60}", unix in any::<bool>(), alt in any::<bool>(), virt in any::<bool>()) {
            let ns = ns(unix, alt, virt);
            for admin in [true, false] {
                if let Ok(name) = ns.internal(&text, &view("me@x.org", admin)) {
                    let _ = (ns.external(&name, &view("me", admin)), ns.check_create(&name), ns.undeleted(&name));
                }
            }
        }
    }
}
