//! The sending of one mail.

use std::process::Stdio;
use std::sync::Arc;

use config::imapd::Imapd;
use metrics::counter;
use tokio::io::Join;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::dialog::Dialog;
use crate::limits::{ENDING, SENDING, TURN, rows};
use crate::{Mail, Route, SendError, login};

/// The way out for the mails of one daemon; cheap to clone.
#[derive(Clone)]
pub struct Submission {
    turns: Arc<Semaphore>,
}

impl Default for Submission {
    fn default() -> Submission {
        Submission { turns: Arc::new(Semaphore::new(SENDING)) }
    }
}

impl Submission {
    /// Sends a mail as the settings in force say. On return the mail server has it.
    ///
    /// # Errors
    /// Why not. It is not tried again: whatever caused the mail is the caller's to keep.
    pub async fn send(&self, imapd: &Imapd, mail: &Mail) -> Result<(), SendError> {
        let turn = match timeout(TURN, self.turns.clone().acquire_owned()).await {
            Ok(turn) => turn.map_err(|_| SendError::Busy)?,
            Err(_) => {
                rows::SENDING.met("mails that Sieve sends wait for each other: one is not sent");
                return Err(SendError::Busy);
            }
        };
        let sent = match Route::of(imapd) {
            Route::Program { path, variable } => by_program(imapd, &path, &variable, mail).await,
            Route::Host(server) => by_host(imapd, &server, mail).await,
        };
        drop(turn);
        let outcome = if sent.is_ok() { "sent" } else { "failed" };
        counter!("murder_sieve_mails_total", "outcome" => outcome).increment(1);
        debug!(outcome, to = mail.to.len(), size = mail.message.len(), "mail of a script");
        sent
    }
}

async fn by_host(imapd: &Imapd, server: &str, mail: &Mail) -> Result<(), SendError> {
    let mut dialog = login::connect(imapd, server, our_name(imapd)).await?;
    dialog.give(mail).await?;
    dialog.quit().await;
    Ok(())
}

async fn by_program(imapd: &Imapd, path: &str, variable: &str, mail: &Mail) -> Result<(), SendError> {
    let mut command = Command::new(path);
    command.arg("-bs").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    if !variable.is_empty() {
        match mail.user.as_ref().filter(|user| !user.contains('\0')) {
            Some(user) => command.env(variable, user),
            None => command.env_remove(variable),
        };
    }
    let failed = |error| SendError::Program(path.to_owned(), error);
    let mut child = command.spawn().map_err(failed)?;
    let mut dialog = Dialog::new(ends(&mut child, path)?, path, true);
    dialog.open(our_name(imapd)).await?;
    dialog.give(mail).await?;
    dialog.quit().await;
    drop(dialog);
    // One that stays is ended with its handle.
    let _ = timeout(ENDING, child.wait()).await;
    Ok(())
}

fn ends(child: &mut Child, path: &str) -> Result<Join<ChildStdout, ChildStdin>, SendError> {
    match (child.stdout.take(), child.stdin.take()) {
        (Some(out), Some(input)) => Ok(tokio::io::join(out, input)),
        _ => Err(SendError::Program(path.to_owned(), std::io::Error::other("no pipes"))),
    }
}

/// What EHLO says: `client_bind_name`, as with other servers, else `servername`.
fn our_name(imapd: &Imapd) -> &str {
    imapd.client_bind_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&imapd.servername)
}
