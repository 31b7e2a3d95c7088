//! Annotations as they are kept: of a mailbox (RFC 5464) in its index, of a message (RFC 5257) in its record.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    codec::{Reader, Truncated, put_bytes},
    error::StoreError,
    record::{Annotation, Record},
};
use crate::limits::{ANNOTATION_RUN, NOTES_BYTES, NOTES_MAX, VALUE_MAX, rows};

/// One annotation that is set or (none) removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name without `/shared` or `/private`, lower case.
    pub entry: String,
    /// Whose it is; [`SHARED`]: everybody's.
    pub user: String,
    pub value: Option<Vec<u8>>,
}

/// What a mailbox's index says of annotations: entry → user → value. None: removed, whatever the header has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub(crate) values: BTreeMap<String, Values>,
    bytes: u64,
}

/// By user.
type Values = BTreeMap<String, Option<Arc<[u8]>>>;

/// An annotation of which somebody may know: its name, whether it is private, its value.
pub type Annotated = (String, bool, Arc<[u8]>);

impl Setting {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.entry.as_bytes());
        put_bytes(out, self.user.as_bytes());
        match &self.value {
            Some(value) => {
                out.push(1);
                put_bytes(out, value);
            }
            None => out.push(0),
        }
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Setting, Truncated> {
        let (entry, user) = (r.text()?.to_owned(), r.text()?.to_owned());
        let value = match r.byte()? {
            0 => None,
            1 => Some(r.bytes()?.to_vec()),
            _ => return Err(Truncated),
        };
        Ok(Setting { entry, user, value })
    }
}

impl Metadata {
    /// Bytes of all values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn set(&mut self, setting: Setting) {
        let Setting { entry, user, value } = setting;
        let size = |value: &Option<Arc<[u8]>>| value.as_ref().map_or(0, |value| value.len() as u64);
        let value = value.map(Arc::from);
        self.bytes += size(&value);
        let before = self.values.entry(entry).or_default().insert(user, value);
        self.bytes = self.bytes.saturating_sub(before.as_ref().map_or(0, size));
    }

    /// The value; none within: removed. None: it was never set here.
    pub fn get(&self, entry: &str, user: &str) -> Option<Option<&Arc<[u8]>>> {
        Some(self.values.get(entry)?.get(user)?.as_ref())
    }

    /// All, in runs of about a megabyte, as a compacted file holds them.
    pub fn in_runs(&self) -> Vec<Vec<Setting>> {
        let (mut runs, mut run, mut weight) = (Vec::new(), Vec::new(), 0);
        let all = self.values.iter().flat_map(|(entry, values)| values.iter().map(move |v| (entry, v)));
        for (entry, (user, value)) in all {
            weight += entry.len() + user.len() + value.as_ref().map_or(0, |value| value.len());
            run.push(Setting {
                entry: entry.clone(),
                user: user.clone(),
                value: value.as_deref().map(<[u8]>::to_vec),
            });
            if weight > ANNOTATION_RUN {
                runs.push(std::mem::take(&mut run));
                weight = 0;
            }
        }
        runs.extend(Some(run).filter(|run| !run.is_empty()));
        runs
    }
}

/// Annotations of one message, as its record holds them.
pub type Annotations = Option<Arc<Vec<Annotation>>>;

impl Record {
    /// The value of an annotation of the message; `user` is [`SHARED`] for everybody's.
    pub fn annotation(&self, entry: &str, user: &str) -> Option<&[u8]> {
        let all = self.annotations.iter().flat_map(|all| all.iter());
        let mut fitting = all.filter(|a| a.entry == entry && a.user == user);
        fitting.next().map(|annotation| annotation.value.as_slice())
    }
}

/// What becomes of a message's annotations; an error where they are too many or too large.
pub fn with(before: &Annotations, settings: &[Setting]) -> Result<Annotations, StoreError> {
    let mut all: BTreeMap<(&str, &str), &[u8]> = BTreeMap::new();
    for annotation in before.iter().flat_map(|all| all.iter()) {
        all.insert((&annotation.entry, &annotation.user), &annotation.value);
    }
    let bytes = |all: &BTreeMap<(&str, &str), &[u8]>| -> usize {
        all.iter().map(|((entry, user), value)| entry.len() + user.len() + value.len()).sum()
    };
    let (count, held) = (all.len(), bytes(&all));
    for Setting { entry, user, value } in settings {
        match value {
            Some(value) if value.len() > VALUE_MAX => return Err(StoreError::AnnotationTooLarge),
            Some(value) => drop(all.insert((entry, user), value)),
            None => drop(all.remove(&(entry.as_str(), user.as_str()))),
        }
    }
    if all.len() > NOTES_MAX && all.len() > count {
        rows::NOTES_MAX.met("a message has as many annotations as it can: one more is refused");
        return Err(StoreError::TooManyAnnotations);
    }
    let now = bytes(&all);
    if now > NOTES_BYTES && now > held {
        rows::NOTES_BYTES
            .met("the annotations of a message are as large as they can be: one more is refused");
        return Err(StoreError::TooManyAnnotations);
    }
    let made = |((entry, user), value): ((&str, &str), &[u8])| Annotation {
        entry: entry.to_owned(),
        user: user.to_owned(),
        value: value.to_vec(),
    };
    let all: Vec<Annotation> = all.into_iter().map(made).collect();
    Ok((!all.is_empty()).then(|| Arc::new(all)))
}

/// What a copy has of a message's annotations: those of the user who makes it, and the shared ones (RFC 5257 section 4.6), each
/// where they may go along.
pub fn carried(annotations: &Annotations, user: Option<&str>, shared: bool) -> Annotations {
    let all = annotations.as_ref()?;
    let goes = |annotation: &&Annotation| match annotation.user.as_str() {
        SHARED => shared,
        of => user == Some(of),
    };
    if all.iter().all(|annotation| goes(&annotation)) {
        return annotations.clone();
    }
    let some: Vec<Annotation> = all.iter().filter(goes).cloned().collect();
    (!some.is_empty()).then(|| Arc::new(some))
}

/// The user whose annotations are everybody's.
pub const SHARED: &str = "";
