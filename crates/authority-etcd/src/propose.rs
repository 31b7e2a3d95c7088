//! A group of changes as one transaction: if all names are as they were seen, and this is still the list, the new entries.
//!
//! A write whose answer is lost may lie in a buffer, and no reading tells whether it will still happen. So each one also compares and
//! puts a token of this master's own. A second write puts another token in its place: if that succeeds, the first did not happen and never
//! will; if it fails, what it finds tells.

use etcd_client::{
    Client, Compare, CompareOp, GetResponse, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use mailboxes::authority::{Done, Group, Named, Outcome};
use mailboxes::{Entry, Error, cordon};
use protocol::name::MailboxName;
use tokio::time::{Instant, sleep};

use crate::{
    Inner, keys,
    limits::{ANSWER, MESSAGE, PAUSE},
    trouble::Trouble,
};

/// What one handle knows of its own writes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Proposer {
    /// The revision of this master's token; none: not known.
    token: Option<i64>,
    /// Counts its writes.
    writes: u64,
}

/// A group, as etcd is to get it.
pub(crate) struct Prepared {
    compares: Vec<Compare>,
    writes: Vec<TxnOp>,
    names: Vec<(MailboxName, Option<i64>)>,
    /// It changes something.
    changes: bool,
    /// It was judged on this list.
    ours: bool,
}

/// What became of one transaction.
enum Answer {
    Done(i64),
    /// The names as they are, and the token.
    Stale(Vec<Named>, Option<KeyValue>),
    /// The list is not the one that was opened.
    Replaced,
}

/// What is known of a write whose answer was lost.
enum Found {
    Done(i64),
    Undone,
}

impl Prepared {
    pub fn new(inner: &Inner, group: &Group) -> Prepared {
        let keys = &inner.keys;
        let names =
            group.seen().map(|(name, seen)| (name.clone(), seen.map(|entry| keys::revision(entry.seq))));
        let names: Vec<(MailboxName, Option<i64>)> = names.collect();
        let compares = names.iter().map(|(name, seen)| {
            // A key that is not there has revision 0.
            Compare::mod_revision(keys.name(name), CompareOp::Equal, seen.unwrap_or(0))
        });
        let mut writes = Vec::with_capacity(group.proposals.len());
        for proposal in &group.proposals {
            let key = keys.name(&proposal.name);
            writes.push(put_or_delete(key, proposal.new.as_ref().map(keys::entry_value)));
        }
        for (name, conflict) in &group.conflicts {
            writes.push(put_or_delete(
                keys.conflict(name),
                conflict.as_ref().map(|conflict| conflict.encode()),
            ));
        }
        for (server, since) in &group.cordons {
            writes.push(put_or_delete(keys.cordon(server), since.map(cordon::encode)));
        }
        let (changes, ours) = (!writes.is_empty(), group.by.list == inner.identity().list());
        Prepared { compares: compares.collect(), writes, names, changes, ours }
    }

    fn txn(&self, inner: &Inner, proposer: &Proposer) -> Txn {
        let keys = &inner.keys;
        let token = keys.proposer(&inner.servername);
        let mut compares = self.compares.clone();
        // Numbers of another list mean nothing here.
        let id = if self.ours { inner.identity().written } else { NEVER };
        compares.push(Compare::mod_revision(keys.id(), CompareOp::Equal, id));
        let mut writes = self.writes.clone();
        if self.changes {
            let known = proposer.token.unwrap_or(NEVER);
            compares.push(Compare::mod_revision(token.clone(), CompareOp::Equal, known));
            writes.push(TxnOp::put(token.clone(), proposer.written(inner), None));
            // Last: it ends the revision for whoever watches.
            writes.push(TxnOp::put(keys.head(), inner.servername.as_bytes(), None));
        } else {
            writes.push(TxnOp::get(keys.head(), None));
        }
        let mut reads = vec![TxnOp::get(token, None), TxnOp::get(keys.id(), None)];
        reads.extend(self.names.iter().map(|(name, _)| TxnOp::get(keys.name(name), None)));
        Txn::new().when(compares).and_then(writes).or_else(reads)
    }
}

