//! An ordered map of byte strings in front-coded blocks: a million names in a few dozen bytes each.
//!
//! A block holds up to about 2 KiB of entries, each storing only what its key does not share with the key before:
//!
//! ```text
//! entry = shared-length rest-length rest value-length value        (lengths LEB128)
//! ```
//!
//! A look-up finds the block by its first key and walks it, comparing only what an entry does not share with the one
//! before; a change copies one block, and encodes one or two of its entries anew.

use std::{collections::BTreeMap, ops::Bound};

use crate::codec::{Reader, put_bytes, put_number};

#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// By a lower bound of the block's keys; the first block's is empty.
    blocks: BTreeMap<Box<[u8]>, Block>,
    /// The last key of the last block, for appending; none when that block was emptied.
    last: Option<Vec<u8>>,
    len: usize,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
}

impl Blocks {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (_, block) = self.blocks.range::<[u8], _>(upto(key)).next_back()?;
        let spot = Spot::of(key, &block.bytes);
        spot.next.filter(|_| spot.equal).map(|item| item.value)
    }

    /// Gives the value that was there before.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        match self.append(key, value) {
            true => None,
            false => self.edit(key, Some(value)),
        }
    }

    /// Gives the value that was there.
    pub fn remove(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.edit(key, None)
    }

    /// Calls `each` for every entry from `from` on, in order, until it gives false.
    pub fn scan(&self, from: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> bool) {
        let Some((first, _)) = self.blocks.range::<[u8], _>(upto(from)).next_back() else { return };
        for (_, block) in self.blocks.range::<[u8], _>((Bound::Included(first.as_ref()), Bound::Unbounded)) {
            let mut walk = Walk::new(&block.bytes);
            while let Some(value) = walk.next() {
                if walk.key.as_slice() >= from && !each(&walk.key, value) {
                    return;
                }
            }
        }
    }

    /// Bytes held, blocks and their index, for the memory figure.
    pub fn memory(&self) -> usize {
        self.blocks
            .iter()
            .map(|(k, b)| k.len() + b.bytes.capacity() + size_of::<(Box<[u8]>, Block)>() + MALLOC)
            .sum()
    }

    /// The quick way for keys that come in order: true when done.
    fn append(&mut self, key: &[u8], value: &[u8]) -> bool {
        match &mut self.last {
            None if self.blocks.is_empty() => {
                let mut block = Block::default();
                put_entry(&mut block.bytes, &[], key, value);
                self.blocks.insert(Box::default(), block);
                self.last = Some(key.to_vec());
            }
            Some(last) if last.as_slice() < key => {
                let Some(mut tail) = self.blocks.last_entry() else { return false };
                let block = tail.get_mut();
                if block.bytes.len() < FULL {
                    put_entry(&mut block.bytes, last, key, value);
                } else {
                    block.bytes.shrink_to_fit();
                    let mut block = Block::default();
                    put_entry(&mut block.bytes, &[], key, value);
                    self.blocks.insert(key.into(), block);
                }
                last.clear();
                last.extend_from_slice(key);
            }
            _ => return false,
        }
        self.len += 1;
        true
    }

    fn edit(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let is_tail = self.blocks.last_key_value().is_some_and(|(bound, _)| bound.as_ref() <= key);
        let (bound, block) = self.blocks.range_mut::<[u8], _>(upto(key)).next_back()?;
        let spot = Spot::of(key, &block.bytes);
        let old = spot.next.filter(|_| spot.equal).map(|item| item.value.to_vec());
        if old.is_none() && value.is_none() {
            return None;
        }
        let at_end = match spot.next {
            Some(item) => spot.equal && item.end == block.bytes.len(),
            None => true,
        };
        block.bytes = match value {
            Some(value) => spot.with(key, value, &block.bytes),
            None => spot.without(&block.bytes),
        };
        match (&old, value) {
            (None, Some(_)) => self.len += 1,
            (Some(_), None) => self.len -= 1,
            _ => {}
        }
        if is_tail && at_end {
            self.last = match value {
                Some(_) => Some(key.to_vec()),
                None => last_key(&block.bytes),
            };
        }
        if block.bytes.len() > SPLIT {
            let (low, middle, high) = split(&block.bytes);
            block.bytes = low;
            self.blocks.insert(middle.into(), Block { bytes: high });
        } else if block.bytes.is_empty() && !bound.is_empty() {
            let bound = bound.clone();
            self.blocks.remove(&bound);
        }
        old
    }
}

