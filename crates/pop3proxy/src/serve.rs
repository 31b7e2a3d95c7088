//! From the daemon's context to served clients.

use std::sync::Arc;

use arrivals::Servers;
use config::imapd::ServerInfo;
use directory::lookup::{self, Lookup};
use directory::replica::Replica;
use protocol::pop3::reply::Reply;
use service::Connection;
use service::Context;
use service::Exit;
use service::drive::{Outcome, drive};
use service::kpop;
use service::names;
use service::pipe::Through;
use tracing::debug;
use transport::wire::{Bounds, Wire};
use upstream::Upstream;

use crate::limits::INPUT;
use crate::session::{Front, Settings};

/// The daemon: follows the list of mailboxes and serves.
pub async fn run(context: Context) -> Result<(), Exit> {
    let replica = Replica::for_proxy(&context, false)?;
    context.set_inbox_acl(lookup::inbox_acl(context.namespace(), replica.list().clone()));
    replica.settle(&context.shutdown()).await;
    serve(&context, Arc::new(replica.clone())).await;
    replica.close().await;
    Ok(())
}

/// Serves all listeners until the daemon is to end.
pub async fn serve(context: &Context, directory: Arc<dyn Lookup>) {
    let upstream = Upstream::new(&context.imapd());
    let (reloaded, servers) = (upstream.clone(), Servers::new(upstream.clone(), directory.list().clone()));
    context.on_reload(move |imapd| reloaded.reload(&imapd));
    context
        .serve(move |connection| one(connection, directory.clone(), upstream.clone(), servers.clone()))
        .await;
}

async fn one(connection: Connection, directory: Arc<dyn Lookup>, upstream: Upstream, servers: Servers) {
    let mut settings = Settings::new(&connection);
    let patience = connection.listener.imapd().poptimeout;
    let (stop, seat) = (connection.seat.stop(), connection.seat.clone());
    let context = connection.context.clone();
    let channel = connection.stream.channel().clone();
    let mut wire = Wire::new(connection.stream, Bounds { input: INPUT, ..Bounds::default() });
    if connection.listener.has_flag('k') {
        match kpop::meet(&mut wire, &settings.auth).await {
            Ok(Some(auth)) => settings.auth = auth,
            Ok(None) => return,
            Err(error) => {
                debug!("{error}");
                return;
            }
        }
    }
    let mut front = Front::new(settings, directory, upstream, servers, channel);
    let wire = match drive(wire, &mut front, &stop).await {
        Ok(Outcome::Detached(wire)) => wire,
        Ok(Outcome::Closed) => return,
        Err(error) => {
            debug!("{error}");
            return;
        }
    };
    let Some(backend) = front.into_backend() else { return };
    let last_words = || format!("{}\r\n", seat.denied().map_or(Reply::ShuttingDown, Reply::UserDenied));
    let through = Through { context: &context, seat: &seat, patience };
    if let Err(error) = through.run(*wire, (backend.stream, backend.input), last_words).await {
        debug!("{error}");
    }
}

impl Settings {
    fn new(connection: &Connection) -> Settings {
        let imapd = connection.listener.imapd();
        let version = match imapd.serverinfo {
            ServerInfo::On => env!("CARGO_PKG_VERSION").to_owned(),
            ServerInfo::Min | ServerInfo::Off => String::new(),
        };
        Settings {
            servername: imapd.servername.clone(),
            version,
            auth: connection.listener.auth(),
            starttls: connection.listener.starttls(),
            namespace: names::namespace(&imapd),
            expire_days: imapd.popexpiretime.map(|time| time.as_secs() / 86_400),
            login_delay: imapd.popminpoll.as_secs(),
            chatty: imapd.chatty,
            imapd,
            session_id: connection.session.clone(),
            seat: connection.seat.clone(),
            context: connection.context.clone(),
        }
    }
}
