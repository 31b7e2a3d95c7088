//! KPOP over Kerberos 5: what a client says before POP3 begins (`krb5_sendauth` of MIT's library, as fetchmail calls it).
//!
//! ```text
//! C: length "KRB5_SENDAUTH_V1.0" NUL    length "KPOPV1.0" NUL     a length has 4 octets, the highest first
//! S: 0                                                            1, 2: the first, the second version is another
//! C: length AP-REQ
//! S: length 0   [length AP-REP]                                   the second where the client wants our proof
//! S: +OK, and all of POP3
//! ```

use bytes::{Buf, BytesMut};

/// A client's words, as far as they have come.
#[derive(Debug, Default)]
pub struct Hello {
    heard: usize,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is more to come.
    More,
    /// Both versions are ours: [`ACCEPTED`] is to be sent.
    Versions,
    /// A ticket.
    Request(Vec<u8>),
}

/// The client speaks something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("another version of sendauth")]
    Sendauth,
    #[error("another version of KPOP")]
    Kpop,
    #[error("more than {0} octets at once")]
    TooLong(usize),
}

impl Malformed {
    /// What the client is told, where there is a word for it.
    pub fn octet(self) -> Option<u8> {
        match self {
            Malformed::Sendauth => Some(1),
            Malformed::Kpop => Some(2),
            Malformed::TooLong(_) => None,
        }
    }
}

/// Whether a client that has sent this speaks KPOP: no line of POP3 begins so.
pub fn begins(input: &[u8]) -> bool {
    input.first() == Some(&0)
}

impl Hello {
    /// Takes what is whole off the front of the input. `longest`: octets of one of the client's pieces.
    ///
    /// # Errors
    /// Nothing more can be understood.
    pub fn hear(&mut self, input: &mut BytesMut, longest: usize) -> Result<Heard, Malformed> {
        loop {
            let Some(piece) = piece(input, longest)? else { return Ok(Heard::More) };
            self.heard += 1;
            match self.heard {
                1 if piece != SENDAUTH => return Err(Malformed::Sendauth),
                1 => {}
                2 if piece != KPOP => return Err(Malformed::Kpop),
                2 => return Ok(Heard::Versions),
                _ => return Ok(Heard::Request(piece)),
            }
        }
    }
}

/// What the server says to a ticket that is right.
pub fn welcome(reply: Option<&[u8]>) -> Vec<u8> {
    let mut out = NO_ERROR.to_vec();
    if let Some(reply) = reply {
        out.extend_from_slice(&u32::try_from(reply.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(reply);
    }
    out
}

fn piece(input: &mut BytesMut, longest: usize) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(length) = input.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > longest {
        return Err(Malformed::TooLong(longest));
    }
    if input.len() < 4 + length {
        return Ok(None);
    }
    input.advance(4);
    Ok(Some(input.split_to(length).to_vec()))
}

/// The answer to versions that are ours.
pub const ACCEPTED: u8 = 0;
const NO_ERROR: [u8; 4] = [0; 4];
const SENDAUTH: &[u8] = b"KRB5_SENDAUTH_V1.0\0";
const KPOP: &[u8] = b"KPOPV1.0\0";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_fetchmail(request: &[u8]) -> Vec<u8> {
        let pieces = [SENDAUTH, KPOP, request];
        pieces.iter().flat_map(|piece| [&(piece.len() as u32).to_be_bytes()[..], piece].concat()).collect()
    }

    #[test]
    fn what_fetchmail_says_is_understood_in_whatever_pieces_it_comes() {
        let all = of_fetchmail(b"ticket");
        assert!(begins(&all) && !begins(b"CAPA\r\n") && !begins(b""));
        let (mut hello, mut input, mut heard) = (Hello::default(), BytesMut::new(), Vec::new());
        for octet in all {
            input.extend_from_slice(&[octet]);
            match hello.hear(&mut input, 100).unwrap() {
                Heard::More => {}
                other => heard.push(other),
            }
        }
        assert_eq!(heard, [Heard::Versions, Heard::Request(b"ticket".to_vec())]);
        assert_eq!(welcome(None), [0; 4]);
        assert_eq!(welcome(Some(b"ab")), [0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn other_versions_and_endless_lengths_are_refused() {
        let hear = |octets: &[u8]| Hello::default().hear(&mut BytesMut::from(octets), 100);
        assert_eq!(hear(b"\0\0\0\x02V2"), Err(Malformed::Sendauth));
        let other = [&of_fetchmail(b"")[..23], b"\0\0\0\x02V2"].concat();
        assert_eq!(hear(&other), Err(Malformed::Kpop));
        assert_eq!(hear(b"\xff\xff\xff\xff"), Err(Malformed::TooLong(100)));
        assert_eq!(hear(b"\0\0\0\x65"), Err(Malformed::TooLong(100)));
    }

    proptest! {
        #[test]
        fn any_octets_are_understood_or_refused(octets: Vec<u8>) {
            let (mut hello, mut input) = (Hello::default(), BytesMut::from(&octets[..]));
            while let Ok(Heard::Versions | Heard::Request(_)) = hello.hear(&mut input, 64) {}
        }
    }
}
