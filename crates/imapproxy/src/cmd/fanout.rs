//! Questions to several backends for one command of the client's: all of them are on their way before the first answer is awaited,
//! so that the backends work side by side, and one that is down costs the others nothing.

use protocol::imap::{Code, Reply};
use upstream::wire::imap::{Answer, Id};

use crate::limits::AT_ONCE;
use crate::session::{Session, Stop};

/// What one backend is asked: commands without tag and line end.
#[derive(Debug, Default)]
pub struct Asked {
    pub server: String,
    pub commands: Vec<Vec<u8>>,
}

/// What one backend said.
#[derive(Debug)]
pub struct Told {
    pub server: String,
    /// One for each command; none: the backend cannot be had.
    pub answers: Option<Vec<Answer>>,
}

/// Asks all of them. `each` gets every untagged response with the name of its server, and says whether it is part of an answer;
/// what is not goes to the client, where it is news of the selected mailbox. The result has the order of the questions.
pub async fn ask_all(
    s: &mut Session,
    asked: Vec<Asked>,
    max: usize,
    mut each: impl FnMut(&str, &[u8]) -> bool,
) -> Result<Vec<Told>, Stop> {
    let mut begun = Vec::with_capacity(asked.len());
    for question in asked {
        let first = begin(s, &question, 0).await;
        begun.push((or_down(s, first)?, question));
    }
    let mut told = Vec::with_capacity(begun.len());
    for (first, question) in begun {
        let answers = match first {
            Some(first) => {
                let heard = hear(s, &question, first, max, &mut each).await;
                or_down(s, heard)?
            }
            None => None,
        };
        told.push(Told { server: question.server, answers });
    }
    Ok(told)
}

/// Tells the client which backends could not be asked: what it reads is not all there is.
pub fn tell_missing<'n>(s: &mut Session, missing: impl IntoIterator<Item = &'n String>) {
    for server in missing {
        let text = format!("{server} cannot be asked at the moment");
        s.client.put(Reply::no(text).code(Code::Unavailable).line(None));
    }
}

/// Nothing, where a backend is lost that the session can do without.
fn or_down<T>(s: &mut Session, result: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Stop::Backend { server, why }) if s.selected_server() != Some(server.as_str()) => {
            tracing::warn!("backend {server}: {why}");
            s.links.remove(&server);
            Ok(None)
        }
        Err(stop) => Err(stop),
    }
}

/// Sends the first commands from one on.
async fn begin(s: &mut Session, question: &Asked, from: usize) -> Result<Vec<Id>, Stop> {
    s.link(&question.server).await?;
    let run = question.commands.iter().skip(from).take(AT_ONCE);
    run.map(|command| s.command(&question.server, command)).collect()
}

async fn hear(
    s: &mut Session,
    question: &Asked,
    first: Vec<Id>,
    max: usize,
    each: &mut impl FnMut(&str, &[u8]) -> bool,
) -> Result<Vec<Answer>, Stop> {
    let (server, mut answers, mut run) = (question.server.as_str(), Vec::new(), first);
    let selected = s.selected_server() == Some(server);
    loop {
        for id in std::mem::take(&mut run) {
            let mut news = Vec::new();
            let answer = s
                .collect(server, id, max, |line| {
                    if !each(server, line) && selected {
                        news.extend_from_slice(line);
                    }
                })
                .await?;
            s.client.put(news);
            answers.push(answer);
        }
        if answers.len() >= question.commands.len() {
            return Ok(answers);
        }
        run = begin(s, question, answers.len()).await?;
    }
}
