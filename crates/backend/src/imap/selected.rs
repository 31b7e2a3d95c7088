//! The open mailbox of a session, and what to tell its client of changes.

use std::sync::Arc;

use protocol::acl::{Rights, Who};
use protocol::imap::command::adopt::Adoption;
use protocol::imap::command::annotate::print_names;
use protocol::imap::command::copy::print_expunge;
use protocol::imap::command::fetch::{Handle, Value, print_end, print_start};
use protocol::imap::command::select::{Count, print_flags, print_vanished};
use protocol::imap::enabled::Manner;
use protocol::imap::{Code, Flag, Refusal, Reply};
use protocol::name::MailboxName;
use work::aside::weighed;

use super::marks::{Marks, mark};
use super::numbering::{Numbering, number};
use super::reply::Stop;
use super::told::Told;
use store::{Header, Mailbox, Record, Seen, Store, System, View};

/// The mailbox that a session has open.
pub struct Selected {
    pub name: MailboxName,
    pub mailbox: Arc<Mailbox>,
    pub user: String,
    pub read_only: bool,
    pub rights: Rights,
    pub numbering: Numbering,
    pub marks: Marks,
    /// What `rights` were found in: another one may have another ACL.
    header: Arc<Header>,
    /// UIDs and modification sequences of changes that the client made or was told of already.
    known: Vec<(u32, u64)>,
    /// UIDs of messages that the session has brought itself, and of which the client has not heard yet.
    own: Vec<u32>,
    /// Up to this UID it is decided whether messages are \Recent here.
    recent_until: u32,
    /// Opened by EXAMINE, which takes \Recent from nobody.
    examined: bool,
    /// Opened with ANNOTATE.
    pub annotate: bool,
    /// Keywords that the client was told of.
    keywords: u32,
}

/// What became of a session's rights on its open mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    AsBefore,
    /// The client is to be told which flags it can set now.
    Changed,
    /// The user may read the mailbox no longer.
    Lost,
}

/// What may be told at the end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    All,
    /// Everything but EXPUNGE.
    WithoutExpunge,
    Nothing,
}

impl Selected {
    /// Opens a mailbox for a user.
    pub async fn open(
        store: &Store,
        name: MailboxName,
        mailbox: Arc<Mailbox>,
        user: &str,
        rights: Rights,
        read_only: bool,
    ) -> Result<Selected, Stop> {
        let header = mailbox.header();
        let examined = read_only;
        let read_only = examined || !rights.intersects(changes());
        let seen = match store.seen_is_shared(&mailbox, user) {
            true => None,
            false => Some(Arc::new(store.seen(user, &mailbox.uniqueid()).await?)),
        };
        let numbering = Numbering::new(mailbox.view());
        let keywords = numbering.view().keyword_changes();
        let marks = Marks { recent: Arc::default(), seen };
        let (user, known, recent_until) = (user.to_owned(), Vec::new(), 0);
        let mut selected = Selected {
            name,
            mailbox,
            user,
            read_only,
            rights,
            numbering,
            marks,
            header,
            known,
            own: Vec::new(),
            recent_until,
            examined,
            annotate: false,
            keywords,
        };
        selected.find_recent();
        Ok(selected)
    }

