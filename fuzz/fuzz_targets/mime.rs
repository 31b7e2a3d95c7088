//! The structure of any message lies inside it, and survives its own coding.
#![no_main]

use mime::{Cached, Structure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let structure = Structure::parse(message);
    let cached = Cached::new(&structure, message);
    let read = Cached::read(cached.bytes().clone()).expect("what was written is read");
    assert_eq!(read.structure(), Ok(structure));
    let _ = Cached::read(message.to_vec().into()).map(|cached| cached.structure());
});
