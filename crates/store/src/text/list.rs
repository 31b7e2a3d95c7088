//! The messages of a segment that have a trigram: numbers from 0, ascending. Written as the gaps between them in Golomb-Rice code
//! (a quotient in unary, then `rice` bits), or as one bit a message where that is shorter.
//!
//! S. Golomb, Run-length encodings, IEEE Transactions on Information Theory 12 (1966); R. Rice's variant.

use crate::codec::Truncated;

/// In the place of `rice`: a bit a message.
const BITMAP: u8 = 0xff;

/// Writes a list of some of `of` messages: what is to stand before it, and its bytes.
pub fn encode(list: &[u16], of: usize) -> (u8, Vec<u8>) {
    let rice = parameter(list.len(), of);
    let mut bits = Writer::default();
    let (mut next, most) = (0, of.div_ceil(8));
    for &number in list {
        let gap = u32::from(number).saturating_sub(next);
        next = u32::from(number) + 1;
        (0..gap >> rice).for_each(|_| bits.put(true));
        bits.put(false);
        (0..rice).rev().for_each(|bit| bits.put(gap >> bit & 1 == 1));
        if bits.out.len() > most {
            break;
        }
    }
    let bytes = bits.finish();
    if bytes.len() < most { (rice, bytes) } else { (BITMAP, bitmap(list, of)) }
}

/// Calls `each` for the numbers of a list.
pub fn decode(rice: u8, bytes: &[u8], of: usize, mut each: impl FnMut(u16)) -> Result<(), Truncated> {
    if rice == BITMAP {
        for (at, byte) in bytes.iter().enumerate() {
            let mut left = *byte;
            while left != 0 {
                each(number(at * 8 + left.trailing_zeros() as usize, of)?);
                left &= left - 1;
            }
        }
        return Ok(());
    }
    let (mut bits, mut next) = (Reader { bytes, at: 0 }, 0usize);
    loop {
        let mut quotient = 0usize;
        loop {
            match bits.take() {
                // The last byte is filled with ones.
                None => return Ok(()),
                Some(true) => quotient += 1,
                Some(false) => break,
            }
        }
        let mut gap = quotient;
        for _ in 0..rice.min(16) {
            gap = gap << 1 | usize::from(bits.take().ok_or(Truncated)?);
        }
        let found = number(next.checked_add(gap).ok_or(Truncated)?, of)?;
        each(found);
        next = usize::from(found) + 1;
    }
}

fn number(number: usize, of: usize) -> Result<u16, Truncated> {
    u16::try_from(number).ok().filter(|_| number < of).ok_or(Truncated)
}

fn bitmap(list: &[u16], of: usize) -> Vec<u8> {
    let mut out = vec![0; of.div_ceil(8)];
    for number in list {
        if let Some(byte) = out.get_mut(usize::from(*number) / 8) {
            *byte |= 1 << (number % 8);
        }
    }
    out
}

/// The number of low bits that suits gaps of that mean.
fn parameter(len: usize, of: usize) -> u8 {
    let mean = of * 69 / 100 / len.max(1);
    mean.max(1).ilog2() as u8
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    byte: u8,
    filled: u8,
}

impl Writer {
    fn put(&mut self, bit: bool) {
        self.byte = self.byte << 1 | u8::from(bit);
        self.filled += 1;
        if self.filled == 8 {
            self.out.push(self.byte);
            (self.byte, self.filled) = (0, 0);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.filled > 0 {
            self.put(true);
        }
        self.out
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_list_comes_back_and_is_never_longer_than_a_bit_a_message(
            of in 1..3000usize,
            some in btree_set(0..3000u16, 0..200),
            dense in any::<bool>(),
        ) {
            let all = || (0..of as u16).collect::<BTreeSet<u16>>();
            let some: BTreeSet<u16> = some.into_iter().filter(|number| usize::from(*number) < of).collect();
            let list: Vec<u16> = if dense { all().difference(&some).copied().collect() } else { some.into_iter().collect() };
            let (rice, bytes) = encode(&list, of);
            prop_assert!(bytes.len() <= of.div_ceil(8));
            let mut back = Vec::new();
            decode(rice, &bytes, of, |number| back.push(number)).unwrap();
            prop_assert_eq!(back, list);
        }

        #[test]
        fn damage_gives_no_number_that_is_not_there(rice: u8, bytes: Vec<u8>, of in 0..5000usize) {
            let mut last = None;
            let _ = decode(rice, &bytes, of, |number| {
                assert!(usize::from(number) < of && last.is_none_or(|last| last < number));
                last = Some(number);
            });
        }
    }
}
