//! What a URL of CATENATE names on another backend: fetched there, and sent on as text.
//!
//! A connection of its own opens the mailbox there, read-only: those of the session have other mailboxes open. The backend that
//! builds the message judges what it can find itself, and refuses the rest; a URL that names nothing is its to refuse, too.

use bytes::Bytes;
use protocol::frame::trim_line;
use protocol::grammar::nstring;
use protocol::imap::code::Heard;
use protocol::imap::url::{Lack, Url};
use protocol::imap::{Cursor, Limits, Refusal};
use protocol::name::MailboxName;
use protocol::namespace::View;
use tokio::time::timeout;
use tracing::warn;
use upstream::wire::imap::{Answer, Id, Part};

use super::link::Link;
use super::pipe::{Pipe, Source};
use super::relay::{client_gone, lost};
use super::{Session, Stop};
use crate::grammar::{put_astring, untagged};
use crate::limits::COPY_LINE;
use crate::peer::{self, Lost3};

/// Where what a URL names is.
enum Place {
    /// On the backend that builds the message, or nowhere: it goes there as `URL`, if this has changed.
    There(Option<String>),
    Elsewhere {
        server: String,
        mailbox: MailboxName,
    },
}

impl Session {
    /// Sends `text`, which is `URL` and the URL, or what that names elsewhere.
    pub async fn part(&mut self, target: &str, pipe: &mut Pipe, text: Bytes, url: &str) -> Result<(), Stop> {
        let Ok(parsed) = Url::parse(url) else { return self.as_it_is(target, pipe, &text) };
        let (server, mailbox) = match self.place_of(target, url, &parsed).await {
            Ok(Place::Elsewhere { server, mailbox }) => (server, mailbox),
            Ok(Place::There(None)) => return self.as_it_is(target, pipe, &text),
            Ok(Place::There(Some(path))) => {
                let mut text = b"URL ".to_vec();
                put_astring(&mut text, path.as_bytes());
                return self.as_it_is(target, pipe, &text);
            }
            Err(Stop::Refused(refusal)) => return self.refuse_part(target, pipe, refusal),
            Err(stop) => return Err(stop),
        };
        match self.fetch_part(target, pipe, (&server, mailbox), &parsed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(lack)) => self.refuse_part(target, pipe, Refusal::bad_url(url, lack.text())),
            Err(Stop::Refused(refusal)) => self.refuse_part(target, pipe, refusal),
            // Nothing of the part has been sent, or all of it.
            Err(Stop::Backend { server, why }) if server != target => {
                warn!("backend {server}: {why}");
                self.refuse_part(target, pipe, Refusal::ServerDown)
            }
            Err(stop) => Err(stop),
        }
    }

    /// The backend gets what it must refuse, hears the command to its end, and stores nothing.
    fn refuse_part(&mut self, target: &str, pipe: &mut Pipe, refusal: Refusal) -> Result<(), Stop> {
        pipe.blame(refusal);
        self.as_it_is(target, pipe, b"URL \"\"")
    }

    /// The backend finds out itself.
    fn as_it_is(&mut self, target: &str, pipe: &mut Pipe, text: &[u8]) -> Result<(), Stop> {
        pipe.go_on();
        self.up(target, |link| link.send(text))
    }

    async fn place_of(&self, target: &str, text: &str, url: &Url) -> Result<Place, Stop> {
        if !url.is_of(&self.listener.imapd().servername, self.user()?.id()) {
            return Ok(Place::There(None));
        }
        let here = url.server.is_some().then(|| text.get(url.path..).unwrap_or_default().to_owned());
        let Some(external) = url.name(self.enabled.manner().utf8_names) else {
            return Ok(match &self.selected {
                Some(open) if open.server != target => {
                    Place::Elsewhere { server: open.server.clone(), mailbox: open.name.clone() }
                }
                _ => Place::There(here),
            });
        };
        match self.locate(&external).await {
            Ok(located) if located.server() != target => {
                Ok(Place::Elsewhere { server: located.server().to_owned(), mailbox: located.name })
            }
            Ok(_) => Ok(Place::There(here)),
            Err(Stop::Refused(Refusal::ListUnsure)) => Err(Refusal::ListUnsure.into()),
            Err(Stop::Refused(_)) => Ok(Place::There(here)),
            Err(stop) => Err(stop),
        }
    }

    /// Sends what the URL names; the inner error is why it names nothing: then nothing was sent.
    async fn fetch_part(
        &mut self,
        target: &str,
        pipe: &mut Pipe,
        (server, mailbox): (&str, MailboxName),
        url: &Url,
    ) -> Result<Result<(), Lack>, Stop> {
        let open = pipe.source.take().filter(|open| open.server == server && open.mailbox == mailbox);
        let mut source = match open {
            Some(source) => source,
            None => match self.open_source(server, mailbox).await? {
                Ok(source) => source,
                Err(lack) => return Ok(Err(lack)),
            },
        };
        let fits = url.uidvalidity.is_none() || url.uidvalidity == source.uidvalidity;
        let mut section = Vec::new();
        url.section.print(&mut section);
        let odd = section.contains(&b'\n');
        if !fits || odd {
            pipe.source = Some(source);
            return Ok(Err(if fits { Lack::Section } else { Lack::UidValidity }));
        }
        let partial = url.partial.map(|(first, count)| format!("<{first}.{count}>")).unwrap_or_default();
        let section = String::from_utf8_lossy(&section);
        let command = format!("UID FETCH {} (BODY.PEEK[{section}]{partial})", url.uid);
        let id = source.link.command(command.as_bytes()).map_err(|why| lost(server, &why.to_string()))?;
        let found = self.stream_part(target, pipe, &mut source, id).await?;
        pipe.source = Some(source);
        Ok(found)
    }

    /// Opens a mailbox on a connection of its own; the inner error is why the user cannot.
    async fn open_source(
        &mut self,
        server: &str,
        mailbox: MailboxName,
    ) -> Result<Result<Source, Lack>, Stop> {
        let way = self.way(server)?;
        let mut link = way.reach().await.map_err(|why| lost(server, &why.to_string()))?.into_link();
        let gone = |why: &dyn ToString| lost(server, &why.to_string());
        if link.capabilities.has("XCLIENT") {
            let origin = self.seat.as_origin(&self.listener.imapd().servername);
            link.command(origin.command().as_bytes()).map_err(|why| gone(&why))?;
        }
        let view = View { utf8: false, ..self.user()?.view() };
        let mut command = b"EXAMINE ".to_vec();
        put_astring(&mut command, self.node.namespace.external(&mailbox, &view).as_bytes());
        let id = link.command(&command).map_err(|why| gone(&why))?;
        let mut uidvalidity = None;
        let patience = self.node.client_timeout();
        let heard = timeout(
            patience,
            hear(&mut link, id, |line| {
                uidvalidity = uidvalidity.or_else(|| told_uidvalidity(line));
            }),
        );
        let answer = heard.await.map_err(|_| lost(server, "no answer in time"))?.map_err(|why| gone(&why))?;
        if !answer.is_ok() {
            return Ok(Err(refused(&answer).ok_or(Refusal::ServerDown)?));
        }
        Ok(Ok(Source { server: server.to_owned(), mailbox, uidvalidity, link }))
    }

    /// Copies the section that a FETCH gives; the inner error is why it gives none.
    async fn stream_part(
        &mut self,
        target: &str,
        pipe: &mut Pipe,
        source: &mut Source,
        id: Id,
    ) -> Result<Result<(), Lack>, Stop> {
        let (mut found, mut rest, mut lack) = (false, 0, Lack::Message);
        loop {
            let Some(link) = self.links.get_mut(target) else { return Err(lost(target, "closed")) };
            pipe.down(&mut self.client, link).map_err(|why| lost(target, &why))?;
            if pipe.is_refused() {
                // It does not want the part: the rest of what the source sends is nobody's.
                return Ok(Ok(()));
            }
            while link.peer.has_room() && !link.wire.is_asked() {
                let part = source.link.part().map_err(|why| lost(&source.server, &why.to_string()))?;
                // Once a part of it has gone out, only the connection's end tells the target that it is not whole.
                let cut_off = if rest > 0 { target } else { &source.server };
                let Some(part) = part else {
                    if source.link.peer.ended {
                        return Err(lost(cut_off, "a part of the message was cut off at its server"));
                    }
                    break;
                };
                match part {
                    Part::Line(text, Some(size)) if !found && is_section(&text) => {
                        (found, rest) = (true, size);
                        announce(pipe, link, size).map_err(|why| lost(target, &why))?;
                    }
                    Part::Line(text, None) if !found && is_section(&text) => {
                        let Some(value) = short_section(&text) else {
                            lack = Lack::Section;
                            continue;
                        };
                        found = true;
                        announce(pipe, link, value.len() as u64).map_err(|why| lost(target, &why))?;
                        link.send(&value).map_err(|why| lost(target, &why.to_string()))?;
                    }
                    Part::Data(bytes, left) if rest > 0 => {
                        rest = left;
                        link.send(&bytes).map_err(|why| lost(target, &why.to_string()))?;
                    }
                    Part::Done(of, _) if of == id => {
                        if !found {
                            return Ok(Err(lack));
                        }
                        pipe.go_on();
                        return Ok(Ok(()));
                    }
                    Part::Bye(_)
                    | Part::Line(..)
                    | Part::Data(..)
                    | Part::Done(..)
                    | Part::Continuation(_) => {}
                }
            }
            self.turn_parts(target, source, rest > 0).await?;
        }
    }

    /// Lets the bytes of all three flow one step.
    async fn turn_parts(&mut self, target: &str, source: &mut Source, is_begun: bool) -> Result<(), Stop> {
        let Some(link) = self.links.get_mut(target) else { return Err(lost(target, "closed")) };
        if link.peer.ended {
            return Err(lost(target, "closed by the server"));
        }
        let turn = peer::turn_three(&mut self.client.peer, &mut source.link.peer, &mut link.peer);
        let at_source = if is_begun { target } else { &source.server };
        match timeout(self.node.client_timeout(), turn).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Lost3::Client(error))) => Err(Stop::Client(error)),
            Ok(Err(Lost3::First(error))) => Err(lost(at_source, &error.to_string())),
            Ok(Err(Lost3::Second(error))) => Err(lost(target, &error.to_string())),
            Err(_) if self.client.peer.ended => Err(client_gone()),
            Err(_) => {
                for (server, blamed) in [(source.server.as_str(), at_source), (target, target)] {
                    let alive = self.node.upstream.greets(server, upstream::Proto::Imap).await;
                    alive.map_err(|error| lost(blamed, &error.to_string()))?;
                }
                Ok(())
            }
        }
    }
}

