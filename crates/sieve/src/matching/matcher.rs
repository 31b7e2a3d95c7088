//! The keys of a test, and the search of its values for one of them.

use std::borrow::{Borrow, Cow};

use super::{Key, Kind, MatchTags};
use crate::check::Arguments;
use crate::limits;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

/// What a test compares its values with.
#[derive(Debug)]
pub struct Matcher {
    tags: MatchTags,
    keys: Keys,
    /// Each word of a key is a key.
    words: bool,
}

#[derive(Debug)]
enum Keys {
    /// All are constant.
    Ready(Vec<Key>),
    /// Some have variables in them.
    Mixed(Vec<TestKey>),
}

#[derive(Debug)]
enum TestKey {
    Ready(Key),
    Later(Text),
}

impl Matcher {
    /// Constant keys are made ready here; one that cannot be a key is reported.
    pub fn new(tags: MatchTags, keys: Vec<Text>, arguments: &mut Arguments<'_, '_>) -> Option<Matcher> {
        let mut ready = Vec::with_capacity(keys.len());
        let is_constant = keys.iter().all(|key| key.constant().is_some());
        for key in keys {
            ready.push(match key.constant() {
                Some(text) => TestKey::Ready(constant(tags, text, arguments)?),
                None => TestKey::Later(key),
            });
        }
        let keys = match is_constant {
            true => Keys::Ready(ready.into_iter().filter_map(TestKey::ready).collect()),
            false => Keys::Mixed(ready),
        };
        Some(Matcher { tags, keys, words: false })
    }

    /// Has each word of a key that has variables in it be a key of its own (`hasflag`). Constant keys are words already.
    pub fn by_words(self) -> Matcher {
        Matcher { words: true, ..self }
    }

    /// Compares each value with each key: the values in order, and for each the keys in order. `:count` compares their number instead,
    /// once. None: nothing matches. Else the match variables, which are empty where the script remembers none
    /// ([`State::remembers_matches`](crate::program::state::State)) or the match type has none.
    pub fn search<V: AsRef<str>>(
        &self,
        context: &Context<'_>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Option<Vec<String>>, RunError> {
        match &self.keys {
            Keys::Ready(keys) => self.among(keys, context, values),
            Keys::Mixed(keys) => self.among(&self.made(keys, context)?, context, values),
        }
    }

    fn among<K: Borrow<Key>, V: AsRef<str>>(
        &self,
        keys: &[K],
        context: &Context<'_>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Option<Vec<String>>, RunError> {
        if let Kind::Count(_) = self.tags.kind {
            let count = values.into_iter().count();
            return Ok(keys.iter().any(|key| key.borrow().counts(count)).then(Vec::new));
        }
        let capture = context.state.remembers_matches();
        for value in values {
            let value = value.as_ref();
            context.charge_bytes(keys.iter().map(|key| COMPARISON + key.borrow().work(value)).sum())?;
            if let Some(captures) = Key::first(keys, value, capture) {
                return Ok(Some(captures));
            }
        }
        Ok(None)
    }

    /// The keys of this run.
    fn made<'k>(&self, keys: &'k [TestKey], context: &Context<'_>) -> Result<Vec<Cow<'k, Key>>, RunError> {
        let mut made = Vec::with_capacity(keys.len());
        for key in keys {
            let text = match key {
                TestKey::Ready(key) => {
                    made.push(Cow::Borrowed(key));
                    continue;
                }
                TestKey::Later(text) => text.value(context)?,
            };
            match self.words {
                true => {
                    for word in text.split_ascii_whitespace() {
                        made.push(Cow::Owned(self.key(word, context)?));
                    }
                }
                false => made.push(Cow::Owned(self.key(&text, context)?)),
            }
        }
        Ok(made)
    }

    /// A key that is made ready within a run.
    fn key(&self, text: &str, context: &Context<'_>) -> Result<Key, RunError> {
        let key = self.tags.key(text);
        let key = key.map_err(|bad| RunError::new(format!("bad pattern \"{text}\": {}", bad.0)))?;
        context.charge(1 + key.size() as u64 / SIZE_A_STEP)?;
        Ok(key)
    }
}

impl TestKey {
    fn ready(self) -> Option<Key> {
        match self {
            TestKey::Ready(key) => Some(key),
            TestKey::Later(_) => None,
        }
    }
}

/// Bytes that a comparison is as much work as, whatever is compared.
const COMPARISON: usize = 16;

/// A key that is known now. One that cannot be is reported; what it took to see that counts too.
fn constant(tags: MatchTags, text: &str, arguments: &mut Arguments<'_, '_>) -> Option<Key> {
    let full = || format!("the patterns of the script take more than {} bytes", limits::PATTERNS);
    if !arguments.checker.has_room(0) {
        arguments.fail(arguments.line, full());
        return None;
    }
    match tags.key(text) {
        Ok(key) if arguments.checker.has_room(key.size()) => Some(key),
        Ok(_) => {
            arguments.fail(arguments.line, full());
            None
        }
        Err(bad) => {
            arguments.checker.has_room(limits::REGEX);
            let problem = format!("{}: bad pattern \"{text}\": {}", arguments.name, bad.0);
            arguments.fail(arguments.line, problem);
            None
        }
    }
}

/// To make so many bytes of a pattern ready is as much work as one command: a regular expression takes milliseconds at worst.
const SIZE_A_STEP: u64 = 64;
