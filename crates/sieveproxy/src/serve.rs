//! From the daemon's context to served clients.

use std::sync::Arc;

use directory::lookup::{self, Lookup};
use directory::replica::Replica;
use managesieve::{Client, leave};
use service::drive::{Outcome, drive};
use service::names;
use service::pipe::Through;
use service::{Connection, Context, Exit};
use tracing::debug;
use upstream::Upstream;

use crate::front::Front;

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
    let imapd = connection.listener.imapd();
    let (context, seat, patience) = (connection.context.clone(), connection.seat.clone(), imapd.timeout);
    let namespace = names::namespace(&imapd);
    let front = Front { directory, upstream, namespace, imapd, seat: seat.clone(), backend: None };
    let mut client = Client::new(&connection, front);
    let wire = managesieve::wire(connection.stream);
    let wire = match drive(wire, &mut client, &seat.stop()).await {
        Ok(Outcome::Detached(wire)) => wire,
        Ok(Outcome::Closed) => return,
        Err(error) => {
            debug!("{error}");
            return;
        }
    };
    let Some(backend) = client.into_host().backend else { return };
    let last_words = || {
        let mut line = Vec::new();
        leave(&seat).write(&mut line);
        String::from_utf8_lossy(&line).into_owned()
    };
    let through = Through { context: &context, seat: &seat, patience };
    if let Err(error) = through.run(*wire, (backend.stream, backend.input), last_words).await {
        debug!("{error}");
    }
}
