//! Annotations of mailboxes and of the server (RFC 5464): what is kept of them, and how they change.
//!
//! A mailbox's are in its index, so that a change of them shares the commit of everything else and raises HIGHESTMODSEQ
//! (RFC 7162 section 3.2). Two things are in the header instead: special uses, which LIST must know of mailboxes that nobody has
//! open, and option bits. Values that an earlier build wrote into the header count until they are set anew.
//!
//! Annotations of the server are in users' logs: a user's own in that user's, the shared ones in the log of nobody.

use std::{collections::BTreeMap, sync::Arc};

use protocol::name::MailboxName;

use crate::limits::{ANNOTATION_BYTES, ANNOTATION_SHARE, ENTRIES_MAX, ENTRY_MAX, VALUE_MAX, rows};

use super::{
    Store,
    annotations::{Annotated, Metadata, SHARED, Setting},
    error::StoreError,
    header::Header,
    index,
    mailbox::Mailbox,
    op::Op,
    ops::SPECIAL_USE,
    userlog,
};

impl Mailbox {
    /// The value of an annotation; `user` is [`SHARED`] for everybody's.
    pub fn annotation(&self, entry: &str, user: &str) -> Option<Arc<[u8]>> {
        self.view.borrow().metadata.get(entry, user).map_or_else(
            || self.header.borrow().annotation(entry, user).map(|value| Arc::from(value.as_bytes())),
            |value| value.cloned(),
        )
    }

    /// The shared annotations and those of one user, in the order of their names.
    pub fn annotations(&self, user: &str) -> Vec<Annotated> {
        let (view, header) = (self.view(), self.header());
        let mut found: BTreeMap<(&str, bool), Arc<[u8]>> = BTreeMap::new();
        let whose = |values_of: &str| values_of == SHARED || values_of == user;
        for (entry, values) in &header.annotations {
            for (of, value) in values.iter().filter(|(of, _)| whose(of)) {
                found.insert((entry, of != SHARED), Arc::from(value.as_bytes()));
            }
        }
        for (entry, values) in &view.metadata.values {
            for of in [SHARED, user] {
                match values.get(of) {
                    Some(Some(value)) => drop(found.insert((entry, of != SHARED), value.clone())),
                    Some(None) => drop(found.remove(&(entry.as_str(), of != SHARED))),
                    None => {}
                }
            }
        }
        found.into_iter().map(|((entry, private), value)| (entry.to_owned(), private, value)).collect()
    }

    /// All annotations of all users, but for special uses, which are the mailbox's own.
    pub(crate) fn all_annotations(&self) -> Vec<Setting> {
        let (view, header) = (self.view(), self.header());
        let mut all = Metadata::default();
        for (entry, values) in header.annotations.iter().filter(|(entry, _)| *entry != SPECIAL_USE) {
            for (user, value) in values {
                let value = Some(value.as_bytes().to_vec());
                all.set(Setting { entry: entry.clone(), user: user.clone(), value });
            }
        }
        view.metadata.in_runs().into_iter().flatten().for_each(|setting| all.set(setting));
        let all = all.in_runs().into_iter().flatten();
        all.filter(|setting| setting.value.is_some()).collect()
    }

    /// Whether the entries that are set fit beside those that are there.
    fn admits(&self, settings: &[Setting]) -> Result<(), StoreError> {
        if settings.iter().any(|setting| setting.entry.len() > ENTRY_MAX) {
            return Err(StoreError::Limit("Annotation entry name too long"));
        }
        if settings.iter().any(|setting| setting.value.as_ref().is_some_and(|v| v.len() > VALUE_MAX)) {
            return Err(StoreError::AnnotationTooLarge);
        }
        for user in [Some(SHARED), settings.iter().map(|s| s.user.as_str()).find(|u| *u != SHARED)] {
            let Some(user) = user else { continue };
            let private = user != SHARED;
            let mut names: std::collections::BTreeSet<String> =
                self.annotations(user).into_iter().filter(|(_, p, _)| *p == private).map(|a| a.0).collect();
            let before = names.len();
            for setting in settings.iter().filter(|setting| setting.user == user) {
                match setting.value {
                    Some(_) => drop(names.insert(setting.entry.clone())),
                    None => drop(names.remove(&setting.entry)),
                }
            }
            if names.len() > ENTRIES_MAX && names.len() > before {
                return Err(too_many());
            }
        }
        let sizes = |size: &dyn Fn(&Setting) -> Option<usize>| -> u64 {
            settings.iter().filter_map(|setting| Some((setting.entry.len() + size(setting)?) as u64)).sum()
        };
        let new = sizes(&|setting| setting.value.as_ref().map(Vec::len));
        let old = sizes(&|setting| self.annotation(&setting.entry, &setting.user).map(|value| value.len()));
        if new > old && self.view().annotation_memory().saturating_add(new - old) > ANNOTATION_BYTES {
            return Err(too_large());
        }
        self.admits_of_one(settings)
    }

