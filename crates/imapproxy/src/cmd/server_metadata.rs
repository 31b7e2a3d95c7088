//! Annotations of the server (`""`): a user's own are on the backend of the INBOX; shared ones are the same on all backends, and
//! are set there on all of them or on none. The operator's notices are files of this node, since its clients read them here.

use std::collections::BTreeSet;

use protocol::imap::command::metadata::{Entry, GetMetadata, Options, Values, print_metadata, put_value};
use protocol::imap::{Refusal, print};
use service::notices::Notice;

use super::annotations::{long_entries, merged, parse, question};
use crate::limits::{METADATA_ALL, METADATA_MAX, rows};
use crate::session::gather::Errand;
use crate::session::{Done, Outcome, Session, Stop};

/// What is known here: the notices. Gives the size of the longest value that was left out.
pub async fn get(s: &mut Session, get: &GetMetadata) -> Result<Option<u64>, Stop> {
    let mut own = Vec::new();
    let notices = s.context.notices().clone();
    for (name, text) in [(MOTD, notices.motd().await), (SHUTDOWN, notices.shutdown().await)] {
        own.extend(text.map(|text| (Entry::shared(name), text.into_bytes())));
    }
    let home = match s.home().await? {
        Some(home) => Some(home),
        None => servers(s).into_iter().next(),
    };
    let (mut values, mut longest, mut size) = (Values::new(), None, 0);
    let entries: Vec<&Entry> = get.entries.iter().collect();
    if let Some(server) = home {
        let errand = Errand::new(&server, vec![question("", &entries, get.options)]);
        let told = s.gather(vec![errand], METADATA_MAX, |_, _, line| match parse(line) {
            Some((mailbox, told)) => {
                size += line.len();
                if mailbox.is_empty() && size < METADATA_ALL {
                    values.extend(told);
                }
                true
            }
            None => false,
        });
        match told.await?.0.pop().and_then(|told| told.answers).and_then(|mut answers| answers.pop()) {
            Some(answer) if answer.is_ok() => longest = long_entries(&answer),
            Some(answer) => return Err(Stop::Relayed(answer)),
            None => return Err(Refusal::ServerDown.into()),
        }
        within(size)?;
    }
    // A backend's room and notices are not this node's.
    for (entry, value) in &mut values {
        let theirs = entry.name == MOTD || entry.name == SHUTDOWN || entry.name.starts_with(FREE_SPACE);
        if !entry.private && theirs {
            *value = None;
        }
    }
    // Without any backend, what is asked for by name is absent.
    let known: BTreeSet<Entry> = values.iter().map(|(entry, _)| entry.clone()).collect();
    if longest.is_none() {
        let absent = get.entries.iter().filter(|entry| !known.contains(entry) && !entry.is_pattern());
        values.extend(absent.cloned().map(|entry| (entry, None)).collect::<Vec<_>>());
    }
    let values = merged(get, &values, &own);
    if !values.is_empty() {
        s.client.print(|out| print_metadata(out, "", &values));
    }
    Ok(longest)
}

/// Sets shared entries everywhere, and private ones at home.
pub async fn set(s: &mut Session, values: Values) -> Outcome {
    s.hear_selected("").await?;
    let admin = s.user()?.is_admin();
    let (private, shared): (Values, Values) = values.into_iter().partition(|(entry, _)| entry.private);
    if !shared.is_empty() && !admin {
        return Err(Refusal::Denied.into());
    }
    let home = match private.is_empty() {
        true => None,
        false => Some(s.home().await?.or_else(|| servers(s).into_iter().next()).ok_or(Refusal::ServerDown)?),
    };
    // This node alone goes down with its notice; the news of the day is everybody's.
    let notices: Values = shared.iter().filter(|(entry, _)| is_notice(entry)).cloned().collect();
    let kept: Values = shared.into_iter().filter(|(entry, _)| entry.name != SHUTDOWN).collect();
    let mut questions = Vec::new();
    if !kept.is_empty() {
        for server in servers(s) {
            let values = if home.as_ref() == Some(&server) {
                [&private[..], &kept[..]].concat()
            } else {
                kept.clone()
            };
            questions.push((server, values));
        }
    }
    if let Some(home) = home
        && !questions.iter().any(|(server, _)| *server == home)
    {
        questions.push((home, private));
    }
    everywhere(s, questions).await?;
    for (entry, value) in notices {
        let notice = if entry.name == MOTD { Notice::Motd } else { Notice::Shutdown };
        s.context.notices().set(notice, value).await.map_err(|error| {
            tracing::error!(%error, "an operator's notice cannot be written");
            Refusal::Failed
        })?;
    }
    Ok(Done::completed())
}

