//! IMAP: `C01 CAPABILITY`, `S01 STARTTLS`, `A01 AUTHENTICATE`, `Z01 COMPRESS DEFLATE`; the tags are Cyrus's own.

use config::imapd::Imapd;

use crate::dialog::Dialog;
use crate::sasl::{self, Opening, Sasl};
use crate::{Capabilities, Error};

/// From the greeting to the authenticated state.
pub(crate) async fn log_in(d: &mut Dialog, imapd: &Imapd, user: Option<&str>) -> Result<(), Error> {
    let greeting = d.line("greeting").await?;
    let (kind, text) = condition(&greeting, "*").ok_or_else(|| d.unexpected("greeting", &greeting))?;
    let preauthenticated = kind == "PREAUTH";
    if kind != "OK" && !preauthenticated {
        return Err(d.unexpected("greeting", &greeting));
    }
    note_capabilities(d, &text).await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: preauthenticated };
    let needs_tls = sasl::needs_tls(d, imapd, user, opening)?;
    if preauthenticated {
        return compress(d, imapd).await;
    }
    if needs_tls {
        let before = start_tls(d, imapd).await?;
        ask_capabilities(d).await?;
        sasl::unweakened(d, imapd, user, &before, "STARTTLS")?;
    }
    authenticate(d, imapd, user).await?;
    compress(d, imapd).await
}

/// The capabilities from before it are given back: they were not protected.
async fn start_tls(d: &mut Dialog, imapd: &Imapd) -> Result<Capabilities, Error> {
    if let Err(error) = command(d, "S01", "STARTTLS", "STARTTLS").await {
        return Err(match error {
            Error::Protocol { doing, text, .. } => sasl::tls_refused(d, imapd, doing, &text),
            other => other,
        });
    }
    d.start_tls(&sasl::client_tls(imapd, &d.server)?).await?;
    Ok(std::mem::take(&mut d.capabilities))
}

/// SASL on a connection that nobody has authenticated yet, or not any longer (UNAUTHENTICATE).
pub(crate) async fn authenticate(d: &mut Dialog, imapd: &Imapd, user: Option<&str>) -> Result<(), Error> {
    let mut sasl = Sasl::choose(d, imapd, user)?;
    let with_initial = d.capabilities.has("SASL-IR");
    let mut line = format!("A01 AUTHENTICATE {}", sasl.mechanism());
    if with_initial {
        line.push(' ');
        line.push_str(&sasl.initial());
    }
    d.send(&line, "AUTHENTICATE").await?;
    loop {
        let line = d.line("AUTHENTICATE").await?;
        if let Some(challenge) = line.strip_prefix('+') {
            let answer = sasl.answer(challenge.trim())?;
            d.send(&answer, "AUTHENTICATE").await?;
        } else if let Some((kind, text)) = condition(&line, "A01") {
            if kind != "OK" {
                return Err(sasl.denied(text));
            }
            sasl.succeeded()?;
            d.text.clone_from(&text);
            return note_capabilities(d, &text).await;
        } else if !line.starts_with('*') {
            return Err(d.unexpected("AUTHENTICATE", &line));
        }
    }
}

/// Compresses where `proxy_compress` and the server want it.
async fn compress(d: &mut Dialog, imapd: &Imapd) -> Result<(), Error> {
    if imapd.proxy_compress && d.capabilities.has("COMPRESS=DEFLATE") {
        command(d, "Z01", "COMPRESS DEFLATE", "COMPRESS").await?;
        d.compress()?;
    }
    Ok(())
}

/// Takes the capabilities from a response code, or asks for them.
async fn note_capabilities(d: &mut Dialog, text: &str) -> Result<(), Error> {
    let code = text.strip_prefix("[CAPABILITY ").and_then(|rest| rest.split_once(']'));
    match code {
        Some((words, _)) => {
            d.capabilities = Capabilities::from_words(words);
            Ok(())
        }
        None => ask_capabilities(d).await,
    }
}

pub(crate) async fn ask_capabilities(d: &mut Dialog) -> Result<(), Error> {
    d.send("C01 CAPABILITY", "CAPABILITY").await?;
    for _ in 0..UNTAGGED_MAX {
        let line = d.line("CAPABILITY").await?;
        if let Some(words) = line.strip_prefix("* CAPABILITY ") {
            d.capabilities = Capabilities::from_words(words);
        } else if let Some((kind, _)) = condition(&line, "C01") {
            return if kind == "OK" { Ok(()) } else { Err(d.unexpected("CAPABILITY", &line)) };
        }
    }
    Err(d.unexpected("CAPABILITY", "no end of untagged lines"))
}

/// A command whose answer must be OK; untagged lines are ignored.
pub(crate) async fn command(
    d: &mut Dialog,
    tag: &str,
    line: &str,
    doing: &'static str,
) -> Result<String, Error> {
    d.send(&format!("{tag} {line}"), doing).await?;
    for _ in 0..UNTAGGED_MAX {
        let line = d.line(doing).await?;
        match condition(&line, tag) {
            Some((kind, text)) if kind == "OK" => return Ok(text),
            Some(_) => return Err(d.unexpected(doing, &line)),
            None => {}
        }
    }
    Err(d.unexpected(doing, "no end of untagged lines"))
}

/// Takes `tag OK text` apart.
fn condition(line: &str, tag: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix(tag)?.strip_prefix(' ')?;
    let (kind, text) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((kind.to_ascii_uppercase(), text.to_owned()))
}

/// More untagged lines than any answer to these commands has.
const UNTAGGED_MAX: usize = 100;
