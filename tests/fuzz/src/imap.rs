//! Any frame is a command or a refusal with its tag; any line of a backend's is an answer or none.

use protocol::grammar::Cursor;
use protocol::imap::command::append::{Append, Place, Run, Step};
use protocol::imap::command::{annotate, metadata, quota};
use protocol::imap::url::Url;
use protocol::imap::{Command, Limits};

/// The target.
pub fn run(frame: &[u8]) {
    let _ = Command::parse(frame, Limits::default());
    let first = match Append::step(frame, Limits::default()) {
        Ok(Step::Append(append)) => Some(append.run.place),
        _ => None,
    };
    // Behind each kind of literal that a message can have.
    let behind = ["{1}", "UTF8 (~{1}", "CATENATE (TEXT {1}", "CATENATE (UTF8 (~{1}"].map(|data| {
        let text = format!(" {data}\r\n");
        Run::parse(text.as_bytes(), Place::start(false), Limits::default()).map(|run| run.place)
    });
    let places = behind.into_iter().flatten().chain(first).chain([false, true].map(Place::start));
    for place in places {
        let _ = Run::parse(frame, place, Limits::default());
    }
    if let Ok(text) = std::str::from_utf8(frame) {
        let _ = Url::parse(text);
    }
    let mut at = Cursor::new(frame, Limits::default());
    let _ = at.read(metadata::response);
    let _ = at.read(quota::response);
    let _ = at.read(annotate::fetched);
    let _ = at.read(annotate::search);
    let _ = at.read(annotate::sort);
}
