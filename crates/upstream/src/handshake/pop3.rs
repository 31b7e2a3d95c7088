//! POP3: `CAPA`, `STLS`, `AUTH mech [ir]`. The server opens the mailbox while it authenticates, so that a locked
//! maildrop is a refused login; its text is kept for the client.

use config::imapd::Imapd;
use protocol::origin::Origin;

use crate::Error;
use crate::dialog::Dialog;
use crate::sasl::{self, Opening, Sasl};

/// From the greeting to the TRANSACTION state. A server of ours learns in passing where the session comes from.
pub(crate) async fn log_in(
    d: &mut Dialog,
    imapd: &Imapd,
    user: Option<&str>,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    let greeting = d.line("greeting").await?;
    if !greeting.starts_with("+OK") {
        return Err(d.unexpected("greeting", &greeting));
    }
    ask_capabilities(d).await?;
    let opening = Opening { starttls: d.capabilities.has("STLS"), preauth: false };
    if sasl::needs_tls(d, imapd, user, opening)? {
        d.send("STLS", "STLS").await?;
        let answer = d.line("STLS").await?;
        if !answer.starts_with("+OK") {
            return Err(sasl::tls_refused(d, imapd, "STLS", &answer));
        }
        d.start_tls(&sasl::client_tls(imapd, &d.server)?).await?;
        let before = std::mem::take(&mut d.capabilities);
        ask_capabilities(d).await?;
        sasl::unweakened(d, imapd, user, &before, "STLS")?;
    }
    let origin = origin.filter(|_| d.capabilities.has("XCLIENT") && d.capabilities.has("PIPELINING"));
    authenticate(d, imapd, user, origin).await
}

async fn authenticate(
    d: &mut Dialog,
    imapd: &Imapd,
    user: Option<&str>,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    let mut sasl = Sasl::choose(d, imapd, user)?;
    let mut line = format!("AUTH {}", sasl.mechanism());
    let initial = sasl.initial();
    if line.len() + 1 + initial.len() <= COMMAND_MAX {
        line.push(' ');
        line.push_str(&initial);
    } else {
        sasl.rewind();
    }
    if let Some(origin) = origin {
        line = format!("{}\r\n{line}", origin.command());
    }
    d.send(&line, "AUTH").await?;
    if origin.is_some() {
        // Whatever it says: the login does not depend on it.
        d.line("XCLIENT").await?;
    }
    loop {
        let line = d.line("AUTH").await?;
        if let Some(text) = line.strip_prefix("+OK") {
            sasl.succeeded()?;
            d.text = text.trim().to_owned();
            return Ok(());
        }
        match line.strip_prefix('+') {
            Some(challenge) => {
                let answer = sasl.answer(challenge.trim())?;
                d.send(&answer, "AUTH").await?;
            }
            None => return Err(sasl.denied(line.strip_prefix("-ERR").unwrap_or(&line).trim().to_owned())),
        }
    }
}

async fn ask_capabilities(d: &mut Dialog) -> Result<(), Error> {
    d.send("CAPA", "CAPA").await?;
    let answer = d.line("CAPA").await?;
    if !answer.starts_with("+OK") {
        return Err(d.unexpected("CAPA", &answer));
    }
    let mut lines = Vec::new();
    while lines.len() < CAPA_MAX {
        let line = d.line("CAPA").await?;
        if line == "." {
            d.capabilities = lines.into_iter().collect();
            return Ok(());
        }
        lines.push(line);
    }
    Err(d.unexpected("CAPA", "no end of capabilities"))
}

/// RFC 5034 section 4: a command with its initial response has 255 octets, the line end among them.
const COMMAND_MAX: usize = 253;
const CAPA_MAX: usize = 200;
