//! Questions that an operator's command has to a backend, on an IMAP connection of its own as `proxy_authname`.

use protocol::frame::literal_at_end;

use crate::dialog::Dialog;
use crate::{Error, Proto, Upstream};

/// What came back for one command.
#[derive(Debug, Default)]
pub struct Answer {
    /// Untagged lines, without their literals.
    pub lines: Vec<String>,
    pub literals: Vec<Vec<u8>>,
    /// The tagged line, without its tag.
    pub result: String,
}

impl Upstream {
    /// Logs in and has one command executed, whatever its answer.
    pub async fn ask(&self, server: &str, command: &str) -> Result<Answer, Error> {
        let connection = self.connect(server, Proto::Imap, None).await?;
        let mut dialog = Dialog::resume(connection, server, service::settings::client_timeout(&self.imapd()));
        dialog.send(&format!("Q01 {command}"), DOING).await?;
        let mut answer = Answer::default();
        while answer.lines.len() <= LINES_MAX {
            let line = dialog.line(DOING).await?;
            if let Some(result) = line.strip_prefix("Q01 ") {
                answer.result = result.to_owned();
                return Ok(answer);
            }
            if let Some(literal) = literal_at_end(line.as_bytes()) {
                answer.literals.push(dialog.exactly(literal.size, DOING).await?);
            }
            answer.lines.push(line);
        }
        Err(dialog.unexpected(DOING, "no end of untagged lines"))
    }

    /// The value of a server entry of ours (`/shared/vendor/murder/…`); none where the server does not know it.
    pub async fn server_entry(&self, server: &str, entry: &str) -> Result<Option<String>, Error> {
        let mut answer = self.ask(server, &format!("GETMETADATA \"\" ({entry})")).await?;
        Ok(answer.literals.pop().and_then(|value| String::from_utf8(value).ok()))
    }
}

const DOING: &str = "question";
const LINES_MAX: usize = 10_000;
