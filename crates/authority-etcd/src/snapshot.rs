//! All entries, as they are at one position: page by page, at the revision of the first page.

use etcd_client::{Client, GetOptions, GetResponse, KeyValue};
use mailboxes::{Entry, Position, authority::Beside};
use protocol::name::MailboxName;

use crate::{
    Inner, barrier,
    keys::{self, About},
    limits::{MESSAGE, PAGE},
    trouble::Trouble,
};

/// How far it was read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// None: not begun.
    at: Option<(Position, i64)>,
    from: Vec<u8>,
}

pub(crate) enum Next {
    More(Reading),
    Done(Position),
}

pub(crate) async fn page(
    inner: &Inner,
    reading: Reading,
) -> Result<(Next, Vec<(MailboxName, Entry)>), Trouble> {
    let Reading { at, from } = reading;
    let (position, revision) = match at {
        Some(at) => at,
        None => {
            let head = barrier::read(&inner.link, &inner.keys).await?;
            inner.note(&head)?;
            (head.position, head.revision)
        }
    };
    let names = inner.keys.names();
    let begin = if from.is_empty() { names.clone() } else { from };
    let found = range(inner, begin, &names, revision).await?;
    let mut entries = Vec::with_capacity(found.kvs().len());
    for one in found.kvs() {
        if let About::Name(name) = inner.keys.about(one.key()) {
            let entry = keys::entry_of(one.value(), one.mod_revision());
            entries.push((name.clone(), entry.map_err(|why| unreadable(one, &why))?));
        }
    }
    let next = match found.kvs().last() {
        Some(last) if found.more() => {
            Next::More(Reading { at: Some((position, revision)), from: [last.key(), &[0]].concat() })
        }
        _ => Next::Done(position),
    };
    Ok((next, entries))
}

/// What stands beside the entries, as it is now.
pub(crate) async fn beside(inner: &Inner) -> Result<Beside, Trouble> {
    let mut beside = Beside::default();
    for prefix in [inner.keys.cordons(), inner.keys.conflicts()] {
        let mut from = prefix.clone();
        loop {
            let found = range(inner, from, &prefix, 0).await?;
            for one in found.kvs() {
                match inner.keys.about(one.key()) {
                    About::Cordon(server) => {
                        let since = keys::cordon_of(one.value()).map_err(|why| unreadable(one, &why))?;
                        beside.cordons.insert(server, since);
                    }
                    About::Conflict(name) => {
                        let conflict = keys::conflict_of(name.clone(), one.value());
                        beside.conflicts.insert(name, conflict.map_err(|why| unreadable(one, &why))?);
                    }
                    About::Id | About::Head | About::Name(_) | About::Else => {}
                }
            }
            match found.kvs().last() {
                Some(last) if found.more() => from = [last.key(), &[0]].concat(),
                _ => break,
            }
        }
    }
    Ok(beside)
}

/// A page of the keys from one on that begin with a prefix. Revision 0 is now.
async fn range(inner: &Inner, from: Vec<u8>, prefix: &[u8], revision: i64) -> Result<GetResponse, Trouble> {
    let options = GetOptions::new().with_range(end_of(prefix)).with_limit(PAGE).with_revision(revision);
    let ask = |client: Client| {
        let mut kv = client.kv_client().max_decoding_message_size(MESSAGE);
        let (from, options) = (from.clone(), options.clone());
        async move { kv.get(from, Some(options)).await }
    };
    inner.link.read(ask).await
}

/// The first key behind all that begin with a prefix.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

pub(crate) fn unreadable(one: &KeyValue, why: &dyn std::fmt::Display) -> Trouble {
    Trouble::NoList(format!("etcd: {}: {why}", String::from_utf8_lossy(one.key())))
}
