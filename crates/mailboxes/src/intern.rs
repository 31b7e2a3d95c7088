//! Strings that many entries share, held once and counted.

use std::{collections::HashMap, sync::Arc};

#[derive(Debug, Default)]
pub(crate) struct Interner {
    ids: HashMap<Arc<str>, u32>,
    slots: Vec<Option<(Arc<str>, u32)>>,
    free: Vec<u32>,
    /// The number held last: neighbours in a list often have the same strings.
    last: u32,
}

impl Interner {
    /// The number of `text`, used once more.
    pub fn hold(&mut self, text: &str) -> u32 {
        let is_last = self.get(self.last).is_some_and(|last| &**last == text);
        if let Some(id) = if is_last { Some(self.last) } else { self.find(text) } {
            if let Some(Some((_, uses))) = self.slots.get_mut(id as usize) {
                *uses += 1;
            }
            self.last = id;
            return id;
        }
        let text: Arc<str> = text.into();
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some((text.clone(), 1));
        }
        self.ids.insert(text, id);
        id
    }

    /// One use less; at none the string is dropped.
    pub fn release(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(id as usize) else { return };
        let Some((text, uses)) = slot else { return };
        *uses -= 1;
        if *uses == 0 {
            self.ids.remove(text);
            *slot = None;
            self.free.push(id);
        }
    }

    /// How often the string of this number is used; 0 if there is none.
    pub fn uses(&self, id: u32) -> u32 {
        self.slots.get(id as usize).and_then(Option::as_ref).map_or(0, |(_, uses)| *uses)
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub fn get(&self, id: u32) -> Option<&Arc<str>> {
        self.slots.get(id as usize)?.as_ref().map(|(text, _)| text)
    }

    /// Every string with its number of uses.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.slots.iter().flatten().map(|(text, uses)| (text, *uses))
    }

    pub fn memory(&self) -> usize {
        let texts: usize = self.iter().map(|(text, _)| text.len() + 32).sum();
        texts + self.slots.capacity() * 24 + self.ids.capacity() * 28 + self.free.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_lives_as_long_as_it_is_used() {
        let mut i = Interner::default();
        let a = i.hold("a");
        assert_eq!(i.hold("a"), a);
        let b = i.hold("b");
        i.release(a);
        assert_eq!(i.get(a).map(|t| &**t), Some("a"));
        i.release(a);
        assert_eq!(i.find("a"), None);
        assert_eq!(i.hold("c"), a);
        assert_eq!(i.get(b).map(|t| &**t), Some("b"));
        assert_eq!(i.iter().count(), 2);
    }
}