/// Proposes, until the outcome is known or the time is over.
pub(crate) async fn run(inner: &Inner, proposer: &mut Proposer, group: Prepared) -> Outcome {
    let until = Instant::now() + ANSWER;
    loop {
        if group.changes
            && proposer.token.is_none()
            && let Err(trouble) = begin(inner, proposer, until).await
        {
            return Outcome::Undone(trouble.into());
        }
        proposer.writes += u64::from(group.changes);
        let trouble = match once(inner, proposer, &group).await {
            Ok(Answer::Done(revision)) => return done(inner, proposer, &group, revision),
            Ok(Answer::Stale(stale, token)) => {
                let before =
                    std::mem::replace(&mut proposer.token, token.as_ref().map(|one| one.mod_revision()));
                if group.changes && before != proposer.token {
                    warn_of_double(inner, token.as_ref());
                }
                return Outcome::Stale(stale);
            }
            Ok(Answer::Replaced) => return Outcome::Undone(replaced()),
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Unreachable(_) if group.changes => match doubt(inner, proposer).await {
                Ok(Found::Done(revision)) => return done(inner, proposer, &group, revision),
                Ok(Found::Undone) if Instant::now() < until => {}
                Ok(Found::Undone) => return Outcome::Undone(trouble.into()),
                Err(trouble) => {
                    proposer.token = None;
                    return Outcome::Unknown(trouble.into());
                }
            },
            Trouble::Unreachable(_) if Instant::now() < until => sleep(PAUSE).await,
            trouble => {
                sleep(PAUSE).await;
                return Outcome::Undone(trouble.into());
            }
        }
    }
}

fn done(inner: &Inner, proposer: &mut Proposer, group: &Prepared, revision: i64) -> Outcome {
    let number = keys::number(revision);
    if group.changes {
        proposer.token = Some(revision);
        inner.pulse.saw(number);
    }
    Outcome::Done(Done { position: inner.identity().position(number), first: number, floor: 0 })
}

/// One transaction, and what its answer says.
async fn once(inner: &Inner, proposer: &Proposer, group: &Prepared) -> Result<Answer, Trouble> {
    let txn = group.txn(inner, proposer);
    let answer = send(inner, txn).await?;
    if answer.succeeded() {
        return match group.changes {
            true => Ok(Answer::Done(revision(&answer)?)),
            false => Ok(Answer::Done(
                gets(&answer).into_iter().flatten().next().map_or(0, |head| head.mod_revision()),
            )),
        };
    }
    let mut found = gets(&answer).into_iter();
    let (token, id) = (found.next().flatten(), found.next().flatten());
    if group.ours && id.is_none_or(|id| id.mod_revision() != inner.identity().written) {
        return Ok(Answer::Replaced);
    }
    let mut stale = Vec::new();
    for ((name, seen), now) in group.names.iter().zip(found) {
        if !group.ours || now.as_ref().map(|one| one.mod_revision()) != *seen {
            stale.push((name.clone(), now.map(|one| entry(&one)).transpose()?));
        }
    }
    Ok(Answer::Stale(stale, token))
}

async fn send(inner: &Inner, txn: Txn) -> Result<TxnResponse, Trouble> {
    let ask = |client: Client| async move {
        let kv = client.kv_client().max_decoding_message_size(MESSAGE);
        kv.max_encoding_message_size(MESSAGE).txn(txn).await
    };
    inner.link.once(ask).await
}

