//! A cluster's passwords: kept in one file that only its owner reads, so that a second run with the same directory
//! knows the same users.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{ClusterError, Topology};

/// Passwords by name: of people, of the admin, and of the nodes' own identities.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Secrets {
    pub accounts: BTreeMap<String, String>,
}

impl Secrets {
    /// Reads what the directory has, and makes up what is missing.
    pub(super) fn load_or_make(dir: &Path, topology: &Topology) -> Result<Secrets, ClusterError> {
        let path = dir.join("secrets.toml");
        let mut secrets: Secrets = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|e| ClusterError::Topology(format!("{}: {e}", path.display())))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Secrets::default(),
            Err(e) => return Err(ClusterError::File { path, cause: e }),
        };
        let people = topology.users.iter().map(|user| (user.name.as_str(), user.password.as_deref()));
        let admin = [(topology.admin.name.as_str(), topology.admin.password.as_deref())];
        let accounts = topology.accounts.iter().map(|one| (one.name.as_str(), one.password.as_deref()));
        for (name, given) in people.chain(admin).chain(accounts).chain(IDENTITIES.map(|name| (name, None))) {
            match given {
                Some(password) => secrets.accounts.insert(name.to_owned(), password.to_owned()),
                None if secrets.accounts.contains_key(name) => None,
                None => secrets.accounts.insert(name.to_owned(), made_up()?),
            };
        }
        let text = toml::to_string(&secrets).map_err(|e| ClusterError::Topology(e.to_string()))?;
        files::replace(&path, 0o600, text.as_bytes()).map_err(ClusterError::at(&path))?;
        Ok(secrets)
    }

    /// An account's password; empty for one that is not there.
    pub fn password(&self, name: &str) -> &str {
        self.accounts.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Sets every account in the cluster's password database, which all nodes share.
    pub(super) fn write_passwords(&self, dir: &Path) -> Result<(), ClusterError> {
        let db = identity::passwords::PasswordDb::new(password_db(dir));
        for (name, password) in &self.accounts {
            db.set(name, password).map_err(|e| ClusterError::Passwords(e.to_string()))?;
        }
        Ok(())
    }
}

/// The password database of a cluster.
pub(super) fn password_db(dir: &Path) -> PathBuf {
    dir.join("passwords")
}

/// 12 letters and digits, without those that look alike: 60 bits.
fn made_up() -> Result<String, ClusterError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|e| ClusterError::Passwords(e.to_string()))?;
    Ok(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect())
}

/// Who the nodes are to each other: as etc/'s files have it.
const IDENTITIES: [&str; 3] = ["backend", "frontend", "proxy"];
