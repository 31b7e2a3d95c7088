//! Which part of an address a test compares (RFC 5228 section 2.7.4, RFC 5233).

use crate::check::Arguments;
use crate::extension::Extension;
use crate::message::Address;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

impl AddressPart {
    pub fn take(arguments: &mut Arguments<'_, '_>) -> AddressPart {
        let subaddress = Some(Extension::Subaddress);
        let part = arguments.one_of(&[
            (":all", None, AddressPart::All),
            (":localpart", None, AddressPart::Localpart),
            (":domain", None, AddressPart::Domain),
            (":user", subaddress, AddressPart::User),
            (":detail", subaddress, AddressPart::Detail),
        ]);
        part.unwrap_or_default()
    }

    /// None: the address has no such part, and nothing matches it. Each part of `<>` is empty (RFC 5228 section 5.4).
    pub fn of(self, address: &Address) -> Option<&str> {
        let local = address.local();
        match self {
            AddressPart::All => Some(address.all()),
            AddressPart::Localpart => Some(local),
            AddressPart::Domain => address.domain(),
            AddressPart::User => Some(local.split_once('+').map_or(local, |(user, _)| user)),
            AddressPart::Detail if address.all().is_empty() => Some(""),
            AddressPart::Detail => local.split_once('+').map(|(_, detail)| detail),
        }
    }
}
