//! Who is who: logins as a server and as a client, passwords, and who may not log in.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`auth`] | logins on our listeners; `auth::client`: ours on other servers |
//! | [`passwords`] | the file of passwords |
//! | [`deny`] | users who may not use a service |
//! | [`demand`] | whether a connection to another node may carry a login as it is, or needs TLS first |

pub mod auth;
pub mod demand;
pub mod deny;
pub mod limits;
pub mod passwords;
