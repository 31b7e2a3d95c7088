//! The keys of a test, and the search of its values for one of them.

use std::borrow::Cow;

use super::{Key, Kind, MatchTags};
use crate::check::Arguments;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

/// What a test compares its values with.
#[derive(Debug)]
pub struct Matcher {
    tags: MatchTags,
    keys: Vec<TestKey>,
    /// Each word of a key is a key.
    words: bool,
}

#[derive(Debug)]
enum TestKey {
    Ready(Key),
    /// It has variables in it.
    Later(Text),
}

impl Matcher {
    /// Constant keys are made ready here; one that cannot be a key is reported.
    pub fn new(tags: MatchTags, keys: Vec<Text>, arguments: &mut Arguments<'_, '_>) -> Option<Matcher> {
        let mut ready = Vec::with_capacity(keys.len());
        for key in keys {
            ready.push(match key.constant().map(|text| tags.key(text)) {
                None => TestKey::Later(key),
                Some(Ok(key)) => TestKey::Ready(key),
                Some(Err(bad)) => {
                    let (line, name) = (arguments.line, arguments.name);
                    let text = key.constant().unwrap_or_default();
                    arguments.fail(line, format!("{name}: bad pattern \"{text}\": {}", bad.0));
                    return None;
                }
            });
        }
        Some(Matcher { tags, keys: ready, words: false })
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
        let keys = self.keys(context)?;
        if let Kind::Count(_) = self.tags.kind {
            let count = values.into_iter().count();
            return Ok(keys.iter().any(|key| key.counts(count)).then(Vec::new));
        }
        let capture = context.state.remembers_matches();
        for value in values {
            let value = value.as_ref();
            context.charge_bytes(keys.iter().map(|key| COMPARISON + key.work(value)).sum())?;
            if let Some(captures) = Key::first(&keys, value, capture) {
                return Ok(Some(captures));
            }
        }
        Ok(None)
    }

    fn keys<'k>(&'k self, context: &Context<'_>) -> Result<Vec<Cow<'k, Key>>, RunError> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            match key {
                TestKey::Ready(key) => keys.push(Cow::Borrowed(key)),
                TestKey::Later(text) => {
                    let text = text.value(context)?;
                    match self.words {
                        true => {
                            for word in text.split_ascii_whitespace() {
                                keys.push(Cow::Owned(self.made(word, context)?));
                            }
                        }
                        false => keys.push(Cow::Owned(self.made(&text, context)?)),
                    }
                }
            }
        }
        Ok(keys)
    }

    /// A key that is made ready within a run.
    fn made(&self, text: &str, context: &Context<'_>) -> Result<Key, RunError> {
        context.charge(if self.tags.kind == Kind::Regex { REGEX_STEPS } else { 1 })?;
        self.tags.key(text).map_err(|bad| RunError::new(format!("bad pattern \"{text}\": {}", bad.0)))
    }
}

/// Bytes that a comparison is as much work as, whatever is compared.
const COMPARISON: usize = 16;
/// What it costs to make a regular expression ready within a run: some milliseconds at worst.
const REGEX_STEPS: u64 = 2000;
