//! The messages of one session. They are numbered once, at login; what others do meanwhile is not seen.

/// One message of a maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u32,
    /// Bytes with CRLF line ends.
    pub size: u64,
}

/// The messages, and which of them DELE has marked.
#[derive(Debug, Default)]
pub struct Maildrop {
    uidvalidity: u32,
    messages: Vec<(Message, bool)>,
    kept_for_good: bool,
}

/// A number that names no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("No such message")]
pub struct NoSuchMessage;

impl Maildrop {
    pub fn new(uidvalidity: u32, messages: Vec<Message>) -> Maildrop {
        let messages = messages.into_iter().map(|message| (message, false)).collect();
        Maildrop { uidvalidity, messages, kept_for_good: false }
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
        self.kept().fold((0, 0), |(count, size), (_, message)| (count + 1, size + message.size))
    }

    /// The message with this number, unless it is deleted.
    pub fn get(&self, number: u32) -> Result<&Message, NoSuchMessage> {
        match self.messages.get(index(number)?) {
            Some((message, false)) => Ok(message),
            _ => Err(NoSuchMessage),
        }
    }

    pub fn delete(&mut self, number: u32) -> Result<(), NoSuchMessage> {
        match self.messages.get_mut(index(number)?) {
            Some((_, deleted @ false)) => {
                *deleted = true;
                Ok(())
            }
            _ => Err(NoSuchMessage),
        }
    }

    pub fn reset(&mut self) {
        self.messages.iter_mut().for_each(|(_, deleted)| *deleted = false);
    }

    /// Messages not deleted, with their numbers.
    pub fn kept(&self) -> impl Iterator<Item = (u32, &Message)> {
        (1..)
            .zip(&self.messages)
            .filter(|(_, (_, deleted))| !deleted)
            .map(|(number, (message, _))| (number, message))
    }

    /// UIDs of the messages that QUIT has to remove.
    pub fn deleted(&self) -> Vec<u32> {
        self.messages.iter().filter(|(_, deleted)| *deleted).map(|(message, _)| message.uid).collect()
    }

    /// The unique id that UIDL shows, as Cyrus forms it by default.
    pub fn unique_id(&self, message: &Message) -> String {
        format!("{}.{}", self.uidvalidity, message.uid)
    }
}

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
        assert_eq!(drop.kept().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    }
}
