//! Annotations of messages (RFC 5257): set with STORE and APPEND, and taken along by COPY.

use std::{collections::BTreeMap, sync::Arc};

use crate::limits::{NOTES_MAX, VALUE_MAX, rows};

use super::{
    change::Change,
    error::StoreError,
    index::Op,
    mailbox::{Mailbox, Stored},
    metadata::{SHARED, Setting},
    record::{Annotation, Record},
};

/// Annotations of one message, as its record holds them.
pub type Annotations = Option<Arc<Vec<Annotation>>>;

impl Mailbox {
    /// Sets annotations of messages; UIDs that are not there are passed over. A message whose annotations are so already stays
    /// as it is.
    pub async fn annotate_messages(
        self: &Arc<Self>,
        uids: &[u32],
        settings: Vec<Setting>,
        unchanged_since: Option<u64>,
    ) -> Result<Stored, StoreError> {
        let uids = uids.to_vec();
        self.change_of(uids.len(), move |change| {
            let mut modified = Vec::new();
            for uid in uids {
                let Some(record) = change.view().get(uid) else { continue };
                if unchanged_since.is_some_and(|limit| record.modseq > limit) {
                    modified.push(uid);
                    continue;
                }
                let before = record.annotations.clone();
                let after = with(&before, &settings)?;
                if after != before {
                    let annotations = after.map(Arc::unwrap_or_clone).unwrap_or_default();
                    change.op(Op::Annotate { uid, modseq: change.modseq(), annotations });
                }
            }
            Ok(Stored { modified, modseq: change.view().highestmodseq })
        })
        .await
    }
}

impl Mailbox {
    /// What a user has noted on messages is another one's from now on: the user has another name.
    pub(crate) async fn hand_over_notes(self: &Arc<Self>, old: &str, new: &str) -> Result<(), StoreError> {
        let has =
            |record: &Record| record.annotations.iter().flat_map(|all| all.iter()).any(|a| a.user == old);
        let uids: Vec<u32> = self.view().records().iter().filter(|r| has(r)).map(|r| r.uid).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let (old, new) = (old.to_owned(), new.to_owned());
        self.change_of(uids.len(), move |change| {
            for uid in uids {
                let Some(record) = change.view().get(uid) else { continue };
                let all = record.annotations.iter().flat_map(|all| all.iter()).cloned();
                let mut all: Vec<Annotation> = all.collect();
                all.iter_mut().filter(|a| a.user == old).for_each(|a| a.user.clone_from(&new));
                all.sort_by(|a, b| (&a.entry, &a.user).cmp(&(&b.entry, &b.user)));
                change.op(Op::Annotate { uid, modseq: change.modseq(), annotations: all });
            }
            Ok(())
        })
        .await
    }
}

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
    let count = all.len();
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
    let made = |((entry, user), value): ((&str, &str), &[u8])| Annotation {
        entry: entry.to_owned(),
        user: user.to_owned(),
        value: value.to_vec(),
    };
    let all: Vec<Annotation> = all.into_iter().map(made).collect();
    Ok((!all.is_empty()).then(|| Arc::new(all)))
}

/// What a copy that `user` makes has of a message's annotations: the shared ones and the user's own (RFC 5257 section 4.6).
pub fn carried(annotations: &Annotations, user: &str) -> Annotations {
    let all = annotations.as_ref()?;
    if all.iter().all(|annotation| annotation.user == SHARED || annotation.user == user) {
        return annotations.clone();
    }
    let own: Vec<Annotation> = all
        .iter()
        .filter(|annotation| annotation.user == SHARED || annotation.user == user)
        .cloned()
        .collect();
    (!own.is_empty()).then(|| Arc::new(own))
}

/// Gives a message that has just come its annotations, in the change by which it comes.
pub fn arrive(change: &mut Change, uid: u32, annotations: Annotations) {
    if let Some(annotations) = annotations {
        let modseq = change.modseq();
        change.op(Op::Annotate { uid, modseq, annotations: Arc::unwrap_or_clone(annotations) });
    }
}
