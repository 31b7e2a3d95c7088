//! How a proxy presents itself, per protocol: greeting, capabilities, STARTTLS, SASL, COMPRESS.

pub(crate) mod imap;
pub(crate) mod lmtp;
pub(crate) mod nntp;
pub(crate) mod pop3;
pub(crate) mod sieve;
