//! ManageSieve: capabilities are the greeting, `STARTTLS`, after which they come again unasked, `AUTHENTICATE mech [ir]`.

use config::imapd::Imapd;
use protocol::origin::Origin;

use crate::Error;
use crate::dialog::Dialog;
use crate::sasl::{self, Opening, Sasl};
use crate::tls::Tls;
use crate::wire::sieve::{Answer, PROOF, Wire};

/// A ManageSieve connection while its handshake runs.
pub(crate) type ManageSieve = Dialog<Wire>;

/// From the greeting to a session that acts for `user`.
pub(crate) async fn log_in(
    d: &mut ManageSieve,
    imapd: &Imapd,
    tls: &Tls,
    user: &str,
    origin: Option<&Origin>,
) -> Result<(), Error> {
    announced(d, "greeting").await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: false };
    if sasl::needs_tls(d, imapd, Some(user), opening).await? {
        d.wire.command("STARTTLS", &mut d.out).map_err(d.out_of_step("STARTTLS"))?;
        if let Answer::Refused(text) | Answer::Challenge(text) = answer(d, "STARTTLS").await? {
            return Err(sasl::tls_refused(d, imapd, "STARTTLS", &text));
        }
        d.start_tls(&tls.towards(imapd, &d.server).await?).await?;
        d.wire.expect_announcement();
        let before = std::mem::take(&mut d.capabilities);
        announced(d, "STARTTLS").await?;
        sasl::unweakened(d, imapd, Some(user), &before, "STARTTLS")?;
    }
    if let Some(origin) = origin.filter(|_| d.capabilities.has("XCLIENT")) {
        d.wire.command(&origin.command(), &mut d.out).map_err(d.out_of_step("XCLIENT"))?;
        // Whatever it says: the login does not depend on it.
        answer(d, "XCLIENT").await?;
    }
    authenticate(d, imapd, user).await
}

async fn authenticate(d: &mut ManageSieve, imapd: &Imapd, user: &str) -> Result<(), Error> {
    const DOING: &str = "AUTHENTICATE";
    let mut sasl = Sasl::choose(d, imapd, Some(user)).await?;
    // Empty is written as it is.
    let initial = sasl.initial();
    let initial = if initial == "=" { "" } else { &initial };
    let command = format!("AUTHENTICATE \"{}\" \"{initial}\"", sasl.mechanism());
    d.wire.command(&command, &mut d.out).map_err(d.out_of_step(DOING))?;
    loop {
        match answer(d, DOING).await? {
            Answer::Ok(lines) => {
                if let Some(proof) = lines.iter().find_map(|line| line.strip_prefix(PROOF)) {
                    sasl.answer(proof.trim()).await?;
                }
                sasl.succeeded()?;
                return match d.wire.is_at_rest(&d.input) {
                    true => Ok(()),
                    false => Err(d.unexpected(DOING, "text behind the end of the login")),
                };
            }
            Answer::Challenge(challenge) => {
                let say = sasl.answer(&challenge).await?;
                d.wire.say(&say, &mut d.out).map_err(d.out_of_step(DOING))?;
            }
            Answer::Refused(text) if sasl.falls_back(d, imapd, &text) => {
                return Box::pin(authenticate(d, imapd, user)).await;
            }
            Answer::Refused(text) => return Err(sasl.refused(text)),
        }
    }
}

/// What the server announces, unasked.
async fn announced(d: &mut ManageSieve, doing: &'static str) -> Result<(), Error> {
    match answer(d, doing).await? {
        Answer::Ok(lines) => {
            d.capabilities = lines.into_iter().collect();
            Ok(())
        }
        Answer::Refused(text) | Answer::Challenge(text) => Err(d.unexpected(doing, &text)),
    }
}

pub(crate) async fn answer(d: &mut ManageSieve, doing: &'static str) -> Result<Answer, Error> {
    loop {
        if let Some(answer) = d.wire.next(&mut d.input).map_err(d.out_of_step(doing))? {
            return Ok(answer);
        }
        d.step(doing).await?;
    }
}
