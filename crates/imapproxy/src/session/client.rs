//! The client's end: its bytes cut into pieces of commands, its literals collected where a command is read whole.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::frame::{FrameError, Framer, Limits, Literal, Piece};
use protocol::imap::{Bye, Refusal};
use tokio::time::{Instant, timeout};
use transport::stream::Stream;

use super::Stop;
use crate::grammar::with_header;
use crate::peer::{self, Peer};

/// The client's connection.
pub struct Client {
    pub peer: Peer,
    pub framer: Framer,
    /// How long the client may keep us waiting in the middle of a command.
    patience: Duration,
    /// When somebody must have logged in, however busy the client looks. None once somebody has.
    login_by: Option<Instant>,
    /// The client has only a part of a response: nothing else may follow.
    torn: bool,
    /// Bytes of a literal for which it does not wait (`literalminus`: 4096).
    unasked: u64,
}

/// A command that was read whole, or not.
pub enum Whole {
    /// Its raw bytes, literals in their place, none of them waiting.
    Command(Bytes),
    /// It was skipped to its end.
    TooLong(Refusal),
}

impl Client {
    /// `bound`: for all that comes before the login.
    pub fn new(stream: Stream, bound: Duration, unasked: u64) -> Self {
        Client {
            peer: Peer::new(stream, BytesMut::new()),
            framer: Framer::new(BEFORE_LOGIN),
            patience: bound,
            login_by: Some(Instant::now() + bound),
            torn: false,
            unasked,
        }
    }

    /// Once logged in, lines may be longer. To be called between commands.
    pub fn relax(&mut self, patience: Duration) {
        self.framer = Framer::new(AFTER_LOGIN);
        (self.patience, self.login_by) = (patience, None);
    }

    /// Nobody is logged in any longer: as at the beginning. To be called between commands.
    pub fn restrain(&mut self, bound: Duration) {
        self.framer = Framer::new(BEFORE_LOGIN);
        (self.patience, self.login_by) = (bound, Some(Instant::now() + bound));
    }

    /// How long the client may still take for its next bytes, having taken `taken`: `bound`, or what is left to log in.
    pub fn time_left(&self, bound: Duration, taken: Duration) -> Duration {
        match self.login_by {
            Some(login_by) => login_by.saturating_duration_since(Instant::now()),
            None => bound.saturating_sub(taken),
        }
    }

    pub fn put(&mut self, text: impl AsRef<[u8]>) {
        self.peer.put(text);
    }

    /// Puts what `write` prints.
    pub fn print(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.put(out);
    }

    /// A run of a backend's responses; `whole`: it ends where a response ends.
    pub fn pass_on(&mut self, bytes: Bytes, whole: bool) {
        self.torn = !whole;
        self.peer.pass(bytes);
    }

    /// Whether the client has only a part of a response.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The session's last line, which stands on a line of its own whatever was cut off before it.
    pub fn put_line(&mut self, text: impl AsRef<[u8]>) {
        if std::mem::take(&mut self.torn) {
            self.put("\r\n");
        }
        self.put(text);
    }

    /// Whether a literal is too large not to be asked for (RFC 7888 section 5).
    pub fn is_oversized(&self, literal: &Literal) -> bool {
        !literal.sync && literal.size > self.unasked
    }

    /// The next piece that is there already.
    pub fn poll_piece(&mut self) -> Result<Option<Piece>, Stop> {
        let piece = self
            .framer
            .next(&mut self.peer.input)
            .map_err(|_: FrameError| Stop::Bye(Bye::new("Line too long")))?;
        if piece.is_none() {
            self.peer.want_more();
        }
        Ok(piece)
    }

    /// The next piece; what waits is written meanwhile.
    pub async fn piece(&mut self) -> Result<Piece, Stop> {
        loop {
            if let Some(piece) = self.poll_piece()? {
                return Ok(piece);
            }
            if self.peer.ended {
                return Err(Stop::Client(io::ErrorKind::UnexpectedEof.into()));
            }
            let left = self.time_left(self.patience, Duration::ZERO);
            let turn = timeout(left, peer::turn_alone(&mut self.peer)).await;
            turn.map_err(|_| Stop::idle())?.map_err(Stop::Client)?;
        }
    }

    /// Reads a command to its end, with literals of at most `max` bytes together.
    pub async fn whole(&mut self, first: Piece, max: usize) -> Result<Whole, Stop> {
        let (mut held, mut why) = (BytesMut::new(), None);
        let mut piece = first;
        loop {
            match piece {
                Piece::Line(text) => {
                    if let Some(why) = why {
                        return Ok(Whole::TooLong(why));
                    }
                    if held.is_empty() {
                        return Ok(Whole::Command(text));
                    }
                    held.extend_from_slice(&text);
                    return Ok(Whole::Command(held.freeze()));
                }
                Piece::Header { text, literal } => {
                    // As it may be forwarded: nobody waits any longer.
                    held.extend_from_slice(&with_header(&text, literal.size, false));
                    if self.is_oversized(&literal) {
                        why = why.or(Some(Refusal::UnaskedTooLarge));
                    }
                    if why.is_some() || held.len() as u64 + literal.size > max as u64 {
                        why = why.or(Some(Refusal::LiteralTooLarge));
                        held.clear();
                        self.framer.refuse(literal);
                        if literal.sync {
                            return Ok(Whole::TooLong(Refusal::LiteralTooLarge));
                        }
                    } else if literal.sync {
                        self.put(GO_AHEAD);
                    }
                }
                Piece::Data { bytes, .. } if why.is_none() => held.extend_from_slice(&bytes),
                Piece::Data { .. } => {}
                Piece::Overlong { literal, .. } => {
                    why = why.or(Some(Refusal::LineTooLong));
                    match literal {
                        Some(literal) => {
                            self.framer.refuse(literal);
                            if literal.sync {
                                return Ok(Whole::TooLong(Refusal::LineTooLong));
                            }
                        }
                        None => return Ok(Whole::TooLong(Refusal::LineTooLong)),
                    }
                }
            }
            piece = self.piece().await?;
        }
    }

    /// Reads a command to its end and forgets it; `first` is what was read of it already. A literal that the client
    /// still waits to be asked for is never sent.
    pub async fn skip(&mut self, first: Piece) -> Result<(), Stop> {
        self.whole(first, 0).await.map(drop)
    }

    /// The same for a command of which some was used already.
    pub async fn skip_rest(&mut self) -> Result<(), Stop> {
        let next = self.piece().await?;
        self.skip(next).await
    }

    /// Writes all that waits.
    pub async fn flush(&mut self) -> Result<(), Stop> {
        let flushed = timeout(self.patience, peer::flush(&mut self.peer)).await;
        flushed.map_err(|_| Stop::Client(io::ErrorKind::TimedOut.into()))?.map_err(Stop::Client)
    }
}

/// The continuation that asks for a literal.
pub const GO_AHEAD: &str = "+ go ahead\r\n";
/// Bytes of a line and of what is skipped of an overlong one.
const BEFORE_LOGIN: Limits = Limits { line: 64 * 1024, skip: 1024 * 1024 };
/// A UID set of a hundred thousand messages fits.
const AFTER_LOGIN: Limits = Limits { line: 1024 * 1024, skip: 16 * 1024 * 1024 };
