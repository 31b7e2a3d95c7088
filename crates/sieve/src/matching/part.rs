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
    User,
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

    /// None: the address has no such part, and nothing matches it.
    pub fn of(self, address: &Address) -> Option<&str> {
        let (user, detail) = match address.local().split_once('+') {
            Some((user, detail)) => (user, Some(detail)),
            None => (address.local(), None),
        };
        match self {
            AddressPart::All => Some(address.all()),
            AddressPart::Localpart => Some(address.local()),
            AddressPart::Domain => Some(address.domain()),
            AddressPart::User => Some(user),
            AddressPart::Detail => detail,
        }
    }
}
