//! A server string as it stands in a mailbox's location: `host`, `host:port`, `host:port/tls`, `…/noauth`, or the
//! path of a Unix socket. Ports and addresses that are not in it come from imapd.conf (`service::resolve`).

/// A parsed server string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    pub place: Place<'a>,
    /// `/tls`: TLS from the first byte.
    pub tls: bool,
    /// `/noauth`: no login.
    pub noauth: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// An absolute path: a Unix socket, which needs no login either.
    Path(&'a str),
    Host {
        name: &'a str,
        /// A port number or a service's name, when embedded in the string.
        port: Option<&'a str>,
    },
}

impl<'a> Target<'a> {
    pub fn parse(server: &'a str) -> Self {
        if server.starts_with('/') {
            return Target { place: Place::Path(server), tls: false, noauth: true };
        }
        let mut words = server.split('/');
        let host = words.next().unwrap_or_default();
        let (mut tls, mut noauth) = (false, false);
        for word in words {
            tls |= word.eq_ignore_ascii_case("tls");
            noauth |= word.eq_ignore_ascii_case("noauth");
        }
        let (name, port) = split_port(host);
        Target { place: Place::Host { name, port }, tls, noauth }
    }

    /// The name that its certificate must carry.
    pub fn host(&self) -> &'a str {
        match self.place {
            Place::Path(_) => "localhost",
            Place::Host { name, .. } => name,
        }
    }
}

/// `[::1]:143` → (`::1`, `143`), `be1:143` → (`be1`, `143`), `fe80::1` → itself.
fn split_port(host: &str) -> (&str, Option<&str>) {
    if let Some((inside, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, rest.strip_prefix(':').filter(|port| !port.is_empty()));
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_string_may_carry_port_and_flags() {
        let host = |name, port| Place::Host { name, port };
        assert_eq!(Target::parse("be1.x").place, host("be1.x", None));
        assert_eq!(Target::parse("be1.x:1143").place, host("be1.x", Some("1143")));
        let t = Target::parse("be1.x:imaps/tls/noauth");
        assert_eq!((t.place.clone(), t.tls, t.noauth), (host("be1.x", Some("imaps")), true, true));
        assert_eq!(Target::parse("[::1]:143").place, host("::1", Some("143")));
        assert_eq!(Target::parse("::1").place, host("::1", None));
        let t = Target::parse("/run/lmtp");
        assert_eq!((t.place.clone(), t.noauth), (Place::Path("/run/lmtp"), true));
    }
}
