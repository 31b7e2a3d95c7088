//! Replication: any frame is a command or a code, any line an answer or none, and what is understood is printed and read back the
//! same. What becomes a path leads nowhere.

use bytes::BytesMut;
use protocol::frame;
use protocol::grammar::{Cursor, Limits};
use protocol::imap::{Assembled, Assembler, Bounds};
use protocol::sync::{Apply, Command, File, Peer, Told, Upload, dlist};

/// The target.
pub fn run(input: &[u8]) {
    let mut at = Cursor::new(input, Limits::NONE);
    let _ = at.read(dlist::skip);
    let _ = File::at_end(input);
    let _ = Upload::next(input);
    if let Ok(command) = Command::parse(input) {
        let again = print(&command);
        assert_eq!(Command::parse(&again), Ok(command), "{}", again.escape_ascii());
    }
    let mut at = Cursor::new(frame::trim_line(input.strip_prefix(b"* ").unwrap_or(input)), Limits::NONE);
    if let Ok(told) = at.read(Told::parse)
        && told != Told::Other
    {
        let mut out = Vec::new();
        told.write(Peer::Ours, &mut out);
        let mut at = Cursor::new(frame::trim_line(&out[2..]), Limits::NONE);
        assert_eq!(at.read(Told::parse), Ok(told), "{}", out.escape_ascii());
    }
    assemble(input);
}

fn print(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    match command {
        Command::Get(get) => get.write("S1", &mut out),
        Command::Apply(apply) => {
            if let Apply::LocalMailbox(mailbox) = apply {
                let id = mailbox.uniqueid.as_str();
                assert!(!id.is_empty() && !id.contains(['/', '.', '\0']), "{id}");
            }
            apply.write("S1", Peer::Ours, &mut out);
        }
        Command::Restart => out.extend_from_slice(b"S1 SYNCRESTART\r\n"),
    }
    out
}

/// Bytes are cut into the same commands wherever they are cut, for whoever may replicate and for others; no message is given out
/// beyond its size.
fn assemble(input: &[u8]) {
    for replication in [None, Some(2000)] {
        let whole = cut(input, input.len().max(1), replication);
        assert_eq!(cut(input, 7, replication), whole, "{replication:?}");
    }
}

fn cut(input: &[u8], chunk: usize, replication: Option<usize>) -> Vec<Assembled> {
    let bounds = Bounds { words: Limits::default(), literal: 100, command: 600, unasked: 50, replication };
    let mut assembler = Assembler::new(frame::Limits { line: 500, skip: 4096 }, bounds);
    let (mut buffer, mut found, mut owed) = (BytesMut::new(), Vec::new(), 0);
    for run in input.chunks(chunk) {
        buffer.extend_from_slice(run);
        loop {
            match assembler.next(&mut buffer) {
                Err(_) => return found,
                Ok(None) => break,
                Ok(Some(Assembled::Data { bytes, rest })) => {
                    assert_eq!(bytes.len() as u64 + rest, owed);
                    owed = rest;
                }
                Ok(Some(assembled)) => {
                    owed = match &assembled {
                        Assembled::Upload { literal, .. }
                        | Assembled::Tail { literal: Some(literal), .. } => literal.size,
                        Assembled::Append { literal: Some(literal), .. } => literal.size,
                        _ => 0,
                    };
                    found.push(assembled);
                }
            }
        }
    }
    found
}
