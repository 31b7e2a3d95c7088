//! Any file is settings or a list of problems.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = config::cyrus::CyrusConf::parse(Path::new("cyrus.conf"), text);
    // an include would read files
    if !text.contains("@include") {
        let _ = config::imapd::Imapd::parse(Path::new("imapd.conf"), text, "imap");
    }
});
