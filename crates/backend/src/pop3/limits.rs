//! What a POP3 client can make the server do and hold. Time-outs are options: `poptimeout`, `popminpoll`.
//!
//! | bound | default | where from |
//! | --- | --- | --- |
//! | [`INPUT`] | 32 KiB | more than the longest line |
//! | [`LINE`] | 16 KiB | RFC 2449 has 255 bytes; an AUTH response may be long |
//! | [`REPLIES`] | 64 KiB | what is written at once |
//! | [`STEPS`] | 64 | with [`protocol::pop3::maildrop::STEP`], a millisecond of work |
//! | [`PIECE`] | 16 KiB | what is dot-stuffed in a fraction of a millisecond |
//! | [`MAX_FAILURES`] | 3 | Cyrus |
//! | [`UNOPENABLE_PAUSE`] | 3 s | Cyrus |

use std::time::Duration;

/// Bytes read ahead: more than the longest line, an AUTH response.
pub(super) const INPUT: usize = 32 * 1024;
/// Bytes of a command with its end.
pub(super) const LINE: usize = 16 * 1024;
/// Replies gathered while more commands are waiting (PIPELINING).
pub(super) const REPLIES: usize = 64 * 1024;
/// Commands, pieces of a message or steps of a listing, after which others have their turn.
pub(super) const STEPS: u32 = 64;
/// Bytes of a message that are made ready at a time.
pub(super) const PIECE: usize = 16 * 1024;
/// Failed logins of one connection.
pub(super) const MAX_FAILURES: u32 = 3;
/// A client whose maildrop cannot be opened comes again at once: it waits this long.
pub(super) const UNOPENABLE_PAUSE: Duration = Duration::from_secs(3);
