//! GROUP and LISTGROUP with a group: the group's backend becomes the current one.

use protocol::nntp::Command;
use protocol::nntp::words::GroupName;
use tracing::info;

use super::{News, Served, may_have_moved};
use crate::gone::UNAVAILABLE;
use crate::links::Selected;

impl News {
    pub(super) async fn group(&mut self, group: &GroupName, command: &Command) -> Served {
        for again in [true, false] {
            let home = match self.map.readable(group).await {
                Ok(home) => home,
                Err(no) => return Served::Said(no.line()),
            };
            let asked = self.links.ask(&home.server, &command.to_string()).await;
            match asked {
                Ok((mut link, status)) if status.code == SELECTED => {
                    link.selected = Some(group.clone());
                    let selected = Selected { group: group.clone(), article: first(&status.text) };
                    self.seat.opened(Some(home.mailbox.as_str()));
                    self.current = Some(selected);
                    let line = status.line();
                    return self.passed(link, &status, line);
                }
                Ok((link, status)) => {
                    let line = status.line();
                    if !may_have_moved(status.code) || !again || !self.has_moved(group, &home.server).await {
                        return self.passed(link, &status, line);
                    }
                    self.links.give_back(link);
                }
                Err(_) if again && self.has_moved(group, &home.server).await => {}
                Err(_) => return Served::Said(UNAVAILABLE.to_owned()),
            }
            info!(group = group.as_str(), from = home.server, "the group has moved");
        }
        Served::Said(UNAVAILABLE.to_owned())
    }
}

/// The first article's number of `count low high group`; none in a group without articles.
fn first(text: &str) -> Option<u32> {
    let mut words = text.split_ascii_whitespace().map_while(|word| word.parse::<u32>().ok());
    let (count, low) = (words.next()?, words.next()?);
    (count > 0).then_some(low)
}

pub(super) const SELECTED: u16 = 211;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_article_is_the_current_one_and_an_empty_group_has_none() {
        assert_eq!(first("3 7 9 comp.test"), Some(7));
        assert_eq!(first("0 10 9 comp.test"), None);
        assert_eq!(first("x"), None);
    }
}
