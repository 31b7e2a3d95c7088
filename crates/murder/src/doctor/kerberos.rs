//! Kerberos: whether tickets can be taken where that is wanted, and for which names, by the keytab.

use std::collections::BTreeSet;

use config::imapd::Imapd;
use identity::auth::GSSAPI;
use krb5::Library;
use protocol::spoken::Protocol;

use super::report::place;
use super::{Node, Report};

pub(super) fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let named = imapd.sasl_mech_list.iter().any(|name| name.eq_ignore_ascii_case(GSSAPI));
    if !named && !imapd.sasl_mech_list.is_empty() {
        return;
    }
    let wanted = named || imapd.sasl_keytab.is_some() || std::env::var_os("KRB5_KTNAME").is_some();
    match principals(imapd) {
        Ok((keytab, principals)) => compare(node, &keytab, &principals, report),
        Err((about, why)) if wanted => {
            let option = if imapd.sasl_keytab.is_some() { "sasl_keytab" } else { "sasl_mech_list" };
            report.error("kerberos", about, format!("{why}: GSSAPI is not offered"), place(imapd, option));
        }
        // Nobody has asked for it.
        Err(_) => {}
    }
}

/// The keytab, and whose keys are in it.
fn principals(imapd: &Imapd) -> Result<(String, BTreeSet<String>), (String, String)> {
    let library = Library::get().map_err(|absent| ("libgssapi_krb5".to_owned(), absent.to_string()))?;
    let keytab = imapd.sasl_keytab.as_deref();
    let name = keytab.map_or_else(|| library.default_keytab(), |name| Ok(name.to_owned()));
    let name = name.map_err(|error| ("krb5.conf".to_owned(), error.to_string()))?;
    let keys = library.keys(keytab).map_err(|error| (name.clone(), error.to_string()))?;
    Ok((name, keys.into_iter().map(|key| key.principal).collect()))
}

/// Each listener wants a key of its service and this server's name; keys of other names (a pool's, a CNAME) are good too.
fn compare(node: &Node, keytab: &str, principals: &BTreeSet<String>, report: &mut Report) {
    let names: Vec<&str> = principals.iter().map(String::as_str).collect();
    report.pass(format!("tickets are taken for {} ({keytab})", names.join(" ")));
    let servername = &node.imapd.servername;
    for service in services(node) {
        let own = format!("{service}/{servername}@").to_ascii_lowercase();
        if principals.iter().any(|name| name.to_ascii_lowercase().starts_with(&own)) {
            continue;
        }
        let others = principals.iter().any(|name| name.starts_with(&format!("{service}/")));
        let whom = if others {
            "only clients that ask for another name get"
        } else {
            "no client of that service gets"
        };
        let message = format!("has no key of {service}/{servername}: {whom} in with a ticket");
        let change = format!(
            "kadmin: addprinc -randkey {service}/{servername}; ktadd -k {keytab} {service}/{servername}"
        );
        report.warn("kerberos", keytab, message, change);
    }
}

/// What Kerberos calls the services that this node listens for.
fn services(node: &Node) -> BTreeSet<&'static str> {
    let lines = node.cyrus.iter().flat_map(|cyrus| &cyrus.services);
    let programs = lines.filter_map(|line| line.cmd.first());
    let names = programs.map(|program| program.rsplit('/').next().unwrap_or(program));
    names.filter_map(Protocol::of_program).map(Protocol::sasl_service).collect()
}
