//! From the daemon's context to served clients.

use std::path::PathBuf;
use std::sync::Arc;

use config::imapd::{Imapd, ServerInfo};
use directory::lookup::{self, Lookup};
use directory::replica::Replica;
use protocol::line::Lines;
use protocol::nntp::session::{Options, Tls};
use protocol::nntp::{Groups, Session};
use service::drive::drive;
use service::{Connection, Context, Exit};
use tracing::{debug, warn};
use transport::wire::{Bounds, Wire};
use upstream::Upstream;

use crate::cmd::{News, Settings};
use crate::front::{Doing, Front};
use crate::limits::{INPUT, LOGIN_LINE};
use crate::links::{Links, Reach};
use crate::map::{Map, Reader};

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
    let reloaded = upstream.clone();
    context.on_reload(move |imapd| reloaded.reload(&imapd));
    context.serve(move |connection| one(connection, directory.clone(), upstream.clone())).await;
}

async fn one(connection: Connection, directory: Arc<dyn Lookup>, upstream: Upstream) {
    let stop = connection.seat.stop();
    let mut front = Front::new(&connection, directory, upstream);
    let wire = Wire::new(connection.stream, Bounds { input: INPUT, ..Bounds::default() });
    if let Err(error) = drive(wire, &mut front, &stop).await {
        debug!("{error}");
    }
}

impl Front {
    fn new(connection: &Connection, directory: Arc<dyn Lookup>, upstream: Upstream) -> Front {
        let listener = &connection.listener;
        let imapd = listener.imapd();
        let (channel, starttls) = (connection.stream.channel().clone(), listener.starttls());
        let tls = match (channel.is_encrypted(), &starttls) {
            (true, _) => Tls::Active,
            (false, Some(_)) => Tls::Offered,
            (false, None) => Tls::Unavailable,
        };
        let options = Options {
            reads: !listener.has_flag('f') || listener.has_flag('r'),
            feeds: !listener.has_flag('r') || listener.has_flag('f'),
            anonymous: imapd.allowanonymouslogin,
            tls,
        };
        let reader = Reader::of(None);
        let reach = Reach {
            upstream,
            user: reader.userid.clone(),
            servername: imapd.servername.clone(),
            seat: connection.seat.clone(),
        };
        Front {
            news: News {
                settings: Arc::new(Settings::new(&imapd)),
                map: Map { directory, groups: Arc::new(groups(&imapd)), reader },
                links: Links::new(reach),
                seat: connection.seat.clone(),
                current: None,
                finder: None,
            },
            auth: listener.auth(),
            channel,
            session: Session::new(options),
            failures: 0,
            doing: Doing::Commands,
            chatty: imapd.chatty,
            idle: imapd.nntptimeout,
            version: match imapd.serverinfo {
                ServerInfo::On => env!("CARGO_PKG_VERSION").to_owned(),
                ServerInfo::Min | ServerInfo::Off => String::new(),
            },
            starttls,
            context: connection.context.clone(),
            lines: Lines::new(LOGIN_LINE),
            knows_metadata: false,
            ending: None,
        }
    }
}

impl Settings {
    fn new(imapd: &Imapd) -> Settings {
        Settings {
            servername: imapd.servername.clone(),
            allow_newnews: imapd.allownewnews,
            max_size: imapd.maxmessagesize,
            spool: PathBuf::from(&imapd.temp_path),
        }
    }
}

/// A wildmat that is none serves nothing: the log has it, and `murder doctor` the line.
fn groups(imapd: &Imapd) -> Groups {
    Groups::new(imapd.newsprefix.as_deref(), &imapd.newsgroups).unwrap_or_else(|error| {
        warn!("newsgroups: {}: {error}: no group is served", imapd.newsgroups);
        Groups::new(None, NONE).expect("a pattern")
    })
}

/// The patterns of a server without groups.
const NONE: &str = "!*";
