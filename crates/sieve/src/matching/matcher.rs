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
        Some(Matcher { tags, keys: ready })
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
            for key in &keys {
                context.charge_bytes(key.work(value))?;
            }
            if let Some(captures) = Key::first(&keys, value, capture) {
                return Ok(Some(captures));
            }
        }
        Ok(None)
    }

    fn keys<'k>(&'k self, context: &Context<'_>) -> Result<Vec<Cow<'k, Key>>, RunError> {
        let ready = |key: &'k TestKey| match key {
            TestKey::Ready(key) => Ok(Cow::Borrowed(key)),
            TestKey::Later(text) => {
                let text = text.value(context)?;
                if self.tags.kind == Kind::Regex {
                    context.charge(REGEX_STEPS)?;
                }
                let key = self.tags.key(&text);
                let key = key.map_err(|bad| RunError::new(format!("bad pattern \"{text}\": {}", bad.0)))?;
                Ok(Cow::Owned(key))
            }
        };
        self.keys.iter().map(ready).collect()
    }
}

/// What it costs to make a regular expression ready within a run: some milliseconds at worst.
const REGEX_STEPS: u64 = 2000;
