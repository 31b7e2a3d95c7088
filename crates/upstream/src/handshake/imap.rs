//! IMAP: CAPABILITY, STARTTLS, AUTHENTICATE, COMPRESS DEFLATE.

use bytes::BytesMut;
use config::imapd::Imapd;
use protocol::frame::trim_line;
use protocol::grammar::{Cursor, Limits};
use protocol::imap::code::code;

use crate::dialog::Dialog;
use crate::limits::RESPONSES_MAX;
use crate::sasl::{self, Opening, Sasl};
use crate::tls::Tls;
use crate::wire::imap::{Answer, Id, Part, Wire};
use crate::{Capabilities, Error};

/// An IMAP connection while its handshake runs.
pub(crate) type Imap = Dialog<Wire>;

/// From the greeting to the authenticated state.
pub(crate) async fn log_in(d: &mut Imap, imapd: &Imapd, tls: &Tls, user: Option<&str>) -> Result<(), Error> {
    let greeting = greeting(d).await?;
    let (kind, text) = greeting.split_once(' ').unwrap_or((&greeting, ""));
    let preauthenticated = kind.eq_ignore_ascii_case("PREAUTH");
    if !kind.eq_ignore_ascii_case("OK") && !preauthenticated {
        return Err(d.unexpected("greeting", &greeting));
    }
    note_capabilities(d, text).await?;
    let opening = Opening { starttls: d.capabilities.has("STARTTLS"), preauth: preauthenticated };
    let needs_tls = sasl::needs_tls(d, imapd, user, opening).await?;
    if preauthenticated {
        return compress(d, imapd).await;
    }
    if needs_tls {
        let before = start_tls(d, imapd, tls).await?;
        ask_capabilities(d).await?;
        sasl::unweakened(d, imapd, user, &before, "STARTTLS")?;
    }
    authenticate(d, imapd, user).await?;
    compress(d, imapd).await
}

/// The capabilities from before it are given back: they were not protected.
async fn start_tls(d: &mut Imap, imapd: &Imapd, tls: &Tls) -> Result<Capabilities, Error> {
    let answer = ask(d, "STARTTLS", "STARTTLS", |_| {}).await?;
    if !answer.is_ok() {
        return Err(sasl::tls_refused(d, imapd, "STARTTLS", &answer.text()));
    }
    d.start_tls(&tls.towards(imapd, &d.server).await?).await?;
    Ok(std::mem::take(&mut d.capabilities))
}

/// What the server says first, without `* ` and line end.
pub(crate) async fn greeting(d: &mut Imap) -> Result<String, Error> {
    match response(d, "greeting").await? {
        Response::Untagged(line) => {
            let line = String::from_utf8_lossy(trim_line(&line)).into_owned();
            Ok(line.strip_prefix("* ").unwrap_or(&line).to_owned())
        }
        Response::Continuation(text) => Err(d.unexpected("greeting", &text)),
        Response::Done(_, answer) => Err(d.unexpected("greeting", &answer.text())),
    }
}

/// SASL on a connection that nobody has authenticated yet.
async fn authenticate(d: &mut Imap, imapd: &Imapd, user: Option<&str>) -> Result<(), Error> {
    const DOING: &str = "AUTHENTICATE";
    let mut sasl = Sasl::choose(d, imapd, user).await?;
    let mut line = format!("AUTHENTICATE {}", sasl.mechanism());
    if d.capabilities.has("SASL-IR") {
        line.push(' ');
        line.push_str(&sasl.initial());
    }
    line.push_str("\r\n");
    let began = d.wire.begin_dialogue(&mut d.out);
    let sent = began.and_then(|id| d.wire.send(line.as_bytes(), &mut d.out).map(|()| id));
    let id = sent.map_err(d.out_of_step(DOING))?;
    for _ in 0..RESPONSES_MAX {
        match response(d, DOING).await? {
            Response::Untagged(_) => {}
            Response::Continuation(challenge) => {
                let answer = sasl.answer(&challenge).await?;
                d.wire.say(&answer, &mut d.out).map_err(d.out_of_step(DOING))?;
            }
            Response::Done(of, answer) if of == id && answer.is_ok() => {
                sasl.succeeded()?;
                d.text = answer.remark();
                return note_capabilities(d, &answer.remark()).await;
            }
            Response::Done(_, answer) if sasl.falls_back(d, imapd, &answer.remark()) => {
                return Box::pin(authenticate(d, imapd, user)).await;
            }
            Response::Done(_, answer) => return Err(sasl.refused(answer.remark())),
        }
    }
    Err(d.unexpected(DOING, "no end of untagged lines"))
}

