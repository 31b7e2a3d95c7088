//! The messages of one session. They are numbered once, at login; what others do meanwhile is not seen.

/// One message of a maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u32,
    /// Bytes with CRLF line ends.
    pub size: u64,
}

/// The messages, and which of them DELE has marked.
///
/// A client pipelines as many commands as it likes: each but a listing takes the same time however many messages there are.
#[derive(Debug, Default)]
pub struct Maildrop {
    uidvalidity: u32,
    messages: Vec<(Message, bool)>,
    /// Places of the marked messages, in the order of their DELEs.
    marked: Vec<usize>,
    /// Bytes of the messages that are not marked.
    size: u64,
    kept_for_good: bool,
}

/// How far a listing has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// UIDL's lines; else LIST's.
    unique_ids: bool,
    next: usize,
}

impl Listing {
    pub(super) fn new(unique_ids: bool) -> Listing {
        Listing { unique_ids, next: 0 }
    }
}

/// A number that names no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("No such message")]
pub struct NoSuchMessage;

impl Maildrop {
    pub fn new(uidvalidity: u32, messages: Vec<Message>) -> Maildrop {
        let size = messages.iter().map(|message| message.size).sum();
        let messages = messages.into_iter().map(|message| (message, false)).collect();
        Maildrop { uidvalidity, messages, marked: Vec::new(), size, kept_for_good: false }
    }

    /// DELE is refused: the user's rights do not allow it.
    pub fn without_deletion(self) -> Maildrop {
        Maildrop { kept_for_good: true, ..self }
    }

    pub fn may_delete(&self) -> bool {
        !self.kept_for_good
    }

    /// Number and total size of the messages that are not deleted.
    pub fn stat(&self) -> (usize, u64) {
        (self.messages.len() - self.marked.len(), self.size)
    }

    /// The message with this number, unless it is deleted.
    pub fn get(&self, number: u32) -> Result<&Message, NoSuchMessage> {
        match self.messages.get(index(number)?) {
            Some((message, false)) => Ok(message),
            _ => Err(NoSuchMessage),
        }
    }

    pub fn delete(&mut self, number: u32) -> Result<(), NoSuchMessage> {
        let at = index(number)?;
        match self.messages.get_mut(at) {
            Some((message, deleted @ false)) => {
                *deleted = true;
                self.size = self.size.saturating_sub(message.size);
                self.marked.push(at);
                Ok(())
            }
            _ => Err(NoSuchMessage),
        }
    }

    pub fn reset(&mut self) {
        for at in self.marked.drain(..) {
            if let Some((message, deleted)) = self.messages.get_mut(at) {
                *deleted = false;
                self.size = self.size.saturating_add(message.size);
            }
        }
    }

    /// Puts out the next lines of a listing, of [`STEP`] messages. True at its end.
    pub fn list(&self, listing: &mut Listing, out: &mut Vec<u8>) -> bool {
        let until = listing.next.saturating_add(STEP).min(self.messages.len());
        let step = self.messages.get(listing.next..until).unwrap_or_default();
        for (at, (message, deleted)) in (listing.next..).zip(step) {
            if *deleted {
                continue;
            }
            let line = match listing.unique_ids {
                true => format!("{} {}\r\n", at + 1, self.unique_id(message)),
                false => format!("{} {}\r\n", at + 1, message.size),
            };
            out.extend_from_slice(line.as_bytes());
        }
        listing.next = until;
        until == self.messages.len()
    }

    /// UIDs of the messages that QUIT has to remove, ascending.
    pub fn deleted(&self) -> Vec<u32> {
        let mut uids: Vec<u32> = self
            .marked
            .iter()
            .filter_map(|at| self.messages.get(*at))
            .map(|(message, _)| message.uid)
            .collect();
        uids.sort_unstable();
        uids
    }

    /// The unique id that UIDL shows, as Cyrus forms it by default.
    pub fn unique_id(&self, message: &Message) -> String {
        format!("{}.{}", self.uidvalidity, message.uid)
    }
}

/// Messages of one step of a listing.
pub const STEP: usize = 256;

fn index(number: u32) -> Result<usize, NoSuchMessage> {
    usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).ok_or(NoSuchMessage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_messages_keep_their_numbers_and_can_come_back() {
        let message = |uid| Message { uid, size: u64::from(uid) * 10 };
        let mut drop = Maildrop::new(7, vec![message(3), message(5)]);
        assert_eq!(drop.stat(), (2, 80));
        assert_eq!(drop.delete(1), Ok(()));
        assert_eq!(drop.delete(1), Err(NoSuchMessage));
        assert_eq!(drop.delete(0), Err(NoSuchMessage));
        assert_eq!(drop.get(1), Err(NoSuchMessage));
        assert_eq!(drop.unique_id(drop.get(2).unwrap()), "7.5");
        assert_eq!((drop.stat(), drop.deleted()), ((1, 50), vec![3]));
        drop.reset();
        assert_eq!((drop.stat(), drop.deleted()), ((2, 80), vec![]));
    }

    #[test]
    fn a_listing_comes_in_steps_and_leaves_out_what_is_deleted() {
        let mut drop = Maildrop::new(7, (1..=STEP as u32 + 2).map(|uid| Message { uid, size: 9 }).collect());
        drop.delete(2).unwrap();
        let (mut listing, mut out) = (Listing::new(true), Vec::new());
        assert!(!drop.list(&mut listing, &mut out));
        assert!(out.starts_with(b"1 7.1\r\n3 7.3\r\n"));
        out.clear();
        assert!(drop.list(&mut listing, &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), "257 7.257\r\n258 7.258\r\n");
    }
}
