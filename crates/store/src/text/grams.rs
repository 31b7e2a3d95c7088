//! Trigrams: each three bytes in a row of a text as it is compared ([`mime::searched`]). A text that contains another has all of its
//! trigrams. They are hashed into [`SLOTS`] slots; two that share one make a message a candidate that is none, and nothing worse.

/// Slots of a segment.
pub const SLOTS: usize = 1 << SLOT_BITS;
pub const SLOT_BITS: u32 = 18;

/// The slots of a text's trigrams, in its order, as often as they stand there.
pub fn slots(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.as_bytes().windows(3).map(|window| match window {
        &[a, b, c] => u32::from_be_bytes([0, a, b, c]).wrapping_mul(0x9e37_79b1) >> (32 - SLOT_BITS),
        _ => 0,
    })
}

/// The trigrams of a text that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// Each once.
    pub(super) slots: Vec<u32>,
}

impl Sought {
    /// `text`: as it is compared, [`mime::searched`]. None where it is shorter than a trigram: then the index knows nothing of it.
    pub fn new(text: &str) -> Option<Sought> {
        let mut found: Vec<u32> = slots(text).take(SOUGHT).collect();
        found.sort_unstable();
        found.dedup();
        (!found.is_empty()).then_some(Sought { slots: found })
    }
}

/// The slots of one message, each once.
pub struct Collector {
    seen: Vec<u64>,
    found: Vec<u32>,
}

impl Collector {
    pub fn new() -> Collector {
        Collector { seen: vec![0; SLOTS / 64], found: Vec::new() }
    }

    pub fn add(&mut self, text: &str) {
        for slot in slots(text) {
            let Some(word) = self.seen.get_mut(slot as usize / 64) else { continue };
            let bit = 1 << (slot % 64);
            if *word & bit == 0 {
                *word |= bit;
                self.found.push(slot);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Gives them away, and is empty.
    pub fn drain(&mut self) -> impl Iterator<Item = u32> + '_ {
        let seen = &mut self.seen;
        self.found.drain(..).inspect(|slot| {
            if let Some(word) = seen.get_mut(*slot as usize / 64) {
                *word = 0;
            }
        })
    }
}

/// Trigrams of a text that are looked at: more prove no more.
const SOUGHT: usize = 48;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_text_contains_has_none_but_its_trigrams(before in ".{0,9}", text in ".{0,20}", after in ".{0,9}") {
            let mut collector = Collector::new();
            collector.add(&format!("{before}{text}{after}"));
            let mut all: Vec<u32> = collector.drain().collect();
            all.sort_unstable();
            let sought = Sought::new(&text);
            prop_assert_eq!(sought.is_some(), text.len() >= 3);
            for slot in sought.iter().flat_map(|sought| &sought.slots) {
                prop_assert!(all.binary_search(slot).is_ok());
            }
            // Nothing is left of one message when the next one comes.
            collector.add(&text);
            prop_assert_eq!(collector.len(), slots(&text).collect::<std::collections::BTreeSet<_>>().len());
        }
    }
}
