//! What the commands do, one file per family.

pub mod acl;
pub mod annotate;
pub mod append;
pub mod catenate;
pub mod copy;
pub mod expunge;
pub mod fetch;
pub mod idle;
pub mod list;
pub mod login;
pub mod mailbox;
pub mod metadata;
pub mod multisearch;
pub mod node;
pub mod notify;
pub mod quota;
pub mod resync;
pub mod search;
pub mod select;
pub mod session;
pub mod sort;
pub mod status;
pub mod store;
pub mod subscribe;
pub mod sync;
pub mod uidbatches;