    /// Goes on with a mailbox that the client has open on the server that had it before, as it knows it; none: it is not that
    /// mailbox, or cannot have been so.
    pub async fn adopt(
        store: &Store,
        mailbox: Arc<Mailbox>,
        user: &str,
        rights: Rights,
        adoption: Adoption,
    ) -> Result<Option<Selected>, Stop> {
        let now = mailbox.view();
        let is_it = mailbox.uniqueid() == adoption.uniqueid && now.uidvalidity == adoption.uidvalidity;
        let name = MailboxName::parse(&adoption.name).map_err(|_| Refusal::BadName)?;
        if !is_it {
            return Ok(None);
        }
        let mut selected = Selected::open(store, name, mailbox, user, rights, adoption.examined).await?;
        let adopted =
            weighed(now.exists(), move || Numbering::adopted(&now, &adoption).map(|n| (n, adoption))).await;
        let Some((numbering, adoption)) = adopted else { return Ok(None) };
        let told = numbering.view().keywords().iter().filter(|word| !word.is_empty()).count();
        selected.keywords = match told == adoption.keywords {
            true => numbering.view().keyword_changes(),
            // Another number than any: it is told of all.
            false => numbering.view().keyword_changes().wrapping_sub(1),
        };
        selected.numbering = numbering;
        selected.annotate = adoption.annotate;
        selected.marks.recent = Arc::new(adoption.recent.iter().collect());
        selected.recent_until = adoption.recent_until;
        if let Some(seen) = &mut selected.marks.seen {
            let seen = Arc::make_mut(seen);
            seen.recentuid = seen.recentuid.max(adoption.recent_until);
        }
        Ok(Some(selected))
    }

    /// What [`Selected::adopt`] needs elsewhere.
    pub fn adoption(&self) -> Adoption {
        let view = self.view();
        let (uids, ghosts) = self.numbering.counted();
        Adoption {
            name: self.name.to_string(),
            uniqueid: self.mailbox.uniqueid(),
            uidvalidity: view.uidvalidity,
            modseq: view.modseq(),
            complete: self.numbering.complete(),
            keywords: view.keywords().iter().filter(|word| !word.is_empty()).count(),
            examined: self.examined,
            annotate: self.annotate,
            uids,
            ghosts,
            recent: self.marks.recent.iter().copied().collect(),
            recent_until: self.recent_until,
            saved: self.numbering.saved().clone(),
        }
    }

    /// Looks whether the mailbox has another ACL since the last time, and takes over what it grants now.
    pub fn refresh_rights(&mut self, store: &Store, who: Who<'_>) -> Standing {
        let header = self.mailbox.header();
        if Arc::ptr_eq(&header, &self.header) {
            return Standing::AsBefore;
        }
        let rights = store.rights(&self.name, &header.acl, who);
        self.header = header;
        if rights == self.rights {
            return Standing::AsBefore;
        }
        self.rights = rights;
        self.read_only = self.read_only || !rights.intersects(changes());
        if rights.contains(Rights::READ) { Standing::Changed } else { Standing::Lost }
    }

