//! What the two sides of SASL's GSSAPI agree on under the protection of their context (RFC 4752 sections 3.1 and 3.2).
//!
//! ```text
//! S: wrap(offer)   1 octet: a bit for each layer; 3 octets: the longest message that the server takes
//! C: wrap(choice)  1 octet: one of the bits; 3 octets: the longest that the client takes; the authorisation identity, to the end
//! ```
//!
//! We offer no layer and choose none: TLS is what protects a connection here.

/// No layer: what follows the login is not wrapped.
pub const NONE: u8 = 1;

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub layers: u8,
    /// Octets.
    pub longest: u32,
}

/// What a client chooses, and as whom it wants to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub layer: u8,
    /// Octets; without a layer 0.
    pub longest: u32,
    /// None: as whom the ticket names.
    pub authzid: Option<String>,
}

/// What the other side sent is no offer, or no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("an offer of layers has 4 octets")]
    Offer,
    #[error("a choice of a layer has 4 octets and a name")]
    Choice,
    #[error("an authorisation identity is UTF-8 without NUL")]
    Authzid,
}

impl Offer {
    /// No layer at all.
    pub const BARE: Offer = Offer { layers: NONE, longest: 0 };

    /// # Errors
    /// It has not got 4 octets.
    pub fn parse(message: &[u8]) -> Result<Offer, Malformed> {
        let &[layers, a, b, c] = message else { return Err(Malformed::Offer) };
        Ok(Offer { layers, longest: u32::from_be_bytes([0, a, b, c]) })
    }

    pub fn octets(self) -> [u8; 4] {
        octets(self.layers, self.longest)
    }
}

impl Choice {
    /// No layer.
    pub fn bare(authzid: Option<&str>) -> Choice {
        let authzid = authzid.filter(|name| !name.is_empty()).map(str::to_owned);
        Choice { layer: NONE, longest: 0, authzid }
    }

    /// # Errors
    /// It is too short, or the name is none.
    pub fn parse(message: &[u8]) -> Result<Choice, Malformed> {
        let &[layer, a, b, c, ref name @ ..] = message else { return Err(Malformed::Choice) };
        let name = std::str::from_utf8(name).map_err(|_| Malformed::Authzid)?;
        if name.contains('\0') {
            return Err(Malformed::Authzid);
        }
        let authzid = (!name.is_empty()).then(|| name.to_owned());
        Ok(Choice { layer, longest: u32::from_be_bytes([0, a, b, c]), authzid })
    }

    pub fn octets(&self) -> Vec<u8> {
        let name = self.authzid.as_deref().unwrap_or_default();
        [&octets(self.layer, self.longest)[..], name.as_bytes()].concat()
    }
}

fn octets(layers: u8, longest: u32) -> [u8; 4] {
    let [_, a, b, c] = longest.to_be_bytes();
    [layers, a, b, c]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cyrus_sends_is_understood() {
        assert_eq!(Offer::parse(b"\x07\x00\x10\x00"), Ok(Offer { layers: 7, longest: 4096 }));
        let bob = Choice { layer: 2, longest: 1024, authzid: Some("bob".to_owned()) };
        assert_eq!(Choice::parse(b"\x02\x00\x04\x00bob"), Ok(bob));
        assert_eq!(Choice::parse(b"\x01\0\0\0"), Ok(Choice::bare(None)));
    }

    #[test]
    fn what_is_too_short_or_no_name_is_refused() {
        for short in [&b""[..], b"\x01", b"\x01\0\0"] {
            assert_eq!(
                (Offer::parse(short), Choice::parse(short)),
                (Err(Malformed::Offer), Err(Malformed::Choice))
            );
        }
        assert_eq!(Offer::parse(b"\x01\0\0\0\0"), Err(Malformed::Offer));
        for name in [&b"\x01\0\0\0bob\0"[..], b"\x01\0\0\0\xff"] {
            assert_eq!(Choice::parse(name), Err(Malformed::Authzid));
        }
    }

    proptest! {
        #[test]
        fn a_choice_is_what_was_written(layer: u8, longest in 0u32..1 << 24, name in "[^\0]{0,20}") {
            let authzid = (!name.is_empty()).then_some(name);
            let choice = Choice { layer, longest, authzid };
            prop_assert_eq!(Choice::parse(&choice.octets()), Ok(choice));
        }

        #[test]
        fn an_offer_is_what_was_written(layers: u8, longest in 0u32..1 << 24) {
            let offer = Offer { layers, longest };
            prop_assert_eq!(Offer::parse(&offer.octets()), Ok(offer));
        }
    }
}
