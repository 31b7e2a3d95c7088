//! Mails on their way to a mail server: by TCP, with TLS and a login, and by a program.

#![allow(clippy::unwrap_used)]

mod host;
mod program;

use std::path::Path;

use config::imapd::Imapd;
use submission::Mail;

fn imapd(text: &str) -> Imapd {
    let text = format!("configdirectory: /nowhere\nservername: be1.example.org\n{text}");
    Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "lmtp").unwrap()
}

fn mail() -> Mail {
    Mail::new("ann@example.org", "fred@far.org", &b"Subject: x\r\n\r\n.dot\r\nend\r\n"[..])
}
