//! Accepting clients and serving each in a task of its own.
//!
//! A listener serves `maxchild` clients at a time; one more gets a polite refusal in its protocol. A session that
//! panics ends alone: it is counted and logged, and everything else goes on.
//!
//! | bound | value | when it is met |
//! | --- | --- | --- |
//! | clients of a listener | `maxchild` | a connection goes that a frontend has parked here; if there is none, one more is refused |
//! | sessions of a user, of an address | `maxlogins_per_user`, `maxlogins_per_host` | the login is refused ([`crate::sessions`]) |
//! | file descriptors | all but a sixteenth, at most 1,024 | accepting pauses, 0.1 to 1 s at a time |
//! | time before a login | [`STRANGER`], after the protocol's own bound | the connection is cut |
//! | a PROXY header, a TLS handshake | [`PROXY_HEADER`], [`HANDSHAKE`] | the connection is cut |

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use config::imapd::networks;
use protocol::spoken::Protocol;
use retry::Backoff;
use supervision::control::Changes;
use supervision::notify::Notice;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tracing::{Instrument, debug, error, info, info_span, warn};
use transport::peer::Peer;
use transport::proxy_header;
use transport::stream::Stream;

use crate::context::Context;
use crate::copies::{self, Host};
use crate::denied;
use crate::limits::{
    FAILING, HANDSHAKE, LAST_WORDS, LONGEST_PAUSE, PROXY_HEADER, SHORTEST_PAUSE, STRANGER, rows,
};
use crate::listen::{Listener, Place};
use crate::process;
use crate::sessions::Seat;
use work::aside::Share;

/// One client, accepted and, on a `-s` listener, past the TLS handshake.
pub struct Connection {
    pub stream: Stream,
    pub listener: Arc<Listener>,
    pub context: Context,
    /// Names this session in logs here and on the backends.
    pub session: String,
    /// Its entry in the register of who is on.
    pub seat: Seat,
}

impl Context {
    /// Says READY, serves every listener with `session`, and returns when the daemon is to end and the sessions have
    /// ended, or the time for that is over.
    pub async fn serve<F, Fut>(&self, session: F)
    where
        F: Fn(Connection) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        for listener in self.listeners().iter() {
            self.accept_on(listener.clone(), session.clone());
        }
        let (reporter, copied) = (tokio::spawn(self.clone().report_clients()), session.clone());
        let changes = match self.take_control() {
            Some(control) => {
                self.notifier().tell(&Notice { ready: true, control: true, ..Notice::default() });
                Some(tokio::spawn(follow_changes(self.clone(), control, session)))
            }
            None => {
                self.notifier().ready();
                None
            }
        };
        let denied = tokio::spawn(denied::follow(self.clone()));
        let copies = self.take_copies().map(|host| tokio::spawn(welcome_copies(self.clone(), host, copied)));
        self.shutdown().cancelled().await;
        if let Some(copies) = copies {
            copies.abort();
        }
        self.notifier().stopping();
        if !self.drain().await {
            warn!(clients = self.clients(), "the time to finish is over: the remaining sessions are cut");
        }
        reporter.abort();
        denied.abort();
        if let Some(changes) = changes {
            changes.abort();
        }
    }

    fn accept_on<F, Fut>(&self, listener: Arc<Listener>, session: F)
    where
        F: Fn(Connection) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let context = self.clone();
        self.tasks().spawn(async move {
            let (stop, retired) = (context.shutdown(), listener.retired().clone());
            let accepting = retired.run_until_cancelled(accept(context, listener, session));
            stop.run_until_cancelled(accepting).await;
        });
    }
}

/// Takes over what `master` says of the listeners after each of its reloads.
async fn follow_changes<F, Fut>(context: Context, control: Changes, session: F)
where
    F: Fn(Connection) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    loop {
        match control.next().await {
            Ok(wanted) => {
                for listener in context.change_listeners(wanted) {
                    context.accept_on(listener, session.clone());
                }
            }
            Err(error) => {
                warn!("change of listeners: {error}");
                // A socket that only fails must not keep a processor busy.
                tokio::time::sleep(FAILING).await;
            }
        }
    }
}

