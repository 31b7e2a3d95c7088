//! The fields that IMAP's ENVELOPE shows.

use super::header::{Field, Fields};
use super::{Address, Raw};

/// The envelope of a message, its values raw and unfolded. Sender and Reply-To are kept as written: that they default
/// to From is done where the envelope is printed ([`Envelope::sender`], [`Envelope::reply_to`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    pub date: Option<Raw>,
    pub subject: Option<Raw>,
    pub from: Vec<Address>,
    pub sender_field: Vec<Address>,
    pub reply_to_field: Vec<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub in_reply_to: Option<Raw>,
    pub message_id: Option<Raw>,
}

impl Envelope {
    /// Reads a header block. Of fields that are repeated the last counts, as in Cyrus.
    pub(super) fn parse(header: &[u8]) -> Envelope {
        let mut envelope = Envelope::default();
        for field in Fields::new(header) {
            match field.name.to_ascii_lowercase().as_slice() {
                b"date" => text(&mut envelope.date, &field),
                b"subject" => envelope.subject = Some(field.unfolded().into()),
                b"from" => list(&mut envelope.from, &field),
                b"sender" => list(&mut envelope.sender_field, &field),
                b"reply-to" => list(&mut envelope.reply_to_field, &field),
                b"to" => list(&mut envelope.to, &field),
                b"cc" => list(&mut envelope.cc, &field),
                b"bcc" => list(&mut envelope.bcc, &field),
                b"in-reply-to" => text(&mut envelope.in_reply_to, &field),
                b"message-id" => text(&mut envelope.message_id, &field),
                _ => {}
            }
        }
        envelope
    }

    /// Addresses that are shown.
    pub(super) fn weight(&self) -> usize {
        let lists: [&[Address]; 6] =
            [&self.from, self.sender(), self.reply_to(), &self.to, &self.cc, &self.bcc];
        1 + lists.iter().map(|list| list.len()).sum::<usize>()
    }

    pub fn sender(&self) -> &[Address] {
        if self.sender_field.is_empty() { &self.from } else { &self.sender_field }
    }

    pub fn reply_to(&self) -> &[Address] {
        if self.reply_to_field.is_empty() { &self.from } else { &self.reply_to_field }
    }
}

fn text(slot: &mut Option<Raw>, field: &Field) {
    *slot = Some(field.text().into());
}

fn list(slot: &mut Vec<Address>, field: &Field) {
    *slot = Address::parse_list(&field.unfolded());
}
