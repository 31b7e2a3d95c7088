//! Addresses as tests compare them.

/// One address: what scripts compare, and nothing else of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: Option<String>,
    all: String,
}

impl Address {
    /// The addresses of a field's value. The names of groups are none, and neither are display names, comments and routes.
    pub fn list(value: &str) -> Vec<Address> {
        let found = mime::Address::parse_list(value.as_bytes());
        found.into_iter().filter_map(Address::of).collect()
    }

    /// The path of an envelope, with its angle brackets or without. An empty one is `<>`, each part of which is empty.
    pub fn bare(path: &str) -> Address {
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

    /// `local@domain`, or what there is of it.
    pub fn all(&self) -> &str {
        &self.all
    }

    /// Without the quotes that it may have.
    pub fn local(&self) -> &str {
        &self.local
    }

    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
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
