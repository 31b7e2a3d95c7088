//! POP3: `CAPA`, `STLS`, `AUTH mech [ir]`. The server opens the mailbox while it authenticates, so that a locked
//! maildrop is a refused login; its text is kept for the client.

use config::imapd::Imapd;
use protocol::origin::Origin;

use crate::Error;
use crate::dialog::Dialog;
use crate::limits::COMMAND_MAX;
use crate::sasl::{self, Opening, Sasl};
use crate::tls::Tls;
use crate::wire::pop3::{Answer, Wire};

/// A POP3 connection while its handshake runs.
pub(crate) type Pop3 = Dialog<Wire>;

/// From the greeting to the TRANSACTION state. A server of ours learns in passing where the session comes from.
pub(crate) async fn log_in(
    d: &mut Pop3,
    imapd: &Imapd,
    tls: &Tls,
    user: Option<&str>,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    let greeting = answer(d, "greeting").await?;
    ok(d, greeting, "greeting")?;
    ask_capabilities(d).await?;
    let opening = Opening { starttls: d.capabilities.has("STLS"), preauth: false };
    if sasl::needs_tls(d, imapd, user, opening).await? {
        if let Answer::Err(text) | Answer::Challenge(text) = ask(d, "STLS", "STLS").await? {
            return Err(sasl::tls_refused(d, imapd, "STLS", &text));
        }
        d.start_tls(&tls.towards(imapd, &d.server).await?).await?;
        let before = std::mem::take(&mut d.capabilities);
        ask_capabilities(d).await?;
        sasl::unweakened(d, imapd, user, &before, "STLS")?;
    }
    let origin = origin.filter(|_| d.capabilities.has("XCLIENT") && d.capabilities.has("PIPELINING"));
    authenticate(d, imapd, user, origin).await
}

async fn authenticate(
    d: &mut Pop3,
    imapd: &Imapd,
    user: Option<&str>,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    const DOING: &str = "AUTH";
    let mut sasl = Sasl::choose(d, imapd, user).await?;
    let mut line = format!("AUTH {}", sasl.mechanism());
    let initial = sasl.initial();
    if line.len() + 1 + initial.len() <= COMMAND_MAX {
        line.push(' ');
        line.push_str(&initial);
    } else {
        sasl.rewind();
    }
    if let Some(origin) = origin {
        d.wire.command(&origin.command(), &mut d.out).map_err(d.out_of_step(DOING))?;
    }
    d.wire.command(&line, &mut d.out).map_err(d.out_of_step(DOING))?;
    if origin.is_some() {
        // Whatever it says: the login does not depend on it.
        answer(d, "XCLIENT").await?;
    }
    loop {
        match answer(d, DOING).await? {
            Answer::Ok(text, _) => {
                sasl.succeeded()?;
                d.text = text;
                return Ok(());
            }
            Answer::Challenge(challenge) => {
                let say = sasl.answer(&challenge).await?;
                d.wire.say(&say, &mut d.out).map_err(d.out_of_step(DOING))?;
            }
            Answer::Err(text) if sasl.falls_back(d, imapd, &text) => {
                return Box::pin(authenticate(d, imapd, user, None)).await;
            }
            Answer::Err(text) => return Err(sasl.refused(text)),
        }
    }
}

async fn ask_capabilities(d: &mut Pop3) -> Result<(), Error> {
    let answer = ask(d, "CAPA", "CAPA").await?;
    d.capabilities = ok(d, answer, "CAPA")?.into_iter().collect();
    Ok(())
}

/// The lines of an answer that must be `+OK`.
fn ok(d: &Pop3, answer: Answer, doing: &'static str) -> Result<Vec<String>, Error> {
    match answer {
        Answer::Ok(_, lines) => Ok(lines),
        Answer::Err(text) | Answer::Challenge(text) => Err(d.unexpected(doing, &text)),
    }
}

async fn ask(d: &mut Pop3, command: &str, doing: &'static str) -> Result<Answer, Error> {
    d.wire.command(command, &mut d.out).map_err(d.out_of_step(doing))?;
    answer(d, doing).await
}

async fn answer(d: &mut Pop3, doing: &'static str) -> Result<Answer, Error> {
    loop {
        if let Some(answer) = d.wire.next(&mut d.input).map_err(d.out_of_step(doing))? {
            return Ok(answer);
        }
        d.step(doing).await?;
    }
}
