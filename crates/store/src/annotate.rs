//! Annotations of messages (RFC 5257): set with STORE and APPEND, and taken along by COPY.

use std::sync::Arc;

use super::{
    annotations::{Setting, with},
    error::StoreError,
    mailbox::{Mailbox, Stored},
    op::Op,
    record::{Annotation, Record},
};

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
                    change.annotate(uid, annotations)?;
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
