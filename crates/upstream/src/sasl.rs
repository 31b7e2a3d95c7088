//! Who we are towards a backend: `proxy_authname` with `<shorthost>_password` or `proxy_password`, acting for the
//! user, by one of the mechanisms that the server offers and the configuration admits.
//!
//! Only mechanisms that carry an authorisation identity are used: with LOGIN or CRAM-MD5 the server would not know
//! for whom we act, and the user would get the proxy's own rights.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::imapd::Imapd;
use service::auth::client::{Exchange, Identity};
use service::tls::ClientTls;

use crate::Error;
use crate::dialog::Dialog;
use crate::target::Target;

/// One login under way.
pub(crate) struct Sasl {
    exchange: Exchange,
    /// The initial response, while it has not been sent.
    initial: Option<Vec<u8>>,
    server: String,
    authname: String,
    user: String,
}