/// Takes this master's token: whatever an earlier write of it is still to do, it will not.
async fn begin(inner: &Inner, proposer: &mut Proposer, until: Instant) -> Result<(), Trouble> {
    let (key, value) = (inner.keys.proposer(&inner.servername), proposer.fenced(inner));
    loop {
        let put = TxnOp::put(key.clone(), value.clone(), None);
        match send(inner, Txn::new().and_then([put])).await {
            Ok(answer) => {
                proposer.token = Some(revision(&answer)?);
                return Ok(());
            }
            Err(Trouble::Unreachable(_)) if Instant::now() < until => sleep(PAUSE).await,
            Err(trouble) => return Err(trouble),
        }
    }
}

/// A write had no answer: has it happened? Afterwards it has, or never will.
async fn doubt(inner: &Inner, proposer: &mut Proposer) -> Result<Found, Trouble> {
    let until = Instant::now() + ANSWER;
    let key = inner.keys.proposer(&inner.servername);
    let known = proposer.token.unwrap_or(NEVER);
    let (written, fenced) = (proposer.written(inner), proposer.fenced(inner));
    loop {
        let txn = Txn::new()
            .when([Compare::mod_revision(key.clone(), CompareOp::Equal, known)])
            .and_then([TxnOp::put(key.clone(), fenced.clone(), None)])
            .or_else([TxnOp::get(key.clone(), None)]);
        match send(inner, txn).await {
            Ok(answer) if answer.succeeded() => {
                proposer.token = Some(revision(&answer)?);
                return Ok(Found::Undone);
            }
            Ok(answer) => {
                let token = gets(&answer).into_iter().flatten().next();
                let now = token.as_ref().map(|one| one.mod_revision());
                proposer.token = now;
                return match token {
                    Some(one) if one.value() == written.as_slice() => Ok(Found::Done(one.mod_revision())),
                    // Ours, whose answer was lost as well.
                    Some(one) if one.value() == fenced.as_slice() => Ok(Found::Undone),
                    other => {
                        warn_of_double(inner, other.as_ref());
                        Err(Trouble::Unreachable("another master has the same servername".into()))
                    }
                };
            }
            Err(Trouble::Unreachable(_)) if Instant::now() < until => sleep(PAUSE).await,
            Err(trouble) => return Err(trouble),
        }
    }
}

fn warn_of_double(inner: &Inner, token: Option<&KeyValue>) {
    let own = format!("{:x} ", inner.instance);
    if !token.is_some_and(|one| one.value().starts_with(own.as_bytes())) {
        tracing::error!(
            servername = inner.servername,
            "another master has the same servername: each needs one of its own"
        );
    }
}

impl Proposer {
    fn written(&self, inner: &Inner) -> Vec<u8> {
        format!("{:x} {} written", inner.instance, self.writes).into_bytes()
    }

    fn fenced(&self, inner: &Inner) -> Vec<u8> {
        format!("{:x} {} fenced", inner.instance, self.writes).into_bytes()
    }
}

fn put_or_delete(key: Vec<u8>, value: Option<Vec<u8>>) -> TxnOp {
    match value {
        Some(value) => TxnOp::put(key, value, None),
        None => TxnOp::delete(key, None),
    }
}

/// What each read found.
fn gets(answer: &TxnResponse) -> Vec<Option<KeyValue>> {
    let get = |response| match response {
        TxnOpResponse::Get(get) => Some(GetResponse::kvs(&get).first().cloned()),
        TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
    };
    answer.op_responses().into_iter().filter_map(get).collect()
}

fn revision(answer: &TxnResponse) -> Result<i64, Trouble> {
    let header = answer.header().ok_or_else(|| Trouble::Unreachable("an answer without header".into()))?;
    Ok(header.revision())
}

fn entry(one: &KeyValue) -> Result<Entry, Trouble> {
    keys::entry_of(one.value(), one.mod_revision()).map_err(|why| crate::snapshot::unreadable(one, &why))
}

fn replaced() -> Error {
    Trouble::NoList("the list in etcd was replaced or taken out".into()).into()
}

/// No key has this revision.
const NEVER: i64 = -1;
