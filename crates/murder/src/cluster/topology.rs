//! The topology file: which nodes and users a cluster on this host has.

use std::{collections::BTreeSet, net::Ipv4Addr, path::Path};

use serde::Deserialize;

use super::{ClusterError, Role};

/// A topology as the TOML file has it. Unknown keys are errors, with their line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Completes node names to host names.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// The first port of the first node's block.
    #[serde(default = "default_base_port")]
    pub base_port: u16,
    #[serde(default)]
    pub mupdate: Option<NodeSpec>,
    #[serde(default = "default_admin")]
    pub admin: Account,
    pub frontends: Vec<NodeSpec>,
    pub backends: Vec<NodeSpec>,
    #[serde(default)]
    pub users: Vec<UserSpec>,
    /// Further names with passwords: the nodes' own identities, where the default ones do not serve.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

/// One node, with what its imapd.conf has beside the role's own file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    pub name: String,
    /// Options of imapd.conf that are set for this node alone.
    #[serde(default)]
    pub imapd: std::collections::BTreeMap<String, String>,
    /// An address of its own, on which its services have their well-known ports. A murder with nodes of other makes
    /// needs it: a real Cyrus looks for its peers there and nowhere else.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// Somebody else configures, starts and stops it; the others know its name and address.
    #[serde(default)]
    pub foreign: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub name: String,
    pub password: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    pub name: String,
    /// Made up where it is not given.
    pub password: Option<String>,
    /// The name of the backend that holds this user's mailboxes.
    pub backend: String,
}

impl Topology {
    /// The topology in `etc/`.
    pub fn default_demo() -> Topology {
        toml::from_str(include_str!("../../../../etc/demo.toml")).expect("etc/demo.toml is tested")
    }

    pub fn read(path: &Path) -> Result<Topology, ClusterError> {
        let text = std::fs::read_to_string(path).map_err(ClusterError::at(path))?;
        toml::from_str(&text).map_err(|e| ClusterError::Topology(format!("{}: {e}", path.display())))
    }

    /// What a parser cannot see: names that clash, users on backends that are not there.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let fail = |text: String| Err(ClusterError::Topology(text));
        if self.frontends.is_empty() || self.backends.is_empty() {
            return fail("at least one frontend and one backend are needed".into());
        }
        let mut seen = BTreeSet::new();
        for spec in self.specs().map(|(_, spec)| spec) {
            let name = &spec.name;
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            {
                return fail(format!("node {name:?}: a name is lower-case letters, digits and hyphens"));
            }
            if !seen.insert(name.clone()) {
                return fail(format!("two nodes are called {name:?}"));
            }
        }
        let mut users = BTreeSet::from([self.admin.name.clone()]);
        for user in &self.users {
            if !self.backends.iter().any(|b| b.name == user.backend) {
                return fail(format!("user {}: no backend is called {:?}", user.name, user.backend));
            }
            if !users.insert(user.name.clone()) {
                return fail(format!("two users are called {:?}", user.name));
            }
        }
        Ok(())
    }

    /// The host name of a node.
    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}", self.domain)
    }

    pub(super) fn specs(&self) -> impl Iterator<Item = (Role, NodeSpec)> {
        let mupdate =
            self.mupdate.clone().unwrap_or(NodeSpec { name: "mupdate".into(), ..NodeSpec::default() });
        let frontends = self.frontends.clone().into_iter().map(|spec| (Role::Frontend, spec));
        let backends = self.backends.clone().into_iter().map(|spec| (Role::Backend, spec));
        frontends.chain(backends).chain([(Role::Mupdate, mupdate)])
    }
}

fn default_domain() -> String {
    "demo.test".into()
}

fn default_base_port() -> u16 {
    10_000
}

fn default_admin() -> Account {
    Account { name: "cyrus".into(), password: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_topology_is_well_formed() {
        Topology::default_demo().check().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        let text = include_str!("../../../../etc/demo.toml");
        let check =
            |text: String| toml::from_str::<Topology>(&text).unwrap().check().unwrap_err().to_string();
        assert!(
            check(text.replace("backend = \"backend2\"", "backend = \"x\""))
                .contains("no backend is called \"x\"")
        );
        assert!(check(text.replace("\"backend2\"", "\"backend1\"")).contains("two nodes"));
        assert!(toml::from_str::<Topology>("prots = 1").unwrap_err().to_string().contains("prots"));
    }
}
