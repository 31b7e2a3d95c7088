//! The order of messages: RFC 5256 section 3, SORT.
//!
//! ```text
//! frames of the cache ──▶ columns of keys (keys.rs), kept for the next time (cache.rs) ──▶ this order, or threads
//! ```
//!
//! Each criterion gives every message a number: a date, a size, or the first bytes of a text. The numbers decide nearly
//! always; texts that begin alike are compared whole. What is equal stays in the order of the messages' numbers, also under
//! REVERSE.

pub mod cache;
pub mod keys;

use std::cmp::Ordering;

use protocol::imap::command::annotate::SortKey;
use protocol::imap::command::sort::{By, Criterion};

use super::search::scan::Found;
use crate::imap::limits::NOTE_SORTED;
use keys::{Keys, Kind, Placed, at_uid, beginning};
use store::{Record, SHARED, View};

/// One criterion's keys, by the places of the messages that were found.
struct Column<'v> {
    reverse: bool,
    numbers: Vec<u64>,
    /// Where the texts of which the numbers are the first bytes stand.
    texts: Option<Placed>,
    /// Values of annotations, the same.
    values: Vec<Option<&'v [u8]>>,
}

/// Which keys the criteria need beside the index.
pub fn kinds(criteria: &[Criterion]) -> Vec<Kind> {
    let kind = |criterion: &Criterion| match criterion.by {
        By::Date => Some(Kind::Sent),
        By::Subject => Some(Kind::Subject),
        By::From => Some(Kind::From),
        By::To => Some(Kind::To),
        By::Cc => Some(Kind::Cc),
        By::DisplayFrom => Some(Kind::DisplayFrom),
        By::DisplayTo => Some(Kind::DisplayTo),
        By::Annotation(_) | By::Arrival | By::Modseq | By::Relevancy | By::Size | By::Uid => None,
    };
    criteria.iter().filter_map(kind).collect()
}

/// Puts what was found, which is in the order of the numbers, into the order of the criteria.
/// `user`: whose private annotations are compared.
pub fn order(found: &mut Vec<Found>, criteria: &[Criterion], view: &View, keys: &Keys, user: &str) {
    let columns: Vec<Column> =
        criteria.iter().map(|criterion| Column::of(criterion, found, view, keys, user)).collect();
    let places: Vec<u32> = match columns.as_slice() {
        [only] if only.texts.is_none() && only.values.is_empty() => {
            let mut places: Vec<(u64, u32)> = only.numbers.iter().copied().zip(0..).collect();
            places.sort_unstable();
            places.into_iter().map(|(_, place)| place).collect()
        }
        columns => {
            let mut places: Vec<u32> = (0..found.len() as u32).collect();
            places.sort_unstable_by(|a, b| {
                let decided = columns.iter().map(|column| column.compare(*a, *b)).find(|order| order.is_ne());
                decided.unwrap_or_else(|| a.cmp(b))
            });
            places
        }
    };
    *found = places.iter().filter_map(|place| found.get(*place as usize).copied()).collect();
}

impl<'v> Column<'v> {
    fn of(criterion: &Criterion, found: &[Found], view: &'v View, keys: &Keys, user: &str) -> Column<'v> {
        let mut values = Vec::new();
        let (mut numbers, texts) = match &criterion.by {
            By::Annotation(key) => {
                values = annotations(key, found, view, user);
                (values.iter().map(|value| beginning(value.unwrap_or_default())).collect(), None)
            }
            By::Arrival => (of_records(found, view, |record| ascending(record.internaldate)), None),
            By::Size => (of_records(found, view, |record| record.size), None),
            By::Modseq => (found.iter().map(|found| found.modseq).collect(), None),
            By::Uid => (found.iter().map(|found| u64::from(found.uid)).collect(), None),
            // The most relevant first (RFC 6203 section 5).
            By::Relevancy => (found.iter().map(|found| u64::from(u8::MAX - found.score)).collect(), None),
            By::Date => (keys.sent(found).map(ascending).collect(), None),
            By::Subject => keys.texts(Kind::Subject, found),
            By::From => keys.texts(Kind::From, found),
            By::To => keys.texts(Kind::To, found),
            By::Cc => keys.texts(Kind::Cc, found),
            By::DisplayFrom => keys.texts(Kind::DisplayFrom, found),
            By::DisplayTo => keys.texts(Kind::DisplayTo, found),
        };
        if criterion.reverse {
            numbers.iter_mut().for_each(|number| *number = !*number);
        }
        Column { reverse: criterion.reverse, numbers, texts, values }
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let number = |at: u32| self.numbers.get(at as usize);
        let order = number(a).cmp(&number(b));
        if order.is_eq() && !self.values.is_empty() {
            let value = |at: u32| self.values.get(at as usize).copied().flatten();
            let order = value(a).cmp(&value(b));
            return if self.reverse { order.reverse() } else { order };
        }
        let Some((texts, places)) = self.texts.as_ref().filter(|_| order.is_eq()) else { return order };
        let text = |at: u32| places.get(at as usize).map(|place| texts.get(*place)).unwrap_or_default();
        let order = text(a).cmp(text(b));
        if self.reverse { order.reverse() } else { order }
    }
}

/// What is compared of annotations: byte by byte, and nothing goes before every value.
fn annotations<'v>(key: &SortKey, found: &[Found], view: &'v View, user: &str) -> Vec<Option<&'v [u8]>> {
    let user = if key.private { user } else { SHARED };
    let mut records = view.records().iter().map(|record| (record.uid, record)).peekable();
    let value = |record: &'v Record| record.annotation(&key.entry, user);
    let value = |record| value(record).map(|value| value.get(..NOTE_SORTED).unwrap_or(value));
    found.iter().map(|found| at_uid(&mut records, found.uid).and_then(value)).collect()
}

