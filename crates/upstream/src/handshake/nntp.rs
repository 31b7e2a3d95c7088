//! NNTP: CAPABILITIES, `STARTTLS`, `AUTHINFO SASL mech [ir]` (RFC 4642, RFC 4643), `COMPRESS DEFLATE` (RFC 8054).

use config::imapd::Imapd;
use protocol::origin::Origin;

use crate::dialog::Dialog;
use crate::limits::{LIST_MAX, NNTP_COMMAND, RESPONSE_MAX, rows};
use crate::sasl::{self, Opening, Sasl};
use crate::tls::Tls;
use crate::wire::nntp::{Event, Wire};
use crate::{Capabilities, Error};

/// An NNTP connection while its handshake runs.
pub(crate) type Nntp = Dialog<Wire>;

/// From the greeting to a session that acts for `user`.
pub(crate) async fn log_in(
    d: &mut Nntp,
    imapd: &Imapd,
    tls: &Tls,
    user: &str,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    match status(d, "greeting").await? {
        (200 | 201, _) => {}
        (code, text) => return Err(d.unexpected("greeting", &format!("{code} {text}"))),
    }
    ask_capabilities(d).await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: false };
    if sasl::needs_tls(d, imapd, Some(user), opening).await? {
        match ask(d, "STARTTLS", "STARTTLS").await? {
            (382, _) => {}
            (code, text) => return Err(sasl::tls_refused(d, imapd, "STARTTLS", &format!("{code} {text}"))),
        }
        d.start_tls(&tls.towards(imapd, &d.server).await?).await?;
        let before = std::mem::take(&mut d.capabilities);
        ask_capabilities(d).await?;
        sasl::unweakened(d, imapd, Some(user), &before, "STARTTLS")?;
    }
    if let Some(origin) = origin.filter(|_| d.capabilities.has("XCLIENT")) {
        // Whatever it says: the login does not depend on it.
        ask(d, &origin.command(), "XCLIENT").await?;
    }
    authenticate(d, imapd, user).await?;
    compress(d, imapd).await
}

async fn authenticate(d: &mut Nntp, imapd: &Imapd, user: &str) -> Result<(), Error> {
    const DOING: &str = "AUTHINFO SASL";
    let mut sasl = Sasl::choose(d, imapd, Some(user)).await?;
    let mut line = format!("AUTHINFO SASL {}", sasl.mechanism());
    let initial = sasl.initial();
    if line.len() + 1 + initial.len() <= NNTP_COMMAND {
        line.push(' ');
        line.push_str(&initial);
    } else {
        sasl.rewind();
    }
    let (mut code, mut text) = ask(d, &line, DOING).await?;
    loop {
        match code {
            281 => break,
            // What the server proves itself with comes with the end (RFC 4643 section 2.4.1).
            283 => {
                sasl.answer(&text).await?;
                break;
            }
            383 => {
                // An empty challenge is written as `=`.
                let challenge = if text == "=" { "" } else { &text };
                let answer = sasl.answer(challenge).await?;
                let say = if answer.is_empty() { "=" } else { &answer };
                d.wire.say(say, &mut d.out).map_err(d.out_of_step(DOING))?;
                (code, text) = status(d, DOING).await?;
            }
            481 | 482 if sasl.falls_back(d, imapd, &text) => {
                return Box::pin(authenticate(d, imapd, user)).await;
            }
            481 | 482 => return Err(sasl.refused(text)),
            _ => return Err(sasl.denied(format!("{code} {text}"))),
        }
    }
    sasl.succeeded()?;
    d.text = text;
    match d.wire.is_at_rest(&d.input) {
        true => Ok(()),
        false => Err(d.unexpected(DOING, "text behind the end of the login")),
    }
}

/// Compresses where `proxy_compress` and the server want it.
async fn compress(d: &mut Nntp, imapd: &Imapd) -> Result<(), Error> {
    let offered = d.capabilities.line("COMPRESS").is_some_and(|words| {
        words.split_ascii_whitespace().any(|algorithm| algorithm.eq_ignore_ascii_case("DEFLATE"))
    });
    if imapd.proxy_compress && offered && !d.stream.is_compressed() {
        match ask(d, "COMPRESS DEFLATE", "COMPRESS").await? {
            (206, _) => d.compress()?,
            (code, text) => return Err(d.unexpected("COMPRESS", &format!("{code} {text}"))),
        }
    }
    Ok(())
}

async fn ask_capabilities(d: &mut Nntp) -> Result<(), Error> {
    const DOING: &str = "CAPABILITIES";
    match ask(d, DOING, DOING).await? {
        (101, _) => {}
        (code, text) => return Err(d.unexpected(DOING, &format!("{code} {text}"))),
    }
    let mut lines = Vec::new();
    loop {
        match event(d, DOING).await? {
            Event::Piece(bytes) => lines.extend_from_slice(&bytes),
            Event::End => break,
            Event::Status { text, .. } => return Err(d.unexpected(DOING, &text)),
        }
        if lines.len() > RESPONSE_MAX {
            rows::LIST_MAX.met("a backend sends capabilities without end: it is disconnected");
            return Err(d.unexpected(DOING, "capabilities without end"));
        }
    }
    let lines = String::from_utf8_lossy(&lines);
    d.capabilities = lines.lines().take(LIST_MAX).map(str::to_owned).collect::<Capabilities>();
    Ok(())
}

async fn ask(d: &mut Nntp, command: &str, doing: &'static str) -> Result<(u16, String), Error> {
    d.wire.command(command, &mut d.out).map_err(d.out_of_step(doing))?;
    status(d, doing).await
}

async fn status(d: &mut Nntp, doing: &'static str) -> Result<(u16, String), Error> {
    match event(d, doing).await? {
        Event::Status { code, text, .. } => Ok((code, text)),
        Event::Piece(_) | Event::End => Err(d.unexpected(doing, "lines that nobody asked for")),
    }
}

async fn event(d: &mut Nntp, doing: &'static str) -> Result<Event, Error> {
    loop {
        if let Some(event) = d.wire.next(&mut d.input).map_err(d.out_of_step(doing))? {
            return Ok(event);
        }
        d.step(doing).await?;
    }
}
