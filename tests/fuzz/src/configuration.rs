//! Any file is settings or a list of problems.

use std::path::Path;

/// The target.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = config::cyrus::CyrusConf::parse(Path::new("cyrus.conf"), text);
    // an include would read files
    if !text.contains("@include") {
        let _ = config::imapd::Imapd::parse(Path::new("imapd.conf"), text, "imap");
    }
}
