//! What a proxy needs of the list, in one call.

use mailboxes::{OpenError, Options};
use service::Context;

use crate::client::Address;
use crate::replica::{Replica, Settings, open};
use crate::serve;

impl Replica {
    /// Opens a proxy's list, follows the `mupdate` of this host or else `mupdate_server`,
    /// and serves the list on the Unix socket beside it. `tables`: whether the daemon lists names (IMAP), or only looks
    /// them up.
    pub fn for_proxy(context: &Context, tables: bool) -> Result<Replica, OpenError> {
        let imapd = context.imapd();
        let options = if tables { Options::replica() } else { Options::replica().without_tables() };
        let list = open(context, options)?;
        let socket = imapd.program_directory("mupdate").join("socket");
        let address = Address::Nearest { socket, imapd: imapd.clone() };
        let replica = Self::start(list.clone(), address, Settings::new(&imapd), context.shutdown());
        serve::local::start(context, serve::Server::replica(list, replica.clone(), &imapd));
        replica.follow_reloads(context);
        Ok(replica)
    }
}
