//! What an IMAP client can make the server do and hold.
//!
//! | bound | default | option | where from |
//! | --- | --- | --- | --- |
//! | [`COMMAND`] | 8 MiB | `maxliteral`, `maxquoted`, `maxword` for its parts | the longest SEARCH of a client with many keys |
//! | [`COMMAND_BEFORE_LOGIN`] | 64 KiB | | an AUTHENTICATE with a ticket |
//! | [`LINE`], [`SKIP`] | 1 MiB, 16 MiB | | a sequence set of [`protocol::imap::set`]'s 50,000 ranges |
//! | [`BEFORE_LOGIN`] | 3 min | | RFC 3501 section 5.4 leaves it open |
//! | idle | 32 min | `timeout`, `imapidletimeout` | RFC 3501 section 5.4 |
//! | [`WRITE`] | 5 min | | a client on a slow line takes something in that time |
//! | [`WRONG`], [`WRONG_BEFORE_LOGIN`] | 10 | | Cyrus |
//! | [`READ`], [`OUT`] | 4 KiB, 32 KiB | | memory of an idle session; bytes of one write |
//! | [`AHEAD`] | 64 KiB | | what a client pipelines behind a SEARCH |
//! | [`MESSAGES`] | 10,000 | | messages of one APPEND |
//! | time of the processor | 60 s | `search_maxtime` | of one SEARCH, SORT, THREAD, LIST or LSUB; Cyrus has the option for SEARCH |
//! | [`SCANS`] | 2 | | slices of such commands that are worked on at once, or as many as there are processors |
//! | [`SAVED`] | 131,072 | | ranges of UIDs that `$` holds: 1 MiB of a session |
//! | [`ASIDE`], [`ASIDE_PATIENCE`] | 4, 30 s | | such commands of one user at a time; the others wait |
//! | other heavy work | 4 | | of one user at a time: [`work::aside`]; the rest waits, and ends with the client |
//! | keys, nesting | 10,000, 100 | | `protocol::imap::command::search` |
//! | items, header fields | 256, 256 | | `protocol::imap::command::fetch`: of one FETCH, of one section |
//! | patterns | 256 | | `protocol::imap::command::list`; each is cut as [`protocol::pattern`] says |
//! | one poll | some milliseconds | | [`work::aside`]: what is heavier goes to a blocking thread |

use std::time::Duration;

/// Bytes of one command with its literals.
pub const COMMAND: usize = 8 * 1024 * 1024;
pub const COMMAND_BEFORE_LOGIN: usize = 64 * 1024;
/// Bytes of one line without its literals, and of an overlong one before the connection is given up.
pub const LINE: usize = 1024 * 1024;
pub const SKIP: usize = 16 * 1024 * 1024;
/// A client has so long to log in.
pub const BEFORE_LOGIN: Duration = Duration::from_secs(180);
/// A client that takes nothing for so long is gone.
pub const WRITE: Duration = Duration::from_secs(300);
/// Wrong commands in a row that end a session.
pub const WRONG: u32 = 10;
pub const WRONG_BEFORE_LOGIN: u32 = 10;
/// Bytes read at once.
pub const READ: usize = 4096;
/// Bytes that gather before they are written.
pub const OUT: usize = 32 * 1024;
/// Bytes that are read while a command is under way, to hear of the connection's end.
pub const AHEAD: usize = 64 * 1024;
/// Messages in one APPEND.
pub const MESSAGES: usize = 10_000;
/// Commands of one user that search through mailboxes or the list at the same time.
pub const ASIDE: usize = 4;
/// Of all users, slices of such commands at the same time, where there are not more processors.
pub const SCANS: usize = 2;
/// Ranges of UIDs in what a search saves.
pub const SAVED: usize = 128 * 1024;
/// How long one more of them waits.
pub const ASIDE_PATIENCE: Duration = Duration::from_secs(30);
