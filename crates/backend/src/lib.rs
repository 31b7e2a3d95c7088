//! The store of a murder: mailboxes, messages and the services that read and fill them.

pub mod mime;
