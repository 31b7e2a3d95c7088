//! SERVICES and their open sockets.

use std::collections::HashMap;

use tracing::{debug, error, info};

use crate::board::Listener;
use crate::listen::{Addresses, OpenError, Opening, Socket};
use crate::plan::{Service, ServiceKey};

/// A line of SERVICES with its sockets.
#[derive(Debug)]
pub struct Listening {
    pub service: Service,
    /// Empty: no address could be opened, or it failed too often. The next reload tries again.
    pub sockets: Vec<Socket>,
}

impl Listening {
    /// The sockets on which it listens.
    pub fn open(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(|socket| !socket.is_closed())
    }
}

/// All services, in the order of the file.
#[derive(Debug, Default)]
pub struct Services {
    list: Vec<Listening>,
}

impl Services {
    pub fn iter(&self) -> impl Iterator<Item = &Listening> {
        self.list.iter()
    }

    pub fn get(&self, key: &ServiceKey) -> Option<&Listening> {
        self.list.iter().find(|listening| listening.service.key == *key)
    }

    /// For the status page.
    pub fn describe(&self) -> Vec<Listener> {
        let line = |listening: &Listening, socket: &Socket| Listener {
            service: listening.service.key.name.clone(),
            address: socket.address.clone(),
            family: socket.family,
            maxchild: listening.service.maxchild,
            program: listening.service.path().display().to_string(),
        };
        self.list
            .iter()
            .flat_map(|listening| listening.open().map(move |socket| line(listening, socket)))
            .collect()
    }

    /// Closes the sockets of a service until the next reload.
    pub fn close(&mut self, key: &ServiceKey) {
        if let Some(listening) = self.list.iter_mut().find(|listening| listening.service.key == *key) {
            // Children that still have them do not accept, and nobody is to wait for that.
            listening.sockets.drain(..).for_each(|mut socket| socket.close());
        }
    }

    /// Closes one of its sockets, and leaves the other families alone.
    pub fn close_one(&mut self, key: &ServiceKey, socket: usize) {
        let listening = self.list.iter_mut().find(|listening| listening.service.key == *key);
        if let Some(socket) = listening.and_then(|listening| listening.sockets.get_mut(socket)) {
            socket.close();
        }
    }

    /// Takes the services of a plan over: those with the same key keep their sockets, others take over what listens on the same
    /// address under another name, or as another family; then what is left is closed, and what is new opened.
    ///
    /// The errors are logged here, and returned for `master_bind_errors_fatal`.
    pub fn apply(&mut self, services: Vec<Service>, opening: Opening) -> Vec<OpenError> {
        let mut before: HashMap<ServiceKey, Vec<Socket>> =
            self.list.drain(..).map(|listening| (listening.service.key, listening.sockets)).collect();
        let mut spare = Vec::new();
        let kept = services.into_iter().map(|service| {
            let mut sockets = before.remove(&service.key).unwrap_or_default();
            if sockets.iter().any(Socket::is_closed) {
                spare.extend(sockets.drain(..).filter(|socket| !socket.is_closed()));
            }
            (service, sockets)
        });
        let kept: Vec<(Service, Vec<Socket>)> = kept.collect();
        let gone: Vec<ServiceKey> = before.keys().cloned().collect();
        spare.extend(before.into_values().flatten());
        let wanted = kept.into_iter().map(|(service, sockets)| {
            let opens = sockets.is_empty() && service.maxchild != Some(0);
            let addresses = opens.then(|| {
                let mut addresses = Addresses::of(&service.listen, service.proto);
                addresses.adopt(&mut spare);
                addresses
            });
            (service, sockets, addresses)
        });
        let wanted: Vec<(Service, Vec<Socket>, Option<Addresses>)> = wanted.collect();
        spare.iter_mut().for_each(Socket::close);
        let mut failed = Vec::new();
        for (service, mut sockets, addresses) in wanted {
            if let Some(addresses) = addresses {
                let (opened, errors) = addresses.open(opening);
                sockets = opened;
                for socket in &sockets {
                    debug!("{} listens on {} ({})", service.key, socket.address, socket.family);
                }
                log_errors(&service, &errors, sockets.is_empty());
                failed.extend(errors);
            }
            self.list.push(Listening { service, sockets });
        }
        for key in gone {
            info!("service {key} is gone from the configuration: no longer listening on {}", key.place);
        }
        failed
    }
}

fn log_errors(service: &Service, errors: &[OpenError], disabled: bool) {
    for cause in errors {
        let family = if cause.family.is_empty() { String::new() } else { format!("/{}", cause.family) };
        error!("unable to bind to {}{family} socket: {cause}", service.key.name);
    }
    if disabled {
        error!("service {} has no address to listen on: disabled until next SIGHUP", service.key.name);
    }
}
