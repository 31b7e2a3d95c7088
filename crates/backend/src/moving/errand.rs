//! What a client has had this server take whole before its mailbox was another server's: it is done there, on behalf of the user, and
//! answered in that server's words. So an APPEND of many megabytes that meets a move in its middle, or the QUIT of a POP3 client, ends
//! as if nothing had moved.

use std::sync::Arc;

use protocol::frame::trim_line;
use protocol::imap::command::annotate;
use protocol::imap::command::append::Message;
use protocol::imap::print::astring;
use protocol::imap::{Flag, Reply, UidSet};
use store::{Staged, StoreError};

use super::Moving;
use super::peer::{Fault, Peer};
use crate::limits::{BATCH, ERRAND_LITERAL, PIPELINED, TOLD};

/// A connection on behalf of a user to the server that has his mailbox now.
pub struct Errand {
    peer: Peer,
    tag: String,
}

/// A message, with what the client has said of it.
pub struct Carried {
    pub message: Message,
    pub staged: Arc<Staged>,
}

/// How a command ended.
pub struct Answer {
    /// From `OK`, `NO` or `BAD` on.
    pub text: String,
    /// Lines with a code that came before it.
    pub told: Vec<String>,
}

impl Answer {
    /// The same for the client that waits: what follows the first word goes on as it is, with its code.
    pub fn reply(&self) -> Reply {
        let (word, text) = self.text.split_once(' ').unwrap_or((&self.text, ""));
        match word.to_ascii_uppercase().as_str() {
            "OK" => Reply::ok(text.to_owned()),
            _ => Reply::no(text.to_owned()),
        }
    }

    pub fn is_ok(&self) -> bool {
        self.text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("OK "))
    }
}

impl Moving {
    /// Goes to another server on behalf of a user.
    pub async fn errand(&self, server: &str, user: &str) -> Result<Errand, Fault> {
        let peer = Peer::connect_as(self.upstream(), server, Some(user)).await?;
        Ok(Errand { peer, tag: String::new() })
    }
}

impl Errand {
    /// One command without literals.
    pub async fn ask(&mut self, command: &[u8]) -> Result<Answer, Fault> {
        self.begin(command);
        self.end().await
    }

    /// `APPEND mailbox`, or `UID REPLACE uid mailbox`, with all messages.
    pub async fn append(
        &mut self,
        command: &str,
        mailbox: &str,
        messages: &[Carried],
    ) -> Result<Answer, Fault> {
        let mut head = format!("{command} ").into_bytes();
        astring(&mut head, mailbox.as_bytes());
        self.begin(&head);
        for Carried { message, staged } in messages {
            self.peer.out.extend_from_slice(&before(message));
            let size = staged.size;
            if size <= ERRAND_LITERAL {
                self.peer.out.extend_from_slice(format!("{{{size}+}}\r\n").as_bytes());
            } else {
                self.peer.out.extend_from_slice(format!("{{{size}}}\r\n").as_bytes());
                if let Some(answer) = self.is_refused().await? {
                    return Ok(answer);
                }
            }
            let mut at = 0;
            while at < size {
                let staged = staged.clone();
                let read = tokio::task::spawn_blocking(move || staged.read_at(at, BATCH)).await;
                let bytes = read.unwrap_or(Err(StoreError::Closed))?;
                if bytes.is_empty() {
                    return Err(self.peer.away("a message that was taken is gone"));
                }
                at += bytes.len() as u64;
                self.peer.out.extend_from_slice(&bytes);
                if self.peer.out.len() >= PIPELINED {
                    self.peer.flush().await?;
                }
            }
        }
        self.end().await
    }

    /// Takes messages out of a mailbox that has this UIDVALIDITY, and marks others as seen.
    pub async fn remove(
        &mut self,
        mailbox: &str,
        uidvalidity: u32,
        deleted: &[u32],
        seen: &[u32],
    ) -> Result<bool, Fault> {
        let mut select = b"SELECT ".to_vec();
        astring(&mut select, mailbox.as_bytes());
        let opened = self.ask(&select).await?;
        let is_it = opened.told.iter().any(|line| line.contains(&format!("[UIDVALIDITY {uidvalidity}]")));
        if !opened.is_ok() || !is_it {
            return Ok(false);
        }
        if !seen.is_empty() {
            let uids: UidSet = seen.iter().copied().collect();
            // A failure costs a flag.
            self.ask(format!("UID STORE {uids} +FLAGS.SILENT (\\Seen)").as_bytes()).await?;
        }
        let uids: UidSet = deleted.iter().copied().collect();
        let stored = format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)");
        Ok(deleted.is_empty()
            || self.ask(stored.as_bytes()).await?.is_ok()
                && self.ask(format!("UID EXPUNGE {uids}").as_bytes()).await?.is_ok())
    }

    fn begin(&mut self, command: &[u8]) {
        self.tag = self.peer.tag();
        self.peer.out.extend_from_slice(self.tag.as_bytes());
        self.peer.out.push(b' ');
        self.peer.out.extend_from_slice(command);
    }

    async fn end(&mut self) -> Result<Answer, Fault> {
        self.peer.out.extend_from_slice(b"\r\n");
        self.peer.flush().await?;
        let mut told = Vec::new();
        loop {
            let line = self.peer.response().await?;
            if let Some(text) = self.of_us(&line)? {
                return Ok(Answer { text, told });
            }
            // What is told of messages is not asked for here.
            if line.starts_with(b"* OK [") && told.len() < TOLD {
                told.push(String::from_utf8_lossy(trim_line(&line)).into_owned());
            }
        }
    }

    /// Whether a literal is refused: the answer, then.
    async fn is_refused(&mut self) -> Result<Option<Answer>, Fault> {
        self.peer.flush().await?;
        loop {
            let line = self.peer.response().await?;
            if line.starts_with(b"+") {
                return Ok(None);
            }
            if let Some(text) = self.of_us(&line)? {
                return Ok(Some(Answer { text, told: Vec::new() }));
            }
        }
    }

    /// The text of a line that ends our command.
    fn of_us(&self, line: &[u8]) -> Result<Option<String>, Fault> {
        if line.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"* BYE ")) {
            return Err(self.peer.away("the connection was ended"));
        }
        let rest = line.strip_prefix(self.tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        Ok(rest.map(|rest| String::from_utf8_lossy(trim_line(rest)).into_owned()))
    }
}

/// Flags, date and annotations, as APPEND has them before a message.
fn before(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    if !message.flags.is_empty() {
        let flags: Vec<String> = message.flags.iter().map(Flag::to_string).collect();
        out.extend_from_slice(format!(" ({})", flags.join(" ")).as_bytes());
    }
    if let Some(date) = &message.date {
        out.extend_from_slice(format!(" \"{date}\"").as_bytes());
    }
    if let Some(notes) =
        annotate::append(&message.notes, ERRAND_LITERAL).filter(|_| !message.notes.is_empty())
    {
        out.push(b' ');
        out.extend_from_slice(&notes);
    }
    out.push(b' ');
    out
}
