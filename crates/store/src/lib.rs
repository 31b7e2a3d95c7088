//! The mail store: partitions of mailboxes, one file per message, and the operations on them.
//!
//! ```text
//! <partition>/<hash>/<mailbox id>/header      what is known of the mailbox (JSON, checksummed, replaced by rename)
//!                                 index       append-only log: append, flags, expunge, …
//!                                 cache       structures, and what FETCH shows of them; what is damaged is read anew
//!                                 <uid>.      a message
//!                                 text/       which messages can contain which texts; made again from the messages
//! <configdirectory>/murder/backend/list.sled  the mailbox list; rebuilt from the headers
//!                              log.0 log.1   the commit log: what is acknowledged but not yet synced in its own file
//!                              journal/   mailbox operations under way
//!                              users/       a log per user: subscriptions, seen, …
//! ```
//!
//! A change is written to the commit log, which many changes share and which is synced once for all of them; then to
//! its own file, without a sync; then the view is published and the client gets its OK. When a segment of the log is
//! full, everything is synced and the segment is used again. After a crash the log is played back.
//!
//! | to | begin at |
//! | --- | --- |
//! | open it, close it | [`Store::open`], [`Store::close`] |
//! | find and list mailboxes; who may do what | [`Store::list`], [`Store::mailbox`], [`Store::rights`] |
//! | make, rename, remove them; ACL, quota, annotations, special use | [`Store::create`] and its like, each for an [`Actor`] |
//! | take a message in | [`Store::stage`], then [`Store::deliver`] (which knows duplicates) or [`Mailbox::append`] |
//! | list messages and their flags, see what changed | [`Mailbox::view`], [`View::records`], [`View::since`], [`Mailbox::watch`] |
//! | read a message, and where its parts are | [`Mailbox::message`]; many: [`Mailbox::read_run`]; parts: [`mime::Structure`] |
//! | sort messages or find their threads | [`Mailbox::read_keys`], then [`mime::Cached::sort_keys`] and [`mime::Cached::thread_keys`] |
//! | know which messages cannot contain a text | [`Mailbox::lacking`] |
//! | find a message by its Message-ID, or put one into several mailboxes once (news) | [`Store::find_article`], [`Store::post_article`] |
//! | flag, expunge, copy, move, replace | [`Mailbox::store`], [`Mailbox::expunge`], [`Store::copy`], [`Store::relocate`], [`Store::replace`] |
//! | what is a user's own | [`Store::subscribe`], [`Store::seen`], [`Store::user_state`] |
//! | a user's Sieve scripts | [`Store::scripts`]; at delivery [`Store::active_script`] |
//!
//! It asks a [`Master`] before the list changes, and knows no protocol of a client's: errors are [`StoreError`], which each
//! protocol turns into its replies.

mod annotate;
mod annotations;
mod articles;
mod blocking;
mod change;
mod codec;
mod commit;
mod copy;
mod deliver;
mod disk;
mod duplicate;
mod error;
mod expire;
mod gates;
mod header;
mod index;
mod journal;
mod keys;
mod large;
pub mod limits;
mod logfile;
mod mailbox;
mod marks;
mod master;
mod message;
mod metadata;
mod moves;
mod op;
mod open;
mod openings;
mod ops;
mod place;
mod private;
mod quota;
mod rebuild;
mod reconstruct;
mod record;
mod records;
mod replace;
mod replay;
mod room;
mod script;
mod scripts;
mod shared;
mod stage;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod tombstones;
mod turns;
mod userlog;
mod view;

pub use annotations::{Annotated, Annotations, SHARED, Setting};
pub use articles::{Found, Posted, Posting};
pub use copy::Along;
pub use deliver::{Delivered, Delivery};
pub use error::StoreError;
pub use expire::{Ages, Expired};
pub use header::{DUPLICATE_DELIVER, FormerName, Header, Kept, MovedTo, POP3_NEW_UIDL, SHARED_SEEN};
pub use large::LargeMessage;
pub use limits::{HEAD, VALUE_MAX};
pub use mailbox::{Appended, FlagChange, FlagMask, How, Mailbox, NewMessage, Stored};
pub use master::{Answer, Master, MasterError, MasterSession};
pub use message::{Depth, Extent, Frames, Read, Wanted};
pub use moves::{Difference, Digest, Frozen, Held, Incoming, Item, Numbers, Round, Snapshot, UserData};
pub use ops::{AclChange, Actor, Create, Renamed};
pub use quota::{Limits, Quota, Usage};
pub use reconstruct::{Reconstructed, Which};
pub use record::{Annotation, Record, System};
pub use records::Records;
pub use script::{Script, UserScripts};
pub use scripts::{GLOBAL_SCRIPTS, ScriptError, Scripts};
pub use stage::{Staged, Staging};
pub use store::{SpecialUses, Store};
pub use text::{Indexed, Lacking, Sought};
pub use tombstones::{Run, Tombstones};
pub use userlog::{Seen, State as UserState};
pub use view::{Changes, View};

use blocking::{blocking, lock};
use shared::Shared;
use store::Inner;

/// What [`openings`] is built on; a test builds it on a scheduler's.
mod primitives {
    pub use std::sync::{Arc, Mutex, MutexGuard, Weak};
}
