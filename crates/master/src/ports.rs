//! Port names: /etc/services first, then the names that a cyrus.conf uses and that some systems do not list.

use std::fs;

/// The port of a number or service name; none when nothing knows the name.
pub fn port(name: &str, transport: &str) -> Option<u16> {
    if let Ok(number) = name.parse::<u16>() {
        return Some(number);
    }
    if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let listed =
        fs::read_to_string("/etc/services").ok().and_then(|table| listed_port(&table, name, transport));
    listed.or_else(|| BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port))
}

/// Looks a name, or an alias, up in a table of the form `name port/transport alias… # comment`.
fn listed_port(table: &str, name: &str, transport: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (first, address) = (words.next()?, words.next()?);
        let (port, listed_transport) = address.split_once('/')?;
        let named = first == name || words.any(|alias| alias == name);
        if named && listed_transport == transport { port.parse().ok() } else { None }
    })
}

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
        assert_eq!(port("143", "tcp"), Some(143));
        assert_eq!(port("lmtp", "tcp"), Some(24));
        assert_eq!(port("mupdate", "tcp"), Some(3905));
        assert_eq!(port("70000", "tcp"), None);
        assert_eq!(port("", "tcp"), None);
        assert_eq!(port("no-such-service", "tcp"), None);
    }

    #[test]
    fn a_table_is_searched_by_name_alias_and_transport() {
        let table = "# services\nimap2 143/tcp imap # the mail\ndomain 53/tcp\ndomain 54/udp\n";
        assert_eq!(listed_port(table, "imap", "tcp"), Some(143));
        assert_eq!(listed_port(table, "domain", "udp"), Some(54));
        assert_eq!(listed_port(table, "mail", "tcp"), None);
    }
}