/// A number in the order of a signed one.
fn ascending(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// What the index has of the messages that were found: both ascend.
pub fn of_records<T: Default>(found: &[Found], view: &View, value: impl Fn(&Record) -> T) -> Vec<T> {
    let mut records = view.records().iter().map(|record| (record.uid, record)).peekable();
    found.iter().map(|found| at_uid(&mut records, found.uid).map(&value).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::keys::Row;
    use super::*;
    use proptest::prelude::*;

    fn keys(rows: &[Row]) -> Keys {
        let kinds =
            [Kind::Sent, Kind::Subject, Kind::From, Kind::To, Kind::Cc, Kind::DisplayFrom, Kind::DisplayTo];
        let uids: Vec<u32> = (1..=rows.len() as u32).collect();
        Keys::made_of(&kinds, &uids, rows)
    }

    fn found(count: usize) -> Vec<Found> {
        let one =
            |uid: u32| Found { sequence: uid, uid, modseq: u64::from(uid % 3), score: (uid % 2) as u8 + 1 };
        (1..=count as u32).map(one).collect()
    }

    fn sorted(rows: &[Row], criteria: &[Criterion]) -> Vec<u32> {
        let mut all = found(rows.len());
        order(&mut all, criteria, &View::default(), &keys(rows), "fred");
        all.into_iter().map(|found| found.uid).collect()
    }

    fn criterion() -> impl Strategy<Value = Criterion> {
        let by = [By::Date, By::Subject, By::From, By::DisplayTo, By::Modseq, By::Uid, By::Relevancy];
        (any::<bool>(), prop::sample::select(by.to_vec())).prop_map(|(reverse, by)| Criterion { reverse, by })
    }

    fn row() -> impl Strategy<Value = Row> {
        ("(same start )?[ab]{0,3}", "[ab]{0,2}", -3i64..3).prop_map(|(subject, from, sent)| Row {
            sent,
            subject: subject.into_bytes(),
            from: from.clone().into_bytes(),
            display_to: from.into_bytes(),
            ..Row::default()
        })
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_comparing_each_with_each(
            rows in proptest::collection::vec(row(), 0..30),
            criteria in proptest::collection::vec(criterion(), 1..4),
        ) {
            let mut model = found(rows.len());
            model.sort_by(|a, b| {
                let row = |found: &Found| &rows[found.uid as usize - 1];
                for criterion in &criteria {
                    let order = match criterion.by {
                        By::Date => row(a).sent.cmp(&row(b).sent),
                        By::Subject => row(a).subject.cmp(&row(b).subject),
                        By::From => row(a).from.cmp(&row(b).from),
                        By::DisplayTo => row(a).display_to.cmp(&row(b).display_to),
                        By::Modseq => a.modseq.cmp(&b.modseq),
                        By::Uid => a.uid.cmp(&b.uid),
                        _ => b.score.cmp(&a.score),
                    };
                    let order = if criterion.reverse { order.reverse() } else { order };
                    if order.is_ne() {
                        return order;
                    }
                }
                a.sequence.cmp(&b.sequence)
            });
            let model: Vec<u32> = model.into_iter().map(|found| found.uid).collect();
            prop_assert_eq!(sorted(&rows, &criteria), model);
        }
    }
}