/// Whether what backends have told of the server was held.
fn within(size: usize) -> Result<(), Stop> {
    if size < METADATA_ALL {
        return Ok(());
    }
    rows::METADATA_ALL
        .met("more annotations of the server than can be shown at once: the command is refused");
    Err(Refusal::Limit("More annotations than can be shown at once".into()).into())
}

/// Sets values on each of these backends, or on none: what was there before is put back where another one refuses.
async fn everywhere(s: &mut Session, questions: Vec<(String, Values)>) -> Result<(), Stop> {
    let (mut before, mut size) = (vec![Values::new(); questions.len()], 0);
    let asked = questions.iter().map(|(server, values)| {
        let entries: Vec<&Entry> = values.iter().map(|(entry, _)| entry).collect();
        Errand::new(server, vec![question("", &entries, Options::default())])
    });
    let told = s.gather(asked.collect(), METADATA_MAX, |_, server, line| match parse(line) {
        Some((_, values)) => {
            size += line.len();
            let at = questions.iter().position(|(of, _)| of == server).filter(|_| size < METADATA_ALL);
            if let Some(slot) = at.and_then(|at| before.get_mut(at)) {
                slot.extend(values);
            }
            true
        }
        None => false,
    });
    if told.await?.missing().next().is_some() {
        return Err(Refusal::ServerDown.into());
    }
    within(size)?;
    // One that was not there is not always told.
    for ((_, values), before) in questions.iter().zip(&mut before) {
        for (entry, _) in values {
            if !before.iter().any(|(known, _)| known == entry) {
                before.push((entry.clone(), None));
            }
        }
    }
    let set = |server: &String, values: &Values| Errand::new(server, vec![command(values)]);
    let errands = questions.iter().map(|(server, values)| set(server, values)).collect();
    let undo = questions.iter().zip(&before).map(|((server, _), before)| set(server, before)).collect();
    s.set_everywhere(errands, undo, METADATA_MAX, |line| parse(line).is_some()).await
}

/// `SETMETADATA "" (entry value …)`; literals are not waited for.
fn command(values: &Values) -> Vec<u8> {
    let mut out = b"SETMETADATA \"\" (".to_vec();
    for (at, (entry, value)) in values.iter().enumerate() {
        let blank = if at > 0 { " " } else { "" };
        out.extend_from_slice(format!("{blank}{} ", print::quoted(&entry.to_string())).as_bytes());
        // Every backend takes literals unasked.
        let _ = put_value(&mut out, value.as_deref(), u64::MAX);
    }
    out.push(b')');
    out
}

/// All backends that have mailboxes, or may get some.
fn servers(s: &Session) -> BTreeSet<String> {
    let named = s.node.directory.list().summary().locations;
    let named = named.into_iter().filter_map(|(location, _)| Some(location.split_once('!')?.0.to_owned()));
    let mut servers: BTreeSet<String> = named.collect();
    for listed in &s.listener.imapd().serverlist {
        // It may name a port.
        let host = listed.split_once(':').map_or(listed.as_str(), |(host, _)| host);
        if !servers.contains(host) {
            servers.insert(listed.clone());
        }
    }
    servers
}

fn is_notice(entry: &Entry) -> bool {
    entry.name == MOTD || entry.name == SHUTDOWN
}

const MOTD: &str = "/motd";
const SHUTDOWN: &str = "/vendor/cmu/cyrus-imapd/shutdown";
const FREE_SPACE: &str = "/vendor/cmu/cyrus-imapd/freespace";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_a_backend_as_they_are() {
        let values = vec![
            (Entry::shared("/a"), Some(b"x\"y".to_vec())),
            (Entry::shared("/b"), None),
            (Entry::shared("/c"), Some(b"\0".to_vec())),
            (Entry::shared("/d"), Some(b"\r\n".to_vec())),
        ];
        assert_eq!(
            String::from_utf8(command(&values)).unwrap(),
            "SETMETADATA \"\" (\"/shared/a\" \"x\\\"y\" \"/shared/b\" NIL \"/shared/c\" ~{1+}\r\n\0 \"/shared/d\" {2+}\r\n\r\n)"
        );
    }
}
