//! The IMAP server: RFC 3501 and what [`cmd::session`] announces.
//!
//! [`conn`] turns bytes into frames and `protocol::imap` frames into commands; [`session`] does them one by one, each
//! in a file of [`cmd`]; [`selected`] is the open mailbox and what changed in it; `notify` is what is told without being asked for; [`search`] judges messages, [`sort`] and [`thread`] put them into
//! order;
//! [`reply`] turns every failure of the store into an answer; [`limits`] is all that bounds a client, and [`aside`] does
//! the heavy work where it holds up nobody.

mod aside;
pub mod cmd;
mod conn;
mod handover;
pub mod limits;
mod marks;
pub mod metadata;
mod named;
mod news;
mod notify;
mod numbering;
mod reply;
mod search;
mod selected;
pub mod server;
mod session;
mod sort;
mod thread;
mod told;
mod user;

use std::sync::Arc;

use service::Connection;

use server::{Server, Shared};
use session::Session;
use store::Store;

/// Serves one client.
pub async fn serve(connection: Connection, store: Store, shared: Arc<Shared>) {
    let Connection { stream, listener, context, session, seat } = connection;
    // Read before the settings are: at worst they are newer than they are said to be.
    let settings = context.reload_count();
    let imapd = listener.imapd();
    let server = Server {
        namespace: service::names::namespace(&imapd),
        auth: listener.auth(),
        tls: listener.starttls(),
        ignore_quota: listener.has_flag('q'),
        store,
        shared,
        stop: seat.stop(),
        seat,
        settings,
        context,
        name: session,
        imapd,
    };
    Session::new(Arc::new(server), stream).run().await;
}
