//! Where passwords are checked: saslauthd's socket is there, open to the daemons, and somebody listens.

use std::os::unix::net::UnixStream;
use std::path::Path;

use identity::auth;
use protocol::spoken::Protocol;

use super::report::place;
use super::{Node, Report};
use crate::runner::Runner;

pub(super) fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
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
