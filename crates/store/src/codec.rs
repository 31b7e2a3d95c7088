//! How numbers and texts are written in the store's files: LEB128 numbers, texts with their length before them; and the
//! frame round each record of a log, `length(4) crc32(4) payload`, that shows where a torn log ends.

/// The bytes end before what should be there does, or are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record is cut short or wrong")]
pub struct Truncated;

pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a record framed with its length and checksum. `salt` makes records of another file's life wrong here.
pub fn put_frame(out: &mut Vec<u8>, salt: u64, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(salt, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Takes one frame off the front: its payload, and the bytes it took. None where the log ends or is torn.
pub fn take_frame(bytes: &[u8], salt: u64) -> Option<(&[u8], usize)> {
    let len = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(FRAME..FRAME.checked_add(len)?)?;
    (len > 0 && checksum(salt, payload) == crc).then_some((payload, FRAME + len))
}

/// The frame as it stands in a log's file before it counts: its checksum is wrong in every bit, so that the log ends before it.
pub fn unsealed(frame: &[u8]) -> Vec<u8> {
    let mut out = frame.to_vec();
    out.iter_mut().take(FRAME).skip(FRAME / 2).for_each(|byte| *byte = !*byte);
    out
}

/// The payload of such a frame at the front, if it is whole.
pub fn take_unsealed(bytes: &[u8], salt: u64) -> Option<&[u8]> {
    let len = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(FRAME..FRAME.checked_add(len)?)?;
    (len > 0 && checksum(salt, payload) == !crc).then_some(payload)
}

/// Bytes before a frame's payload.
pub const FRAME: usize = 8;

fn checksum(salt: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads what the functions above wrote.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, Truncated> {
        let (first, rest) = self.0.split_first().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn number(&mut self) -> Result<u64, Truncated> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Truncated)
    }

    pub fn number32(&mut self) -> Result<u32, Truncated> {
        u32::try_from(self.number()?).map_err(|_| Truncated)
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        self.take(N)?.try_into().map_err(|_| Truncated)
    }

    pub fn time(&mut self) -> Result<i64, Truncated> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let len = usize::try_from(self.number()?).map_err(|_| Truncated)?;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<&'a str, Truncated> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_cut_or_changed_anywhere_is_the_end() {
        let mut log = Vec::new();
        put_frame(&mut log, 7, b"some payload");
        for cut in 0..log.len() {
            assert_eq!(take_frame(&log[..cut], 7), None);
        }
        for at in 0..log.len() {
            let mut bad = log.clone();
            bad[at] ^= 1;
            assert_eq!(take_frame(&bad, 7), None, "byte {at}");
        }
        assert_eq!(take_frame(&log, 8), None);
        assert_eq!(take_frame(&log, 7), Some((&b"some payload"[..], log.len())));
    }

    #[test]
    fn a_frame_that_is_not_sealed_is_the_end_and_can_be_read_by_who_asks_for_it() {
        let mut frame = Vec::new();
        put_frame(&mut frame, 7, b"some payload");
        let bytes = unsealed(&frame);
        assert_eq!((take_frame(&bytes, 7), take_unsealed(&bytes, 8)), (None, None));
        assert_eq!(take_unsealed(&bytes, 7), Some(&b"some payload"[..]));
        for cut in 0..bytes.len() {
            assert_eq!(take_unsealed(&bytes[..cut], 7), None);
        }
        assert_eq!((take_unsealed(&frame, 7), take_unsealed(&[0; 64], 7)), (None, None));
        let sealed = [&frame[..FRAME], &bytes[FRAME..]].concat();
        assert_eq!(take_frame(&sealed, 7), Some((&b"some payload"[..], frame.len())));
    }

    proptest::proptest! {
        #[test]
        fn numbers_and_bytes_come_back(n: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_number(&mut out, n);
            put_bytes(&mut out, &bytes);
            let mut r = Reader(&out);
            proptest::prop_assert_eq!(r.number(), Ok(n));
            proptest::prop_assert_eq!(r.bytes(), Ok(&bytes[..]));
            proptest::prop_assert!(r.is_empty());
        }
    }
}
