//! News (NNTP): commands, when they may come, what is answered; groups and mailboxes; what an article must be.
//!
//! ```text
//! line ─command─▶ Command ─session─▶ Action: a Reply, or what the driver or whoever has the news does
//! article ─article─▶ its header, read and completed ─▶ the groups that take it
//! ```
//!
//! RFC 3977, and its extensions for TLS (4642), logins (4643), streaming (4644) and compression (8054).

pub mod article;
pub mod capability;
pub mod command;
pub mod groups;
pub mod no;
pub mod overview;
pub mod refused;
pub mod reply;
pub mod session;
pub mod status;
pub mod wildmat;
pub mod words;

pub use article::{Article, Expected, Head, Making};
pub use command::{Command, CommandError};
pub use groups::Groups;
pub use no::No;
pub use refused::Refused;
pub use reply::Reply;
pub use session::{Action, Session};
pub use wildmat::Wildmat;
