//! Names of servers, and what the file says of each: `<shorthost>_address`, `<shorthost>_ports` and so on.

use std::path::{Path, PathBuf};

use super::choices::MupdateConfig;
use super::kind::read_switch;
use super::names::{HOST_KEYS, Meaning, Names, meaning};
use super::registry::Settings;
use super::{Imapd, Role};
use crate::{Problem, Problems};

/// One word of `mupdate_server` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The word as written: what logs, errors and statuses call this master.
    pub name: String,
    pub host: String,
    /// As written; `None`: `mupdate_port`, or what `<shorthost>_ports` says.
    pub port: Option<u16>,
    /// `/tls` was written: nothing is said to the master before STARTTLS.
    pub tls: bool,
}

/// A server's name up to the first dot, lower-case: what its keys begin with. A port after it does not count.
pub fn shorthost(server: &str) -> String {
    let host = split_port(server).0;
    host.split('.').next().unwrap_or("").to_ascii_lowercase()
}

impl Imapd {
    /// The value of `<shorthost>_<what>` for a server: `password`, `mechs`, `client_cert`, `client_key`, …
    pub fn of_host(&self, server: &str, what: &str) -> Option<&str> {
        self.overflow(&format!("{}_{what}", shorthost(server)))
    }

    /// The host to connect to for a server: `<shorthost>_address`, or the server's name without a port.
    pub fn host_address(&self, server: &str) -> String {
        self.of_host(server, "address").unwrap_or(split_port(server).0).to_owned()
    }

    /// The port to connect to for a service (`imap`, `lmtp`, `pop3`, `sieve`, `mupdate`, …) of a server, where
    /// `<shorthost>_ports` names one.
    pub fn host_port(&self, server: &str, service: &str) -> Option<u16> {
        let ports = read_ports(self.of_host(server, "ports")?).ok()?;
        ports.into_iter().find(|(name, _)| name == service).map(|(_, port)| port)
    }

    /// Whether the file has exactly this name in `serverlist` or as `defaultserver`.
    pub fn lists_server(&self, server: &str) -> bool {
        self.serverlist.iter().chain(&self.defaultserver).any(|listed| listed == server)
    }

    /// Whether the file speaks of a server at all: lists it, or has a `<shorthost>_…` key for it.
    pub fn names_server(&self, server: &str) -> bool {
        self.lists_server(server) || HOST_KEYS.iter().any(|what| self.of_host(server, what).is_some())
    }

    /// Whether this node is a frontend and a backend in one (`mupdate_config: unified`).
    pub fn is_unified(&self) -> bool {
        self.mupdate_config == MupdateConfig::Unified && self.role() == Role::Backend
    }

    /// Where a unified node's own backend listens for its proxies, if that is the server.
    pub fn short_way(&self, server: &str, service: &str) -> Option<PathBuf> {
        let own = self.is_unified() && server.eq_ignore_ascii_case(&self.servername);
        own.then(|| Path::new(&self.configdirectory).join("socket").join(format!("backend-{service}")))
    }

    /// `<shorthost>_tls`: whether TLS towards a server is demanded or not, where the file says so.
    pub fn host_tls(&self, server: &str) -> Option<bool> {
        read_switch(self.of_host(server, "tls")?).ok()
    }

    /// The MUPDATE masters of this node's murder, as `mupdate_server` has them; none where it is in no murder. Several share
    /// one list: whichever answers is as good as the others.
    pub fn mupdate_upstreams(&self) -> Vec<Upstream> {
        let words = self.mupdate_server.iter().flat_map(|text| text.split_whitespace());
        words.filter_map(|word| read_upstream(word).ok()).collect()
    }

    /// The first of them, as written: what a node calls its master where there is place for one name.
    pub fn mupdate_name(&self) -> Option<&str> {
        self.mupdate_server.as_deref()?.split_whitespace().next()
    }
}

/// `host` and `port` of `host:port`, `[address]:port` or either without the port.
pub(super) fn split_port(server: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match server.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (server, None),
    }
}

/// What is wrong with `mupdate_server`.
fn wrong_upstream(text: &str) -> Option<String> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Some("it names no host".to_owned());
    }
    if let Some(message) = words.iter().find_map(|word| read_upstream(word).err()) {
        return Some(message);
    }
    words.sort_unstable();
    let twice = words.windows(2).find_map(|pair| pair.first().filter(|first| pair.last() == Some(*first)));
    twice.map(|word| format!("'{word}' stands there twice"))
}

fn read_upstream(text: &str) -> Result<Upstream, String> {
    let (server, tls) = match text.split_once('/') {
        Some((server, "tls")) => (server, true),
        Some((_, other)) => return Err(format!("'/{other}' is not known (only /tls)")),
        None => (text, false),
    };
    let (host, port) = split_port(server);
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!("'{text}' names no host"));
    }
    let port = match port.map(|port| (port, port.parse::<u16>())) {
        None => None,
        Some((_, Ok(port))) if port > 0 => Some(port),
        // The service's name: what is looked up anyway.
        Some(("mupdate", _)) => None,
        Some((port, _)) => return Err(format!("'{port}' is not a port number")),
    };
    Ok(Upstream { name: text.to_owned(), host: host.to_owned(), port, tls })
}

fn read_ports(text: &str) -> Result<Vec<(String, u16)>, String> {
    text.split_ascii_whitespace()
        .map(|word| {
            let (service, port) =
                word.split_once('=').ok_or(format!("'{word}' is not of the form service=port"))?;
            match port.parse::<u16>() {
                Ok(port) if port > 0 && !service.is_empty() => Ok((service.to_ascii_lowercase(), port)),
                _ => Err(format!("'{word}' is not of the form service=port")),
            }
        })
        .collect()
}

pub(super) fn check(names: &Names, settings: &Settings, problems: &mut Problems) {
    let mut wrong = |key: &str, message: String| {
        if let Some(at) = names.option("", key) {
            problems.0.push(Problem::new(&at.file, at.line, key, message));
        }
    };
    if let Some(message) = settings.mupdate_server.as_deref().and_then(wrong_upstream) {
        wrong("mupdate_server", message);
    }
    if settings.servername.len() > 511 || settings.servername.contains(['!', ' ', '\t']) {
        wrong("servername", format!("'{}' cannot name a server", settings.servername));
    }
    for setting in
        names.overflow_settings().filter(|setting| matches!(meaning(&setting.key), Meaning::Overflow))
    {
        let read = match &setting.key {
            key if key.ends_with("_ports") => read_ports(&setting.value).map(drop),
            key if key.ends_with("_tls") => read_switch(&setting.value).map(drop),
            _ => Ok(()),
        };
        if let Err(message) = read {
            problems.0.push(Problem::new(&setting.file, setting.line, &setting.key, message));
        }
    }
}

/// This host's own name.
pub(super) fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
