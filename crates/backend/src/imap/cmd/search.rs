//! SEARCH and UID SEARCH, with ESEARCH's answer (RFC 4731): see [`crate::imap::search`] for the keys.

use std::sync::Arc;

use protocol::imap::command::search::{Returns, Search};
use protocol::imap::{Refusal, Reply, Tag};

use crate::imap::aside::Progress;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::search::answer::{Answer, Asked};
use crate::imap::search::scan::{Place, Scan};
use crate::imap::session::Session;
use mime::knows_charset;

pub async fn run(session: &mut Session, tag: &Tag, search: Search) -> Outcome {
    let save = search.returns.is_some_and(|returns| returns.save);
    let found = find(session, tag, search).await;
    tell(session, found, save).await
}

async fn find(session: &mut Session, tag: &Tag, search: Search) -> Result<Answer, Stop> {
    let is_coded = search.charset.is_some();
    let charset = search.charset.unwrap_or_default();
    let modseqs = search.key.names_modseq();
    let place = place(session, &charset, modseqs)?;
    if is_coded && session.manner().utf8 {
        return Err(Refusal::NoCharset.into());
    }
    // To IMAP4rev2 SEARCH is what RETURN (ALL) is to others.
    let implied = session.manner().esearch.then(|| Returns { all: true, ..Returns::default() });
    let asked = Asked {
        tag: tag.clone(),
        uid: search.uid,
        returns: search.returns.or(implied),
        modseqs,
        fuzzy: search.key.is_fuzzy(),
        sorted: false,
    };
    let progress = Arc::<Progress>::default();
    let (mut scan, mut key, told) = (None, Some(search.key), progress.clone());
    let work = move |budget: &work::aside::Budget| {
        if let Some(key) = key.take() {
            scan = Some(Scan::new(place.clone(), key, &charset, asked.reach(), told.clone()));
        }
        let Some(scan) = &mut scan else { return Ok(None) };
        Ok(scan.slice(budget)?.then(|| asked.answer(&scan.found)))
    };
    session.scan(tag, &progress, work).await
}

/// The selected mailbox, for a search with texts in a charset. `modseqs`: the search asks for modification sequences.
pub fn place(session: &mut Session, charset: &str, modseqs: bool) -> Result<Place, Stop> {
    if !knows_charset(charset.as_bytes()) {
        return Err(Refusal::BadCharset.into());
    }
    if modseqs {
        session.enable_condstore();
    }
    let selected = session.selected()?;
    Ok(Place {
        mailbox: selected.mailbox.clone(),
        numbering: selected.numbering.clone(),
        marks: selected.marks.clone(),
        user: selected.user.as_str().into(),
    })
}

/// Sends the answer of a search. With `save` its result is `$`, and nothing is where it could not be found (RFC 5182 section 2.1).
pub async fn tell(session: &mut Session, found: Result<Answer, Stop>, save: bool) -> Outcome {
    let answer = match found {
        Ok(answer) => answer,
        Err(stop) => {
            if let (Stop::Refused(_), true, Some(selected)) = (&stop, save, &mut session.selected) {
                selected.numbering.save(Default::default());
            }
            return Err(stop);
        }
    };
    session.conn.write_through(&answer.lines).await?;
    match answer.saved {
        None => {}
        Some(Ok(uids)) => session.selected()?.numbering.save(uids),
        Some(Err(_)) => {
            session.selected()?.numbering.save(Default::default());
            return Err(Refusal::NotSaved.into());
        }
    }
    Ok(Reply::completed())
}
