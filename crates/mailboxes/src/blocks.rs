//! An ordered map of byte strings in front-coded blocks: a million names in a few dozen bytes each.
//!
//! A block holds up to about 2 KiB of entries, each storing only what its key does not share with the key before:
//!
//! ```text
//! entry = shared-length rest-length rest value-length value        (lengths LEB128)
//! ```
//!
//! A look-up finds the block by its first key and walks it; a change rewrites one block.

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
        let mut walk = Walk::new(&block.bytes);
        while let Some(value) = walk.next() {
            match walk.key.as_slice().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }

    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        if self.append(key, value) {
            return;
        }
        self.edit(key, Some(value));
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.edit(key, None);
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

    fn edit(&mut self, key: &[u8], value: Option<&[u8]>) {
        let tail = self.blocks.last_key_value().map(|(bound, _)| bound.clone());
        let Some((bound, block)) = self.blocks.range_mut::<[u8], _>(upto(key)).next_back() else { return };
        let mut out = Writer::new(block.bytes.len() + key.len() + value.map_or(0, <[u8]>::len) + 8);
        let (mut done, mut found) = (false, false);
        let mut walk = Walk::new(&block.bytes);
        while let Some(old) = walk.next() {
            if !done && walk.key.as_slice() >= key {
                done = true;
                if let Some(value) = value {
                    out.put(key, value);
                }
                if walk.key == key {
                    found = true;
                    continue;
                }
            }
            out.put(&walk.key, old);
        }
        if let (false, Some(value)) = (done, value) {
            out.put(key, value);
        }
        match (found, value.is_some()) {
            (false, true) => self.len += 1,
            (true, false) => self.len -= 1,
            _ => {}
        }
        if tail.as_ref() == Some(bound) {
            self.last = (!out.bytes.is_empty()).then(|| std::mem::take(&mut out.last));
        }
        if out.bytes.len() > SPLIT {
            let (low, middle, high) = split(&out.bytes);
            block.bytes = low;
            self.blocks.insert(middle.into(), Block { bytes: high });
        } else if out.bytes.is_empty() && !bound.is_empty() {
            let bound = bound.clone();
            self.blocks.remove(&bound);
        } else {
            out.bytes.shrink_to_fit();
            block.bytes = out.bytes;
        }
    }
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
    let shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
    put_number(out, shared as u64);
    put_bytes(out, key.get(shared..).unwrap_or_default());
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
            ops in proptest::collection::vec(("[a-c]{0,6}", proptest::option::weighted(0.7, "[x-z]{0,40}")), 0..300),
            from in "[a-c]{0,4}",
        ) {
            let (mut blocks, mut model) = (Blocks::default(), BTreeMap::new());
            for (key, value) in &ops {
                match value {
                    Some(value) => {
                        blocks.insert(key.as_bytes(), value.as_bytes());
                        model.insert(key.as_bytes().to_vec(), value.as_bytes().to_vec());
                    }
                    None => {
                        blocks.remove(key.as_bytes());
                        model.remove(key.as_bytes());
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
