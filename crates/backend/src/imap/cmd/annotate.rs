//! Annotations of messages (RFC 5257): what FETCH shows of them, and who may set them with STORE and APPEND.

use protocol::acl::Rights;
use protocol::imap::Refusal;
use protocol::imap::command::annotate::{Note, Notes, print_notes};
use store::{Record, SHARED, Setting, StoreError};

use crate::imap::limits::{NOTE_STEPS, rows};
use crate::imap::metadata::{self, May};
use crate::imap::reply::Stop;
use crate::imap::session::Session;

/// Why the item of FETCH is not written: it would hold up others.
pub fn refuses(record: &Record, notes: &Notes) -> Option<Refusal> {
    let names = record.annotations.iter().flat_map(|all| all.iter()).map(|annotation| annotation.entry.len());
    let steps = notes.steps(names.sum());
    if steps <= NOTE_STEPS {
        return None;
    }
    rows::NOTE_STEPS.met("a FETCH with too many patterns for so many annotations is refused");
    Some(Refusal::Limit("Too many patterns for so many annotations".to_owned()))
}

/// Writes the item of FETCH.
pub fn print(session: &mut Session, record: &Record, notes: &Notes) -> Result<(), Stop> {
    let user = session.user()?.id().to_owned();
    let mut names: Vec<&str> = Vec::new();
    for annotation in record.annotations.iter().flat_map(|all| all.iter()) {
        // They are in order, and several users may have one of a name.
        let mine = annotation.user == SHARED || annotation.user == user;
        if mine && names.last() != Some(&annotation.entry.as_str()) {
            names.push(&annotation.entry);
        }
    }
    let value = |name: &str, private: bool| record.annotation(name, if private { &user } else { SHARED });
    print_notes(session.conn.out(), notes, &names, value);
    Ok(())
}

/// Refuses to set what the user may not: shared ones need `n`, private ones `r`.
pub fn may_set(session: &mut Session, notes: &[Note]) -> Result<(), Stop> {
    let rights = session.selected()?.rights;
    may_set_with(session, notes, rights)
}

/// The same in a mailbox where the user has these rights.
pub fn may_set_with(session: &Session, notes: &[Note], rights: Rights) -> Result<(), Stop> {
    let may = May {
        shared: rights.contains(Rights::ANNOTATE),
        admin: rights.contains(Rights::ANNOTATE | Rights::ADMIN),
        private: rights.contains(Rights::READ),
        rights,
    };
    for note in notes {
        metadata::message_entry(session, may, &note.entry, note.private, note.value.as_deref())?;
    }
    Ok(())
}

/// What the store is to set.
pub fn settings(session: &Session, notes: Vec<Note>) -> Result<Vec<Setting>, Stop> {
    let user = session.user()?.id();
    let setting = |note: Note| Setting {
        entry: note.entry,
        user: if note.private { user.to_owned() } else { SHARED.to_owned() },
        value: note.value,
    };
    Ok(notes.into_iter().map(setting).collect())
}

/// Sets annotations. UIDs, ascending, that were left alone because they changed since.
pub async fn change(
    session: &mut Session,
    uids: Vec<u32>,
    notes: Vec<Note>,
    unchanged_since: Option<u64>,
) -> Result<Vec<u32>, Stop> {
    let settings = settings(session, notes)?;
    let mailbox = session.selected()?.mailbox.clone();
    match mailbox.annotate_messages(&uids, settings, unchanged_since).await {
        Ok(stored) => Ok(stored.modified),
        Err(error) => Err(refused(error)),
    }
}

/// The codes of messages' annotations are not those of mailboxes'.
pub fn refused(error: StoreError) -> Stop {
    match error {
        StoreError::AnnotationTooLarge => Refusal::NoteTooLarge.into(),
        StoreError::TooManyAnnotations => Refusal::TooManyNotes.into(),
        other => other.into(),
    }
}
