//! The structure of any message lies inside it, and survives its own coding.
#![no_main]

use mime::Structure;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let structure = Structure::parse(message);
    let coded = structure.encode();
    assert!(Structure::decode(&coded).is_ok());
    let _ = Structure::decode(message);
});
