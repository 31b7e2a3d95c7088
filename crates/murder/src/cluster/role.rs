//! What the nodes of a cluster are for.

use serde::Serialize;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Mupdate,
    Backend,
    Frontend,
}
