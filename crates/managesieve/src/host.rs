//! Whoever has the scripts of those who have logged in.

use std::future::Future;

use identity::auth::Login;
use protocol::managesieve::{Command, Reply};

/// What becomes of a login.
#[derive(Debug)]
pub enum Welcome {
    /// The scripts are here.
    Here,
    /// They are on another server, which the client is told with its next command that needs them.
    Referred(Reply),
    /// They are on another server, to which the client is connected through.
    Through,
}

/// What a command is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Lines before the reply, as they go out.
    pub data: Vec<u8>,
    /// One that says BYE ends the session.
    pub reply: Reply,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer { data: Vec::new(), reply }
    }
}

/// A server's scripts.
pub trait Host: Send {
    /// Whether frontends are to say where their clients come from: a backend's.
    const TAKES_ORIGINS: bool;

    /// Somebody has proved who they are. The error is what the client is told: it stays logged out, and may try again.
    fn login(&mut self, login: &Login) -> impl Future<Output = Result<Welcome, Reply>> + Send;

    /// A command about the scripts of whoever has logged in. A script that comes with it has been checked.
    fn serve(&mut self, command: Command) -> impl Future<Output = Answer> + Send;

    /// Whether there is a script that another includes; none: it is not known here.
    fn has(&self, name: &str, global: bool) -> impl Future<Output = Option<bool>> + Send;

    /// Nobody is logged in any longer.
    fn logout(&mut self);
}
