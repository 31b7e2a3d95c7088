//! Which addresses and ports the nodes of a cluster listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use serde::Serialize;

use super::{ClusterError, Role};

/// How ports are chosen.
#[derive(Debug, Clone)]
pub enum PortChoice {
    /// Blocks of 100 from the topology's `base_port`, or from this one, on 127.0.0.1.
    Blocks { base: Option<u16> },
    /// Any free ones, on a loopback address of the caller's own: clusters side by side never meet.
    Free { address: Ipv4Addr },
}

/// The ports of one node; a role has those of its own services alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ports {
    #[serde(skip)]
    pub address: IpAddr,
    #[serde(skip_serializing_if = "is_zero")]
    pub imap: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub imaps: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub pop3: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub pop3s: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub lmtp: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub sieve: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub mupdate: u16,
}

impl PortChoice {
    /// The ports of node number `index`, all of them free at this moment. `held` holds them until those of all nodes are
    /// chosen, so that no two services get one port.
    pub(super) fn take(
        &self,
        node: &str,
        role: Role,
        default_base: u16,
        index: usize,
        held: &mut Vec<TcpListener>,
    ) -> Result<Ports, ClusterError> {
        let address = match self {
            PortChoice::Blocks { .. } => Ipv4Addr::LOCALHOST,
            PortChoice::Free { address } => *address,
        };
        let mut ports = Ports::none(address);
        for &(service, offset) in services(role) {
            let wanted = match self {
                PortChoice::Free { .. } => 0,
                PortChoice::Blocks { base } => u16::try_from(index * 100)
                    .ok()
                    .and_then(|block| base.unwrap_or(default_base).checked_add(block))
                    .and_then(|port| port.checked_add(offset))
                    .ok_or_else(|| {
                        ClusterError::Topology(format!("{node}: no ports left above the base port"))
                    })?,
            };
            let address = IpAddr::from(address);
            let in_use =
                |_| ClusterError::PortInUse { node: node.to_owned(), service, address, port: wanted };
            let listener = TcpListener::bind(SocketAddr::new(address, wanted)).map_err(in_use)?;
            let port = listener.local_addr().map_err(in_use)?.port();
            held.push(listener);
            ports.set(service, port);
        }
        Ok(ports)
    }
}

impl Ports {
    /// The port of a service by its name in cyrus.conf; 0 where this node does not have it.
    pub fn get(&self, service: &str) -> u16 {
        match service {
            "imap" => self.imap,
            "imaps" => self.imaps,
            "pop3" => self.pop3,
            "pop3s" => self.pop3s,
            "lmtp" => self.lmtp,
            "sieve" => self.sieve,
            "mupdate" => self.mupdate,
            _ => 0,
        }
    }

    /// The services of a role on an address of the node's own, where each has its well-known port.
    pub(super) fn well_known(role: Role, address: Ipv4Addr) -> Ports {
        let mut ports = Ports::none(address);
        for &(service, _) in services(role) {
            ports.set(service, protocol_port(service));
        }
        ports
    }

    fn none(address: Ipv4Addr) -> Ports {
        Ports { address: address.into(), imap: 0, imaps: 0, pop3: 0, pop3s: 0, lmtp: 0, sieve: 0, mupdate: 0 }
    }

    /// The services that this node has.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u16)> {
        ["imap", "imaps", "pop3", "pop3s", "lmtp", "sieve", "mupdate"]
            .map(|service| (service, self.get(service)))
            .into_iter()
            .filter(|(_, port)| *port != 0)
    }

    fn set(&mut self, service: &str, port: u16) {
        match service {
            "imap" => self.imap = port,
            "imaps" => self.imaps = port,
            "pop3" => self.pop3 = port,
            "pop3s" => self.pop3s = port,
            "lmtp" => self.lmtp = port,
            "sieve" => self.sieve = port,
            _ => self.mupdate = port,
        }
    }
}

/// The services of a role, with their place in a block: the last two digits of the well-known port.
fn services(role: Role) -> &'static [(&'static str, u16)] {
    match role {
        Role::Mupdate => &[("mupdate", 5)],
        Role::Backend => {
            &[("imap", 43), ("imaps", 93), ("pop3", 10), ("pop3s", 95), ("lmtp", 24), ("sieve", 90)]
        }
        Role::Frontend => &[
            ("imap", 43),
            ("imaps", 93),
            ("pop3", 10),
            ("pop3s", 95),
            ("lmtp", 24),
            ("sieve", 90),
            ("mupdate", 5),
        ],
    }
}

/// What clients and peers expect a service on.
fn protocol_port(service: &str) -> u16 {
    match service {
        "imap" => 143,
        "imaps" => 993,
        "pop3" => 110,
        "pop3s" => 995,
        "lmtp" => 24,
        "sieve" => 4190,
        _ => 3905,
    }
}

fn is_zero(port: &u16) -> bool {
    *port == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_of_a_cluster_share_no_port() {
        let choice = PortChoice::Free { address: Ipv4Addr::LOCALHOST };
        let (mut held, mut all) = (Vec::new(), std::collections::BTreeSet::new());
        for node in 0..200 {
            let ports = choice.take("b", Role::Backend, 1, node, &mut held).unwrap();
            assert!(ports.all().all(|(_, port)| all.insert(port)), "node {node}");
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let choice = PortChoice::Blocks { base: Some(port - 5) };
        let error = choice.take("m", Role::Mupdate, 1, 0, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} on 127.0.0.1 is in use (for m's mupdate)")), "{error}");
    }
}
