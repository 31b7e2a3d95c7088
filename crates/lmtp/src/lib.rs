//! An LMTP server that does not care where mail goes: the backend puts it into mailboxes, the frontend passes it on.
//!
//! ```text
//! bytes ─ Lines ─▶ protocol::lmtp::session ─ Action ─▶ conn: replies, AUTH, STARTTLS
//!       ─ Intake ─▶ Incoming ─▶ Deliver::deliver ─ a verdict per recipient ─▶ replies in order
//! ```
//!
//! One task per connection ([`serve`]). Time-outs and limits stand in [`limits`]; the reply to every failure in
//! `protocol::lmtp::refusal` and `::reply`.

mod conn;
mod deliver;
mod fuzzy;
pub mod limits;
mod settings;
mod spool;
mod trace;

pub use conn::{Door, serve};
pub use deliver::{Deliver, Envelope, Incoming};
pub use fuzzy::closest;
pub use settings::Settings;
pub use spool::{Message, MessageReader, Spool};
