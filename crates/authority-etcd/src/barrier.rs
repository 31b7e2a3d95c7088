//! The number of the last change that anybody was told of: a linearizable read of `head`, and with it the list's identity.

use etcd_client::{Client, GetResponse, Txn, TxnOp, TxnOpResponse};
use mailboxes::Position;

use crate::{
    Inner,
    identity::Identity,
    keys::{self, Keys},
    link::Link,
    trouble::Trouble,
};

/// What is read.
pub(crate) struct Head {
    pub identity: Identity,
    pub position: Position,
    /// The revision of the read itself.
    pub revision: i64,
}

pub(crate) async fn read(link: &Link, keys: &Keys) -> Result<Head, Trouble> {
    let (id, head) = (keys.id(), keys.head());
    let ask = |client: Client| {
        let both = [TxnOp::get(id.clone(), None), TxnOp::get(head.clone(), None)];
        async move { client.kv_client().txn(Txn::new().and_then(both)).await }
    };
    let answer = link.read(ask).await?;
    let header = answer.header().ok_or_else(|| Trouble::Unreachable("an answer without header".into()))?;
    let (cluster, revision) = (header.cluster_id(), header.revision());
    let mut gets = answer.op_responses().into_iter().filter_map(|response| match response {
        TxnOpResponse::Get(get) => Some(get),
        _ => None,
    });
    let (id, head) = (gets.next(), gets.next());
    let first = |get: &Option<GetResponse>| get.as_ref().and_then(|get| get.kvs().first().cloned());
    let (Some(id), head) = (first(&id), first(&head)) else {
        return Err(Trouble::NoList(format!(
            "etcd has no list under etcd_prefix {}: murder ha init makes one",
            String::from_utf8_lossy(keys.all())
        )));
    };
    let identity = Identity::read(id.value(), cluster, id.mod_revision())?;
    let seq = head.map_or(identity.written, |head| head.mod_revision());
    Ok(Head { identity, position: identity.position(keys::number(seq)), revision })
}

/// The same for a list that is open: it must still be the one that it was, or a later one.
pub(crate) async fn run(inner: &Inner) -> Result<Position, Trouble> {
    let head = read(&inner.link, &inner.keys).await?;
    inner.note(&head)?;
    Ok(head.position)
}

impl Inner {
    /// Takes note of which list is there.
    pub(crate) fn note(&self, head: &Head) -> Result<(), Trouble> {
        let ready = head.identity.ready();
        self.pulse.set_left(ready.is_err());
        *self.identity() = ready?;
        self.pulse.saw(head.position.seq);
        Ok(())
    }
}
