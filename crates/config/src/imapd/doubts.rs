//! What is right by itself and yet not what its writer means: who can log in, and as what.

use std::collections::BTreeSet;

use super::choices::AuthMech;
use super::names::Names;
use super::registry::Settings;
use crate::Problem;

/// Looks at the options of logins, as the file has them for all programs and for each entry that has its own.
pub(super) fn logins(names: &Names, warnings: &mut Vec<Problem>) {
    let entries: BTreeSet<&str> = names.overrides().map(|(entry, ..)| entry).collect();
    let mut told: Vec<Problem> = Vec::new();
    for identity in std::iter::once("").chain(entries) {
        let settings = super::settings(names, identity);
        let doubts = [groups(&settings), checks(&settings), mechanisms(&settings), in_the_clear(&settings)];
        for (option, message) in doubts.into_iter().flatten() {
            let Some(at) = names.option(identity, option) else { continue };
            let problem = Problem::new(&at.file, at.line, &at.key, message);
            if !told.contains(&problem) {
                told.push(problem);
            }
        }
    }
    warnings.extend(told);
}

type Doubt = Option<(&'static str, String)>;

/// `auth_mech`: whose groups and names cannot be asked for here.
fn groups(settings: &Settings) -> Doubt {
    let message = match settings.auth_mech {
        AuthMech::Unix => return None,
        AuthMech::Pts => {
            "'pts' cannot be asked here. Lost are groups (group:x in an ACL, in admins or in proxyservers is nobody) and the \
             mapping of login names (pts_module, ldap_* and afspts_*). A mailbox whose ACL denies a group is open to its owner \
             alone, and autocreate is off"
        }
        AuthMech::Mboxgroups => {
            "groups that are kept as mailboxes cannot be looked up here: group:x in an ACL, in admins or in proxyservers is \
             nobody. A mailbox whose ACL denies a group is open to its owner alone, and autocreate is off"
        }
        AuthMech::Krb | AuthMech::Krb5 => {
            "Kerberos's names are not mapped here: users are who their passwords say, and nobody is in a group"
        }
    };
    Some(("auth_mech", message.to_owned()))
}

/// `sasl_pwcheck_method`: where passwords are looked at.
fn checks(settings: &Settings) -> Doubt {
    let method = |name: &str| settings.sasl_pwcheck_method.iter().any(|method| method == name);
    let message = if method("alwaystrue") {
        "alwaystrue: every password opens every account, the admins' too: for tests only".to_owned()
    } else if method("auxprop") || method("saslauthd") {
        return None;
    } else {
        format!(
            "'{}' is not served here (auxprop and saslauthd are): no password is right",
            settings.sasl_pwcheck_method.join(" ")
        )
    };
    Some(("sasl_pwcheck_method", message))
}

/// `sasl_mech_list` without a mechanism that can work.
fn mechanisms(settings: &Settings) -> Doubt {
    let listed = &settings.sasl_mech_list;
    if listed.is_empty() || listed.iter().any(|name| works(settings, name)) {
        return None;
    }
    let served = if has_keys(settings) {
        "SCRAM-SHA-256, SCRAM-SHA-1, GSSAPI, PLAIN, LOGIN and EXTERNAL"
    } else {
        "GSSAPI, PLAIN, LOGIN and EXTERNAL"
    };
    let message = format!(
        "lets nobody in: of {} none is served here ({served} are). MUPDATE, LMTP and ManageSieve have no other login; IMAP's \
         LOGIN and POP3's USER still work",
        listed.join(", ")
    );
    Some(("sasl_mech_list", message))
}

/// Only passwords in the clear, which nobody may send.
fn in_the_clear(settings: &Settings) -> Doubt {
    let set = |file: &Option<String>| file.as_deref().is_some_and(|file| file != "disabled");
    let tls = set(&settings.tls_server_cert) && set(&settings.tls_server_key);
    let listed = |name: &str| {
        let list = &settings.sasl_mech_list;
        works(settings, name)
            && (list.is_empty() || list.iter().any(|listed| listed.eq_ignore_ascii_case(name)))
    };
    let clear_only = !["SCRAM-SHA-256", "SCRAM-SHA-1"].into_iter().any(listed);
    if tls || settings.allowplaintext || !clear_only || !(listed("PLAIN") || listed("LOGIN")) {
        return None;
    }
    let option = if has_keys(settings) { "sasl_mech_list" } else { "sasl_pwcheck_method" };
    let message = "lets nobody in over TCP: it leaves PLAIN and LOGIN only, which need TLS, and there is no tls_server_cert with \
                   tls_server_key (allowplaintext: yes takes passwords in the clear)";
    Some((option, message.to_owned()))
}

/// Whether a mechanism can be served with these ways of checking.
fn works(settings: &Settings, mechanism: &str) -> bool {
    let mechanism = mechanism.to_ascii_uppercase();
    match mechanism.as_str() {
        "PLAIN" | "LOGIN" | "EXTERNAL" | "GSSAPI" => true,
        "SCRAM-SHA-256" | "SCRAM-SHA-1" | "SCRAM-SHA-256-PLUS" | "SCRAM-SHA-1-PLUS" => has_keys(settings),
        _ => false,
    }
}

/// SCRAM needs its keys, which only our own database has.
fn has_keys(settings: &Settings) -> bool {
    settings.sasl_pwcheck_method.iter().any(|method| method == "auxprop")
}
