//! The daemon: opens the store, serves every listener in its protocol and its list to the tools, closes the store.

use std::pin::Pin;
use std::sync::Arc;

use config::imapd::MupdateConfig;
use directory::lookup;
use mailboxes::reconcile::Busy;
use protocol::spoken::Protocol;
use service::Connection;
use service::Context;
use service::Exit;

use crate::clearance::{Clearance, Moves, Standing};
use crate::imap::metadata::definitions::Definitions;
use crate::moving::{Moving, Trap};
use crate::transit::Transit;
use crate::{control, imap, lmtp, nntp, partitions, pop3, resync, timsieved};
use store::{Master, Store};
use submission::Submission;

/// The task of one connection.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs until the context is told to stop.
pub async fn run(context: Context) -> Result<(), Exit> {
    run_watched(context, |task| task).await
}

/// The same with something round each connection's task: tests see there what it takes of the thread that all share.
pub async fn run_watched(
    context: Context,
    watch: impl Fn(Task) -> Task + Clone + Send + Sync + 'static,
) -> Result<(), Exit> {
    run_trapped(context, watch, None).await
}

/// The same with a trap where phases of moves are written: tests have the daemon end there.
pub async fn run_trapped(
    context: Context,
    watch: impl Fn(Task) -> Task + Clone + Send + Sync + 'static,
    trap: Option<Trap>,
) -> Result<(), Exit> {
    if context.imapd().mupdate_config == MupdateConfig::Replicated {
        return Err(Exit::config(
            "mupdate_config: replicated: nodes that share a spool are not served: one process owns a store",
        ));
    }
    let _partitions = partitions::hold_when_free(&context.imapd()).await.map_err(partitions::Error::exit)?;
    let standing = Arc::new(Standing::default());
    let master =
        Clearance::of(&context, standing.clone()).map(|clearance| Arc::new(clearance) as Arc<dyn Master>);
    let store = Store::open(&context.imapd(), context.namespace(), master.clone()).await?;
    let list = directory::serve::Server::backend(store.list().clone(), &context.imapd());
    let list = list.wipe_with(wipe(store.clone()));
    directory::serve::local::start(&context, list);
    control::start(&context, store.clone())?;
    let transit: Arc<Transit> = Arc::default();
    let moving = moves(&context, (&store, &transit), master.as_ref(), &standing, trap).await?;
    resync::start(&context, store.clone(), standing);
    let reloaded = store.clone();
    context.on_reload(move |imapd| reloaded.reload(imapd));
    end_when_failed(&context, store.clone());
    context.set_inbox_acl(lookup::inbox_acl(store.namespace().clone(), store.list().clone()));
    let definitions = context.imapd().annotation_definitions.clone();
    let definitions = definitions.map(|path| Definitions::load(path.as_ref())).unwrap_or_default();
    let shared = imap::server::Shared { master, definitions, transit, moving, ..Default::default() };
    let rules = lmtp::Rules::default();
    let news =
        nntp::Node::new(store.clone(), &context.imapd(), Submission::default()).map_err(Exit::config)?;
    let services = Services {
        store: store.clone(),
        imap: Arc::new(shared),
        pop3: Arc::default(),
        rules,
        news: Arc::new(news),
    };
    context.serve(move |connection| watch(Box::pin(services.clone().serve(connection)))).await;
    let failure = store.failure();
    store.close().await;
    match failure {
        Some(failure) => Err(Exit::new(75, failure.why)),
        None => Ok(()),
    }
}

/// Goes on with moves that a restart interrupted, before anybody is let in. None: the backend stands alone.
async fn moves(
    context: &Context,
    (store, transit): (&Store, &Arc<Transit>),
    master: Option<&Arc<dyn Master>>,
    standing: &Arc<Standing>,
    trap: Option<Trap>,
) -> Result<Option<Arc<Moving>>, Exit> {
    let Some(master) = master.cloned() else { return Ok(None) };
    let (own, store, transit) = (context.clone(), store.clone(), transit.clone());
    let master = (master, standing.clone());
    let opened = tokio::task::spawn_blocking(move || Moving::open(&own, store, transit, master, trap)).await;
    let moving = match opened {
        Ok(Ok(moving)) => moving,
        Ok(Err(error)) => return Err(Exit::new(75, error.to_string())),
        Err(error) => return Err(Exit::new(75, error.to_string())),
    };
    moving.resume().await;
    // Moves know the master, which knows whom to ask about names.
    let asked = Arc::downgrade(&moving);
    standing
        .ask_moves(Moves(Box::new(move |name| asked.upgrade().map_or(Busy::Free, |moves| moves.busy(name)))));
    moving.look_after_all();
    Ok(Some(moving))
}

/// What the sessions of all listeners share.
#[derive(Clone)]
struct Services {
    store: Store,
    imap: Arc<imap::server::Shared>,
    pop3: Arc<pop3::Locks>,
    rules: lmtp::Rules,
    news: Arc<nntp::Node>,
}

impl Services {
    async fn serve(self, connection: Connection) {
        match connection.listener.protocol {
            Protocol::Imap => imap::serve(connection, self.store, self.imap).await,
            Protocol::Lmtp => lmtp::serve(connection, self.store, self.rules).await,
            Protocol::Pop3 => pop3::serve(connection, self.store, self.pop3, self.imap.moving.clone()).await,
            Protocol::Sieve => timsieved::serve(connection, self.store).await,
            Protocol::Nntp => nntp::serve(connection, self.news).await,
            other @ Protocol::Mupdate => {
                tracing::warn!(listener = connection.listener.name, "{other:?} is not spoken here")
            }
        }
    }
}

/// Should the list turn out to be damaged only while it is read, the daemon ends: its supervisor starts it again, and the
/// spool tells what was in the list. After a write that failed it serves what can be read, until the disk takes writes
/// again, and begins afresh then.
fn end_when_failed(context: &Context, store: Store) {
    let (context, stop) = (context.clone(), context.shutdown());
    let watch = async move {
        let failure = store.failed().await;
        if failure.damaged {
            if let Err(error) = store.set_list_aside(&failure.why) {
                tracing::error!(%error, "the damaged mailbox list stays in its place");
            }
        } else {
            service::disk::writable(context.directory()).await;
            tracing::warn!("the disk takes writes again: the store begins afresh");
        }
        context.stop();
    };
    tokio::spawn(async move { stop.run_until_cancelled(watch).await });
}

/// How the tools have a mailbox put away.
fn wipe(store: Store) -> directory::serve::Wipe {
    Arc::new(move |name| {
        let store = store.clone();
        Box::pin(async move { store.put_away(&name).await.map_err(|error| error.to_string()) })
    })
}