    /// Decides which of the messages that the client now knows of are \Recent in this session.
    fn find_recent(&mut self) {
        let last = self.numbering.view().last_uid;
        if last <= self.recent_until {
            return;
        }
        let (before, until) = match &mut self.marks.seen {
            Some(own) => {
                let own = Arc::make_mut(own);
                let before = own.recentuid;
                own.recentuid = before.max(last);
                (before, last)
            }
            None if self.examined => (self.mailbox.recentuid(), last),
            None => self.mailbox.claim_recent(),
        };
        let first = before.max(self.recent_until).saturating_add(1);
        self.recent_until = until.max(last);
        if first > until {
            return;
        }
        let recent = Arc::make_mut(&mut self.marks.recent);
        match recent.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = until,
            _ => recent.push((first, until)),
        }
    }

    /// Ends the use of the mailbox: what was \Recent here is so to nobody again.
    pub async fn leave(self, store: &Store) {
        if self.examined {
            return;
        }
        let Some(own) = self.marks.seen else { return self.mailbox.keep_recent().await };
        let id = self.mailbox.uniqueid();
        let kept = match store.seen(&self.user, &id).await {
            Ok(now) if now.recentuid < own.recentuid => {
                store.set_seen(&self.user, &id, Seen { recentuid: own.recentuid, ..now }).await
            }
            other => other.map(drop),
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "\\Recent is not kept");
        }
    }

    /// Sleeps until the mailbox changes, or its name or its ACL does.
    pub fn changes(&self) -> impl Future<Output = ()> + use<> {
        let (mut watch, mut headers) = (self.mailbox.watch(), self.mailbox.watch_header());
        let (view, header) = (self.view().clone(), self.header.clone());
        async move {
            let changed = tokio::select! {
                changed = watch.wait_for(|now| !Arc::ptr_eq(now, &view)) => changed.is_ok(),
                changed = headers.wait_for(|now| !Arc::ptr_eq(now, &header)) => changed.is_ok(),
            };
            // Never ends when the mailbox is dropped: then there is nothing to hear of.
            if !changed {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Opened by EXAMINE: nothing is changed, not even what is the user's alone.
    pub fn is_examined(&self) -> bool {
        self.examined
    }

    /// Whether FETCH of a body marks it.
    pub fn may_mark_seen(&self) -> bool {
        !self.read_only && self.rights.contains(Rights::SEEN)
    }

    /// Whether \Seen is kept for this user alone.
    pub fn has_own_seen(&self) -> bool {
        self.marks.seen.is_some()
    }

    /// Marks messages (UIDs ascending) seen or unseen for this user alone.
    pub async fn change_seen(&mut self, store: &Store, uids: Vec<u32>, on: bool) -> Result<(), Stop> {
        let Some(own) = &self.marks.seen else { return Ok(()) };
        let (mut own, view) = (own.clone(), self.mailbox.view());
        let work = move || {
            mark(Arc::make_mut(&mut own), view.records(), &uids, on, now());
            own
        };
        let own = weighed(self.mailbox.view().exists(), work).await;
        self.marks.seen = Some(own.clone());
        Ok(store.set_seen(&self.user, &self.mailbox.uniqueid(), (*own).clone()).await?)
    }

    /// What the client was told last.
    pub fn view(&self) -> &Arc<View> {
        self.numbering.view()
    }

    /// `(\Recent \Flagged \Seen)`: the flags of a message of a view, whose keywords it numbers.
    pub fn flag_list(&self, view: &View, record: &Record) -> Vec<u8> {
        self.marks.flag_list(view, record)
    }

    pub fn is_seen(&self, record: &Record) -> bool {
        self.marks.is_seen(record)
    }

    pub fn recent_count(&self) -> u32 {
        let records = self.view().records();
        let after = |last: u32| last.checked_add(1).map_or(records.len(), |next| records.lower_bound(next));
        number(self.marks.recent.iter().map(|(first, last)| after(*last) - records.lower_bound(*first)).sum())
    }

    /// The flags that a client may meet here, and those that it can set: for SELECT, and when a keyword is new
    /// (RFC 3501 section 7.2.6).
    pub fn write_all_flags(&mut self, out: &mut Vec<u8>, view: &View) {
        self.keywords = view.keyword_changes();
        let mut flags: Vec<Flag> = System::ALL.flags().collect();
        flags.extend(
            view.keywords()
                .iter()
                .filter(|word| !word.is_empty())
                .map(|word| Flag::Keyword(word.to_string())),
        );
        print_flags(out, &flags);
        let mut permanent: Vec<String> = Vec::new();
        if !self.read_only {
            let may = flags.iter().filter(|flag| may_set(flag, self.rights));
            permanent = may.map(Flag::to_string).collect();
            if self.rights.contains(Rights::WRITE) {
                permanent.push("\\*".to_owned());
            }
        }
        Reply::told(Code::PermanentFlags(permanent.join(" "))).write(None, out);
    }

    /// Tells of keywords that are new to the client.
    pub fn announce_keywords(&mut self, out: &mut Vec<u8>, view: &View) {
        if view.keyword_changes() != self.keywords {
            self.write_all_flags(out, view);
        }
    }

    /// The number of the first message that is not \Seen, of a mailbox that was just opened.
    pub fn first_unseen(&self) -> Option<u32> {
        self.marks.first_unseen(self.view().records()).map(|uid| self.numbering.sequence(uid))
    }

    /// Messages that [`Selected::announce`] has to look at, at most.
    pub fn news(&self) -> usize {
        let now = self.mailbox.view();
        let seen = if Arc::ptr_eq(&now, self.view()) { 0 } else { now.exists() + self.view().exists() };
        seen + self.numbering.ghosts()
    }

    /// Writes what changed since the last time; `changed`: flags that did, too. Gives the UIDs of what is new, ascending.
    pub fn announce(
        &mut self,
        announce: Announce,
        manner: Manner,
        changed: bool,
        out: &mut Vec<u8>,
    ) -> Vec<u32> {
        let mut known = std::mem::take(&mut self.known);
        known.sort_unstable();
        let before = self.annotate.then(|| self.view().clone());
        let changes = self.numbering.advance(self.mailbox.view());
        self.find_recent();
        let view = self.view().clone();
        self.announce_keywords(out, &view);
        match announce {
            Announce::All if manner.vanished => print_vanished(out, false, &self.numbering.bury_uids()),
            Announce::All => self.numbering.bury().into_iter().for_each(|number| print_expunge(out, number)),
            Announce::WithoutExpunge | Announce::Nothing => {}
        }
        if !changes.new.is_empty() {
            Count::Exists(self.numbering.count()).print(out);
            Count::Recent(self.recent_count()).print(out);
        }
        let mut told = Told::default();
        for uid in changes.changed.into_iter().filter(|_| changed) {
            let Some(record) = view.get(uid) else { continue };
            if known.binary_search(&(uid, record.modseq)).is_err() {
                let before = before.as_ref().and_then(|before| before.get(uid));
                let notes = before.map(|before| told.changed(before, record, &self.user));
                self.print_flags(record, &notes.unwrap_or_default(), manner, out);
            }
        }
        changes.new
    }

    /// The session has brought these messages itself.
    pub fn brought(&mut self, uids: impl IntoIterator<Item = u32>) {
        self.own.extend(uids);
    }

    /// Those of which the client has not heard before, ascending.
    pub fn take_own(&mut self) -> Vec<u32> {
        let mut own = std::mem::take(&mut self.own);
        own.sort_unstable();
        own
    }

    /// The flags of a message as they are told without having been asked for, with the names of annotations that changed.
    fn print_flags(&self, record: &Record, notes: &[&str], manner: Manner, out: &mut Vec<u8>) {
        let flags = self.flag_list(self.view(), record);
        let modseq = manner.modseq.then_some(Value::Modseq(record.modseq));
        let uid = (!manner.uid_only).then_some(Value::Uid(record.uid));
        let values = [Some(Value::Flags(&flags)), modseq, uid];
        print_start(out, self.handle(manner, record.uid));
        Value::print_all(values.into_iter().flatten(), out);
        if !notes.is_empty() {
            out.push(b' ');
            print_names(out, notes.iter().copied());
        }
        print_end(out);
    }

    /// What a response calls a message that is there.
    pub fn handle(&self, manner: Manner, uid: u32) -> Handle {
        if manner.uid_only { Handle::Uid(uid) } else { Handle::Number(self.numbering.sequence(uid)) }
    }

    /// The client need not be told of these changes.
    pub fn knows(&mut self, changes: impl IntoIterator<Item = (u32, u64)>) {
        self.known.extend(changes);
    }

    /// The mailbox is deleted, or has another name now: what the client calls by the old one is nothing, or another mailbox.
    pub fn is_gone(&self) -> bool {
        self.mailbox.view().gone || self.mailbox.name().is_ok_and(|now| now != self.name)
    }
}

/// What somebody must be able to do for a mailbox not to be read-only.
fn changes() -> Rights {
    Rights::SEEN
        | Rights::WRITE
        | Rights::ANNOTATE
        | Rights::INSERT
        | Rights::DELETE_MESSAGES
        | Rights::EXPUNGE
}

/// Epoch seconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 4314 section 4: flags that the user may not set are left out.
pub fn may_set(flag: &Flag, rights: Rights) -> bool {
    rights.contains(match flag {
        Flag::Seen => Rights::SEEN,
        Flag::Deleted => Rights::DELETE_MESSAGES,
        _ => Rights::WRITE,
    })
}
