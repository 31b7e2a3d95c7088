//! A client shows its ticket: the server's side of RFC 4752.
//!
//! ```text
//! C: token            S: token             until the context is there
//! C: (nothing)        S: wrap(offer)       no layer
//! C: wrap(choice)                          no layer, and as whom to act
//! ```

use std::sync::Arc;

use krb5::{Accepting, Acceptor};
use protocol::gssapi::{Choice, NONE, Offer};

use super::Tickets;
use crate::auth::Failure;
use crate::limits::{TOKEN, rows};

/// One client, while it logs in.
pub(in crate::auth) struct Accept {
    acceptor: Arc<Acceptor>,
    state: State,
}

enum State {
    /// The context is being made.
    Begun(Accepting),
    /// The client owes an empty message, after which it hears the offer.
    Established(Accepting),
    Offered(Accepting),
    Over,
}

/// What a message gives.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::auth) enum Accepted {
    /// For the client.
    Challenge(Vec<u8>),
    /// The principal, and as whom it wants to act.
    Proven { principal: String, authzid: Option<String> },
}

impl Accept {
    pub fn new(tickets: &Tickets) -> Accept {
        let acceptor = tickets.acceptor.clone();
        Accept { state: State::Begun(acceptor.begin()), acceptor }
    }

    /// Whether the next message is a ticket, which may be a wrong one.
    pub fn awaits_ticket(&self) -> bool {
        matches!(self.state, State::Begun(_))
    }

    /// Takes the client's next message. Blocks for the files of the library.
    ///
    /// # Errors
    /// The ticket is none of ours, or the client does not keep to the order.
    pub fn step(&mut self, message: &[u8]) -> Result<Accepted, Failure> {
        if message.len() > TOKEN {
            rows::TOKEN.met("a Kerberos token is too long: the login is refused");
            return Err(Failure::Malformed("a token too long".to_owned()));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun(context) => self.establish(context, message),
            State::Established(context) => match message.is_empty() {
                true => self.offer(context),
                false => Err(Failure::Malformed("a token behind the last one".to_owned())),
            },
            State::Offered(context) => conclude(context, message),
            State::Over => Err(Failure::Malformed("the exchange is over".to_owned())),
        }
    }

    fn establish(&mut self, mut context: Accepting, token: &[u8]) -> Result<Accepted, Failure> {
        let stepped =
            context.step(&self.acceptor, token).map_err(|error| Failure::BadTicket(error.to_string()))?;
        if !stepped.complete {
            self.state = State::Begun(context);
            return Ok(Accepted::Challenge(stepped.token));
        }
        if stepped.token.is_empty() {
            return self.offer(context);
        }
        self.state = State::Established(context);
        Ok(Accepted::Challenge(stepped.token))
    }

    fn offer(&mut self, mut context: Accepting) -> Result<Accepted, Failure> {
        let offer =
            context.wrap(&Offer::BARE.octets()).map_err(|error| Failure::BadTicket(error.to_string()))?;
        self.state = State::Offered(context);
        Ok(Accepted::Challenge(offer))
    }
}

fn conclude(mut context: Accepting, message: &[u8]) -> Result<Accepted, Failure> {
    let plain = context.unwrap(message).map_err(|error| Failure::BadTicket(error.to_string()))?;
    let choice = Choice::parse(&plain).map_err(|error| Failure::Malformed(error.to_string()))?;
    if choice.layer != NONE {
        return Err(Failure::Malformed("a layer that was not offered".to_owned()));
    }
    let principal = context.peer().map(str::to_owned);
    let principal = principal.ok_or_else(|| Failure::BadTicket("it names nobody".to_owned()))?;
    Ok(Accepted::Proven { principal, authzid: choice.authzid })
}
