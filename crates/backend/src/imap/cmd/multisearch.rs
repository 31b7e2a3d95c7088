//! ESEARCH in several mailboxes at once: RFC 7377.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use listing::sources::named;
use listing::{Seen, Viewer};
use protocol::imap::command::multisearch::{MultiSearch, Source};
use protocol::imap::{Refusal, Reply, Tag};
use tracing::warn;
use work::aside::{Budget, Spent};

use super::search::tell;
use crate::imap::aside::Progress;
use crate::imap::limits::{OPENED, SEARCHED, rows};
use crate::imap::marks::Marks;
use crate::imap::numbering::Numbering;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::search::answer::{Answer, Asked};
use crate::imap::search::scan::{Place, Scan};
use crate::imap::session::Session;
use mime::knows_charset;
use store::StoreError;

pub async fn run(session: &mut Session, tag: &Tag, search: MultiSearch) -> Outcome {
    let charset = search.charset.clone().unwrap_or_default();
    if search.sources.contains(&Source::Selected) {
        session.selected()?;
    }
    if !knows_charset(charset.as_bytes()) {
        return tell(session, Err(Refusal::BadCharset.into()), search.returns.save).await;
    }
    if search.key.names_modseq() {
        session.enable_condstore();
    }
    let save = search.returns.save;
    let mailboxes = mailboxes(session, &search.sources).await?;
    let mut all = Search {
        tag,
        search,
        charset,
        progress: Arc::default(),
        left: Some(session.server.imapd.search_maxtime).filter(|time| !time.is_zero()),
    };
    let mut missing = false;
    for some in mailboxes.chunks(OPENED) {
        let mut places = VecDeque::new();
        for seen in some {
            match place(session, seen).await {
                Ok(place) => places.push_back((seen.external.clone(), place)),
                // It went away meanwhile.
                Err(Stop::Refused(Refusal::NoMailbox)) => {}
                Err(Stop::Refused(_)) => missing = true,
                Err(stop) => return Err(stop),
            }
        }
        let found = all.find(session, places).await;
        tell(session, found, save).await?;
    }
    if missing { Err(Refusal::Partly.into()) } else { Ok(Reply::completed()) }
}

/// The mailboxes that the sources name.
async fn mailboxes(session: &mut Session, sources: &[Source]) -> Result<Vec<Seen>, Stop> {
    let subscribed = match sources.contains(&Source::Subscribed) {
        true => session.server.store.user_state(session.user()?.id()).await?.subscriptions.clone(),
        false => Default::default(),
    };
    let selected = session.selected.as_ref().map(|selected| selected.name.clone());
    let sources = sources.to_vec();
    let look = move |viewer: &Viewer, budget: &Budget| {
        let subscribed = subscribed.iter().filter_map(|name| viewer.named(name));
        named(&sources, selected.as_ref(), subscribed, SEARCHED, viewer, budget)
    };
    let named = session.look(look).await?;
    if named.too_many {
        rows::SEARCHED.met("a search in too many mailboxes is refused");
        return Err(Refusal::Limit(format!("More than {SEARCHED} mailboxes to search in")).into());
    }
    Ok(named.mailboxes)
}

/// A mailbox as it is: the selected one as the client knows it.
async fn place(session: &mut Session, seen: &Seen) -> Result<Place, Stop> {
    if let Some(selected) = session.selected.as_ref().filter(|selected| selected.name == seen.name) {
        let (mailbox, numbering) = (selected.mailbox.clone(), selected.numbering.clone());
        let user = selected.user.as_str().into();
        return Ok(Place { mailbox, numbering, marks: selected.marks.clone(), user });
    }
    let (store, user) = (session.server.store.clone(), session.user()?.id().to_owned());
    let opened = async {
        let mailbox = store.mailbox(&seen.name).await?;
        let own = match store.seen_is_shared(&mailbox, &user) {
            true => None,
            false => Some(Arc::new(store.seen(&user, &mailbox.uniqueid()).await?)),
        };
        let recent = own.as_ref().map_or_else(|| mailbox.recentuid(), |own| own.recentuid);
        let marks = Marks { recent: Arc::new(vec![(recent.saturating_add(1), u32::MAX)]), seen: own };
        Ok(Place { numbering: Numbering::new(mailbox.view()), mailbox, marks, user: user.as_str().into() })
    };
    opened.await.map_err(|error: StoreError| {
        warn!(mailbox = %seen.name, %error, "not searched");
        error.into()
    })
}

/// What is searched for, and what is left to do it.
struct Search<'t> {
    tag: &'t Tag,
    search: MultiSearch,
    charset: String,
    progress: Arc<Progress>,
    /// Time of the processor, where it has a bound.
    left: Option<Duration>,
}

impl Search<'_> {
    /// Searches in some mailboxes, and makes a line of what is found in each.
    async fn find(
        &mut self,
        session: &mut Session,
        mut places: VecDeque<(String, Place)>,
    ) -> Result<Answer, Stop> {
        let limit = match self.left {
            Some(left) if left.is_zero() => return Err(Refusal::TakesTooLong.into()),
            left => left.unwrap_or_default(),
        };
        let asked = Asked {
            tag: self.tag.clone(),
            uid: true,
            returns: Some(self.search.returns),
            modseqs: self.search.key.names_modseq(),
            fuzzy: self.search.key.is_fuzzy(),
            sorted: false,
        };
        let (key, charset, told) = (self.search.key.clone(), self.charset.clone(), self.progress.clone());
        let (mut scan, mut answer) = (None::<(String, Scan)>, Answer::default());
        let work = move |budget: &Budget| -> Result<Option<Answer>, Spent> {
            loop {
                if scan.is_none() {
                    scan = places.pop_front().map(|(name, place)| {
                        (name, Scan::new(place, key.clone(), &charset, asked.reach(), told.clone()))
                    });
                }
                let Some((name, current)) = &mut scan else { return Ok(Some(std::mem::take(&mut answer))) };
                if !current.slice(budget)? {
                    return Ok(None);
                }
                asked.answer_of(name, current, &mut answer);
                scan = None;
                budget.check()?;
            }
        };
        let (answer, took) = session.scan_within(limit, self.tag, &self.progress.clone(), work).await?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(took);
        }
        Ok(answer)
    }
}

impl Asked {
    /// What was found in a mailbox: nothing is said of one without (RFC 7377 section 2.1).
    fn answer_of(&self, name: &str, scan: &Scan, answer: &mut Answer) {
        let Some(returns) = self.returns else { return };
        let all = self.answer(&scan.found);
        answer.saved = all.saved;
        if scan.found.is_empty() || returns.is_silent() {
            return;
        }
        let uidvalidity = scan.place.mailbox.view().uidvalidity;
        let line = self.esearch(returns, &scan.found);
        protocol::imap::command::search::ESearch { mailbox: Some((name, uidvalidity)), ..line }
            .print(&mut answer.lines);
    }
}
