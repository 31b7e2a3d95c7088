//! The structure of any message lies inside it, and survives its own coding.

use mime::{Cached, Structure, searched};

/// The target.
pub fn run(message: &[u8]) {
    let structure = Structure::parse(message);
    let cached = Cached::new(&structure, message);
    let read = Cached::read(cached.bytes().clone());
    assert!(read.is_ok_and(|read| read.structure().as_ref() == Ok(&structure)));
    let _ = Cached::read(message.to_vec().into())
        .map(|cached| (cached.structure(), cached.sort_keys().is_some(), cached.thread_keys().is_some()));
    let texts = [structure.header_lines(message), structure.body_texts(message).concat()];
    assert!(texts.iter().all(|text| !searched(text).contains("  ")));
}
