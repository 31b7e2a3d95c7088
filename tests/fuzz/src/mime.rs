//! The structure of any message lies inside it, and survives its own coding.

use backend::mime::Structure;

/// The target.
pub fn run(message: &[u8]) {
    let structure = Structure::parse(message);
    let coded = structure.encode();
    assert!(Structure::decode(&coded).is_ok());
    let _ = Structure::decode(message);
}