/// The header of the text that stands in a URL's place.
fn announce(pipe: &mut Pipe, link: &mut Link, size: u64) -> Result<(), String> {
    let waits = size > link.unasked_literal();
    let plus = if waits { "" } else { "+" };
    if waits {
        pipe.ask();
    }
    link.send(format!("TEXT {{{size}{plus}}}\r\n").as_bytes()).map_err(|why| why.to_string())
}

/// Hears a command of ours to its end on a connection that nobody else uses.
async fn hear(link: &mut Link, id: Id, mut each: impl FnMut(&[u8])) -> Result<Answer, String> {
    let mut heard = 0;
    loop {
        while let Some(part) = link.part().map_err(|why| why.to_string())? {
            match part {
                Part::Done(of, answer) if of == id => return Ok(answer),
                Part::Line(text, _) => {
                    heard += text.len();
                    each(&text);
                }
                Part::Data(bytes, _) => heard += bytes.len(),
                Part::Bye(_) | Part::Done(..) | Part::Continuation(_) => {}
            }
            if heard > COPY_LINE {
                return Err("a response too long".to_owned());
            }
        }
        if link.peer.ended {
            return Err("closed by the server".to_owned());
        }
        peer::turn_alone(&mut link.peer).await.map_err(|error| error.to_string())?;
    }
}