/// Compresses where `proxy_compress` and the server want it.
async fn compress(d: &mut Imap, imapd: &Imapd) -> Result<(), Error> {
    let beside = d.stream.channel().peer.ip().is_none();
    if imapd.proxy_compress && !beside && d.capabilities.has("COMPRESS=DEFLATE") {
        command(d, "COMPRESS DEFLATE", "COMPRESS").await?;
        d.compress()?;
    }
    Ok(())
}

/// Takes the capabilities from a response code, or asks for them.
async fn note_capabilities(d: &mut Imap, text: &str) -> Result<(), Error> {
    match Cursor::new(text.as_bytes(), Limits::NONE).read(code) {
        Ok(("CAPABILITY", Some(words))) => {
            d.capabilities = Capabilities::from_words(words);
            Ok(())
        }
        _ => ask_capabilities(d).await,
    }
}

async fn ask_capabilities(d: &mut Imap) -> Result<(), Error> {
    let mut found = None;
    let answer = ask(d, "CAPABILITY", "CAPABILITY", |response| {
        let line = String::from_utf8_lossy(trim_line(response)).into_owned();
        found = line.strip_prefix("* CAPABILITY ").map(Capabilities::from_words).or(found.take());
    })
    .await?;
    if !answer.is_ok() {
        return Err(d.unexpected("CAPABILITY", &answer.text()));
    }
    d.capabilities = found.unwrap_or_default();
    Ok(())
}

/// A command whose answer must be OK; untagged responses are ignored.
async fn command(d: &mut Imap, text: &str, doing: &'static str) -> Result<(), Error> {
    let answer = ask(d, text, doing, |_| {}).await?;
    if answer.is_ok() { Ok(()) } else { Err(d.unexpected(doing, &answer.text())) }
}

/// Sends a command and hears it to its end, giving each untagged response whole to `each`.
pub(crate) async fn ask(
    d: &mut Imap,
    text: &str,
    doing: &'static str,
    mut each: impl FnMut(&[u8]),
) -> Result<Answer, Error> {
    let id = d.wire.command(text, &mut d.out).map_err(d.out_of_step(doing))?;
    for _ in 0..RESPONSES_MAX {
        match response(d, doing).await? {
            Response::Untagged(response) => each(&response),
            Response::Done(of, answer) if of == id => return Ok(answer),
            Response::Continuation(text) => return Err(d.unexpected(doing, &text)),
            Response::Done(_, answer) => return Err(d.unexpected(doing, &answer.text())),
        }
    }
    Err(d.unexpected(doing, "no end of untagged lines"))
}

/// One whole response.
enum Response {
    /// With its literals and its line end.
    Untagged(BytesMut),
    /// The text after `+ `.
    Continuation(String),
    Done(Id, Answer),
}

async fn response(d: &mut Imap, doing: &'static str) -> Result<Response, Error> {
    let mut held = BytesMut::new();
    loop {
        while let Some(part) = d.wire.part(&mut d.input).map_err(d.out_of_step(doing))? {
            match part {
                Part::Line(line, literal) => {
                    held.extend_from_slice(&line);
                    if literal.is_none() {
                        return Ok(Response::Untagged(held));
                    }
                }
                Part::Data(bytes, _) => held.extend_from_slice(&bytes),
                Part::Continuation(line) => {
                    let text = String::from_utf8_lossy(trim_line(&line)).into_owned();
                    return Ok(Response::Continuation(text.trim_start_matches('+').trim().to_owned()));
                }
                Part::Bye(line) => {
                    return Err(d.unexpected(doing, &String::from_utf8_lossy(trim_line(&line))));
                }
                Part::Done(id, answer) => return Ok(Response::Done(id, answer)),
            }
        }
        if held.len() + d.input.len() > d.response_max {
            return Err(d.unexpected(doing, "a response beyond all bounds"));
        }
        d.step(doing).await?;
    }
}
