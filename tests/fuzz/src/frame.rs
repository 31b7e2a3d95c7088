//! Pieces never depend on how the bytes arrive, and joined they are the stream.

use bytes::BytesMut;
use protocol::frame::{Collected, Collector, Limits};

fn collect(input: &[u8], chunk: usize) -> Vec<Collected> {
    let mut collector = Collector::new(Limits { line: 64, skip: 4096 }, 100, 300);
    let (mut buf, mut out) = (BytesMut::new(), Vec::new());
    for run in input.chunks(chunk) {
        buf.extend_from_slice(run);
        loop {
            match collector.next(&mut buf) {
                Ok(Some(collected)) => out.push(collected),
                Ok(None) => break,
                Err(_) => return out,
            }
        }
    }
    out
}

/// The target.
pub fn run(input: &[u8]) {
    if input.len() < 4000 {
        assert_eq!(collect(input, 1), collect(input, 4096));
    }
}
