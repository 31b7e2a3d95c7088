//! What every daemon does the same way: inherited listeners, sessions, limits, metrics, shutdown.
//!
//! A daemon's `main` hands [`run()`] its body. The body gets a [`Context`], builds what it needs, and calls
//! [`Context::serve`] with a function that serves one [`Connection`]:
//!
//! ```no_run
//! # use service::{Context, Connection, Exit};
//! # use protocol::spoken::Protocol;
//! # async fn imap(_: Connection) {}
//! # async fn lmtp(_: Connection) {}
//! async fn body(context: Context) -> Result<(), Exit> {
//!     context
//!         .serve(|connection: Connection| async move {
//!             match connection.listener.protocol {
//!                 Protocol::Imap => imap(connection).await,
//!                 _ => lmtp(connection).await,
//!             }
//!         })
//!         .await;
//!     Ok(())
//! }
//! ```
//!
//! A session without I/O of its own is run by [`drive::drive`]; one that wants the buffers itself uses
//! [`transport::wire::Wire`]. Who is who is decided by the listener's [`identity::auth::Authenticator`].

pub mod context;
mod copies;
mod denied;
mod desk;
pub mod disk;
pub mod drive;
mod inherit;
pub mod kpop;
pub mod limits;
pub mod listen;
mod metrics;
pub mod names;
pub mod notices;
pub mod pipe;
pub mod process;
mod reports;
pub mod run;
pub mod say;
pub mod serve;
pub mod sessions;
mod vitals;

pub use self::metrics::command_took;
pub use context::{Context, StartError};
pub use run::{Arguments, Exit, Program, run};
pub use serve::Connection;
