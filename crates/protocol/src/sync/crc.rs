//! The two checksums by which two copies of a mailbox are found to be the same, as Cyrus has them from 2.4 on: SYNC_CRC and
//! SYNC_CRC_ANNOT.
//!
//! ```text
//! SYNC_CRC       = XOR, over messages, of crc32("<uid> <modseq> <last_updated> (<flags>) <internaldate> <guid>")
//! flags          = XOR, over flags, of crc32("<name in lower case>")
//! SYNC_CRC_ANNOT = 12345678 XOR, over annotations of messages, of crc32("<uid> <entry> <user> <value>")
//! ```
//!
//! Expunged messages do not count, nor do annotations of the mailbox itself. When a message was saved, what modification sequence it
//! was made with and its thread count as annotations of everybody's.

use crate::flag::Flag;

use super::{Guid, Record};

/// Both of a mailbox. Each message is XORed in, and by the same call out again: a change costs its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crc {
    pub messages: u32,
    pub annotations: u32,
}

/// Those of a mailbox without messages.
impl Default for Crc {
    fn default() -> Self {
        Crc { messages: 0, annotations: 12_345_678 }
    }
}

impl Crc {
    /// Puts a message in, or takes it out. An expunged one changes nothing.
    pub fn toggle(&mut self, record: &Record) {
        if record.expunged {
            return;
        }
        let Record { uid, modseq, last_updated, internaldate, guid, .. } = record;
        self.messages ^= message(*uid, *modseq, *last_updated, *internaldate, guid, &record.flags);
        record.with_annotations(|entry, user, value| {
            self.annotations ^= annotation(*uid, entry, user, value);
        });
    }

    /// Those of a mailbox with these messages.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Crc {
        let mut crc = Crc::default();
        records.into_iter().for_each(|record| crc.toggle(record));
        crc
    }
}

/// What one message is in SYNC_CRC. Times in epoch seconds.
pub fn message(
    uid: u32,
    modseq: u64,
    last_updated: i64,
    internaldate: i64,
    guid: &Guid,
    flags: &[Flag],
) -> u32 {
    let flags =
        flags.iter().fold(0, |all, flag| all ^ crc32(flag.to_string().to_ascii_lowercase().as_bytes()));
    crc32(format!("{uid} {modseq} {last_updated} ({flags}) {internaldate} {guid}").as_bytes())
}

/// What one annotation of a message is in SYNC_CRC_ANNOT.
pub fn annotation(uid: u32, entry: &str, user: &str, value: &[u8]) -> u32 {
    crc32(&[format!("{uid} {entry} {user} ").as_bytes(), value].concat())
}

fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sync::record::tests::record;

    /// CRC-32 (ISO 3309), bit by bit: what the library computes with tables.
    fn plain_crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(
                crc ^ u32::from(*byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
            )
        })
    }

    #[test]
    fn the_sum_is_the_formula_put_down_by_hand() {
        assert_eq!(plain_crc32(b"123456789"), 0xcbf4_3926);
        let mut one = Record {
            uid: 7,
            modseq: 42,
            last_updated: 1_700_000_100,
            internaldate: 1_700_000_000,
            guid: Guid::from_hex(b"0123456789abcdef0123456789abcdef01234567").unwrap(),
            flags: vec![Flag::Seen, Flag::Keyword("$Foo".into())],
            ..Record::default()
        };
        let flags = plain_crc32(b"\\seen") ^ plain_crc32(b"$foo");
        let text = format!("7 42 1700000100 ({flags}) 1700000000 0123456789abcdef0123456789abcdef01234567");
        assert_eq!(Crc::of([&one]).messages, plain_crc32(text.as_bytes()));
        assert_eq!(Crc::of([&one]).annotations, 12_345_678);
        (one.savedate, one.createdmodseq, one.thread) = (Some(1_700_000_050), Some(41), Some(0xabc));
        let wanted = plain_crc32(b"7 /vendor/cmu/cyrus-imapd/savedate  1700000050")
            ^ plain_crc32(b"7 /vendor/cmu/cyrus-imapd/createdmodseq  41")
            ^ plain_crc32(b"7 /vendor/cmu/cyrus-imapd/thrid  abc");
        assert_eq!(Crc::of([&one]).annotations, 12_345_678 ^ wanted);
        one.expunged = true;
        assert_eq!(Crc::of([&one]), Crc::default());
    }

    proptest! {
        #[test]
        fn the_sum_knows_no_order_and_forgets_what_is_taken_out(mut records in proptest::collection::vec(record(), 0..8)) {
            let sum = Crc::of(&records);
            records.reverse();
            prop_assert_eq!(Crc::of(&records), sum);
            let mut crc = sum;
            records.iter().for_each(|record| crc.toggle(record));
            prop_assert_eq!(crc, Crc::default());
        }

        #[test]
        fn any_change_of_a_message_changes_the_sum(record in record(), modseq in 1u64..9, keyword in "[a-z]{9}") {
            prop_assume!(!record.expunged);
            let sum = Crc::of([&record]).messages;
            let modseq = record.modseq.wrapping_add(modseq);
            prop_assert_ne!(Crc::of([&Record { modseq, ..record.clone() }]).messages, sum);
            let mut flagged = record.clone();
            flagged.flags.push(Flag::Keyword(keyword));
            prop_assert_ne!(Crc::of([&flagged]).messages, sum);
        }
    }
}