/// Accepts also on the sockets of this daemon's copies, each as long as its copy lives.
async fn welcome_copies<F, Fut>(context: Context, host: Host, session: F)
where
    F: Fn(Connection) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    loop {
        let added = match host.next().await {
            Ok((entry, fd, copy)) => context.add_listener(entry, fd).map(|listener| (listener, copy)),
            Err(error) => {
                warn!("a copy: {error}");
                tokio::time::sleep(FAILING).await;
                continue;
            }
        };
        match added {
            Ok((listener, copy)) => {
                context.accept_on(listener.clone(), session.clone());
                let (context, stop) = (context.clone(), context.shutdown());
                tokio::spawn(async move {
                    if stop.run_until_cancelled(copies::ended(copy)).await.is_some() {
                        context.remove_listener(&listener);
                    }
                });
            }
            Err(error) => warn!("a copy: {error}"),
        }
    }
}

async fn accept<F, Fut>(context: Context, listener: Arc<Listener>, session: F)
where
    F: Fn(Connection) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let name = listener.name.clone();
    let total = metrics::counter!("murder_connections_total", "listener" => name.clone());
    let refused = metrics::counter!("murder_connections_refused_total", "listener" => name.clone());
    let (mut pauses, mut shut) = (Pauses(Backoff::new(SHORTEST_PAUSE)), context.is_shut());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shut.wait_for(|shut| *shut) => None,
            accepted = listener.accept() => Some(accepted),
        };
        let Some(accepted) = accepted else {
            reopen(&listener, &mut shut).await;
            continue;
        };
        let stream = match accepted {
            Ok(stream) => stream,
            // master has closed it for all, and is about to say so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && !*shut.borrow() => return,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                pauses.pause(&listener, &error.to_string()).await;
                continue;
            }
        };
        if stream.descriptor().is_some_and(process::are_nearly_used_up) {
            total.increment(1);
            context.sessions().give_way(&name);
            context.tasks().spawn(refuse(stream, listener.clone()));
            pauses.pause(&listener, "hardly any file descriptors are left").await;
            continue;
        }
        pauses.over();
        total.increment(1);
        let parked = || context.sessions().give_way(&name).then(|| listener.admit_beyond());
        let Some(place) = listener.admit().or_else(parked) else {
            refused.increment(1);
            rows::maxchild
                .met(format_args!("{name}: {} refused: as many clients as maxchild allows", stream.peer()));
            context.tasks().spawn(refuse(stream, listener.clone()));
            continue;
        };
        let session_id = context.session_id();
        let seat = context.sessions().enter(&session_id, &listener, stream.peer(), &context.shutdown());
        let connection = Connection {
            stream,
            listener: listener.clone(),
            session: session_id,
            context: context.clone(),
            seat,
        };
        context.tasks().spawn(serve_one(connection, place, session.clone()));
    }
}

/// Refuses who connects until clients are taken again.
async fn reopen(listener: &Listener, shut: &mut watch::Receiver<bool>) {
    listener.shut();
    info!(listener = listener.name, "closed for now");
    let mut pauses = Pauses(Backoff::new(SHORTEST_PAUSE));
    // An error means that the daemon is gone, and with it this task.
    let _ = shut.wait_for(|shut| !*shut).await;
    while let Err(error) = listener.open_again() {
        pauses.pause(listener, &error.to_string()).await;
    }
    info!(listener = listener.name, "listening again");
}

async fn serve_one<F, Fut>(mut connection: Connection, place: Place, session: F)
where
    F: Fn(Connection) -> Fut,
    Fut: Future<Output = ()>,
{
    let _counted = (place, connection.context.count_client());
    let open = metrics::gauge!("murder_connections", "listener" => connection.listener.name.clone());
    open.increment(1.0);
    let span = info_span!("session", session = %connection.session, service = %connection.listener.name);
    let served = async {
        if !enter(&mut connection).await {
            return;
        }
        let peer = connection.stream.peer().to_string();
        debug!(listener = connection.listener.name, peer, "connected");
        // Those who need not log in have no time to do it in.
        let trusted = connection.stream.peer().ip().is_none() || connection.listener.has_flag('a');
        let seat = connection.seat.clone();
        let stranger = async {
            match trusted {
                true => std::future::pending().await,
                false => seat.stays_a_stranger(STRANGER).await,
            }
        };
        let ended = tokio::select! {
            ended = CatchPanic(AssertUnwindSafe(pin!(Share::scope(session(connection))))) => ended,
            () = stranger => {
                rows::STRANGER.met(format_args!("{peer}: cut: no login within {} s", STRANGER.as_secs()));
                Ok(())
            }
        };
        if let Err(panic) = ended {
            metrics::counter!("murder_session_panics_total").increment(1);
            error!(peer, "session ended by a defect: {}", panic_text(panic.as_ref()));
        }
    };
    served.instrument(span).await;
    open.decrement(1.0);
}

