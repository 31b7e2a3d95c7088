//! Layouts of names, as tables and as properties.

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
        ("Entwu\u{308}rfe", "Entw&APw-rfe"),
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
fn names_above_many_mailboxes_are_none_themselves() {
    let (me, admin) = (view("me", false), view("cyrus", true));
    let top = |alt: bool, name: &str, view: &View<'_>| ns(true, alt, false).top(name, view);
    for name in ["Other Users", "Shared Folders", "Alt Folders"] {
        assert_eq!(top(true, name, &me).as_deref(), Some(name));
        assert_eq!(top(true, &format!("{name}/"), &View { utf8: true, ..me }).as_deref(), Some(name));
        assert_eq!((top(false, name, &me), top(true, name, &admin)), (None, None));
    }
    assert_eq!(top(false, "user", &me).as_deref(), Some("user"));
    assert_eq!((top(true, "user", &me), top(true, "Other Users/x", &me)), (None, None));
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
    // Cyrus since 3.0 has an INBOX for such a user too, which an admin writes user.john^doe.
    assert_eq!(ns.inbox("john.doe").unwrap().as_str(), "user.john^doe");
    assert_eq!(ns.internal("user.john^doe", &view("cyrus", true)), ns.inbox("john.doe"));
}

#[test]
fn what_cannot_be_a_name() {
    let ns = ns(true, true, false);
    for bad in ["", "/", "a//b", "INBOX//x", "Other Users", "Shared Folders/user/x", "a^b", "x!y"] {
        assert!(ns.internal(bad, &view("me", false)).is_err(), "{bad}");
    }
    assert_eq!(ns.internal("a/", &view("me", false)).unwrap().as_str(), "user.me.a");
    for bad in ["user", "user.anyone", "a%b", "$x", ".x", "a..b", "a.", "ü", "a&b", "user.%x", "a\"b", "a/b"]
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

/// The virtual domains `def.org` (the default one), `a.org`, `b.org` and `inbox.com`.
fn domains(unix: bool, alt: bool, crossdomains: CrossDomains) -> Namespace {
    Namespace { crossdomains, ..ns(unix, alt, true) }
}

const CROSSINGS: [CrossDomains; 3] = [CrossDomains::Off, CrossDomains::All, CrossDomains::OnlyOther];

/// Who looks: admins of all and of one domain, users of each.
const VIEWERS: [(&str, bool); 9] = [
    ("cyrus", true),
    ("adm@a.org", true),
    ("adm@inbox.com", true),
    ("fred", false),
    ("fred@a.org", false),
    ("bob@a.org", false),
    ("j.d@a.org", false),
    ("fred@b.org", false),
    ("fred@inbox.com", false),
];

#[test]
fn an_admin_names_each_domains_mailboxes_by_a_suffix() {
    for (unix, sep) in [(true, "/"), (false, ".")] {
        let ns = domains(unix, true, CrossDomains::Off);
        let admin = view("cyrus", true);
        for (internal, external) in [
            ("a.org!user.fred.x", "user/fred/x@a.org"),
            ("inbox.com!user.fred", "user/fred@inbox.com"),
            ("user.fred", "user/fred"),
            ("a.org!news.x", "news/x@a.org"),
            ("a.org!user.fred.x@b", "user/fred/x@b@a.org"),
            ("user.fred.x@b", "user/fred/x@b@def.org"),
        ] {
            let (name, external) = (MailboxName::parse(internal).unwrap(), external.replace('/', sep));
            assert_eq!(ns.named(&name, &admin).as_deref(), Some(external.as_str()));
            assert_eq!(ns.internal(&external, &admin), Ok(name));
        }
        let name = |external: &str| ns.internal(&external.replace('/', sep), &admin);
        assert_eq!(name("user/fred@Def.org").unwrap().as_str(), "user.fred");
        assert_eq!(name("user/fred/@a.org").unwrap().as_str(), "a.org!user.fred");
        for bad in ["user/fred@", "@a.org", "user/x@a!b", "user/x@a/b@", "user/x@a b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}

#[test]
fn an_admin_of_a_domain_is_nobody_in_another() {
    let (ns, admin) = (domains(true, true, CrossDomains::All), view("adm@a.org", true));
    for (external, internal) in [
        ("user/fred", "a.org!user.fred"),
        ("user/fred@a.org", "a.org!user.fred"),
        ("news", "a.org!news"),
        ("INBOX/x", "a.org!user.adm.x"),
    ] {
        assert_eq!(ns.internal(external, &admin).unwrap().as_str(), internal);
    }
    for foreign in ["user/fred@b.org", "user/fred@def.org", "user/fred@A.ORG", "INBOX@b.org"] {
        assert_eq!(ns.internal(foreign, &admin), Err(NameError::Foreign), "{foreign}");
    }
    for hidden in ["user.fred", "b.org!user.fred", "b.org!news", "news"] {
        assert_eq!(ns.named(&MailboxName::parse(hidden).unwrap(), &admin), None, "{hidden}");
    }
    // In the default domain's own name there is no domain: an admin of all.
    assert_eq!(ns.internal("user/x@b.org", &view("adm@def.org", true)).unwrap().as_str(), "b.org!user.x");
}

#[test]
fn a_user_names_other_domains_only_with_crossdomains() {
    let (off, all, other) = (CrossDomains::Off, CrossDomains::All, CrossDomains::OnlyOther);
    // What fred@a.org calls it: altnamespace with `/`, and without with dots.
    let rows: [(CrossDomains, &str, Option<&str>, Option<&str>); 12] = [
        (off, "a.org!user.fred.x", Some("x"), Some("INBOX.x")),
        (off, "a.org!user.bob.x", Some("Other Users/bob/x"), Some("user.bob.x")),
        (off, "b.org!user.bob.x", None, None),
        (off, "a.org!news.x", Some("Shared Folders/news/x"), Some("news.x")),
        (off, "news.x", None, None),
        (all, "a.org!user.bob.x", Some("Other Users/bob@a.org/x"), Some("user.bob@a^org.x")),
        (all, "user.bob", Some("Other Users/bob@def.org"), Some("user.bob@def^org")),
        (all, "b.org!news.x", Some("Shared Folders/news@b.org/x"), None),
        (other, "a.org!user.bob.x", Some("Other Users/bob/x"), Some("user.bob.x")),
        (other, "b.org!user.j^d", Some("Other Users/j.d@b.org"), Some("user.j^d@b^org")),
        (other, "a.org!news", Some("Shared Folders/news"), Some("news")),
        (other, "news", Some("Shared Folders/news@def.org"), None),
    ];
    let fred = view("fred@a.org", false);
    for (crossing, internal, alt, plain) in rows {
        let name = MailboxName::parse(internal).unwrap();
        for (ns, external) in [(domains(true, true, crossing), alt), (domains(false, false, crossing), plain)]
        {
            assert_eq!(ns.named(&name, &fred).as_deref(), external, "{internal} {crossing:?}");
            if let Some(external) = external {
                assert_eq!(ns.internal(external, &fred).as_ref(), Ok(&name), "{external} {crossing:?}");
            }
        }
    }
    // Without it an `@` is a letter of a folder's name.
    let alt = domains(true, true, off);
    assert_eq!(alt.internal("INBOX@b.org", &fred).unwrap().as_str(), "a.org!user.fred.INBOX@b^org");
    let bob = alt.internal("Other Users/bob@b.org", &fred).unwrap();
    assert_eq!(bob.as_str(), "a.org!user.bob@b^org");
}

#[test]
fn an_identifier_of_the_default_domain_is_kept_as_its_user_logs_in() {
    let ns = domains(true, true, CrossDomains::Off);
    for (written, kept) in [
        ("Bob@Def.org", "bob"),
        ("-bob@def.org", "-bob"),
        ("Bob@A.org", "bob@a.org"),
        ("Anyone", "anyone"),
        ("group:Staff@def.org", "group:Staff@def.org"),
        ("x@y@def.org", "x@y@def.org"),
    ] {
        assert_eq!(ns.identifier(written, true), kept);
    }
    assert_eq!(ns.identifier("Bob@A.org", false), "Bob@a.org");
    assert_eq!(super::Namespace::default().identifier("Bob@Internal", true), "bob@internal");
}

#[test]
fn nobody_is_given_a_mailbox_whose_owner_would_be_somebody_elses_name() {
    let ns = domains(true, true, CrossDomains::Off);
    let may = |text: &str| ns.check_create(&MailboxName::parse(text).unwrap()).is_ok();
    assert!(may("a.org!user.fred") && may("a.org!user.x@y") && may("user.fred.x@a^org"));
    assert!(!may("user.fred@a^org") && !may("A.org!user.fred") && !may("a org!user.fred"));
    assert!(!may("a.org!INBOX") && !may("inbox.x") && !may("a.org!user"));
    assert!(ns.inbox("x@y@def.org").is_err() && ns.inbox("x@y@a.org").is_ok());
    assert!(ns.inbox("x@").is_err() && ns.inbox("@a.org").is_err() && ns.inbox("x@a!b").is_err());
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
    fn with_domains_every_name_that_is_shown_means_the_same_mailbox_again(
        domain in "((a\\.org|b\\.org|inbox\\.com)!)?",
        top in "(user\\.(fred|bob|j\\^d|adm|a@b\\^org))|news|li@a\\^org|users?|INBOX",
        below in "(\\.(Sent|INBOX|Inbox|x@b\\^org|y@c|user|Other Users|Shared Folders|Alt Folders|fred@a\\^org)){0,3}",
    ) {
        let name = MailboxName::parse(&format!("{domain}{top}{below}")).unwrap();
        for (unix, alt, crossing) in layouts() {
            let ns = domains(unix, alt, crossing);
            for (userid, admin) in VIEWERS {
                let view = view(userid, admin);
                let Some(external) = ns.named(&name, &view) else { continue };
                // `Shared Folders/user` is refused, and `user` cannot be made.
                if name.local().starts_with("user") && name.owner().is_none() { continue }
                prop_assert_eq!(ns.internal(&external, &view), Ok(name.clone()), "{} for {}", external, userid);
                let crosses = admin || ns.crossdomains != CrossDomains::Off;
                prop_assert!(crosses || name.domain() == ns.split_user(userid).1);
            }
        }
    }

    #[test]
    fn with_domains_nothing_that_one_writes_leads_into_a_foreign_domain(
        words in proptest::collection::vec(
            "(INBOX|inbox|user|fred|bob|news|Other Users|Shared Folders|Alt Folders|Sent)(@(a\\.org|b\\.org|def\\.org|A\\.ORG|b\\^org|inbox\\.com|x)?)?", 1..5),
    ) {
        for (unix, alt, crossing) in layouts() {
            let ns = domains(unix, alt, crossing);
            let external = words.join(&ns.separator().to_string());
            for (userid, admin) in VIEWERS {
                let (view, own) = (view(userid, admin), ns.split_user(userid).1);
                let Ok(name) = ns.internal(&external, &view) else { continue };
                let alone = crossing == CrossDomains::Off || (admin && own.is_some());
                prop_assert!(!alone || (admin && own.is_none()) || name.domain() == own, "{} {}", external, userid);
                if let Some(again) = ns.named(&name, &view)
                    && (name.owner().is_some() || !name.local().starts_with("user"))
                {
                    prop_assert_eq!(ns.internal(&again, &view), Ok(name), "{} {} {}", external, again, userid);
                }
            }
        }
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

/// Both separators, both namespaces, and all that users see of other domains.
fn layouts() -> impl Iterator<Item = (bool, bool, CrossDomains)> {
    let flags = [(true, true), (true, false), (false, true), (false, false)];
    flags.into_iter().flat_map(|(unix, alt)| CROSSINGS.map(|crossing| (unix, alt, crossing)))
}
