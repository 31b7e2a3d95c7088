//! GROUP, LISTGROUP, NEXT, LAST: the group and the article that numbers refer to. A number is a UID.

use std::sync::Arc;

use protocol::nntp::words::{GroupName, Range};
use protocol::nntp::{No, Reply};
use store::{Mailbox, Record, View};

/// A selected group.
pub(super) struct Selected {
    pub group: GroupName,
    pub mailbox: Arc<Mailbox>,
    /// The current article's number; none: the group was empty.
    pub current: Option<u32>,
}

impl Selected {
    /// Its first article becomes the current one.
    pub fn new(group: GroupName, mailbox: Arc<Mailbox>) -> Selected {
        let current = mailbox.view().records().at(0).map(|record| record.uid);
        Selected { group, mailbox, current }
    }

    /// The first article becomes the current one: LISTGROUP.
    pub fn rewind(&mut self) {
        self.current = self.mailbox.view().records().at(0).map(|record| record.uid);
    }

    /// 211.
    pub fn reply(&self, list: bool) -> Reply {
        let view = self.mailbox.view();
        let (low, high) = water(&view);
        Reply::Group { count: view.exists(), low, high, group: self.group.clone(), list }
    }

    /// The current article.
    pub fn current(&self) -> Result<Record, No> {
        let number = self.current.ok_or(No::NoCurrent)?;
        // It may be gone meanwhile.
        self.mailbox.view().get(number).cloned().ok_or(No::NoCurrent)
    }

    /// The article of a number, which becomes the current one.
    pub fn select(&mut self, number: u32) -> Result<Record, No> {
        let record = self.mailbox.view().get(number).cloned().ok_or(No::NoSuchNumber)?;
        self.current = Some(number);
        Ok(record)
    }

    /// The one behind the current one, which becomes the current one.
    pub fn next(&mut self) -> Result<Record, No> {
        let current = self.current.ok_or(No::NoCurrent)?;
        let view = self.mailbox.view();
        let position = view.records().lower_bound(current.saturating_add(1));
        let record =
            view.records().at(position).cloned().filter(|record| record.uid > current).ok_or(No::NoNext)?;
        self.current = Some(record.uid);
        Ok(record)
    }

    /// The one before the current one, which becomes the current one.
    pub fn last(&mut self) -> Result<Record, No> {
        let current = self.current.ok_or(No::NoCurrent)?;
        let view = self.mailbox.view();
        let position = view.records().lower_bound(current).checked_sub(1).ok_or(No::NoPrevious)?;
        let record = view.records().at(position).cloned().ok_or(No::NoPrevious)?;
        self.current = Some(record.uid);
        Ok(record)
    }
}

/// Lowest and highest number; of an empty group one more than any there was, and that.
pub(super) fn water(view: &View) -> (u32, u32) {
    match (view.records().at(0), view.records().last()) {
        (Some(first), Some(last)) => (first.uid, last.uid),
        _ => (view.last_uid.saturating_add(1), view.last_uid),
    }
}

/// The next articles of a range, so many at most, from a number on.
pub(super) fn run(view: &View, from: u32, range: Range, most: usize) -> Vec<Record> {
    let records = view.records();
    let first = records.lower_bound(from.max(range.from));
    let positions = first..first.saturating_add(most).min(records.len());
    let found = positions.filter_map(|position| records.at(position));
    found.take_while(|record| range.contains(record.uid)).cloned().collect()
}