/// All that comes before the protocol: who the client is, whether it may come, TLS, and what the operator says.
async fn enter(connection: &mut Connection) -> bool {
    let listener = connection.listener.clone();
    if listener.has_flag('H') && !take_proxy_header(connection).await {
        return false;
    }
    let peer = connection.stream.peer().clone();
    if peer.ip().is_some_and(|ip| !networks::admits(&listener.imapd(), ip)) {
        metrics::counter!("murder_connections_denied_total", "listener" => listener.name.clone())
            .increment(1);
        info!(%peer, "refused: allow_addresses and deny_addresses do not let this address in");
        say(&mut connection.stream, &listener, "Access denied").await;
        return false;
    }
    if listener.implicit_tls() && !handshake(connection).await {
        return false;
    }
    // IMAP and LMTP serve admins all the same, and look by themselves.
    let looks = matches!(listener.protocol, Protocol::Imap | Protocol::Lmtp);
    if let Some(text) = connection.context.notices().shutdown().await.filter(|_| !looks) {
        let words = listener.protocol.refusal(&text);
        finish(&mut connection.stream, &words).await;
        return false;
    }
    true
}

/// `-H`: a load balancer tells who the client is.
async fn take_proxy_header(connection: &mut Connection) -> bool {
    let peer = connection.stream.peer().clone();
    let trusted = connection.listener.imapd().proxy_protocol_addresses.clone();
    if !trusted.is_empty() && !peer.ip().is_some_and(|ip| networks::any_contains(&trusted, ip)) {
        info!(%peer, "refused: proxy_protocol_addresses does not have this address");
        return false;
    }
    match tokio::time::timeout(PROXY_HEADER, proxy_header::read(&mut connection.stream)).await {
        Ok(Ok(Some((remote, local)))) => {
            let client = Peer::Tcp { remote, local };
            connection.seat.set_client(&client);
            connection.stream.set_peer(client);
            true
        }
        Ok(Ok(None)) => true,
        Ok(Err(why)) => {
            info!(%peer, "bad PROXY header: {why}");
            false
        }
        Err(_) => {
            rows::PROXY_HEADER.met(format_args!(
                "{peer}: no PROXY header within {} s: the connection is ended",
                PROXY_HEADER.as_secs()
            ));
            false
        }
    }
}

async fn handshake(connection: &mut Connection) -> bool {
    let Some(tls) = connection.listener.tls() else { return false };
    let why = match tokio::time::timeout(HANDSHAKE, connection.stream.start_tls(&tls)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            rows::HANDSHAKE.met("a TLS handshake takes too long: the connection is ended");
            "timed out".to_owned()
        }
    };
    metrics::counter!("murder_tls_handshake_failures_total").increment(1);
    info!(peer = %connection.stream.peer(), "TLS handshake failed: {why}");
    false
}

async fn refuse(mut stream: Stream, listener: Arc<Listener>) {
    say(&mut stream, &listener, "Too many connections, try again later").await;
}

/// Tells why nobody is served, in the listener's protocol.
async fn say(stream: &mut Stream, listener: &Listener, why: &str) {
    // Before the handshake nobody would understand the words.
    if !listener.implicit_tls() {
        finish(stream, &listener.protocol.refusal(why)).await;
    }
}

/// How long a listener accepts nobody while there are no descriptors: others must end first.
struct Pauses(Backoff);

impl Pauses {
    async fn pause(&mut self, listener: &Listener, why: &str) {
        let pause = self.0.pause(LONGEST_PAUSE);
        metrics::counter!("murder_accept_pauses_total", "listener" => listener.name.clone()).increment(1);
        rows::RESERVED.met(format_args!(
            "{}: no client is accepted for a moment: {why} (see LimitNOFILE)",
            listener.name
        ));
        tokio::time::sleep(pause).await;
    }

    fn over(&mut self) {
        self.0.reset();
    }
}

async fn finish(stream: &mut Stream, words: &str) {
    let said = async {
        stream.write_all(words.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORDS, said).await;
}

/// The client went away between connecting and being accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// A future whose panic is a result.
struct CatchPanic<F>(AssertUnwindSafe<F>);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let inner = &mut self.0.0;
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}
