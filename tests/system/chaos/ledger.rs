//! What a user was promised, and whether it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use murder::clients::Imap;
use system_tests::{Murder, within};

/// What was promised of one message.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// It was accepted, and nobody has removed it.
    pub there: bool,
    /// Its removal was answered OK.
    pub gone: bool,
    pub flagged: bool,
    pub uid: Option<u32>,
}

/// What one user was promised.
pub struct Ledger {
    pub user: &'static str,
    uidvalidity: String,
    messages: Mutex<BTreeMap<String, Message>>,
}

/// A message as it is found.
struct Found {
    id: String,
    uid: u32,
    flagged: bool,
}

impl Ledger {
    pub fn of(murder: &Murder, user: &'static str) -> Ledger {
        let uidvalidity = uidvalidity(&mut murder.login("frontend1", user)).expect("a mailbox that is there");
        Ledger { user, uidvalidity, messages: Mutex::default() }
    }

    pub fn messages(&self) -> MutexGuard<'_, BTreeMap<String, Message>> {
        self.messages.lock().expect("no poison")
    }

    /// What was said of this message.
    pub fn note(&self, id: &str, message: Message) {
        self.messages().insert(id.to_owned(), message);
    }

    /// Compares with what is there, and says how many messages were promised.
    pub fn check(&self, murder: &Murder) -> usize {
        let mut imap = within(60, "login works again", || {
            let mut imap = super::people::session(murder, self.user)?;
            imap.command("SELECT INBOX").ok()?.is_ok().then_some(imap)
        });
        assert_eq!(uidvalidity(&mut imap).as_deref(), Some(&*self.uidvalidity), "{}", self.user);
        let found = found(&mut imap);
        let (user, messages) = (self.user, self.messages());
        let by_id: BTreeMap<&str, &Found> = found.iter().map(|one| (&*one.id, one)).collect();
        let mut seen = BTreeSet::new();
        let twice: Vec<&str> = found.iter().map(|one| &*one.id).filter(|id| !seen.insert(*id)).collect();
        assert!(twice.is_empty(), "{user} has twice: {twice:?}");
        let lost: Vec<_> =
            messages.iter().filter(|(id, it)| it.there && !by_id.contains_key(&***id)).collect();
        assert!(lost.is_empty(), "{user} misses: {lost:?}");
        for (id, message) in messages.iter() {
            let Some(found) = by_id.get(&**id) else { continue };
            assert!(!message.gone, "{user}: {id} was expunged and is there");
            assert!(
                message.uid.is_none_or(|uid| uid == found.uid),
                "{user}: {id} has another UID: {}",
                found.uid
            );
            assert!(!message.flagged || found.flagged, "{user}: {id} is not flagged any more");
        }
        let strange: Vec<&&str> = by_id.keys().filter(|id| !messages.contains_key(**id)).collect();
        assert!(strange.is_empty(), "{user} has what nobody sent: {strange:?}");
        messages.values().filter(|message| message.there || message.gone).count()
    }
}

fn uidvalidity(imap: &mut Imap) -> Option<String> {
    let lines = imap.command("STATUS INBOX (UIDVALIDITY)").ok()?.lines;
    lines.iter().find_map(|line| Some(line.split_once("(UIDVALIDITY ")?.1.trim_end_matches(')').to_owned()))
}

fn found(imap: &mut Imap) -> Vec<Found> {
    let fetched = imap.must("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
    let Ok(fetched) = fetched else { return Vec::new() };
    let heads = fetched.lines.iter().filter(|line| line.contains(" FETCH (") && line.ends_with('}'));
    heads
        .zip(&fetched.literals)
        .map(|(head, literal)| {
            let uid = head.split_once("UID ").and_then(|(_, rest)| rest.split(' ').next());
            let id = String::from_utf8_lossy(literal);
            let id = id.trim().trim_start_matches("Message-ID: <").trim_end_matches("@example.org>");
            Found {
                id: id.to_owned(),
                uid: uid.and_then(|uid| uid.parse().ok()).unwrap_or_else(|| panic!("a UID in {head}")),
                flagged: head.contains("\\Flagged"),
            }
        })
        .collect()
}
