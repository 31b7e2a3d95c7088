//! The text of an APPEND as it goes through a frontend: cut at the URLs of CATENATE (RFC 4469), since what they name may be on
//! another backend. All else goes on as it is; what is not understood here, the backend judges.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use protocol::frame::{Literal, Piece};
use protocol::imap::command::append::{ARGUMENTS, Item, Place, Run, URL_MAX};
use protocol::imap::{Limits, ParseError, Refusal};

use super::client::{Client, GO_AHEAD};
use crate::grammar::with_header;

/// What goes to the backend.
#[derive(Debug, PartialEq, Eq)]
pub enum Upward {
    Piece(Piece),
    /// Text in the middle of a line.
    Text(Bytes),
    /// `URL …` as it stands in the text, and the URL: what it names may be elsewhere.
    Url(Bytes, String),
}

/// Reads the runs of text between the bytes of messages.
#[derive(Debug)]
pub struct Runs {
    place: Place,
    /// The command that the client has sent, where that is not the one that the backend gets: it must be understood here.
    instead: Option<String>,
    /// What is held of a run: literals that are arguments of it have come.
    held: BytesMut,
    arguments: usize,
    /// The bytes that come belong to the run.
    in_argument: bool,
    /// The text is not understood: it goes on as it is.
    is_opaque: bool,
    /// What the client hears where the backend refuses.
    pub refusal: Option<Refusal>,
}

impl Runs {
    /// Of a command that the backend gets as it is; `is_single`: with one message.
    pub fn new(is_single: bool) -> Runs {
        Runs {
            place: Place::start(is_single),
            instead: None,
            held: BytesMut::new(),
            arguments: 0,
            in_argument: false,
            is_opaque: false,
            refusal: None,
        }
    }

    /// Of a REPLACE that goes out as an APPEND; `title` is its name as texts have it.
    pub fn of_replace(title: String) -> Runs {
        Runs { instead: Some(title), ..Runs::new(true) }
    }

    /// Takes the client's next piece, and puts what goes to the backend into the queue.
    pub fn take(&mut self, piece: Piece, client: &mut Client, queue: &mut VecDeque<Upward>) {
        match piece {
            Piece::Data { bytes, .. } if self.in_argument => self.held.extend_from_slice(&bytes),
            Piece::Line(text) if !self.is_opaque => self.run(&text, None, client, queue),
            Piece::Header { text, literal } if !self.is_opaque => {
                self.run(&text, Some(literal), client, queue);
            }
            piece => queue.push_back(Upward::Piece(piece)),
        }
    }

    fn run(
        &mut self,
        text: &[u8],
        literal: Option<Literal>,
        client: &mut Client,
        queue: &mut VecDeque<Upward>,
    ) {
        self.in_argument = false;
        self.held.extend_from_slice(text);
        let error = match Run::parse(&self.held, self.place, Limits::default()) {
            Ok(run) if run.place.is_end() == literal.is_none() => {
                (self.place, self.arguments) = (run.place, 0);
                return self.cut(&run, literal, queue);
            }
            Ok(_) => ParseError::Invalid("message literal"),
            Err(error) => error,
        };
        if let (ParseError::Incomplete, Some(literal)) = (error, literal) {
            // Within a response that the client has in part only, the backend's own words must come first.
            let fits = literal.size <= URL_MAX as u64 && !(literal.sync && client.is_torn());
            if fits && self.arguments < ARGUMENTS {
                let header = with_header(&self.held, literal.size, false);
                self.held = BytesMut::from(&header[..]);
                (self.in_argument, self.arguments) = (true, self.arguments + 1);
                if literal.sync {
                    client.put(GO_AHEAD);
                }
                return;
            }
        }
        self.give_up(error, literal, queue);
    }

    /// The run as it came, less its URLs.
    fn cut(&mut self, run: &Run, literal: Option<Literal>, queue: &mut VecDeque<Upward>) {
        let text = self.held.split().freeze();
        let mut at = 0;
        for item in &run.items {
            if let Item::Url(url, place) = item {
                queue.push_back(Upward::Text(text.slice(at..place.start)));
                queue.push_back(Upward::Url(text.slice(place.clone()), url.clone()));
                at = place.end;
            }
        }
        queue.push_back(piece(text.slice(at..), literal));
    }

    fn give_up(&mut self, error: ParseError, literal: Option<Literal>, queue: &mut VecDeque<Upward>) {
        self.is_opaque = true;
        let held = self.held.split().freeze();
        let Some(title) = &self.instead else { return queue.push_back(piece(held, literal)) };
        // What the backend gets is none of its commands: it is heard to its end, and refused.
        self.refusal = Some(Refusal::malformed(&error, title));
        let text = match literal {
            Some(literal) => with_header(b" ! {", literal.size, literal.sync),
            None => b" !".to_vec(),
        };
        queue.push_back(piece(text.into(), literal));
    }
}

fn piece(text: Bytes, literal: Option<Literal>) -> Upward {
    Upward::Piece(match literal {
        Some(literal) => Piece::Header { text, literal },
        None => Piece::Line(text),
    })
}
