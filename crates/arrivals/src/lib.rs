//! To which backend a frontend sends what is new: a mailbox that nothing places, and a user who has no INBOX yet.
//!
//! 1. [`Servers::choose`] is the one choice of CREATE, logins and deliveries: `defaultserver`, else one of `serverlist`, by the free
//!    space that the backends tell ([`survey`]), among those that can be reached.
//! 2. [`Arrival`] leads a newcomer to an INBOX. Where the list proves that there is none, a server is chosen, and the caller logs in
//!    there as the user, or hands the recipient in: the backend's own autocreate makes the INBOX. Then the list is looked at again.
//!
//! Frontends do not agree on a choice. When two send one newcomer to two backends, the MUPDATE master lets one of these have the
//! name; the other backend makes nothing, and its frontend finds the INBOX where it is.

mod inbox;
pub mod limits;
mod servers;
mod survey;

pub use inbox::{Arrival, Next};
pub use servers::Servers;
