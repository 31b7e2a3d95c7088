//! Mail that this node sends: composed here, and handed to a mail server.
//!
//! Sieve scripts redirect messages, answer, notify and refuse. What such a mail looks like is [`compose`]'s, without input
//! or output; [`Submission`] gives it away, by one of two ways that imapd.conf chooses (`smtp_backend`): a program that
//! speaks SMTP on its standard input and output (`sendmail -bs`), or a server (`smtp_host`).
//!
//! ```text
//! compose/*   bytes → Mail           what is written, and what must not be answered
//! route       imapd.conf → Route     where it goes
//! send        Mail → sent, or why not: bounded in number and time
//! login       EHLO, STARTTLS, AUTH   (RFC 3207, RFC 4954)
//! dialog      MAIL, RCPT, DATA       (RFC 5321, 1870, 2852, 3461, 6152, 6531)
//! ```
//!
//! Nothing is queued: the mail server has the queue. A mail that it does not take is told to whoever sends it, who then keeps
//! what caused it.

pub mod compose;
mod dialog;
mod error;
pub mod limits;
mod login;
mod mail;
mod route;
mod send;

pub use error::SendError;
pub use mail::{By, ByMode, Mail, Ret, To};
pub use route::Route;
pub use send::Submission;
