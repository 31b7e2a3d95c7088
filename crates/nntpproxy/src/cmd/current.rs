//! Commands in the group that is selected: by number, the current article, NEXT and LAST.
//!
//! Its backend is looked up for each of them: the group may have moved. A backend that does not know of the selection has it made
//! there first. An article that was the current one and has been removed since cannot be made that again; then what comes before and
//! behind it is found by its number.

use protocol::nntp::No;
use protocol::nntp::command::Command;
use protocol::nntp::words::{Article, Articles};
use tracing::info;

use super::group::SELECTED;
use super::{News, Served, may_have_moved};
use crate::gone::UNAVAILABLE;
use crate::limits::{LOOKED_AT, rows};
use crate::link::{Link, Status};
use crate::links::{Place, Selected};

impl News {
    pub(super) async fn at_current(&mut self, command: &Command) -> Served {
        let Some(selected) = self.current.clone() else { return No::NoGroup.into() };
        for again in [true, false] {
            let server = match self.map.readable(&selected.group).await {
                Ok(home) => home.server,
                Err(no) => return Served::Said(no.line()),
            };
            let text = |place| worded(command, &selected, place);
            match self.links.ask_within(&server, &selected, text).await {
                Ok((link, status)) => {
                    if !may_have_moved(status.code)
                        || !again
                        || !self.has_moved(&selected.group, &server).await
                    {
                        return self.answered(command, &selected, link, status).await;
                    }
                    self.links.give_back(link);
                }
                Err(_) if again && self.has_moved(&selected.group, &server).await => {}
                Err(_) => return Served::Said(UNAVAILABLE.to_owned()),
            }
            info!(group = selected.group.as_str(), from = server, "the group has moved");
        }
        Served::Said(UNAVAILABLE.to_owned())
    }

    async fn answered(
        &mut self,
        command: &Command,
        selected: &Selected,
        link: Link,
        status: Status,
    ) -> Served {
        let sought = matches!(command, Command::Next | Command::Last) && status.block;
        let (mut link, status) = match sought {
            true => match beside(link, command).await {
                Some(found) => found,
                None => return Served::Said(UNAVAILABLE.to_owned()),
            },
            false => (link, status),
        };
        if let Some(article) = pointed_at(command, &status) {
            link.selected = Some(selected.group.clone());
            if let Some(current) = &mut self.current {
                current.article = Some(article);
            }
        }
        let line = status.line();
        self.passed(link, &status, line)
    }
}

/// What is sent to the backend, or is answered without it.
fn worded(command: &Command, selected: &Selected, place: Place) -> Result<String, Status> {
    let number = match (place, selected.article) {
        (Place::There, _) | (Place::ArticleGone, None) => return Ok(command.to_string()),
        (Place::ArticleGone, Some(number)) => number,
    };
    match command {
        Command::Next => Ok(format!("LISTGROUP {} {}-", selected.group, number.saturating_add(1))),
        Command::Last if number <= 1 => Err(said(&No::NoPrevious)),
        Command::Last => Ok(format!("LISTGROUP {} 1-{}", selected.group, number - 1)),
        Command::Article(_, Article::Current)
        | Command::Over { which: Articles::Current, .. }
        | Command::Hdr { which: Articles::Current, .. } => Err(said(&No::NoCurrent)),
        other => Ok(other.to_string()),
    }
}

/// The article beside one that is gone: the first or the last of the numbers that come.
async fn beside(mut link: Link, command: &Command) -> Option<(Link, Status)> {
    let (mut number, mut line): (Option<u32>, Vec<u8>) = (None, Vec::new());
    while let Some(piece) = link.piece().await.ok()? {
        line.extend_from_slice(&piece);
        while let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            let one = str::from_utf8(line.get(..end)?).ok().and_then(|text| text.trim().parse().ok());
            line.drain(..=end);
            number = if matches!(command, Command::Next) { number.or(one) } else { one.or(number) };
        }
        if line.len() > LOOKED_AT {
            rows::LOOKED_AT.met("a line without end in a list of numbers");
            return None;
        }
    }
    let none = if matches!(command, Command::Next) { No::NoNext } else { No::NoPrevious };
    let Some(number) = number else { return Some((link, said(&none))) };
    let status = link.ask(&format!("STAT {number}")).await.ok()?;
    // It has gone in this moment: there may be others behind it, and the client may ask once more.
    let status = if status.code == FOUND { status } else { said(&none) };
    Some((link, status))
}

/// Which article is the current one after an answer, if it is another.
fn pointed_at(command: &Command, status: &Status) -> Option<u32> {
    let first = || status.text.split_ascii_whitespace().next()?.parse().ok();
    match (command, status.code) {
        (Command::Article(..) | Command::Next | Command::Last, 220..=FOUND) => first(),
        // LISTGROUP makes the first article the current one (RFC 3977 section 6.1.2).
        (Command::ListGroup { .. }, SELECTED) => status.text.split_ascii_whitespace().nth(1)?.parse().ok(),
        _ => None,
    }
}

fn said(no: &No) -> Status {
    let line = no.to_string();
    let (code, text) = line.split_once(' ').unwrap_or((&line, ""));
    Status { code: code.parse().unwrap_or(FAILED), text: text.to_owned(), block: false }
}

const FOUND: u16 = 223;
const FAILED: u16 = 403;

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        Command::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn what_stands_beside_an_article_that_is_gone_is_sought_by_its_number() {
        let Command::Group(group) = command("GROUP a.b") else { panic!() };
        let selected = Selected { group, article: Some(7) };
        let gone = |line: &str| worded(&command(line), &selected, Place::ArticleGone);
        assert_eq!(gone("NEXT").unwrap(), "LISTGROUP a.b 8-");
        assert_eq!(gone("LAST").unwrap(), "LISTGROUP a.b 1-6");
        assert_eq!(gone("ARTICLE").unwrap_err().code, 420);
        assert_eq!(gone("XOVER").unwrap_err().code, 420);
        assert_eq!(gone("ARTICLE 3").unwrap(), "ARTICLE 3");
        assert_eq!(worded(&command("next"), &selected, Place::There).unwrap(), "NEXT");
    }

    #[test]
    fn the_current_article_is_the_one_that_was_answered_last_by_number() {
        let status = |code, text: &str| Status { code, text: text.into(), block: false };
        assert_eq!(pointed_at(&command("STAT 3"), &status(223, "3 <a@b>")), Some(3));
        assert_eq!(pointed_at(&command("NEXT"), &status(223, "4 <a@b>")), Some(4));
        assert_eq!(pointed_at(&command("NEXT"), &status(421, "none")), None);
        assert_eq!(pointed_at(&command("OVER 1-"), &status(224, "follows")), None);
    }
}
