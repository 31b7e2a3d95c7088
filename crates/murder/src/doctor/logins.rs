//! Where passwords are checked: saslauthd's socket is there, open to the daemons, and somebody listens.

use std::os::unix::net::UnixStream;
use std::path::Path;

use config::imapd::Imapd;
use identity::auth;
use identity::passwords::PasswordDb;
use protocol::spoken::Protocol;

use super::report::place;
use super::{Node, Report};
use crate::runner::Runner;

pub(super) fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    anybody(node, report);
    let Some(socket) = auth::Settings::of(imapd, Protocol::Imap).saslauthd else { return };
    let shown = socket.display().to_string();
    match reach(&socket, Runner::of(imapd).as_ref()) {
        Ok(()) => report.pass(format!("saslauthd listens on {shown}")),
        Err((what, change)) => {
            let change = format!("{change}\n{}", place(imapd, "sasl_saslauthd_path"));
            report.error("logins", shown, format!("saslauthd: {what}: no password can be checked"), change);
        }
    }
}

/// Whether there is anybody who can log in where passwords are kept in `password_db`: a lost configdirectory takes it along.
fn anybody(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let settings = auth::Settings::of(imapd, Protocol::Imap);
    if !settings.auxprop || settings.saslauthd.is_some() || settings.alwaystrue {
        return;
    }
    let file = imapd.password_db();
    let shown = file.display().to_string();
    let missing = match file.try_exists() {
        Ok(false) => "does not exist".to_owned(),
        _ => match PasswordDb::new(file).list() {
            Ok(users) if users.is_empty() => "has no user".to_owned(),
            Ok(users) => return admins(imapd, &users, report),
            Err(why) => format!("cannot be read: {why}"),
        },
    };
    let change = format!(
        "put it back from a backup, or: murder passwd {}\n{}",
        imapd.admins.first().map_or("USER", String::as_str),
        place(imapd, "password_db")
    );
    report.error("logins", shown, format!("{missing}: nobody can log in with a password"), change);
}

/// Whether one of the administrators has a password.
fn admins(imapd: &Imapd, users: &[String], report: &mut Report) {
    let named: Vec<&String> = imapd.admins.iter().filter(|admin| !admin.starts_with("group:")).collect();
    let some: Vec<&str> =
        named.iter().filter(|admin| users.contains(admin)).map(|admin| admin.as_str()).collect();
    match (named.first(), some.is_empty()) {
        (Some(first), true) => report.warn(
            "logins",
            imapd.password_db().display().to_string(),
            "none of admins has a password",
            format!("murder passwd {first}\n{}", place(imapd, "admins")),
        ),
        _ => report.pass(format!("{} users can log in; administrators: {}", users.len(), some.join(" "))),
    }
}

/// What keeps the daemons from saslauthd, and what to do.
fn reach(socket: &Path, runner: Option<&Runner>) -> Result<(), (String, String)> {
    if !socket.exists() {
        let start = "systemctl enable --now saslauthd, or name the socket that its -m makes";
        return Err(("there is no such socket".to_owned(), start.to_owned()));
    }
    if let Some(Err(why)) = runner.map(|runner| runner.may(socket, 2)) {
        let user = runner.map_or("cyrus", |runner| runner.name.as_str());
        return Err((why, format!("adduser {user} sasl (the group of its directory), and restart the node")));
    }
    match UnixStream::connect(socket) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err((format!("nobody answers there ({error})"), "systemctl restart saslauthd".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_node_on_which_nobody_can_log_in_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "configdirectory: {}\nadmins: cyrus\nsasl_pwcheck_method: auxprop\n",
            dir.path().display()
        );
        let imapd = Imapd::parse(Path::new("/x/imapd.conf"), &text, "murder").unwrap();
        let node = Node { imapd: imapd.clone(), cyrus: None };
        let said = || {
            let mut report = Report::default();
            anybody(&node, &mut report);
            report.text()
        };
        let lost = said();
        assert!(lost.contains("does not exist: nobody can log in with a password"), "{lost}");
        assert!(lost.contains("murder passwd cyrus"), "{lost}");
        let db = PasswordDb::new(imapd.password_db());
        db.set("fred", "secret").unwrap();
        assert!(said().contains("none of admins has a password"), "{}", said());
        db.set("cyrus", "secret").unwrap();
        assert!(said().contains("2 users can log in; administrators: cyrus"), "{}", said());
        db.delete("cyrus").unwrap();
        db.delete("fred").unwrap();
        assert!(said().contains("has no user: nobody can log in"), "{}", said());
    }

    #[test]
    fn a_socket_that_is_missing_closed_or_dead_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mux");
        let said = |runner: Option<&Runner>| reach(&path, runner).map_err(|(what, _)| what);
        assert_eq!(said(None), Err("there is no such socket".to_owned()));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(said(None), Ok(()));
        let stranger = Runner { name: "s".into(), uid: 61_234, groups: vec![61_234], group: "s".into() };
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o710)).unwrap();
        assert!(said(Some(&stranger)).unwrap_err().contains("is closed to s"));
        drop(listener);
        assert!(said(None).unwrap_err().starts_with("nobody answers there"));
    }
}
