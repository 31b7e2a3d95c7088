//! The daemon: opens the store, serves every listener in its protocol, closes the store.

use std::sync::Arc;

use service::listen::Protocol;
use service::{Connection, Context, Exit};

use crate::store::Store;
use crate::{imap, lmtp};

/// Runs until the context is told to stop.
pub async fn run(context: Context) -> Result<(), Exit> {
    let store = Store::open(&context.imapd(), context.namespace(), None).await?;
    let shared = Arc::new(imap::server::Shared::default());
    let (sessions_store, sessions_shared) = (store.clone(), shared.clone());
    context
        .serve(move |connection: Connection| {
            let (store, shared) = (sessions_store.clone(), sessions_shared.clone());
            async move {
                match connection.listener.protocol {
                    Protocol::Imap => imap::serve(connection, store, shared).await,
                    Protocol::Lmtp => lmtp::serve(connection, store).await,
                    other => tracing::warn!("nobody speaks {other:?} here"),
                }
            }
        })
        .await;
    store.close().await;
    Ok(())
}
