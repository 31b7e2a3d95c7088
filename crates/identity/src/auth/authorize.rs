//! What an authenticated identity may do: as whom it may act, and whether it is an admin then.
//!
//! | authid is in | authzid | acts as | admin | proxy admin |
//! |---|---|---|---|---|
//! | anything | none, or the same | authid | authid in `admins` | no |
//! | `admins`, `proxyservers` | another | authzid | no | authzid in `admins` |
//! | neither, `loginuseacl`, `a` on authzid's INBOX | another | authzid | no | no |
//! | neither | another | refused | | |
//!
//! One of `admins` with a domain is an admin of that domain: it acts as users of it, and for nobody else.
//!
//! **Deviation:** Cyrus makes one who comes in by `loginuseacl` a proxy admin too, where the INBOX is an admin's;
//! a right on a mailbox does not give the power over all others here.

use super::groups::groups_of;
use super::verify::Verified;
use super::{Failure, Login, Settings, Shared};
use crate::deny::Denial;

/// Answers `loginuseacl`'s question from the mailbox list.
pub trait InboxAcl: Send + Sync {
    /// Whether `authid`, a member of `groups`, has the `a` right on `userid`'s INBOX.
    fn may_administer(&self, authid: &str, groups: &[String], userid: &str) -> bool;
}

impl<F: Fn(&str, &[String], &str) -> bool + Send + Sync> InboxAcl for F {
    fn may_administer(&self, authid: &str, groups: &[String], userid: &str) -> bool {
        self(authid, groups, userid)
    }
}

impl Shared {
    /// Blocks for a look at files: the groups, and the list of denied users.
    pub(super) fn authorize(&self, verified: Verified, mechanism: &str) -> Result<Login, Failure> {
        let login = self.identify(verified, mechanism)?;
        let looked = self.refuse_denied(&login);
        if matches!(looked, Err(Failure::Denied { .. })) {
            self.passwords.forget(&login.authid);
        }
        looked.map(|()| login)
    }

    /// Blocks for a look at the file. One that cannot be read lets nobody in: it may deny this very user. As in Cyrus, admins
    /// cannot lock themselves out.
    pub(super) fn refuse_denied(&self, login: &Login) -> Result<(), Failure> {
        let Some(denied) = self.denied.as_ref().filter(|_| !login.is_any_admin()) else { return Ok(()) };
        let (userid, service) = (login.userid.clone(), self.settings.entry.clone());
        match denied.denial(&userid, &service) {
            Ok(None) => Ok(()),
            Ok(Some(Denial { message, .. })) => Err(Failure::Denied { userid, service, message }),
            Err(error) => Err(Failure::Temporary(format!("{}: {error}", denied.path().display()))),
        }
    }

    fn identify(&self, verified: Verified, mechanism: &str) -> Result<Login, Failure> {
        let settings = &self.settings;
        let Verified { authid, authzid, detail } = verified;
        let groups = groups_of(settings, &authid);
        let listed = |list: &[String], who: &str, groups: &[String]| is_listed(list, who, groups);
        let proxy = listed(&settings.proxyservers, &authid, &groups);
        let userid = match authzid.filter(|authzid| *authzid != authid) {
            None => {
                let admin = listed(&settings.admins, &authid, &groups);
                let mechanism = mechanism.to_owned();
                return Ok(Login {
                    userid: authid.clone(),
                    authid,
                    admin,
                    proxy_admin: false,
                    proxy,
                    counted: !admin && !proxy,
                    groups,
                    mechanism,
                    detail,
                });
            }
            Some(authzid) => authzid,
        };
        let for_others =
            proxy || (listed(&settings.admins, &authid, &groups) && settings.governs(&authid, &userid));
        if !for_others && !self.holds_inbox(&authid, &groups, &userid) {
            return Err(Failure::NotAuthorized { authid, authzid: userid });
        }
        let groups = groups_of(settings, &userid);
        let proxy_admin = for_others && listed(&settings.admins, &userid, &groups);
        Ok(Login {
            authid,
            userid,
            admin: false,
            proxy_admin,
            proxy,
            counted: !for_others,
            groups,
            mechanism: mechanism.to_owned(),
            detail,
        })
    }

    fn holds_inbox(&self, authid: &str, groups: &[String], userid: &str) -> bool {
        let asked = self.inbox_acl.as_ref().filter(|_| self.settings.loginuseacl);
        asked.is_some_and(|acl| acl.may_administer(authid, groups, userid))
    }
}

