//! Listeners: each address can be resolved, and its port is free or already ours.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::cyrus::{Listen, Proto, Service};
use config::imapd::Imapd;
use service::listen::Protocol;
use service::resolve::service_port;

use super::{Node, Report};
use crate::node::given_up;

pub(super) fn check(node: &Node, report: &mut Report) {
    let Some(cyrus) = &node.cyrus else { return };
    for service in &cyrus.services {
        listener(service, &node.imapd, report);
    }
    for name in given_up(&node.imapd) {
        report.error(
            "services",
            name,
            "given up by master: it died five times in a row and never became ready",
            "its log says why it ended; then: systemctl reload murder",
        );
    }
    if let Some(listen) = &node.imapd.status_listen
        && let Err(why) = Listen::parse(listen)
    {
        report.error(
            "ports",
            format!("status_listen: {listen}"),
            why.to_string(),
            super::report::place(&node.imapd, "status_listen"),
        );
    }
}

fn listener(service: &Service, imapd: &Imapd, report: &mut Report) {
    let about = format!("{} ({}:{})", service.name, service.place.file.display(), service.place.line);
    let (host, port) = match &service.listen {
        Listen::Unix(path) => {
            // master makes the last directory itself.
            let mut above = path.ancestors().skip(1).take(2);
            if !above.any(Path::is_dir) {
                let message = format!("the directory of {} does not exist", path.display());
                let directory = path.parent().unwrap_or(path).display().to_string();
                report.error(
                    "ports",
                    about,
                    message,
                    format!("install -d -o cyrus -g mail -m 750 {directory}"),
                );
            } else if delivers(service) && is_open_to_all(path) {
                let directory = path.parent().unwrap_or(path).display().to_string();
                let message = format!("every local account can deliver through {}", path.display());
                let closed = format!(
                    "chgrp mail {directory}; chmod 750 {directory}, and the mail server's user in that group"
                );
                report.warn("ports", about, message, closed);
            }
            return;
        }
        Listen::Inet { host, port } => (host.as_deref(), port),
    };
    let Some(number) = port.parse().ok().or_else(|| service_port(port)) else {
        let message = format!("no port is known for '{port}'");
        return report.error(
            "ports",
            about,
            message,
            format!(
                "write a number: listen=\"{}\"",
                host.map_or("143".to_owned(), |host| format!("{host}:143"))
            ),
        );
    };
    let addresses = match (host.unwrap_or("0.0.0.0"), number).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            let message = format!("{} cannot be resolved: {error}", host.unwrap_or_default());
            return report.error("ports", about, message, "name an address in listen=");
        }
    };
    for address in addresses {
        bind(&about, service.proto, address, imapd, report);
    }
}

/// LMTP over a UNIX socket asks for no password.
fn delivers(service: &Service) -> bool {
    let program = service.cmd.first().and_then(|cmd| cmd.rsplit('/').next()).unwrap_or_default();
    Protocol::of_program(program) == Some(Protocol::Lmtp)
}

/// Whether everybody can reach what lies there: the socket itself is open to all.
fn is_open_to_all(path: &Path) -> bool {
    path.ancestors().skip(1).all(|step| fs::metadata(step).is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

fn bind(about: &str, proto: Proto, address: SocketAddr, imapd: &Imapd, report: &mut Report) {
    let udp = matches!(proto, Proto::Udp | Proto::Udp4 | Proto::Udp6);
    let bound = match udp {
        true => UdpSocket::bind(address).map(drop),
        false => TcpListener::bind(address).map(drop),
    };
    match bound {
        Ok(()) => report.pass(format!("{about}: {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match holder(address, udp) {
            Some((pid, name)) if is_ours(pid, &name, imapd) => {
                report.pass(format!("{about}: {address} is ours ({name}, pid {pid})"));
            }
            Some((pid, name)) => report.error(
                "ports",
                about,
                format!("{address} is used by {name} (pid {pid})"),
                "stop that program, or listen elsewhere",
            ),
            None => report.warn(
                "ports",
                about,
                format!("{address} is in use, and by whom cannot be seen"),
                "ask as root: murder doctor, or ss -ltnp",
            ),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => report.warn(
            "ports",
            about,
            format!("{address}: only root may listen there"),
            "start master as root (it becomes the cyrus user), or give it CAP_NET_BIND_SERVICE",
        ),
        Err(error) => report.error(
            "ports",
            about,
            format!("{address}: {error}"),
            "listen= must name an address of this host",
        ),
    }
}

/// Whether a process belongs to this node: its master by the pid file, systemd, or a program of ours with this imapd.conf.
fn is_ours(pid: u32, name: &str, imapd: &Imapd) -> bool {
    let written = fs::read_to_string(&imapd.master_pid_file).ok();
    if written.is_some_and(|text| text.trim() == pid.to_string()) || (pid == 1 && name == "systemd") {
        return true;
    }
    let own = imapd.path().canonicalize().ok();
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0).map(|word| PathBuf::from(OsStr::from_bytes(word)));
    PROGRAMS.contains(&name) && words.any(|word| word.canonicalize().ok() == own && own.is_some())
}

/// The process that listens on an address, as far as we may see it.
fn holder(address: SocketAddr, udp: bool) -> Option<(u32, String)> {
    let tables: &[&str] = if udp { &["udp", "udp6"] } else { &["tcp", "tcp6"] };
    let tables = tables.iter().filter_map(|table| fs::read_to_string(format!("/proc/net/{table}")).ok());
    let inodes: Vec<String> = tables
        .flat_map(|table| {
            table.lines().filter_map(|line| listening(line, address.port())).collect::<Vec<_>>()
        })
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let ours = files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| inodes.iter().any(|inode| link.as_os_str() == format!("socket:[{inode}]").as_str()));
        if ours {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The inode of a line of /proc/net/tcp whose socket listens on the port.
fn listening(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let own = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
    // 0A listens; 07 is a UDP socket that is bound.
    (own == port && matches!(*state, "0A" | "07")).then(|| (*inode).to_owned())
}

/// Those that hold listeners.
const PROGRAMS: &[&str] = &["master", "mupdate", "backend", "imapproxy", "pop3proxy", "lmtpproxy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_every_account_can_reach_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |mode| {
            fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap()
        };
        for (bits, open) in [(0o755, true), (0o750, false)] {
            mode(bits);
            assert_eq!(is_open_to_all(&dir.path().join("lmtp")), open);
        }
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(socket.local_addr().unwrap(), false);
        assert_eq!(found.map(|(pid, _)| pid), Some(std::process::id()));
        let line = "  0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        assert_eq!(listening(line, 0x0cea).as_deref(), Some("4711"));
        assert_eq!(listening("sl local_address rem_address st", 1), None);
    }
}
