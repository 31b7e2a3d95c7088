//! Any frame is a command or a refusal with its tag; any line of a backend's is an answer or none.

use protocol::grammar::Cursor;
use protocol::imap::command::append::{Append, Message, Next};
use protocol::imap::command::{annotate, metadata, quota};
use protocol::imap::{Command, Limits};

/// The target.
pub fn run(frame: &[u8]) {
    let _ = Command::parse(frame, Limits::default());
    let _ = Append::step(frame, Limits::default());
    for utf8 in [false, true] {
        let before = Message { flags: Vec::new(), date: None, notes: Vec::new(), binary: false, utf8 };
        let _ = Next::parse(frame, &before, Limits::default());
    }
    let mut at = Cursor::new(frame, Limits::default());
    let _ = at.read(metadata::response);
    let _ = at.read(quota::response);
    let _ = at.read(annotate::fetched);
    let _ = at.read(annotate::search);
    let _ = at.read(annotate::sort);
}