/// One entry of a block, as it is stored.
#[derive(Clone, Copy)]
struct Item<'a> {
    shared: usize,
    rest: &'a [u8],
    value: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

impl<'a> Item<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Item<'a>> {
        let mut reader = Reader(bytes.get(at..)?);
        let shared = reader.number().ok()? as usize;
        let (rest, value) = (reader.bytes().ok()?, reader.bytes().ok()?);
        Some(Item { shared, rest, value, end: bytes.len() - reader.0.len() })
    }
}

/// Where a key is in a block, or would be.
struct Spot<'a> {
    at: usize,
    /// What the key shares with the entry before, and with the one here.
    before: usize,
    common: usize,
    /// The first entry that is not below the key.
    next: Option<Item<'a>>,
    equal: bool,
}

impl<'a> Spot<'a> {
    /// An entry that shares more with the one before it than the key does lies on the same side of the key; one that
    /// shares less lies beyond. Only one that shares as much must be compared.
    fn of(key: &[u8], bytes: &'a [u8]) -> Spot<'a> {
        let (mut at, mut before) = (0, 0);
        loop {
            while let Some((shared, end)) = short(bytes, at)
                && shared > before
            {
                at = end;
            }
            let Some(item) = Item::at(bytes, at) else { break };
            if item.shared > before {
                at = item.end;
                continue;
            }
            let here = Spot { at, before, common: item.shared, next: Some(item), equal: false };
            if item.shared < before {
                return here;
            }
            let wanted = key.get(before..).unwrap_or_default();
            let same = common(wanted, item.rest);
            let common = before + same;
            match (wanted.get(same), item.rest.get(same)) {
                (None, None) => return Spot { common, equal: true, ..here },
                (None, Some(_)) => return Spot { common, ..here },
                (Some(a), Some(b)) if a < b => return Spot { common, ..here },
                _ => (at, before) = (item.end, common),
            }
        }
        Spot { at, before, common: 0, next: None, equal: false }
    }

    /// The block with this key, whether or not it was there.
    fn with(&self, key: &[u8], value: &[u8], bytes: &[u8]) -> Vec<u8> {
        let (head, tail) = bytes.split_at(self.at);
        let mut out = Vec::with_capacity(bytes.len() + key.len() + value.len() + 8);
        out.extend_from_slice(head);
        put_item(&mut out, self.before, key.get(self.before..).unwrap_or_default(), value);
        let mut after = tail;
        if let Some(item) = self.next {
            after = bytes.get(item.end..).unwrap_or_default();
            if !self.equal {
                let rest = item.rest.get(self.common - item.shared..).unwrap_or_default();
                put_item(&mut out, self.common, rest, item.value);
            }
        }
        out.extend_from_slice(after);
        out.shrink_to_fit();
        out
    }

    /// The block without the entry here.
    fn without(&self, bytes: &[u8]) -> Vec<u8> {
        let Some(gone) = self.next else { return bytes.to_vec() };
        let mut out = Vec::with_capacity(bytes.len());
        out.extend_from_slice(bytes.get(..self.at).unwrap_or_default());
        let mut after = gone.end;
        if let Some(next) = Item::at(bytes, gone.end).filter(|next| next.shared > gone.shared) {
            // It shared with the one that goes what that did not share with the one before.
            let own = gone.rest.get(..next.shared - gone.shared).unwrap_or_default();
            put_item(&mut out, gone.shared, &[own, next.rest].concat(), next.value);
            after = next.end;
        }
        out.extend_from_slice(bytes.get(after..).unwrap_or_default());
        out.shrink_to_fit();
        out
    }
}

/// What the entry here shares, and where the next one begins, if its numbers are of one byte, as nearly all are: most of a walk is
/// passing over such entries.
#[inline]
fn short(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let [shared, rest, tail @ ..] = bytes.get(at..)? else { return None };
    let value = tail.get(usize::from(*rest))?;
    let is_short = (shared | rest | value) & 0x80 == 0;
    is_short.then(|| (usize::from(*shared), at + 3 + usize::from(*rest) + usize::from(*value)))
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn last_key(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk::new(bytes);
    while walk.next().is_some() {}
    (!bytes.is_empty()).then_some(walk.key)
}

fn upto(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

/// Walks the entries of one block; `key` is the key of the entry last given.
struct Walk<'a> {
    rest: Reader<'a>,
    key: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Walk { rest: Reader(bytes), key: Vec::with_capacity(64) }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let shared = self.rest.number().ok()?;
        let rest = self.rest.bytes().ok()?;
        self.key.truncate(shared as usize);
        self.key.extend_from_slice(rest);
        self.rest.bytes().ok()
    }
}

struct Writer {
    bytes: Vec<u8>,
    last: Vec<u8>,
}

impl Writer {
    fn new(capacity: usize) -> Self {
        Writer { bytes: Vec::with_capacity(capacity), last: Vec::new() }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        put_entry(&mut self.bytes, &self.last, key, value);
        self.last.clear();
        self.last.extend_from_slice(key);
    }
}

fn put_entry(out: &mut Vec<u8>, last: &[u8], key: &[u8], value: &[u8]) {
    let shared = common(last, key);
    put_item(out, shared, key.get(shared..).unwrap_or_default(), value);
}

fn put_item(out: &mut Vec<u8>, shared: usize, rest: &[u8], value: &[u8]) {
    put_number(out, shared as u64);
    put_bytes(out, rest);
    put_bytes(out, value);
}

/// Two blocks of about equal size, and the first key of the second.
fn split(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut low, mut high) = (Writer::new(bytes.len() / 2 + 128), Writer::new(bytes.len() / 2 + 128));
    let mut middle = Vec::new();
    let mut walk = Walk::new(bytes);
    while let Some(value) = walk.next() {
        if low.bytes.len() < bytes.len() / 2 {
            low.put(&walk.key, value);
        } else {
            if high.bytes.is_empty() {
                middle.clone_from(&walk.key);
            }
            high.put(&walk.key, value);
        }
    }
    low.bytes.shrink_to_fit();
    high.bytes.shrink_to_fit();
    (low.bytes, middle, high.bytes)
}

