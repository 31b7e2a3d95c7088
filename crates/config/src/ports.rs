//! Ports by name: /etc/services, else the names of a murder's services, which some systems do not list.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What is known of names. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    /// By name and transport (`tcp`, `udp`).
    listed: Arc<HashMap<(String, String), u16>>,
}

impl Ports {
    /// Reads /etc/services. A file that is not there lists nothing. Blocks.
    pub fn read() -> Ports {
        Ports::of_table(&std::fs::read_to_string(Path::new(SERVICES)).unwrap_or_default())
    }

    /// From a table of the form `name port/transport alias… # comment` (services(5)). What stands first counts.
    pub fn of_table(table: &str) -> Ports {
        let mut listed = HashMap::new();
        for line in table.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(first), Some(address)) = (words.next(), words.next()) else { continue };
            let Some((port, transport)) = address.split_once('/') else { continue };
            let Ok(port) = port.parse() else { continue };
            for name in std::iter::once(first).chain(words) {
                listed.entry((name.to_owned(), transport.to_owned())).or_insert(port);
            }
        }
        Ports { listed: Arc::new(listed) }
    }

    /// The port of a number or of a service's name; none when nothing knows the name.
    pub fn find(&self, name: &str, transport: &str) -> Option<u16> {
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return name.parse().ok();
        }
        let listed = self.listed.get(&(name.to_owned(), transport.to_owned())).copied();
        listed.or_else(|| BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port))
    }
}

const SERVICES: &str = "/etc/services";

/// The names of a murder's services.
const BUILT_IN: &[(&str, u16)] = &[
    ("lmtp", 24),
    ("http", 80),
    ("pop3", 110),
    ("nntp", 119),
    ("imap", 143),
    ("imap2", 143),
    ("https", 443),
    ("nntps", 563),
    ("submission", 587),
    ("imaps", 993),
    ("pop3s", 995),
    ("kpop", 1109),
    ("csync", 2005),
    ("mupdate", 3905),
    ("sieve", 4190),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_of_a_cyrus_conf_are_known() {
        for ports in [Ports::default(), Ports::read()] {
            let port = |name: &str| ports.find(name, "tcp");
            assert_eq!(port("143"), Some(143));
            assert_eq!(port("lmtp"), Some(24));
            assert_eq!(port("mupdate"), Some(3905));
            assert_eq!(port("70000"), None);
            assert_eq!(port(""), None);
            assert_eq!(port("no-such-service"), None);
        }
    }

    #[test]
    fn services_are_found_in_the_file_and_in_the_table() {
        let ports = Ports::of_table("# comment\nimap2 143/tcp imap # old\nmupdate 3906/udp\nlmtp 25/tcp\n");
        let port = |name: &str| ports.find(name, "tcp");
        assert_eq!(port("imap"), Some(143));
        assert_eq!(port("mupdate"), Some(3905));
        assert_eq!(port("lmtp"), Some(25));
        assert_eq!(port("no-such-service"), None);
    }

    #[test]
    fn a_table_is_searched_by_name_alias_and_transport() {
        let table = "# services\nimap2 143/tcp imap # the mail\ndomain 53/tcp\ndomain 54/udp\nimap 9/tcp\n\
             mupdate 4905/tcp\nbad x/tcp\n";
        let ports = Ports::of_table(table);
        assert_eq!(ports.find("imap", "tcp"), Some(143));
        assert_eq!(ports.find("domain", "udp"), Some(54));
        assert_eq!(ports.find("mail", "tcp"), None);
        assert_eq!(ports.find("bad", "tcp"), None);
        assert_eq!(ports.find("mupdate", "tcp"), Some(4905), "the system's own table goes first");
    }
}