/// Whether a list such as `admins` names the user or one of the groups (`group:x`).
pub(crate) fn is_listed(list: &[String], userid: &str, groups: &[String]) -> bool {
    list.iter().any(|entry| match entry.strip_prefix("group:") {
        Some(group) => groups.iter().any(|member| member == group),
        None => entry == userid,
    })
}

impl Settings {
    /// Whether an admin's power reaches a user: the admin of a domain has none over others' users.
    fn governs(&self, admin: &str, userid: &str) -> bool {
        let domain = |name: &str| name.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        !self.virtdomains || domain(admin).is_none_or(|own| domain(userid) == Some(own))
    }

    /// Whether this identity is one of `admins`.
    pub fn is_admin(&self, userid: &str, groups: &[String]) -> bool {
        is_listed(&self.admins, userid, groups)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::Pace;
    use crate::passwords::PasswordDb;

    fn shared() -> Shared {
        let acl = |authid: &str, _: &[String], userid: &str| authid == "secretary" && userid != "fred";
        Shared {
            settings: Settings {
                admins: vec!["cyrus".into()],
                proxyservers: vec!["proxy".into()],
                loginuseacl: true,
                unix_groups: false,
                ..Settings::default()
            },
            passwords: PasswordDb::new("/nonexistent"),
            pace: Pace::default(),
            denied: None,
            inbox_acl: Some(Arc::new(acl)),
            kpop: None,
        }
    }

    /// authid, authzid, then userid, admin, proxy admin; `None`: refused.
    type Row = (&'static str, Option<&'static str>, Option<(&'static str, bool, bool)>);

    #[test]
    fn the_table_holds() {
        let rows: &[Row] = &[
            ("fred", None, Some(("fred", false, false))),
            ("fred", Some("fred"), Some(("fred", false, false))),
            ("fred", Some("jim"), None),
            ("fred", Some("cyrus"), None),
            ("cyrus", None, Some(("cyrus", true, false))),
            ("cyrus", Some("fred"), Some(("fred", false, false))),
            ("proxy", None, Some(("proxy", false, false))),
            ("proxy", Some("fred"), Some(("fred", false, false))),
            ("proxy", Some("cyrus"), Some(("cyrus", false, true))),
            ("secretary", Some("jim"), Some(("jim", false, false))),
            ("secretary", Some("fred"), None),
            ("secretary", Some("cyrus"), Some(("cyrus", false, false))),
        ];
        for (authid, authzid, expected) in rows {
            let verified =
                Verified { authid: (*authid).into(), authzid: authzid.map(Into::into), detail: None };
            let result = shared().authorize(verified, "PLAIN").ok();
            if let Some(login) = &result {
                assert_eq!(
                    (login.proxy, login.counted),
                    (*authid == "proxy", ["fred", "secretary"].contains(authid))
                );
            }
            let got = result.as_ref().map(|login| (login.userid.as_str(), login.admin, login.proxy_admin));
            assert_eq!(got, *expected, "{authid} as {authzid:?}");
        }
    }

    #[test]
    fn an_admin_of_a_domain_acts_for_nobody_in_another() {
        let mut shared = shared();
        shared.settings.virtdomains = true;
        shared.settings.admins.push("adm@a.org".into());
        let rows: &[(&str, &str, bool)] = &[
            ("adm@a.org", "fred@a.org", true),
            ("adm@a.org", "fred@b.org", false),
            ("adm@a.org", "fred", false),
            ("adm@a.org", "cyrus", false),
            ("cyrus", "fred@b.org", true),
            ("proxy", "adm@a.org", true),
        ];
        for (authid, userid, may) in rows {
            let verified =
                Verified { authid: (*authid).into(), authzid: Some((*userid).into()), detail: None };
            let login = shared.authorize(verified, "PLAIN");
            assert_eq!(login.is_ok(), *may, "{authid} as {userid}");
            let admin = login.is_ok_and(|login| login.proxy_admin);
            assert_eq!(admin, *authid == "proxy", "{authid} as {userid}");
        }
    }

    #[test]
    fn lists_name_users_and_groups() {
        let list = ["cyrus".to_owned(), "group:staff".to_owned()];
        assert!(is_listed(&list, "cyrus", &[]));
        assert!(is_listed(&list, "fred", &["staff".to_owned()]));
        assert!(!is_listed(&list, "staff", &[]));
        assert!(!is_listed(&list, "group:staff", &["other".to_owned()]));
    }
}