/// `* OK [UIDVALIDITY n] …`
fn told_uidvalidity(line: &[u8]) -> Option<u32> {
    let mut at = untagged(line, "OK")?;
    let (name, words) = at.read(protocol::imap::code::code).ok()?;
    words.filter(|_| name.eq_ignore_ascii_case("UIDVALIDITY"))?.parse().ok()
}

/// `* n FETCH (… BODY[…] …`
fn is_section(line: &[u8]) -> bool {
    line.starts_with(b"* ") && section_at(line).is_some()
}

/// Where `BODY[` stands in a line.
fn section_at(line: &[u8]) -> Option<usize> {
    line.windows(5).position(|run| run.eq_ignore_ascii_case(b"BODY["))
}

/// The value of a section that is no literal; none where there is no such section (NIL).
fn short_section(line: &[u8]) -> Option<Vec<u8>> {
    let behind = line.get(section_at(line)?..)?;
    let end = behind.iter().position(|byte| *byte == b']')? + 1;
    let value = behind.get(end..)?;
    let value = value.get(value.iter().position(|byte| *byte == b' ')? + 1..)?;
    let mut at = Cursor::new(trim_line(value), Limits::NONE);
    at.read(nstring).ok().flatten().map(|value| value.into_owned())
}

/// Why a backend does not open a mailbox; none: not because of the user.
fn refused(answer: &Answer) -> Option<Lack> {
    match answer.code() {
        Some(Heard::NoPerm) => Some(Lack::Right),
        Some(Heard::Unavailable | Heard::ServerBug) => None,
        // Older stores give no code.
        _ => Some(Lack::Mailbox),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_is_no_literal_is_read_and_one_that_is_not_there_is_none() {
        let short = |line: &str| short_section(line.as_bytes());
        assert_eq!(short("* 1 FETCH (UID 3 BODY[1.2]<5> \"a b\")\r\n"), Some(b"a b".to_vec()));
        assert_eq!(short("* 1 FETCH (BODY[] \"\" UID 3)\r\n"), Some(Vec::new()));
        assert_eq!(short("* 1 FETCH (BODY[9] NIL UID 3)\r\n"), None);
        assert_eq!(short("* 1 FETCH (FLAGS ())\r\n"), None);
        assert!(is_section(b"* 3 FETCH (body[HEADER] {5}\r\n") && !is_section(b"* 3 FETCH (FLAGS ())\r\n"));
    }

    #[test]
    fn uidvalidity_is_told_when_a_mailbox_is_opened() {
        assert_eq!(told_uidvalidity(b"* OK [UIDVALIDITY 38505] Ok\r\n"), Some(38505));
        assert_eq!(told_uidvalidity(b"* OK [UIDNEXT 5] Ok\r\n"), None);
        assert_eq!(told_uidvalidity(b"* 3 EXISTS\r\n"), None);
    }
}
