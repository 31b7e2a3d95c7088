//! STATUS: RFC 3501, RFC 7162, RFC 8438, RFC 8474, RFC 9208, RFC 7889.

use protocol::acl::Rights;
use protocol::imap::Reply;
use protocol::imap::command::status::{Status, StatusItem, Value, print_status};
use protocol::imap::refusal::require;
use protocol::name::MailboxName;
use work::aside::weighed;

use crate::imap::marks::has;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;

impl Session {
    /// Whether it is the open mailbox that the client calls `external`.
    pub fn has_open(&self, external: &str) -> bool {
        let (Some(open), Some(user)) = (&self.selected, &self.user) else { return false };
        user.internal(external, &self.server.namespace).is_ok_and(|name| name == open.name)
    }
}

pub async fn status(session: &mut Session, status: Status) -> Outcome {
    let (name, _, rights) = session.find(&status.mailbox).await?;
    require(rights, Rights::READ)?;
    if status.items.contains(&StatusItem::HighestModseq) {
        session.enable_condstore();
    }
    write(session, &name, &status.mailbox, &status.items).await?;
    Ok(Reply::completed())
}

/// Writes the untagged line.
pub async fn write(
    session: &mut Session,
    name: &MailboxName,
    external: &str,
    items: &[StatusItem],
) -> Result<(), Stop> {
    let user = session.user()?.id().to_owned();
    let store = session.server.store.clone();
    let mailbox = store.mailbox(name).await?;
    let view = mailbox.view();
    let own = match store.seen_is_shared(&mailbox, &user) {
        true => None,
        false => Some(store.seen(&user, &mailbox.uniqueid()).await?),
    };
    // Of the open mailbox the client hears what it has been told of, and no more.
    let open = session.selected.as_ref().filter(|open| open.mailbox.uniqueid() == mailbox.uniqueid());
    let told = open.map(|open| open.numbering.modseq());
    let recentuid = own.as_ref().map_or_else(|| mailbox.recentuid(), |own| own.recentuid);
    let recent = || view.exists() - view.records().lower_bound(recentuid.saturating_add(1));
    let mut unseen = view.unseen();
    if let Some(own) = own.filter(|_| items.contains(&StatusItem::Unseen)) {
        let view = view.clone();
        let count = move || view.records().iter().filter(|record| !has(&own, record.uid)).count();
        unseen = weighed(mailbox.view().exists(), count).await;
    }
    let (deleted, deleted_bytes) = view.deleted();
    let append_limit = super::session::append_limit(&session.server.imapd);
    let values: Vec<(StatusItem, Value)> = (items.iter())
        .map(|item| {
            let number = match item {
                StatusItem::Messages => view.exists() as u64,
                StatusItem::Recent => recent() as u64,
                StatusItem::UidNext => view.uidnext().into(),
                StatusItem::UidValidity => view.uidvalidity.into(),
                StatusItem::Unseen => unseen as u64,
                StatusItem::Size => view.bytes(),
                StatusItem::HighestModseq => told.unwrap_or(view.modseq()),
                StatusItem::MailboxId => return (*item, Value::Id(mailbox.uniqueid())),
                StatusItem::Deleted => deleted as u64,
                StatusItem::DeletedStorage => deleted_bytes,
                StatusItem::AppendLimit => append_limit,
            };
            (*item, Value::Number(number))
        })
        .collect();
    print_status(session.conn.out(), external, &values);
    Ok(())
}
