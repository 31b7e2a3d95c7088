//! Logins and the file of passwords, with real files.

#![allow(clippy::unwrap_used)]

mod auth;
mod kerberos;
mod passwords;
