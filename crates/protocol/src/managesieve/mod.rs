//! ManageSieve (RFC 5804), without input or output.

mod name;

pub use name::{BadScriptName, ScriptName};
