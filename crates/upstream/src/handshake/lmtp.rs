//! LMTP: `LHLO`, `STARTTLS`, `AUTH mech [ir]`. A listener that trusts its peers (a Unix socket, `lmtpd -a`) offers no
//! mechanism: nothing is asked of it.

use config::imapd::Imapd;
use protocol::lmtp::reply::Answer;
use transport::resolve::Server;

use crate::Error;
use crate::dialog::Dialog;
use crate::sasl::{self, Opening, Sasl};
use crate::tls::Tls;
use crate::wire::lmtp::Wire;

/// An LMTP connection while its handshake runs.
pub(crate) type Lmtp = Dialog<Wire>;

/// From the greeting to the point where MAIL may be sent.
pub(crate) async fn log_in(d: &mut Lmtp, imapd: &Imapd, tls: &Tls) -> Result<(), Error> {
    let greeting = reply(d, "greeting").await?;
    if greeting.code != 220 {
        return Err(d.unexpected("greeting", &greeting.lines.join(" / ")));
    }
    say_hello(d, imapd).await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: false };
    if sasl::needs_tls(d, imapd, None, opening).await? {
        let answer = ask(d, "STARTTLS", "STARTTLS").await?;
        if answer.code != 220 {
            return Err(sasl::tls_refused(d, imapd, "STARTTLS", &answer.lines.join(" / ")));
        }
        d.start_tls(&tls.towards(imapd, &d.server).await?).await?;
        let before = std::mem::take(&mut d.capabilities);
        say_hello(d, imapd).await?;
        sasl::unweakened(d, imapd, None, &before, "STARTTLS")?;
    }
    // Whoever comes by a UNIX socket is trusted.
    let beside = d.stream.channel().peer.ip().is_none();
    if beside || Server::parse(&d.server).noauth || d.capabilities.line("AUTH").is_none() {
        return Ok(());
    }
    authenticate(d, imapd).await
}

async fn authenticate(d: &mut Lmtp, imapd: &Imapd) -> Result<(), Error> {
    let mut sasl = match Sasl::choose(d, imapd, None).await {
        // A listener that trusts its peers (`lmtpd -a`) offers a login too; where we have none, MAIL will tell.
        Err(Error::NoMechanism { .. }) => return Ok(()),
        other => other?,
    };
    let line = format!("AUTH {} {}", sasl.mechanism(), sasl.initial());
    let mut answer = ask(d, &line, "AUTH").await?;
    loop {
        let text = answer.lines.last().cloned().unwrap_or_default();
        match answer.code {
            235 => {
                sasl.succeeded()?;
                d.text = text;
                return Ok(());
            }
            334 => {
                let say = sasl.answer(text.trim()).await?;
                d.wire.say(&say, &mut d.out).map_err(d.out_of_step("AUTH"))?;
                answer = reply(d, "AUTH").await?;
            }
            code if sasl.falls_back(d, imapd, &format!("{code} {text}")) => {
                return Box::pin(authenticate(d, imapd)).await;
            }
            code => return Err(sasl.refused(format!("{code} {text}"))),
        }
    }
}

/// LHLO; its lines after the first are the capabilities.
async fn say_hello(d: &mut Lmtp, imapd: &Imapd) -> Result<(), Error> {
    let answer = ask(d, &format!("LHLO {}", imapd.servername), "LHLO").await?;
    if answer.code != 250 {
        return Err(d.unexpected("LHLO", &answer.lines.join(" / ")));
    }
    d.capabilities = answer.lines.into_iter().skip(1).collect();
    Ok(())
}

/// Whatever came before is forgotten: the connection is at rest and lives.
pub(crate) async fn reset(d: &mut Lmtp) -> Result<(), Error> {
    let answer = ask(d, "RSET", "RSET").await?;
    match answer.code == 250 && d.wire.is_at_rest(&d.input) {
        true => Ok(()),
        false => Err(d.unexpected("RSET", &answer.lines.join(" / "))),
    }
}

async fn ask(d: &mut Lmtp, command: &str, doing: &'static str) -> Result<Answer, Error> {
    d.wire.command(command.as_bytes(), &mut d.out).map_err(d.out_of_step(doing))?;
    reply(d, doing).await
}

async fn reply(d: &mut Lmtp, doing: &'static str) -> Result<Answer, Error> {
    loop {
        if let Some(answer) = d.wire.next(&mut d.input).map_err(d.out_of_step(doing))? {
            return Ok(answer);
        }
        d.step(doing).await?;
    }
}
