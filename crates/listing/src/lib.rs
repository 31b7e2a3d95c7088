//! Which mailboxes a user sees, and which lines LIST and LSUB show of them: for the store, and for the frontend before it.
//!
//! * [`look`]: from the list of mailboxes to what one user sees of it, his own ones and what ACLs grant him. Blocks.
//! * [`lines`]: from that to the lines of an answer; pure.
//! * [`sources`]: the mailboxes that a search in several of them names, and NOTIFY. Blocks.

pub mod lines;
pub mod look;
pub mod sources;

pub use lines::{Answer, Facts, Shown, list, lsub, states};
pub use look::{Seen, Sight, Unseen, Viewer};
