//! The network's way to a list: who may connect, who is let in, and as whom.
//!
//! ```text
//! connection ─Crowd─▶ a place ─Visitor─▶ TLS, AUTHENTICATE ─▶ directory::serve::Conversation
//! ```

mod auth;
mod crowd;
pub mod limits;
mod visitor;

use std::sync::Arc;

use arc_swap::ArcSwap;
use config::imapd::Imapd;
use directory::serve::Server;
use directory::serve::{Conversation, put_bye};
use metrics::describe_counter;
use service::Connection;
use service::Context;
use tokio::time::timeout;
use transport::stream::Stream;
use transport::wire::{Bounds, Wire};

use crowd::{Admission, Crowd};
use visitor::{Guards, Visitor};

use crate::server::limits::GOOD_BYE;

/// Lets clients of the network in to a list. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    server: Server,
    settings: Arc<ArcSwap<Settings>>,
    crowd: Arc<Crowd>,
}

/// What imapd.conf says of who is let in.
struct Settings {
    admins: Vec<String>,
    readers: Vec<String>,
    connections_max: usize,
}

impl Gate {
    pub fn new(server: Server, imapd: &Imapd) -> Gate {
        describe_counter!(
            "murder_strangers_refused_total",
            "Connections sent away or dropped before a login, because there were too many. Alert when it grows."
        );
        let crowd = Arc::<Crowd>::default();
        let counted = crowd.clone();
        let server = server.counting(Box::new(move || counted.connections()));
        Gate { server, settings: Arc::new(ArcSwap::from_pointee(Settings::new(imapd))), crowd }
    }

    /// Takes over the settings of each reload, its server's too.
    pub fn follow_reloads(&self, context: &Context) {
        self.server.follow_reloads(context);
        let settings = self.settings.clone();
        context.on_reload(move |imapd| settings.store(Arc::new(Settings::new(&imapd))));
    }

    /// Serves one client that came over the network.
    pub async fn serve(&self, connection: Connection) {
        let stop = connection.seat.stop();
        let most = self.settings.load().connections_max;
        let (_place, stranger) = match self.crowd.admit(most, connection.stream.peer().ip()) {
            Admission::Stay(place, stranger) => (place, stranger),
            Admission::Refuse(_place) => return refuse(connection.stream).await,
            Admission::Drop => return,
        };
        let guards = Guards {
            auth: Some(connection.listener.auth()),
            tls: connection.listener.starttls(),
            stranger: Some(stranger),
        };
        // Its seat is its own until the connection ends.
        let (seat, peer) = (connection.seat, connection.stream.peer().to_string());
        let talk = async {
            let visitor = Visitor::new(self.clone(), connection.stream, guards, Some(&seat));
            match visitor.run(&stop).await? {
                Some((wire, session)) => {
                    Conversation::new(self.server.clone(), wire, session).run(stop).await
                }
                None => Ok(()),
            }
        };
        if let Err(error) = talk.await {
            tracing::debug!(peer, "connection ended: {error}");
        }
    }
}

impl Settings {
    fn new(imapd: &Imapd) -> Settings {
        Settings {
            admins: imapd.admins.clone(),
            readers: imapd.mupdate_readers.clone(),
            connections_max: imapd.mupdate_connections_max as usize,
        }
    }
}

async fn refuse(stream: Stream) {
    let mut wire = Wire::new(stream, Bounds::default());
    put_bye(&mut wire, "Server Unable");
    // A refused peer that does not listen is let go all the same.
    let _ = timeout(GOOD_BYE, wire.close()).await;
}

#[cfg(test)]
mod tests;
