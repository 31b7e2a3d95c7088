//! An article by its message-id, wherever it is: the current backend is asked, then who had the last one, then all at once.
//!
//! "There is none" (430) is said only when every backend with groups that the user may read has said so, on a list that is current.

use protocol::acl::Rights;
use protocol::nntp::No;
use protocol::nntp::command::Command;
use protocol::nntp::words::MessageId;

use super::{News, Served};
use crate::answer::{Answer, Sieve};
use crate::gone::{UNAVAILABLE, UNSURE};
use crate::link::{Link, Status};

impl News {
    pub(super) async fn by_id(&mut self, id: &MessageId, command: &Command) -> Served {
        let current = self.current_server().await;
        let finder = self.finder.clone().filter(|server| current.as_ref() != Some(server));
        let (mut asked, mut all_answered) = (Vec::new(), true);
        for server in current.iter().chain(&finder) {
            asked.push(server.clone());
            match self.links.ask(server, &command.to_string()).await {
                Ok((link, status)) if status.code == NO_SUCH_ID => self.links.give_back(link),
                Ok((link, status)) => return self.found(link, status, current.as_deref()),
                Err(_) => all_answered = false,
            }
        }
        let mut others = self.map.servers(None, Rights::LOOKUP | Rights::READ).await;
        others.retain(|server| !asked.contains(server));
        let (had, answered) = self.who_has(others, id, |status| status.code == FOUND).await;
        for server in had {
            match self.links.ask(&server, &command.to_string()).await {
                // It has gone in this moment.
                Ok((link, status)) if status.code == NO_SUCH_ID => self.links.give_back(link),
                Ok((link, status)) => {
                    self.finder = Some(server);
                    return self.found(link, status, current.as_deref());
                }
                Err(_) => all_answered = false,
            }
        }
        if !(all_answered && answered) {
            return Served::Said(UNAVAILABLE.to_owned());
        }
        match self.map.is_current().await {
            true => No::NoSuchId.into(),
            false => Served::Said(UNSURE.to_owned()),
        }
    }

    /// Which of these servers have an article, and whether all of them have answered yes or no.
    pub(super) async fn who_has(
        &mut self,
        servers: Vec<String>,
        id: &MessageId,
        enough: impl Fn(&Status) -> bool,
    ) -> (Vec<String>, bool) {
        let (mut had, mut all_answered) = (Vec::new(), true);
        for answer in self.links.ask_all(servers, &format!("STAT {id}"), enough).await {
            let Ok((link, status)) = answer else {
                all_answered = false;
                continue;
            };
            match status.code {
                FOUND => had.push(link.server().to_owned()),
                NO_SUCH_ID => {}
                _ => all_answered = false,
            }
            self.links.give_back(link);
        }
        had.sort_unstable();
        (had, all_answered)
    }

    /// The answer of the one that has it. Numbers count in the group that is selected, which is none of another server's.
    fn found(&mut self, link: Link, status: Status, current: Option<&str>) -> Served {
        if current == Some(link.server()) {
            let line = status.line();
            return self.passed(link, &status, line);
        }
        let line = unnumbered(&status);
        if !status.block {
            self.links.give_back(link);
            return Served::Said(line);
        }
        let sieve = if is_of_articles(status.code) { Sieve::All } else { Sieve::Unnumbered };
        Served::Follows(line, Box::new(Answer::new([link], sieve)))
    }
}

/// `220 17 <id>` becomes `220 0 <id>`.
fn unnumbered(status: &Status) -> String {
    let (number, rest) = status.text.split_once(' ').unwrap_or((&status.text, ""));
    match is_of_articles(status.code) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("{} 0 {rest}", status.code),
        false => status.line(),
    }
}

/// 221 is HEAD's, and XHDR's: the line of that one has no number.
fn is_of_articles(code: u16) -> bool {
    (220..=FOUND).contains(&code)
}

const FOUND: u16 = 223;
const NO_SUCH_ID: u16 = 430;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_group_that_is_not_selected_is_not_told() {
        let line = |code, text: &str| unnumbered(&Status { code, text: text.into(), block: true });
        assert_eq!(line(220, "17 <a@b> Article"), "220 0 <a@b> Article");
        assert_eq!(line(221, "Headers follow:"), "221 Headers follow:");
        assert_eq!(line(224, "Overview information follows:"), "224 Overview information follows:");
    }
}
