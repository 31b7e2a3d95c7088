//! LMTP: `LHLO`, `STARTTLS`, `AUTH mech [ir]`. A listener that trusts its peers (a Unix socket, `lmtpd -a`) offers no
//! mechanism: nothing is asked of it.

use config::imapd::Imapd;
use service::resolve::Server;

use crate::Error;
use crate::dialog::Dialog;
use crate::sasl::{self, Opening, Sasl};

/// From the greeting to the point where MAIL may be sent.
pub(crate) async fn log_in(d: &mut Dialog, imapd: &Imapd, user: Option<&str>) -> Result<(), Error> {
    let (code, text) = reply(d, "greeting").await?;
    if code != 220 {
        return Err(d.unexpected("greeting", &text.join(" / ")));
    }
    say_hello(d, imapd).await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: false };
    if sasl::needs_tls(d, imapd, user, opening)? {
        d.send("STARTTLS", "STARTTLS").await?;
        let (code, text) = reply(d, "STARTTLS").await?;
        if code != 220 {
            return Err(sasl::tls_refused(d, imapd, "STARTTLS", &text.join(" / ")));
        }
        d.start_tls(&sasl::client_tls(imapd, &d.server)?).await?;
        let before = std::mem::take(&mut d.capabilities);
        say_hello(d, imapd).await?;
        sasl::unweakened(d, imapd, user, &before, "STARTTLS")?;
    }
    if Server::parse(&d.server).noauth || d.capabilities.line("AUTH").is_none() {
        return Ok(());
    }
    authenticate(d, imapd, user).await
}

async fn authenticate(d: &mut Dialog, imapd: &Imapd, user: Option<&str>) -> Result<(), Error> {
    let mut sasl = match Sasl::choose(d, imapd, user) {
        // A listener that trusts its peers (`lmtpd -a`) offers a login too; where we have none, MAIL will tell.
        Err(Error::NoMechanism { .. }) => return Ok(()),
        other => other?,
    };
    let line = format!("AUTH {} {}", sasl.mechanism(), sasl.initial());
    d.send(&line, "AUTH").await?;
    loop {
        let (code, text) = reply(d, "AUTH").await?;
        let text = text.last().cloned().unwrap_or_default();
        match code {
            235 => {
                sasl.succeeded()?;
                d.text = text;
                return Ok(());
            }
            334 => {
                let answer = sasl.answer(text.trim())?;
                d.send(&answer, "AUTH").await?;
            }
            _ => return Err(sasl.denied(format!("{code} {text}"))),
        }
    }
}

/// LHLO; its lines after the first are the capabilities.
async fn say_hello(d: &mut Dialog, imapd: &Imapd) -> Result<(), Error> {
    d.send(&format!("LHLO {}", imapd.servername), "LHLO").await?;
    let (code, lines) = reply(d, "LHLO").await?;
    if code != 250 {
        return Err(d.unexpected("LHLO", &lines.join(" / ")));
    }
    d.capabilities = lines.into_iter().skip(1).collect();
    Ok(())
}

/// One reply: its code, and the text of each of its lines.
pub(crate) async fn reply(d: &mut Dialog, doing: &'static str) -> Result<(u16, Vec<String>), Error> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = d.line(doing).await?;
        let Some((code, rest)) = line.split_at_checked(3) else { return Err(d.unexpected(doing, &line)) };
        let Ok(code) = code.parse::<u16>() else { return Err(d.unexpected(doing, &line)) };
        let more = rest.starts_with('-');
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if !more {
            return Ok((code, lines));
        }
    }
    Err(d.unexpected(doing, "no end of the reply"))
}

const LINES_MAX: usize = 200;
