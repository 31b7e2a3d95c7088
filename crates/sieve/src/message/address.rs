//! Addresses and their parts.

/// One address: what scripts compare, and nothing else of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: Option<String>,
    all: String,
}

/// Which part of an address is compared: RFC 5228 section 2.7.4, and RFC 5233 for the last two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPart {
    #[default]
    All,
    Localpart,
    Domain,
    /// Before the first `+`.
    User,
    /// Behind the first `+`; an address without one has none.
    Detail,
}

impl Address {
    /// The addresses of a field's value. The names of groups are none, and neither are display names, comments and routes.
    pub fn list(value: &str) -> Vec<Address> {
        let found = mime::Address::parse_list(value.as_bytes());
        found.into_iter().filter_map(Address::of).collect()
    }

    /// The path of an envelope, with its angle brackets or without. An empty one is `<>`, each part of which is empty.
    pub fn path(path: &str) -> Address {
        let path = path.trim_ascii();
        let path = path.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(path);
        // A source route.
        let path = match path.starts_with('@') {
            true => path.split_once(':').map_or(path, |(_, rest)| rest),
            false => path,
        };
        match path.rsplit_once('@') {
            Some((local, domain)) => Address::new(unquoted(local), Some(domain.to_owned())),
            None if path.is_empty() => Address { domain: Some(String::new()), ..Address::default() },
            None => Address::new(unquoted(path), None),
        }
    }

    /// None: the address has no such part, and nothing matches it.
    pub fn part(&self, part: AddressPart) -> Option<&str> {
        match part {
            AddressPart::All => Some(&self.all),
            AddressPart::Localpart => Some(&self.local),
            AddressPart::Domain => self.domain.as_deref(),
            AddressPart::User => {
                Some(self.local.split_once('+').map_or(self.local.as_str(), |(user, _)| user))
            }
            AddressPart::Detail if self.all.is_empty() => Some(""),
            AddressPart::Detail => self.local.split_once('+').map(|(_, detail)| detail),
        }
    }

    fn of(found: mime::Address) -> Option<Address> {
        let (local, host) = (found.mailbox?, found.host?);
        let text = |raw: &[u8]| mime::to_utf8(raw, b"");
        let domain = Some(text(&host)).filter(|domain| domain != NO_DOMAIN);
        Some(Address::new(text(&local), domain))
    }

    fn new(local: String, domain: Option<String>) -> Address {
        let all = match &domain {
            Some(domain) => format!("{local}@{domain}"),
            None => local.clone(),
        };
        Address { local, domain, all }
    }
}

/// The host that crate `mime` gives an address without any.
const NO_DOMAIN: &str = "unspecified-domain";

fn unquoted(local: &str) -> String {
    let Some(inside) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return local.to_owned();
    };
    let mut chars = inside.chars();
    let mut out = String::with_capacity(inside.len());
    while let Some(char) = chars.next() {
        out.push(if char == '\\' { chars.next().unwrap_or(char) } else { char });
    }
    out
}
