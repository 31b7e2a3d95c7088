//! What surrounds a Kerberos ticket: any octets are an offer, a choice or a refusal, and are printed as they are read; a client of KPOP is
//! understood alike in whatever pieces it comes, and never owes us memory.

use bytes::BytesMut;
use protocol::gssapi::{Choice, Offer};
use protocol::pop3::kpop::{Heard, Hello, Malformed, begins, welcome};

/// Longer than any sample, shorter than what an input may announce.
const LONGEST: usize = 512;

/// The target.
pub fn run(input: &[u8]) {
    if let Ok(offer) = Offer::parse(input) {
        assert_eq!(offer.octets(), input);
    }
    if let Ok(choice) = Choice::parse(input) {
        assert_eq!(choice.octets(), input);
    }
    let _ = (begins(input), welcome(Some(input)));
    let whole = heard(input, input.len());
    for piece in [1, 7] {
        assert_eq!(heard(input, piece), whole);
    }
}

/// What is understood of an input that comes in pieces of so many octets.
fn heard(octets: &[u8], piece: usize) -> (Vec<Heard>, Option<Malformed>) {
    let (mut hello, mut input, mut all) = (Hello::default(), BytesMut::new(), Vec::new());
    for octets in octets.chunks(piece.max(1)) {
        input.extend_from_slice(octets);
        loop {
            match hello.hear(&mut input, LONGEST) {
                Ok(Heard::More) => break,
                // The server reads on in POP3.
                Ok(Heard::Request(ticket)) => {
                    all.push(Heard::Request(ticket));
                    return (all, None);
                }
                Ok(heard) => all.push(heard),
                Err(malformed) => return (all, Some(malformed)),
            }
        }
    }
    (all, None)
}
