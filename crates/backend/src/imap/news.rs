//! What a session tells of the open mailbox unasked.

use protocol::imap::{Bye, Code};
use tracing::info;
use work::aside::weighed;

use super::conn::Gone;
use super::selected::{Announce, Standing};
use super::session::Session;

impl Session {
    /// Untagged updates of the open mailbox. A mailbox that is gone ends the session with a BYE, since a client has no
    /// other way to learn of it.
    pub async fn announce(&mut self, announce: Announce) -> Result<(), Gone> {
        self.announce_some(announce, true).await
    }

    /// The same, flags that `changes` among it or not.
    pub async fn announce_some(&mut self, announce: Announce, changes: bool) -> Result<(), Gone> {
        if announce == Announce::Nothing {
            return Ok(());
        }
        self.refresh_rights();
        let Some(mut selected) = self.selected.take() else { return Ok(()) };
        let (weight, manner) = (selected.news(), self.manner());
        let tell = move || {
            let mut out = Vec::new();
            let new = selected.announce(announce, manner, changes, &mut out);
            (selected, out, new)
        };
        let (selected, out, new) = weighed(weight, tell).await;
        self.conn.put(out);
        if let Some((told, server)) = self.handed_over(&selected).await {
            told.iter().for_each(|told| self.conn.put(told.line(None)));
            self.moved = Some(server);
        } else if selected.is_gone() {
            self.conn.put(match selected.mailbox.moved_to() {
                Some(_) => {
                    Bye::new("Mailbox has been moved to another server").code(Code::Unavailable).line()
                }
                None => Bye::new("Mailbox has been deleted or renamed").line(),
            });
            self.over = true;
        } else {
            self.selected = Some(selected);
            self.tell_new(new).await?;
        }
        self.conn.relieve().await
    }

    /// Rights that were taken away since the last command are gone at this one (RFC 4314 section 5.1.1 leaves the
    /// moment open). Without the right to read, the session ends: it must not even hear of changes.
    pub(super) fn refresh_rights(&mut self) {
        let (Some(user), Some(selected)) = (&self.user, &mut self.selected) else { return };
        match selected.refresh_rights(&self.server.store, user.who()) {
            Standing::AsBefore => {}
            Standing::Changed => {
                let view = selected.view().clone();
                selected.write_all_flags(self.conn.out(), &view);
            }
            Standing::Lost => {
                info!(mailbox = %selected.name, "the right to read the open mailbox was taken away");
                self.selected = None;
                let bye = Bye::new("Permission to read the mailbox was taken away");
                self.conn.put(bye.code(Code::NoPerm).line());
                self.over = true;
            }
        }
    }
}
