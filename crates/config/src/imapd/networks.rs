//! Lists of addresses and networks: `allow_addresses`, `deny_addresses`, `proxy_protocol_addresses`,
//! `failedlogin_shared_addresses`.

use std::fmt;
use std::net::IpAddr;

use super::names::Names;
use super::registry::Settings;
use crate::{Problem, Problems};

/// An address, or all addresses that share its first bits: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// # Errors
    /// What is wrong, as a clause to stand after the option's name.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("'{text}' is neither an address nor address/bits"))?;
        let address = address.to_canonical();
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::parse::<u8>) {
            None => longest,
            Some(Ok(bits)) if bits <= longest => bits,
            Some(_) => return Err(format!("'{text}': the bits are a number from 0 to {longest}")),
        };
        Ok(Network { address, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |own: u128, other: u128, length: u32| {
            let shift = length.saturating_sub(u32::from(self.bits));
            own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The networks of a list, which was checked when the file was read.
pub fn parse_all(list: &[String]) -> Vec<Network> {
    list.iter().filter_map(|word| Network::parse(word).ok()).collect()
}

/// Whether one of the words of a list, which were checked when the file was read, contains the address.
pub fn any_contains(list: &[String], address: IpAddr) -> bool {
    parse_all(list).iter().any(|network| network.contains(address))
}

/// Whether these settings let a client of this address in: `deny_addresses` goes before `allow_addresses`.
pub fn admits(settings: &Settings, address: IpAddr) -> bool {
    let allowed = settings.allow_addresses.is_empty() || any_contains(&settings.allow_addresses, address);
    allowed && !any_contains(&settings.deny_addresses, address)
}

/// The lists, generic ones and those of single entries.
pub(super) fn check(names: &Names, problems: &mut Problems) {
    let lists =
        ["allow_addresses", "deny_addresses", "proxy_protocol_addresses", "failedlogin_shared_addresses"];
    let generic = lists.iter().filter_map(|option| names.option("", option));
    let own = names.overrides().filter(|(_, option, _)| lists.contains(&option.name)).map(|(.., at)| at);
    for at in generic.chain(own) {
        for message in at.value.split_ascii_whitespace().filter_map(|word| Network::parse(word).err()) {
            problems.0.push(Problem::new(&at.file, at.line, &at.key, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_that_share_its_first_bits() {
        let rows = [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, address, expected) in rows {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{network} and {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["", "example.org", "192.0.2", "192.0.2.0/33", "::1/129", "192.0.2.0/", "192.0.2.0/-1"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
