//! NEWNEWS: the articles that have come since a moment, each once, in steps.

use std::collections::HashSet;
use std::sync::Arc;

use identity::auth::Login;
use protocol::name::MailboxName;
use protocol::nntp::Wildmat;
use store::{Depth, Extent, Mailbox, Wanted};
use tokio::task::spawn_blocking;

use super::limits::{NAMES, NEWS, RUN, rows};
use super::node::Node;
use super::refusal::broken;
use super::selected::run;
use protocol::nntp::words::Range;

/// Message-IDs on their way out.
pub(super) struct NewNews {
    groups: Wildmat,
    login: Login,
    /// Epoch seconds.
    since: i64,
    after: Option<MailboxName>,
    more: bool,
    /// Groups of the page that are still to be looked at, the next one last.
    waiting: Vec<MailboxName>,
    /// The group that is looked at, and its next number.
    at: Option<(Arc<Mailbox>, u32)>,
    seen: HashSet<String>,
}

impl NewNews {
    pub fn new(groups: Wildmat, since: i64, login: Login) -> NewNews {
        NewNews {
            groups,
            login,
            since,
            after: None,
            more: true,
            waiting: Vec::new(),
            at: None,
            seen: HashSet::new(),
        }
    }

    pub async fn step(mut self: Box<Self>, node: &Arc<Node>, lines: &mut Vec<u8>) -> Option<Box<NewNews>> {
        match self.at.take() {
            Some((mailbox, next)) => self.look(mailbox, next, lines).await,
            None => match self.waiting.pop() {
                Some(name) => match node.store.mailbox(&name).await {
                    Ok(mailbox) => {
                        let first = self.first(&mailbox);
                        self.at = Some((mailbox, first));
                    }
                    Err(error) => broken("a list of new articles", &error),
                },
                None if !self.more => return None,
                None => self.page(node),
            },
        }
        Some(self)
    }

    /// The next names of the list.
    fn page(&mut self, node: &Arc<Node>) {
        let page = match node.store.list().scan(self.after.as_ref(), NAMES) {
            Ok(page) => page,
            Err(error) => {
                broken("a list of new articles", &error);
                self.more = false;
                return;
            }
        };
        self.more = page.more;
        self.after = page.entries.last().map(|(name, _)| name.clone());
        let wanted = page.entries.into_iter().filter(|(name, entry)| {
            let group = node.group_of(name, entry);
            group.is_some_and(|group| self.groups.matches(group.as_str()))
                && node.rights(name, &entry.acl, &self.login).contains(protocol::acl::Rights::READ)
        });
        self.waiting = wanted.map(|(name, _)| name).collect();
        self.waiting.reverse();
    }

    /// The number of the first article that came since. What comes later has a later date, but for a clock that was set back.
    fn first(&self, mailbox: &Mailbox) -> u32 {
        let view = mailbox.view();
        let (mut low, mut high) = (0, view.records().len());
        while low < high {
            let middle = low + (high - low) / 2;
            match view.records().at(middle) {
                Some(record) if record.savedate < self.since => low = middle + 1,
                _ => high = middle,
            }
        }
        view.records().at(low).map_or(u32::MAX, |record| record.uid)
    }

    async fn look(&mut self, mailbox: Arc<Mailbox>, next: u32, lines: &mut Vec<u8>) {
        let records = run(&mailbox.view(), next, Range::ALL, RUN);
        let Some(last) = records.last().map(|record| record.uid) else { return };
        let (read, since) = (mailbox.clone(), self.since);
        let wanted = Wanted { structure: Depth::Shown, bytes: Extent::Nothing };
        let work = move || {
            let mut ids = Vec::new();
            let mut left = records.as_slice();
            while !left.is_empty() {
                let run = read.read_run(left, wanted);
                let (these, rest) = left.split_at(run.len().clamp(1, left.len()));
                for (record, read) in these.iter().zip(run) {
                    let cached = read.ok().and_then(|read| read.cached).filter(|_| record.savedate >= since);
                    ids.extend(cached.and_then(|cached| cached.structure().ok()?.envelope.message_id));
                }
                left = rest;
            }
            ids
        };
        for id in spawn_blocking(work).await.unwrap_or_default() {
            let id = String::from_utf8_lossy(&id).trim().to_owned();
            if protocol::nntp::words::MessageId::parse(&id).is_some() && self.is_new(&id) {
                lines.extend_from_slice(format!("{id}\r\n").as_bytes());
            }
        }
        if last < u32::MAX {
            self.at = Some((mailbox, last + 1));
        }
    }

    fn is_new(&mut self, id: &str) -> bool {
        if self.seen.len() >= NEWS {
            rows::NEWS.met("NEWNEWS has more articles than are remembered: some may be shown twice");
            self.seen.clear();
        }
        self.seen.insert(id.to_owned())
    }
}
