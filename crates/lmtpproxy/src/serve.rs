//! From the daemon's context to served clients.

use std::path::PathBuf;
use std::sync::Arc;

use arrivals::Servers;
use config::imapd::Imapd;
use directory::lookup::Lookup;
use directory::replica::Replica;
use lmtp::Door;
use service::Connection;
use service::Context;
use service::Exit;
use upstream::{Pool, Upstream};

use crate::deliver::{Proxy, Settings};
use crate::newcomer::Newcomers;
use crate::route::Policy;
use crate::transaction::Terms;

/// The daemon: follows the list of mailboxes and serves.
pub async fn run(context: Context) -> Result<(), Exit> {
    let replica = Replica::for_proxy(&context, false)?;
    replica.settle(&context.shutdown()).await;
    serve(&context, Arc::new(replica.clone())).await;
    replica.close().await;
    Ok(())
}

/// Serves all listeners until the daemon is to end.
pub async fn serve(context: &Context, directory: Arc<dyn Lookup>) {
    let upstream = Upstream::new(&context.imapd());
    let (pool, servers) =
        (Pool::new(upstream.clone()), Servers::new(upstream.clone(), directory.list().clone()));
    context.on_reload(move |imapd| upstream.reload(&imapd));
    context.serve(move |connection| one(connection, directory.clone(), pool.clone(), servers.clone())).await;
}

async fn one(connection: Connection, directory: Arc<dyn Lookup>, pool: Pool, servers: Servers) {
    let door = Door::of(&connection);
    let imapd = connection.listener.imapd();
    let newcomers = Newcomers::new(imapd.clone(), servers, pool.clone());
    let settings = Settings::new(&imapd, &door, newcomers);
    let (stop, seat) = (connection.seat.stop(), connection.seat.clone());
    lmtp::serve(connection.stream, door, Proxy::new(Arc::new(settings), directory, pool, seat), stop).await;
}

impl Settings {
    fn new(imapd: &Imapd, door: &Door, newcomers: Newcomers) -> Settings {
        Settings {
            policy: Policy {
                rules: door.settings.rules.clone(),
                catchall: imapd.lmtp_catchall_mailbox.clone(),
                fuzzy: imapd.lmtp_fuzzy_mailbox_match,
                newcomers,
            },
            terms: Terms {
                step: imapd.lmtptxn_timeout.max(imapd.client_timeout),
                over_quota_forever: imapd.lmtp_over_quota_perm_failure,
                max_size: imapd.maxmessagesize,
            },
            beside: imapd.is_unified().then(|| imapd.servername.clone()),
            spool: PathBuf::from(&imapd.temp_path),
        }
    }
}