    /// Whether the private ones among them fit into what a user has who is not the owner.
    fn admits_of_one(&self, settings: &[Setting]) -> Result<(), StoreError> {
        let Some(user) = settings.iter().map(|s| s.user.as_str()).find(|user| *user != SHARED) else {
            return Ok(());
        };
        if self.name()?.owner().as_deref() == Some(user) {
            return Ok(());
        }
        let held = self.annotations(user).into_iter().filter(|(_, private, _)| *private);
        let mut held: BTreeMap<String, usize> = held.map(|(entry, _, value)| (entry, value.len())).collect();
        let bytes = |held: &BTreeMap<String, usize>| -> u64 {
            held.iter().map(|(entry, value)| (entry.len() + value) as u64).sum()
        };
        let before = bytes(&held);
        for setting in settings.iter().filter(|setting| setting.user == user) {
            match &setting.value {
                Some(value) => drop(held.insert(setting.entry.clone(), value.len())),
                None => drop(held.remove(&setting.entry)),
            }
        }
        let now = bytes(&held);
        if now > ANNOTATION_SHARE && now > before {
            rows::ANNOTATION_SHARE
                .met("a user's own annotations of another's mailbox are as large as they can be: one more is refused");
            return Err(StoreError::TooManyAnnotations);
        }
        Ok(())
    }

    /// Sets annotations in one commit. Of an index of an earlier version it is a large one.
    pub(crate) async fn set_annotations(
        self: &std::sync::Arc<Self>,
        settings: Vec<Setting>,
    ) -> Result<(), StoreError> {
        let old = super::lock(&self.working).version < index::FORMAT;
        let weight = if old { self.view().exists() } else { settings.len() };
        self.change_of(weight, move |change| {
            let modseq = change.modseq();
            change.op(Op::Metadata { modseq, settings });
            Ok(())
        })
        .await
    }
}

impl Store {
    /// Sets annotations of a mailbox, and its option bits (a bit, and whether it is on): all or nothing. Special uses are checked
    /// as those of CREATE are. Who may do that is the caller's to know.
    pub async fn annotate(
        &self,
        name: &MailboxName,
        mut settings: Vec<Setting>,
        options: Vec<(u64, bool)>,
    ) -> Result<(), StoreError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&name]).await?;
            let entry = store.list().get(&name)?.ok_or_else(|| store.missing(&name))?;
            let mailbox = store.open_entry(&entry).await?;
            mailbox.admits(&settings)?;
            let mut special = Vec::new();
            for setting in settings.extract_if(.., |setting| setting.entry == SPECIAL_USE) {
                let uses = String::from_utf8(setting.value.unwrap_or_default())
                    .map_err(|_| StoreError::BadUse("Unknown special use"))?;
                special.push((setting.user, store.checked_special_use(&name, &uses).await?));
            }
            let before = mailbox.header();
            if !special.is_empty() || !options.is_empty() {
                let edit = move |header: &mut Header| {
                    for (user, uses) in special {
                        header.annotate(SPECIAL_USE, &user, uses.as_deref());
                    }
                    for (bit, on) in options {
                        header.options = if on { header.options | bit } else { header.options & !bit };
                    }
                    header.foldermodseq += 1;
                };
                store.edit_header(&entry, edit).await?;
            }
            let set = mailbox.set_annotations(settings).await;
            if set.is_err() && mailbox.header() != before {
                let back = move |header: &mut Header| *header = (*before).clone();
                store.edit_header(&entry, back).await?;
            }
            store.forget_special_uses(&name);
            set
        })
        .await
    }

    /// Annotations of the server: a user's own, or everybody's ([`SHARED`]).
    pub async fn server_annotations(
        &self,
        user: &str,
    ) -> Result<Arc<BTreeMap<String, Arc<[u8]>>>, StoreError> {
        Ok(self.user_log(user).await?.state().annotations.clone())
    }

    /// Sets annotations of the server, all of one user: all or nothing.
    pub async fn annotate_server(&self, user: &str, settings: Vec<Setting>) -> Result<(), StoreError> {
        if settings.iter().any(|setting| setting.value.as_ref().is_some_and(|v| v.len() > VALUE_MAX)) {
            return Err(StoreError::AnnotationTooLarge);
        }
        let log = self.user_log(user).await?;
        let held = log.state().annotations.clone();
        let mut sizes: BTreeMap<&str, usize> =
            held.iter().map(|(entry, value)| (entry.as_str(), value.len())).collect();
        let bytes = |sizes: &BTreeMap<&str, usize>| -> u64 {
            sizes.iter().map(|(entry, value)| (entry.len() + value) as u64).sum()
        };
        let (count, before) = (sizes.len(), bytes(&sizes));
        for Setting { entry, value, .. } in &settings {
            match value {
                Some(value) => drop(sizes.insert(entry, value.len())),
                None => drop(sizes.remove(entry.as_str())),
            }
        }
        if sizes.len() > ENTRIES_MAX && sizes.len() > count {
            return Err(too_many());
        }
        let now = bytes(&sizes);
        if now > ANNOTATION_BYTES && now > before {
            return Err(too_large());
        }
        log.apply(userlog::Op::Annotate(settings)).await
    }
}

fn too_many() -> StoreError {
    rows::ENTRIES_MAX.met("a mailbox, or a user, has as many annotations as can be: one more is refused");
    StoreError::TooManyAnnotations
}

fn too_large() -> StoreError {
    rows::ANNOTATION_BYTES
        .met("the annotations of a mailbox, or of a user, are as large as can be: one more is refused");
    StoreError::TooManyAnnotations
}
