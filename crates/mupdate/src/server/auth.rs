//! AUTHENTICATE: bare base64 lines, no prefix in either direction, answered by a tagged OK or NO and nothing else.
//!
//! The authentication identity decides: one of `admins` may do everything, one of `mupdate_readers` may read. As whom
//! it acts is not asked, as in Cyrus.

use std::io;

use directory::serve::{IDLED, put_bye};
use identity::auth::{Failure, Login, Step64};
use protocol::{
    frame::trim_line,
    mupdate::{reply::Reply, session::Access},
};

use tokio::time::{Instant, sleep_until};

use super::visitor::{Flow, Visitor};
use crate::server::limits::{CHALLENGE, LINE, STEPS, rows};

impl Visitor<'_> {
    pub(super) async fn authenticate(
        &mut self,
        tag: &str,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> io::Result<Flow> {
        let channel = self.wire.stream().channel().clone();
        let Some(auth) = self.guards.auth.clone() else { return Ok(Flow::On) };
        let mut exchange = match auth.start(mechanism, &channel) {
            Ok(exchange) => exchange,
            Err(_) => {
                self.say(tag, Reply::no("no mechanism available"));
                return Ok(Flow::On);
            }
        };
        let mut message = initial;
        for _ in 0..STEPS {
            match self.wire.stream().attend(exchange.step64(message.as_deref())).await {
                Step64::Challenge(challenge) => {
                    self.wire.output().extend_from_slice(challenge.as_bytes());
                    self.wire.output().extend_from_slice(b"\r\n");
                    self.wire.flush().await?;
                    let Some(line) = self.sasl_line().await? else { return Ok(Flow::End) };
                    if line.starts_with(b"*") {
                        self.say(tag, Reply::no("Client canceled authentication"));
                        return Ok(Flow::On);
                    }
                    message = Some(line);
                }
                Step64::Done(login) => {
                    self.admit(tag, &login);
                    return Ok(Flow::On);
                }
                // No word of the password, which nobody has looked at.
                Step64::Failed(Failure::Temporary(_)) => {
                    self.say(tag, Reply::no(UNCHECKED));
                    return Ok(Flow::On);
                }
                Step64::Failed(_) => {
                    self.say(tag, Reply::no("authentication failed"));
                    return Ok(Flow::On);
                }
            }
        }
        self.say(tag, Reply::no("authentication failed"));
        Ok(Flow::On)
    }

    fn admit(&mut self, tag: &str, login: &Login) {
        let settings = self.gate.settings.load();
        let access = if settings.admins.contains(&login.authid) {
            self.gate.server.best_access()
        } else if settings.readers.contains(&login.authid) {
            Access::Read
        } else {
            let peer = self.wire.stream().peer().clone();
            tracing::info!(
                "badlogin: {peer} {} {} only admins may authenticate",
                login.mechanism,
                login.authid
            );
            Access::None
        };
        if access != Access::None
            && let Some(seat) = self.seat
            && let Err(why) = seat.login(login, self.wire.stream().tls().is_some())
        {
            self.say(tag, Reply::no(why.to_string()));
            return;
        }
        self.session.access = access;
        if access != Access::None {
            self.guards.stranger = None;
        }
        self.say(
            tag,
            match access {
                Access::None => Reply::no("only admins may authenticate"),
                Access::Read | Access::Write => Reply::ok("Authenticated"),
            },
        );
    }

    /// A line of the client's; none if it is too long, or the client is gone or sent away.
    async fn sasl_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let deadline = self.deadline().min(Instant::now() + CHALLENGE);
        loop {
            let input = self.wire.input();
            if let Some(end) = input.iter().position(|&b| b == b'\n') {
                let line = input.split_to(end + 1);
                return Ok((line.len() <= LINE + 2).then(|| trim_line(&line).to_vec()));
            }
            if input.len() > LINE {
                rows::LINE.met("a line of a login without end: the connection is ended");
                return Ok(None);
            }
            tokio::select! {
                biased;
                read = self.wire.read_some() => {
                    if read? == 0 {
                        return Ok(None);
                    }
                }
                () = sleep_until(deadline) => {
                    put_bye(&mut self.wire, IDLED);
                    return Ok(None);
                }
            }
        }
    }
}

const UNCHECKED: &str =
    "login not checked: too many have failed, or passwords cannot be read; try again later";
