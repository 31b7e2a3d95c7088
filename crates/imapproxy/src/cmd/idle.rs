//! IDLE (RFC 2177): the selected backend's own, its news passed on as they come; where it has none, it is asked by NOOP
//! every `imapidlepoll`.

use std::time::{Duration, Instant};

use protocol::frame::{Piece, trim_line};
use protocol::imap::{Bye, Refusal};
use upstream::wire::imap::Event;

use crate::limits::LOOK;
use crate::peer;
use crate::session::link::Link;
use crate::session::relay::{To, bye_text, client_gone, lost};
use crate::session::{Done, Outcome, Session, Stop};

/// `IDLE` … `DONE`
pub async fn idle(s: &mut Session) -> Outcome {
    let poll = s.listener.imapd().imapidlepoll;
    if poll.is_zero() {
        return Err(Refusal::Unrecognized.into());
    }
    let selected = s.selected_server().map(str::to_owned);
    let live = selected
        .clone()
        .filter(|server| s.links.get_mut(server).is_some_and(|link| link.capabilities.has("IDLE")));
    let done = match (live, selected) {
        (Some(server), _) => relayed(s, &server).await?,
        (None, selected) => polled(s, selected.as_deref(), poll).await?,
    };
    if !done {
        return Err(Refusal::BadIdle.into());
    }
    Ok(Done::completed())
}

/// The backend idles, and says what happens.
async fn relayed(s: &mut Session, server: &str) -> Result<bool, Stop> {
    let (mut id, mut server) = (s.up(server, Link::begin_idle)?, server.to_owned());
    let (mut idling, mut done) = (false, None);
    let since = Instant::now();
    loop {
        while s.client.peer.has_room() {
            let link = s.links.get_mut(&server).ok_or_else(|| lost(&server, "closed"))?;
            match link.event().map_err(|why| lost(&server, &why.to_string()))? {
                Some(Event::Untagged(bytes)) => s.client.pass_on(bytes, link.wire.between_responses()),
                Some(Event::Continuation(_)) if !idling => {
                    idling = true;
                    s.client.put("+ idling\r\n");
                }
                Some(Event::Done(of, _)) if of == id => {
                    return match done {
                        Some(done) => Ok(done),
                        None => refused(s, &server, idling).await,
                    };
                }
                // It says why: a kick, a mailbox that is gone.
                Some(Event::Bye(line)) => return Err(Stop::Bye(Bye::new(bye_text(&line)))),
                Some(_) => {}
                None if link.peer.ended => return Err(lost(&server, "closed by the server")),
                None => break,
            }
        }
        if idling && s.follow_selected().await? {
            if let Some(done) = done {
                return Ok(done);
            }
            server = s.selected_server().map(str::to_owned).ok_or_else(Stop::lost)?;
            id = s.up(&server, Link::begin_idle)?;
        }
        let whole = s.links.get_mut(&server).is_some_and(|link| link.wire.between_responses());
        if idling && done.is_none() && whole && s.client.peer.has_room() {
            s.tell_news().await?;
        }
        if idling
            && done.is_none()
            && let Some(piece) = s.client.poll_piece()?
        {
            done = Some(is_done(s, piece).await?);
            s.up(&server, Link::done)?;
        }
        if done.is_none() && s.client.peer.ended {
            return Err(client_gone());
        }
        // Until DONE there is nothing to wait for but news; afterwards the backend must answer.
        if done.is_some() || !idling {
            s.step(&server).await?;
        } else {
            rest(s, Some(&server), since, Duration::MAX, whole).await?;
        }
    }
}

/// A backend that ends IDLE by itself: it refuses, or has had enough; the client goes on idling here.
async fn refused(s: &mut Session, server: &str, idling: bool) -> Result<bool, Stop> {
    let poll = s.listener.imapd().imapidlepoll;
    if idling { wait_polling(s, Some(server), poll).await } else { polled(s, Some(server), poll).await }
}

async fn polled(s: &mut Session, server: Option<&str>, poll: Duration) -> Result<bool, Stop> {
    s.client.put("+ idling\r\n");
    wait_polling(s, server, poll).await
}

async fn wait_polling(s: &mut Session, server: Option<&str>, poll: Duration) -> Result<bool, Stop> {
    let since = Instant::now();
    let mut asked = Instant::now();
    loop {
        if let Some(piece) = s.client.poll_piece()? {
            return is_done(s, piece).await;
        }
        if s.client.peer.ended {
            return Err(client_gone());
        }
        if s.client.peer.has_room() && !s.client.is_torn() {
            s.tell_news().await?;
        }
        if let Some(server) = server.filter(|_| asked.elapsed() >= poll) {
            s.ask(server, "NOOP", To::Client).await?;
            asked = Instant::now();
        }
        rest(s, server, since, poll.saturating_sub(asked.elapsed()), !s.client.is_torn()).await?;
    }
}

/// Waits for news from either side, at most `pause`, and not beyond the idle time-out or the shutdown. `whole`: what happens elsewhere
/// may be told, too.
async fn rest(
    s: &mut Session,
    server: Option<&str>,
    since: Instant,
    pause: Duration,
    whole: bool,
) -> Result<(), Stop> {
    let imapd = s.listener.imapd();
    let bound = imapd.imapidletimeout.unwrap_or(imapd.timeout);
    let left = bound.saturating_sub(since.elapsed());
    if left.is_zero() {
        return Err(Stop::idle());
    }
    let text = s.context.notices().shutdown().await;
    if let Some(text) = text.filter(|_| s.user.as_ref().is_none_or(|user| !user.is_admin())) {
        return Err(Stop::notice(text));
    }
    let (stop, heard) = (s.seat.stop(), s.heard());
    let listens = whole && s.client.peer.has_room();
    let link = server.and_then(|server| s.links.get_mut(server));
    let client = &mut s.client.peer;
    let moved = async {
        match link {
            Some(link) => peer::turn(client, &mut link.peer, true).await.map_err(|lost| match lost {
                peer::Lost::Client(error) => Stop::Client(error),
                peer::Lost::Backend(error) => lost_selected(server, &error),
            }),
            None => peer::turn_alone(client).await.map_err(Stop::Client),
        }
    };
    tokio::select! {
        moved = moved => moved,
        () = stop.cancelled() => Err(s.stopped()),
        () = heard, if listens => Ok(()),
        () = tokio::time::sleep(left.min(pause).min(LOOK)) => Ok(()),
    }
}

fn lost_selected(server: Option<&str>, error: &std::io::Error) -> Stop {
    lost(server.unwrap_or_default(), &error.to_string())
}

/// Whether the client said DONE; anything else ends IDLE too.
async fn is_done(s: &mut Session, piece: Piece) -> Result<bool, Stop> {
    match piece {
        Piece::Line(line) => Ok(trim_line(&line).eq_ignore_ascii_case(b"DONE")),
        other => {
            s.client.skip(other).await?;
            Ok(false)
        }
    }
}
