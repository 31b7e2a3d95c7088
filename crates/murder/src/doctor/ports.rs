//! Listeners: each address can be resolved, and its port is free or already ours.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::cyrus::{CyrusConf, Listen, Proto, Service};
use config::imapd::Imapd;
use config::ports::Ports;
use protocol::spoken::Protocol;

use super::{Node, Report};
use crate::node::given_up;
use crate::runner::Runner;

pub(super) fn check(node: &Node, report: &mut Report) {
    let Some(cyrus) = &node.cyrus else { return };
    let (confs, ports) = (confs(node, cyrus), Ports::read());
    // What master leaves out listens nowhere.
    for service in cyrus.services.iter().filter(|service| is_served(service)) {
        listener(service, node, &confs, &ports, report);
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

/// The files that name a process as this node's: cyrus.conf, imapd.conf, and those that lines read with -C.
fn confs(node: &Node, cyrus: &CyrusConf) -> Vec<PathBuf> {
    let own = [node.imapd.path().to_owned(), cyrus.path.clone()];
    let named = cyrus.services.iter().flat_map(|service| {
        let after = service.cmd.iter().skip_while(|word| *word != "-C").nth(1);
        let joined =
            service.cmd.iter().filter_map(|word| word.strip_prefix("-C").filter(|rest| !rest.is_empty()));
        after.map(String::as_str).into_iter().chain(joined).map(PathBuf::from).collect::<Vec<_>>()
    });
    own.into_iter().chain(named).filter_map(|path| path.canonicalize().ok()).collect()
}

/// The program of a line, behind `nice` and Debian's `cyrus`.
fn program(service: &Service) -> &str {
    let names = service.cmd.iter().map(|word| word.rsplit('/').next().unwrap_or_default());
    let mut names = names.skip_while(|name| {
        matches!(*name, "nice" | "cyrus") || name.starts_with('-') || name.parse::<i32>().is_ok()
    });
    names.next().unwrap_or_default()
}

/// Whether the daemons run as whoever asks.
fn is_runner(imapd: &Imapd) -> bool {
    Runner::of(imapd).is_some_and(|runner| runner.uid == rustix::process::getuid().as_raw())
}

/// The group whose members pass all directories on the way to a socket that is not open to all; else the directory that keeps
/// them out.
fn group_of(socket: &Path) -> Result<Option<String>, PathBuf> {
    let mut group = None;
    for directory in socket.ancestors().skip(1) {
        // What is not there yet is made by master, as the one above it.
        let Ok(meta) = fs::metadata(directory) else { continue };
        if meta.mode() & 0o001 != 0 {
            continue;
        }
        let own = *group.get_or_insert(meta.gid());
        if meta.mode() & 0o010 == 0 || own != meta.gid() {
            return Err(directory.to_owned());
        }
    }
    let Some(id) = group else { return Ok(None) };
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let mut named = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = named.find(|fields| fields.get(2).is_some_and(|gid| *gid == id.to_string()));
    let name = name.and_then(|fields| fields.first().map(|name| (*name).to_owned()));
    Ok(Some(name.unwrap_or_else(|| id.to_string())))
}

/// Whether something serves the line: a program of ours, in a way that it can; or somebody else's that is there.
fn is_served(service: &Service) -> bool {
    let name = program(service);
    let udp = matches!(service.proto, Proto::Udp | Proto::Udp4 | Proto::Udp6);
    match Protocol::of_program(name).or((name == "backend").then_some(Protocol::Imap)) {
        Some(_) if udp => false,
        Some(Protocol::Pop3) => !service.has_flag('k'),
        Some(_) => true,
        None => service.cmd.first().is_some_and(|word| word.starts_with('/') && Path::new(word).exists()),
    }
}

fn listener(service: &Service, node: &Node, confs: &[PathBuf], ports: &Ports, report: &mut Report) {
    let imapd = &node.imapd;
    let about = format!("{} ({}:{})", service.name, service.place.file.display(), service.place.line);
    let (host, port) = match &service.listen {
        Listen::Unix(path) => return socket(service, path, about, imapd, report),
        Listen::Inet { host, port } => (host.as_deref(), port),
    };
    let Some(number) = ports.find(port, "tcp") else {
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
        bind(&about, service.proto, address, (imapd, confs), report);
    }
}

/// A UNIX socket: its directory is there, and mail servers can reach it, and nobody else.
fn socket(service: &Service, path: &Path, about: String, imapd: &Imapd, report: &mut Report) {
    // master makes the last directory itself.
    let mut above = path.ancestors().skip(1).take(2);
    if !above.any(Path::is_dir) {
        let message = format!("the directory of {} does not exist", path.display());
        let directory = path.parent().unwrap_or(path).display().to_string();
        report.error("ports", about, message, format!("install -d -o cyrus -g mail -m 750 {directory}"));
    } else if delivers(service) && is_open_to_all(path) {
        let directory = path.parent().unwrap_or(path).display().to_string();
        let message = format!("every local account can deliver through {}", path.display());
        let closed = format!(
            "chgrp mail {directory}; chmod 750 {directory}, and the mail server's user in that group"
        );
        report.warn("ports", about, message, closed);
    } else if delivers(service) {
        match group_of(path) {
            Ok(None) => {}
            Ok(Some(group)) => {
                report.pass(format!(
                    "mail servers in the group {group} can deliver through {}",
                    path.display()
                ));
            }
            // Whoever runs a node for himself alone wants it so.
            Err(directory) if is_runner(imapd) => report.pass(format!(
                "nobody else can deliver through {}: {} is closed to its group",
                path.display(),
                directory.display()
            )),
            Err(directory) => report.warn(
                "ports",
                about,
                format!(
                    "no mail server can reach {}: {} is closed to its group",
                    path.display(),
                    directory.display()
                ),
                format!(
                    "chgrp mail {0}; chmod 750 {0}, and the mail server's user in that group",
                    directory.display()
                ),
            ),
        }
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

fn bind(
    about: &str,
    proto: Proto,
    address: SocketAddr,
    (imapd, confs): (&Imapd, &[PathBuf]),
    report: &mut Report,
) {
    let udp = matches!(proto, Proto::Udp | Proto::Udp4 | Proto::Udp6);
    let bound = match udp {
        true => UdpSocket::bind(address).map(drop),
        false => TcpListener::bind(address).map(drop),
    };
    match bound {
        Ok(()) => report.pass(format!("{about}: {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match holder(address, udp) {
            Some((pid, name)) if is_ours(pid, &name, imapd, confs) => {
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

/// Whether a process belongs to this node: its master by the pid file, systemd, or a program of ours with one of its files.
fn is_ours(pid: u32, name: &str, imapd: &Imapd, confs: &[PathBuf]) -> bool {
    let written = fs::read_to_string(&imapd.master_pid_file).ok();
    if written.is_some_and(|text| text.trim() == pid.to_string()) || (pid == 1 && name == "systemd") {
        return true;
    }
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0).map(|word| PathBuf::from(OsStr::from_bytes(word)));
    PROGRAMS.contains(&name) && words.any(|word| word.canonicalize().is_ok_and(|file| confs.contains(&file)))
}

/// The process that listens on an address, as far as we may see it.
fn holder(address: SocketAddr, udp: bool) -> Option<(u32, String)> {
    let tables: &[&str] = if udp { &["udp", "udp6"] } else { &["tcp", "tcp6"] };
    let tables = tables.iter().filter_map(|table| fs::read_to_string(format!("/proc/net/{table}")).ok());
    let inodes: Vec<String> = tables
        .flat_map(|table| table.lines().filter_map(|line| listening(line, address)).collect::<Vec<_>>())
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

/// The inode of a line of /proc/net/tcp (or tcp6) whose socket listens where `wanted` would: on that port, of that address or of
/// all, where either stands for all.
fn listening(line: &str, wanted: SocketAddr) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (host, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let host = address_of(host)?;
    let meets = host == wanted.ip() || host.is_unspecified() || wanted.ip().is_unspecified();
    // 0A listens; 07 is a UDP socket that is bound.
    (port == wanted.port() && meets && matches!(*state, "0A" | "07")).then(|| (*inode).to_owned())
}

/// An address as the kernel prints it: words of 32 bits, each in the host's order of bytes.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| {
        let text = std::str::from_utf8(word).ok()?;
        u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 16]>::try_from(bytes.as_slice())) {
        (Ok(four), _) => Some(IpAddr::from(four)),
        (_, Ok(sixteen)) => Some(IpAddr::from(sixteen).to_canonical()),
        _ => None,
    }
}

/// Those that hold listeners.
const PROGRAMS: &[&str] =
    &["master", "mupdate", "backend", "imapproxy", "pop3proxy", "lmtpproxy", "sieveproxy", "nntpproxy"];

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
    fn a_socket_that_no_mail_server_can_reach_is_told_with_the_directory_that_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("socket");
        fs::create_dir(&inner).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap()
        };
        mode(dir.path(), 0o750);
        mode(&inner, 0o750);
        let socket = inner.join("lmtp");
        assert!(group_of(&socket).is_ok(), "{:?}", group_of(&socket));
        mode(&inner, 0o700);
        assert_eq!(group_of(&socket), Err(inner.clone()));
        mode(&inner, 0o750);
        mode(dir.path(), 0o700);
        assert_eq!(group_of(&socket), Err(dir.path().to_owned()));
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(socket.local_addr().unwrap(), false);
        assert_eq!(found.map(|(pid, _)| pid), Some(std::process::id()));
        let line = "  0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        if cfg!(target_endian = "little") {
            let at = |text: &str| listening(line, text.parse().unwrap());
            assert_eq!(at("127.0.0.1:3306").as_deref(), Some("4711"));
            assert_eq!(at("0.0.0.0:3306").as_deref(), Some("4711"));
            // Another node's, on another address.
            assert_eq!(at("127.0.0.2:3306"), None);
            assert_eq!(at("127.0.0.1:3307"), None);
            assert_eq!(address_of("00000000000000000000000001000000"), "::1".parse().ok());
        }
        assert_eq!(listening("sl local_address rem_address st", "0.0.0.0:1".parse().unwrap()), None);
    }

    #[test]
    fn lines_that_master_leaves_out_are_not_looked_at() {
        let text = "SERVICES {\n a cmd=\"imapd\" listen=\"1\"\n b cmd=\"nntpd\" listen=\"2\"\n c cmd=\"pop3d -k\" listen=\"3\"\n \
                    d cmd=\"timsieved\" listen=\"4\"\n e cmd=\"/usr/bin/nice -n 19 /usr/sbin/cyrus lmtpd\" listen=\"5\"\n}\n";
        let cyrus = CyrusConf::parse(Path::new("cyrus.conf"), text).unwrap();
        let served = cyrus.services.iter().filter(|service| is_served(service));
        assert_eq!(served.map(|service| service.name.as_str()).collect::<Vec<_>>(), ["a", "b", "d", "e"]);
    }
}
