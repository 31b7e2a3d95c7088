//! What one run of a script needs, and what does not change while it runs.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sieve::{Envelope, Limits, Mail, Program};
use store::{Store, UserScripts};

use super::shared::Rules;

/// All that a run needs, and that does not change.
pub(super) struct Trial {
    pub store: Store,
    pub rules: Rules,
    pub userid: String,
    pub program: Arc<Program>,
    /// All scripts of the user, for `include`.
    pub scripts: Arc<UserScripts>,
    pub mail: Arc<Mail<Bytes>>,
    pub envelope: Envelope,
    pub limits: Limits,
    /// Seconds since 1970.
    pub now: i64,
    pub servername: String,
    /// The LMTP client's address.
    pub remote: Option<IpAddr>,
}
