//! `lmtp_fuzzy_mailbox_match`: names that differ in case, and in `-`, `_`, blank, mean the same mailbox.

use mailboxes::{Entry, List};
use protocol::name::MailboxName;

use crate::limits::{PAGE, PAGES};

/// The mailbox that `name`, or failing that its closest ancestor, means but for such differences: below `inbox` (a
/// user's details), or among the shared mailboxes. Walks that part of the list, within a bound, since names are
/// compared as no index has them; to be called where blocking is allowed.
pub fn closest(list: &List, name: &MailboxName, inbox: Option<&MailboxName>) -> Option<(MailboxName, Entry)> {
    let wanted: Vec<String> =
        std::iter::successors(Some(name.clone()), |name| name.parent()).map(|name| plain(&name)).collect();
    let (mut best, mut after) = (None, None);
    for _ in 0..PAGES {
        let page = match inbox {
            Some(inbox) => list.subtree(inbox, after.as_ref(), PAGE).ok()?,
            None => list.scan(after.as_ref(), PAGE).ok()?,
        };
        after = page.entries.last().map(|(last, _)| last.clone());
        for (candidate, entry) in page.entries {
            if !entry.is_active()
                || inbox == Some(&candidate)
                || candidate.owner().is_some() != inbox.is_some()
                || candidate.domain() != name.domain()
            {
                continue;
            }
            let rank = wanted.iter().position(|wanted| *wanted == plain(&candidate));
            if let Some(rank) = rank
                && best.as_ref().is_none_or(|(known, _)| rank < *known)
            {
                best = Some((rank, (candidate, entry)));
            }
        }
        if !page.more {
            return best.map(|(_, found)| found);
        }
    }
    tracing::warn!("lmtp_fuzzy_mailbox_match: more mailboxes than are compared");
    best.map(|(_, found)| found)
}

fn plain(name: &MailboxName) -> String {
    name.as_str().to_lowercase().replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailboxes::Change;
    use protocol::location::Location;

    #[tokio::test]
    async fn the_deepest_likeness_wins_and_users_stay_apart_from_shared_mailboxes() {
        let list = List::memory();
        let entry = || Entry::active(Location::parse("be!default").unwrap(), "");
        let name = |text: &str| MailboxName::parse(text).unwrap();
        let names = [
            "user.fred",
            "user.fred.My-Lists",
            "user.fred.My-Lists.Rust",
            "shared.my_lists",
            "a-b.org!news",
            "a_b.org!News.x",
        ];
        let change = |text| Change::put(name(text), entry());
        list.commit(names.map(change).to_vec()).await.unwrap();
        let inbox = name("user.fred");
        let found = |text: &str, inbox| closest(&list, &name(text), inbox).map(|(name, _)| name.to_string());
        assert_eq!(
            found("user.fred.my lists.RUST", Some(&inbox)).as_deref(),
            Some("user.fred.My-Lists.Rust")
        );
        assert_eq!(found("user.fred.my_lists.c", Some(&inbox)).as_deref(), Some("user.fred.My-Lists"));
        assert_eq!(found("user.fred.other", Some(&inbox)), None);
        assert_eq!(found("Shared.My-Lists.x", None).as_deref(), Some("shared.my_lists"));
        assert_eq!(found("user.fred.my-lists", None), None);
        // Domains are not alike.
        assert_eq!(found("a-b.org!News.x", None).as_deref(), Some("a-b.org!news"));
        assert_eq!(found("a_b.org!news.y", None), None);
    }
}
