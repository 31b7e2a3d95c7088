//! Which of several masters is talked to.
//!
//! ```text
//! who worked last ──failed, or 1 s──▶ another ──failed, or 1 s──▶ … ──▶ who failed last ──▶ error: the caller's back-off
//!        │ in                            │ in
//!        └─ behind what we hold? ──yes──▶ the next; all of them: that is how it is, and the first is taken
//! ```
//!
//! Whoever does not answer is not given up: he is asked beside the next one, and the first who answers is taken. The
//! addresses of one name are tried one after the other, in the resolver's order.

use std::time::Duration;

use config::imapd::{Imapd, Upstream};
use mailboxes::Position;
use tokio::{task::JoinSet, time::timeout};

use super::{
    Client, Error, Why,
    link::Link,
    login::{Greeting, addresses, at},
    masters,
};
use crate::client::limits::NEXT;
use crate::meter::Measure;

/// Connects to one of `mupdate_server`, and logs in. `held`: up to where the caller's list goes.
pub(super) async fn dial(imapd: &Imapd, held: Option<Position>) -> Result<(Link, Greeting), Error> {
    let order = masters::order(imapd, retry::chance);
    let several = order.len() > 1;
    let mut waiting = order.into_iter();
    let mut asked = JoinSet::new();
    let (mut failed, mut behind) = (Vec::new(), Vec::new());
    loop {
        if let Some(next) = waiting.next() {
            asked.spawn(ask(imapd.clone(), next, held, several));
        }
        let patience = if waiting.len() > 0 { NEXT } else { Duration::MAX };
        match timeout(patience, asked.join_next()).await {
            Err(_) => {}
            Ok(None) => break,
            Ok(Some(Ok(Ok(Reached::Here(link))))) => return Ok(link),
            Ok(Some(Ok(Ok(Reached::Behind(link))))) => behind.push(link),
            Ok(Some(Ok(Err(error)))) => failed.push(error),
            // It panicked: whoever reads the log knows more.
            Ok(Some(Err(error))) => {
                let server = imapd.mupdate_server.clone().unwrap_or_default();
                failed.push(Error::Unavailable { server, why: error.to_string().into() });
            }
        }
    }
    match (failed.is_empty(), behind.pop()) {
        // Nobody has more than this one: what became of the rest is the caller's to judge.
        (true, Some(link)) => Ok(link),
        (_, behind) => Err(all_failed(failed, behind.is_some())),
    }
}

/// Connects to this master and to no other.
pub(super) async fn dial_one(imapd: &Imapd, upstream: Upstream) -> Result<(Link, Greeting), Error> {
    match ask(imapd.clone(), upstream, None, false).await? {
        Reached::Here(link) | Reached::Behind(link) => Ok(link),
    }
}

/// A master that lets us in.
enum Reached {
    Here((Link, Greeting)),
    /// It has not all that is held.
    Behind((Link, Greeting)),
}

async fn ask(
    imapd: Imapd,
    upstream: Upstream,
    held: Option<Position>,
    several: bool,
) -> Result<Reached, Error> {
    let outcome = ask_each(&imapd, &upstream, held, several).await;
    if let Err(error) = &outcome {
        masters::leave(&imapd, &upstream.name, &error.to_string());
    }
    outcome
}

/// One address after the other.
async fn ask_each(
    imapd: &Imapd,
    upstream: &Upstream,
    held: Option<Position>,
    several: bool,
) -> Result<Reached, Error> {
    let addresses = addresses(imapd, upstream).await?;
    let several = several || addresses.len() > 1;
    let (mut last, mut behind) = (Error::NoServer, None);
    for address in addresses {
        let asked = async {
            let (link, greeting) = at(imapd, upstream, address).await?;
            if several { stands(link, greeting, held).await } else { Ok(((link, greeting), None)) }
        };
        match asked.await {
            Ok((link, position)) if is_behind(held, position) => {
                let why = position.map(|position| format!("behind what is held: {position}"));
                masters::leave(imapd, &upstream.name, &why.unwrap_or_default());
                behind = Some(link);
            }
            Ok((link, position)) => {
                masters::keep(imapd, &upstream.name, address, position);
                return Ok(Reached::Here(link));
            }
            Err(error @ Error::Unavailable { .. }) => last = error,
            // Another address is the same server: it would say the same.
            Err(error) => return Err(error),
        }
    }
    behind.map(Reached::Behind).ok_or(last)
}

/// Where a master's list stands, when it has all that other masters have acknowledged: those that share a list hear of each other
/// before they answer NOOP. Asked only where something is held.
async fn stands(
    link: Link,
    greeting: Greeting,
    held: Option<Position>,
) -> Result<((Link, Greeting), Option<Position>), Error> {
    if held.is_none() || !greeting.has("STATUS") {
        return Ok(((link, greeting), None));
    }
    let mut client = Client { link, greeting, measure: Measure::none() };
    match client.noop().await {
        // A copy that cannot vouch for what it has still says where it stands.
        Ok(()) | Err(Error::Unavailable { why: Why::Said(_), .. } | Error::Refused(_)) => {}
        Err(error) => return Err(error),
    }
    let position = client.position().await?;
    Ok((client.into_parts(), position))
}

/// A lower number of the same list.
fn is_behind(held: Option<Position>, there: Option<Position>) -> bool {
    matches!((held, there), (Some(held), Some(there))
        if (held.list, held.term) == (there.list, there.term) && there.seq < held.seq)
}

/// One error for all. What is more than a lost connection is told before that.
fn all_failed(mut failed: Vec<Error>, behind: bool) -> Error {
    if let Some(at) = failed.iter().position(|error| !matches!(error, Error::Unavailable { .. })) {
        return failed.swap_remove(at);
    }
    match (failed.pop(), failed.is_empty() && !behind) {
        (None, _) => Error::NoServer,
        (Some(only), true) => only,
        (Some(last), false) => {
            let mut whys = Vec::new();
            let mut names = Vec::new();
            for error in failed.into_iter().chain([last]) {
                if let Error::Unavailable { server, why } = error {
                    whys.push(format!("{server}: {why}"));
                    names.push(server);
                }
            }
            if behind {
                whys.push("the others are behind what is held".to_owned());
            }
            Error::Unavailable { server: names.join(", "), why: whys.join("; ").into() }
        }
    }
}