/// A block is full for appending at this size, and split by an insertion beyond `SPLIT`.
const FULL: usize = 1800;
const SPLIT: usize = 2048;
/// What the allocator adds to a key and a block.
const MALLOC: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(blocks: &Blocks, from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut out = Vec::new();
        blocks.scan(from, |k, v| {
            out.push((k.to_vec(), v.to_vec()));
            true
        });
        out
    }

    proptest! {
        #[test]
        fn it_behaves_as_an_ordered_map(
            ops in proptest::collection::vec(("[a-c]{0,6}", proptest::option::weighted(0.7, "[x-z]{0,40}|[x-z]{120,140}")), 0..300),
            from in "[a-c]{0,4}",
        ) {
            let (mut blocks, mut model) = (Blocks::default(), BTreeMap::new());
            for (key, value) in &ops {
                match value {
                    Some(value) => {
                        let old = blocks.insert(key.as_bytes(), value.as_bytes());
                        let known = model.insert(key.as_bytes().to_vec(), value.as_bytes().to_vec());
                        prop_assert_eq!(old, known);
                    }
                    None => {
                        prop_assert_eq!(blocks.remove(key.as_bytes()), model.remove(key.as_bytes()));
                    }
                }
            }
            prop_assert_eq!(blocks.len(), model.len());
            let from = from.as_bytes().to_vec();
            let expected: Vec<_> = model.range(from.clone()..).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(all(&blocks, &from), expected);
            for (key, _) in &ops {
                prop_assert_eq!(blocks.get(key.as_bytes()).map(<[u8]>::to_vec), model.get(key.as_bytes()).cloned());
            }
        }
    }

    #[test]
    fn many_keys_in_order_fill_the_blocks() {
        let mut blocks = Blocks::default();
        for n in 0..10_000 {
            blocks.insert(format!("user\x1f{n:08}\x1fSent").as_bytes(), b"12345678");
        }
        assert_eq!(blocks.len(), 10_000);
        assert!(blocks.memory() < 10_000 * 25, "{}", blocks.memory() / 10_000);
        assert_eq!(blocks.get(b"user\x1f00004711\x1fSent"), Some(&b"12345678"[..]));
        assert_eq!(all(&blocks, b"user\x1f00009999").len(), 1);
    }
}
