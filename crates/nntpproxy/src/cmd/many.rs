//! What all backends answer together: LIST ACTIVE, LIST NEWSGROUPS, NEWGROUPS, NEWNEWS.

use protocol::acl::Rights;
use protocol::nntp::command::{Command, List};
use protocol::nntp::{No, Reply, Wildmat};
use tracing::warn;

use super::{News, Served};
use crate::answer::{Answer, Ids, Sieve};
use crate::gone::{UNAVAILABLE, UNSURE};
use crate::link::Link;

impl News {
    /// A backend that is down is left out, as in Cyrus: the others' groups can be read. All down is no list.
    pub(super) async fn list(&mut self, groups: Option<Wildmat>, command: &Command) -> Served {
        if !self.map.directory.list().is_complete() {
            return Served::Said(UNSURE.to_owned());
        }
        let (needed, what) = match command {
            Command::List(List::Newsgroups(_)) => (Rights::LOOKUP, "List of newsgroups"),
            _ => (Rights::LOOKUP | Rights::READ, "List of newsgroups"),
        };
        let servers = self.map.servers(groups, needed).await;
        let wanted = servers.len();
        let links = self.ask_each(servers, command, LIST).await;
        if links.is_empty() && wanted > 0 {
            return Served::Said(UNAVAILABLE.to_owned());
        }
        let sieve = Sieve::Groups(Box::new(self.map.clone()), needed);
        Served::Follows(Reply::ListFollows(what).to_string(), Box::new(Answer::new(links, sieve)))
    }

    /// When a mailbox was made its backend knows, and the list does not. A client asks next time from this moment on: all of them answer,
    /// or nobody does. Cyrus's cannot (503), and then neither can this server.
    pub(super) async fn new_groups(&mut self, command: &Command) -> Served {
        if !self.map.is_current().await {
            return Served::Said(UNSURE.to_owned());
        }
        let needed = Rights::LOOKUP | Rights::READ;
        let servers = self.map.servers(None, needed).await;
        let asked = self.links.ask_all(servers, &command.to_string(), |_| false).await;
        let (mut links, mut unable, mut failed) = (Vec::new(), false, false);
        for answer in asked {
            match answer {
                Ok((link, status)) if status.code == NEW_GROUPS => links.push(link),
                Ok((link, status)) => {
                    unable |= status.code == CANNOT;
                    failed |= status.code != CANNOT;
                    self.links.give_back(link);
                }
                Err(_) => failed = true,
            }
        }
        // Those that have answered are closed with their answers unread.
        if unable {
            return No::NoNewGroups.into();
        }
        if failed {
            return Served::Said(UNAVAILABLE.to_owned());
        }
        links.sort_by(|a, b| a.server().cmp(b.server()));
        let sieve = Sieve::NewGroups(Box::new(self.map.clone()), needed);
        Served::Follows(Reply::NewGroupsFollow.to_string(), Box::new(Answer::new(links, sieve)))
    }

    /// News that a backend does not tell would be missed for ever: all of them answer, or nobody does.
    pub(super) async fn new_news(&mut self, groups: Wildmat, command: &Command) -> Served {
        if !self.settings.allow_newnews {
            return No::NewNewsDisabled.into();
        }
        if !self.map.is_current().await {
            return Served::Said(UNSURE.to_owned());
        }
        let servers = self.map.servers(Some(groups), Rights::LOOKUP | Rights::READ).await;
        let wanted = servers.len();
        let links = self.ask_each(servers, command, NEW_NEWS).await;
        if links.len() < wanted {
            // Those that have answered are closed with their answers unread.
            return Served::Said(UNAVAILABLE.to_owned());
        }
        let sieve = Sieve::Ids(Ids::new());
        Served::Follows(Reply::NewNewsFollows.to_string(), Box::new(Answer::new(links, sieve)))
    }

    /// The connections of those that answer with this code, in the order of their names.
    async fn ask_each(&mut self, servers: Vec<String>, command: &Command, code: u16) -> Vec<Link> {
        let mut links = Vec::new();
        for (link, status) in
            self.links.ask_all(servers, &command.to_string(), |_| false).await.into_iter().flatten()
        {
            if status.code == code {
                links.push(link);
            } else {
                warn!(server = link.server(), "{command}: answered {}: left out", status.line());
                self.links.give_back(link);
            }
        }
        links.sort_by(|a, b| a.server().cmp(b.server()));
        links
    }
}

const LIST: u16 = 215;
const NEW_NEWS: u16 = 230;
const NEW_GROUPS: u16 = 231;
const CANNOT: u16 = 503;
