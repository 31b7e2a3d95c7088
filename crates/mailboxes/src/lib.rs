//! The mailboxes database: which mailbox is where, who may see it, and in which order things changed.
//!
//! Every daemon keeps its own [`List`]: the MUPDATE master and each backend the authoritative one (every commit is on
//! disk before it is answered), slaves and proxies a replica (served from memory, written to disk behind).
//!
//! From the top down:
//!
//! | layer | what it does | files |
//! | --- | --- | --- |
//! | handles | reading, following changes, the queue to the writer | `list`, `page`, `options`, `error` |
//! | writer | takes the requests that wait, as one group; answers them when it holds | `writer` |
//! | *judge* | which changes may happen, and what they make of the list; pure | `judge`, `change`, `expect`, `conflict` |
//! | *authority* | numbers the changes and keeps them: one atomic batch, one sync | `authority/`, `group`, `history` |
//! | *shared* | where several masters propose: asks the authority, follows its news, and proves what is read | `shared/` |
//! | *publish* | the tables in memory, the latest changes, waking whoever waits for the next | `publish`, `table`, `window`, `signal` |
//! | disk | entries and deletions in rows; the loader; what a replica writes behind its memory | `disk`, `rows`, `load`, `behind` |
//! | store | bytes: the commit log, sled, memory | `store/` |
//!
//! Reads come from compact ordered tables in memory; until these are loaded, from the store itself. Every change gets a
//! number. A subscriber is a cursor into it: [`List::changes_after`], [`List::watch`]; who waits for news of few mailboxes, of what
//! happens in them too, is a [`hub::Watcher`]. A deletion leaves a tombstone under
//! its number, kept by number and age, so that a cursor can resume.
//!
//! The disk format is in `entry.rs`, `history.rs` and [`store`]; every stored value begins with a format version.

pub mod authority;
mod behind;
mod blocks;
mod change;
mod codec;
mod conflict;
pub mod cordon;
mod disk;
pub mod dump;
mod entry;
mod error;
mod expect;
mod group;
pub mod guard;
mod history;
pub mod hub;
mod intern;
mod judge;
pub mod limits;
mod list;
mod listing;
mod load;
mod options;
mod page;
mod publish;
pub mod reconcile;
mod rows;
mod shared;
pub mod signal;
pub mod store;
mod switch;
mod table;
mod window;
mod work;
mod writer;

pub use change::{Action, Change, Follow, News};
pub use codec::DecodeError;
pub use conflict::Conflict;
pub use cordon::Cordons;
pub use entry::{Entry, Flags, Local, OldName, State};
pub use error::{CommitError, Error, Failure, OpenError, Pruned};
pub use expect::{AtMaster, Expect, Fence, Place};
pub use history::History;
pub use limits::LIST_PAGE;
pub use list::{List, Pending};
pub use listing::{Difference, Listing};
pub use options::{Bounds, Options, Role};
pub use page::{Changes, Page, Summary};
pub use protocol::mupdate::position::{ListId, Position};
pub use switch::{Decision, Switch};
pub use work::{Spawn, Task};
