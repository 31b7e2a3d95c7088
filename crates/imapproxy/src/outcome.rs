//! How a command ends, and why one does not go on.

use std::io;

use protocol::imap::{Bye, Code, Refusal, Reply};
use upstream::wire::imap::Answer;

/// How a command ends that was served.
#[derive(Debug)]
pub enum Done {
    /// As this node says.
    Here(Reply),
    /// As a backend said of it, NO and BAD among that.
    There(Answer),
    /// The tagged line is written already.
    Told,
}

/// How a command ends.
pub type Outcome = Result<Done, Stop>;

impl Done {
    /// What most commands that are served here say.
    pub fn completed() -> Done {
        Done::Here(Reply::completed())
    }
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Done {
        Done::There(answer)
    }
}

/// Why a command does not go on.
#[derive(Debug)]
pub enum Stop {
    /// It is not done.
    Refused(Refusal),
    /// A backend did not do what was asked of it for the command.
    Relayed(Answer),
    /// A backend cannot be had, or was lost.
    Backend { server: String, why: String },
    /// The session ends; the client is told why.
    Bye(Bye),
    /// The client is gone.
    Client(io::Error),
}

impl Stop {
    /// The connection to the selected backend is lost, and with it what the client knows of its mailbox.
    pub fn lost() -> Stop {
        Stop::Bye(Bye::new("Fatal error: Lost connection to selected backend"))
    }

    /// The same while no command is under way.
    pub fn lost_at_rest(why: Option<io::Error>) -> Stop {
        let text = "Fatal error: Lost connection to input stream";
        Stop::Bye(match why {
            Some(error) => Bye::new(format!("{text} ({error})")),
            None => Bye::new(text),
        })
    }

    pub fn idle() -> Stop {
        Stop::Bye(Bye::new("Idle for too long").code(Code::Unavailable))
    }

    /// An operator's notice.
    pub fn notice(text: String) -> Stop {
        Stop::Bye(Bye::new(text).code(Code::Alert))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// This node's own list cannot be read.
pub fn unreadable(error: mailboxes::Error) -> Stop {
    tracing::error!("the list of mailboxes: {error}");
    Refusal::ListUnsure.into()
}
