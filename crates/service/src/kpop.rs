//! The beginning of a connection to a listener with `-k`: a client of KPOP speaks first, any other waits for the greeting.

use std::io;

use identity::auth::Authenticator;
use protocol::pop3::kpop::{ACCEPTED, Heard, Hello, begins, welcome};
use tokio::time::timeout;
use transport::wire::Wire;

use crate::limits::{KPOP_EXCHANGE, KPOP_PIECE, KPOP_SILENCE, rows};

/// Who decides the logins of this connection. None: it is over; the client was told what there is to tell.
///
/// # Errors
/// The connection broke.
pub async fn meet(wire: &mut Wire, auth: &Authenticator) -> io::Result<Option<Authenticator>> {
    if !auth.takes_tickets() {
        wire.output().extend_from_slice(b"-ERR [SYS/PERM] KPOP is not available\r\n");
        wire.flush().await?;
        return Ok(None);
    }
    // Silence is an answer: it waits for the greeting of POP3.
    if let Ok(read) = timeout(KPOP_SILENCE, wire.read_some()).await
        && read? == 0
    {
        return Ok(None);
    }
    if !begins(wire.input()) {
        return Ok(Some(auth.without_ticket()));
    }
    timeout(KPOP_EXCHANGE, exchange(wire, auth)).await.unwrap_or_else(|_| {
        rows::KPOP_EXCHANGE.met("a client of KPOP shows no ticket in time: the connection is ended");
        Ok(None)
    })
}

async fn exchange(wire: &mut Wire, auth: &Authenticator) -> io::Result<Option<Authenticator>> {
    let mut hello = Hello::default();
    loop {
        match hello.hear(wire.input(), KPOP_PIECE) {
            Ok(Heard::More) => {
                if wire.read_some().await? == 0 {
                    return Ok(None);
                }
            }
            Ok(Heard::Versions) => {
                wire.output().extend_from_slice(&[ACCEPTED]);
                wire.flush().await?;
            }
            Ok(Heard::Request(request)) => {
                let channel = wire.stream().channel().clone();
                let Ok((auth, reply)) = auth.with_ticket(request, &channel).await else { return Ok(None) };
                wire.output().extend_from_slice(&welcome(reply.as_deref()));
                wire.flush().await?;
                return Ok(Some(auth));
            }
            Err(malformed) => {
                tracing::info!("{}: KPOP: {malformed}", wire.stream().peer());
                wire.output().extend(malformed.octet());
                wire.flush().await?;
                return Ok(None);
            }
        }
    }
}
