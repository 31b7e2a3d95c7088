//! ESEARCH (RFC 7377). This node knows which mailboxes the sources name, and where they are; each backend searches in its own,
//! all at the same time.

use std::collections::BTreeMap;

use listing::Seen;
use listing::sources::named;
use protocol::frame::trim_line;
use protocol::grammar::{Cursor, ParseError, Parsed, argument, astring, byte, mailbox};
use protocol::imap::Refusal;
use protocol::imap::command::multisearch::{MultiSearch, Source};

use super::Request;
use super::look::look_around;
use crate::grammar::{put_astring, untagged};
use crate::limits::{NAMES_AT_ONCE, RESPONSE_MAX, SEARCHED, SEARCHED_AT_ONCE, rows};
use crate::session::gather::Errand;
use crate::session::owners::Owners;
use crate::session::{Done, Outcome, Session, Stop};

/// `ESEARCH …`
pub async fn search(s: &mut Session, request: &Request, search: MultiSearch) -> Outcome {
    let selected = s.selected.clone();
    if search.sources.contains(&Source::Selected) && selected.is_none() {
        return Err(Refusal::NothingSelected.into());
    }
    if search.key.names_modseq() {
        super::session::imply_condstore(s, "").await?;
    }
    if let Some(selected) = selected.filter(|_| search.is_of_selected()) {
        return Ok(s.forward(&selected.server, &request.head.tag, request.text()).await?.into());
    }
    let (errands, owners) = errands(s, request, &search).await?;
    let selected = s.selected_server().unwrap_or_default().to_owned();
    if !errands.iter().any(|errand| errand.server == selected) {
        s.hear_selected("").await?;
    }
    let gathered = s.gather(errands, RESPONSE_MAX, |client, server, line| {
        let is_answer = is_answer(line);
        if is_answer && found_in(line).is_none_or(|mailbox| owners.has(server, &mailbox)) {
            client.put(line);
        }
        is_answer
    });
    let gathered = gathered.await?;
    match (gathered.refused(), gathered.missing().next()) {
        (Some(answer), _) => Ok(Done::There(answer.clone())),
        (None, None) => Ok(Done::completed()),
        (None, Some(_)) => Err(Refusal::Partly.into()),
    }
}

/// What each backend is asked: the rest of the command as the client wrote it, in mailboxes of its own.
async fn errands(
    s: &mut Session,
    request: &Request,
    search: &MultiSearch,
) -> Result<(Vec<Errand>, Owners), Stop> {
    if !s.node.directory.list().is_complete() {
        return Err(Refusal::ListUnsure.into());
    }
    let subscribed = match search.sources.contains(&Source::Subscribed) {
        true => super::lsub::subscriptions(s).await?,
        false => Default::default(),
    };
    let selected = s.selected.as_ref().map(|selected| selected.name.clone());
    let sources = search.sources.clone();
    let named = look_around(s, move |viewer, budget| {
        named(&sources, selected.as_ref(), subscribed, SEARCHED, viewer, budget)
    });
    let named = named.await?;
    if named.too_many {
        rows::SEARCHED.met("a search in too many mailboxes is refused");
        return Err(Refusal::Limit(format!("More than {SEARCHED} mailboxes to search in")).into());
    }
    let criteria = trim_line(&request.raw).get(request.head.arguments + search.rest..).unwrap_or_default();
    let mut by_server: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in &named.mailboxes {
        by_server.entry(&seen.server).or_default().push(seen);
    }
    let errand = |(server, mailboxes): (&str, Vec<&Seen>)| {
        let command = |names: &[&str]| {
            let mut command = b"ESEARCH IN (MAILBOXES (".to_vec();
            for (at, name) in names.iter().enumerate() {
                command.extend_from_slice(if at > 0 { b" " } else { b"" });
                put_astring(&mut command, name.as_bytes());
            }
            command.extend_from_slice(b")) ");
            command.extend_from_slice(criteria);
            command
        };
        let commands = portions(&mailboxes).iter().map(|names| command(names)).collect();
        let tag = Some(request.head.tag.clone());
        Errand { needs: Some("MULTISEARCH"), tag, ..Errand::new(server, commands) }
    };
    let errands = by_server.into_iter().map(errand).collect();
    Ok((errands, Owners::of(&named.mailboxes)))
}

/// The names in portions that a backend reads at once.
fn portions<'s>(mailboxes: &[&'s Seen]) -> Vec<Vec<&'s str>> {
    let (mut portions, mut bytes): (Vec<Vec<&str>>, _) = (Vec::new(), 0);
    for seen in mailboxes {
        let name = seen.external.as_str();
        bytes += name.len() + QUOTES;
        match portions.last_mut() {
            Some(last) if last.len() < SEARCHED_AT_ONCE && bytes < NAMES_AT_ONCE => last.push(name),
            _ => {
                portions.push(vec![name]);
                bytes = name.len() + QUOTES;
            }
        }
    }
    portions
}

/// Whether a backend answers our command: what it found, or how far it is.
fn is_answer(line: &[u8]) -> bool {
    line.starts_with(b"* ESEARCH (TAG ") || line.starts_with(b"* OK [INPROGRESS (")
}

/// The mailbox of which a response tells what was found there; it is empty where none is named.
fn found_in(line: &[u8]) -> Option<String> {
    untagged(line, "ESEARCH").map(|mut at| at.read(correlated).unwrap_or_default())
}

/// `"(" "TAG" SP tag SP "MAILBOX" SP mailbox`
fn correlated(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, ()) = byte(b'(')(at)?;
    let (at, _) = astring(at)?;
    let (at, _) = argument(astring)(at)?;
    let (at, word) = argument(astring)(at)?;
    if !word.eq_ignore_ascii_case(b"MAILBOX") {
        return Err(ParseError::Invalid("correlator").into());
    }
    argument(mailbox)(at)
}

/// Bytes that stand around a name.
const QUOTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_of_the_mailbox_that_it_names() {
        let found = |line: &str| found_in(line.as_bytes());
        let of = |name: &str| Some(name.to_owned());
        assert_eq!(found("* ESEARCH (TAG \"M01\" MAILBOX \"a b\" UIDVALIDITY 1) UID ALL 3\r\n"), of("a b"));
        assert_eq!(found("* ESEARCH (TAG \"M01\" MAILBOX {3}\r\na\"b UIDVALIDITY 1) UID\r\n"), of("a\"b"));
        assert_eq!(found("* ESEARCH (TAG \"M01\") UID ALL 3\r\n"), of(""));
        assert_eq!(found("* OK [INPROGRESS (\"M01\" 5 10)] Still working\r\n"), None);
    }
}
