//! What is done for each command that is about news.
//!
//! | command | who answers |
//! | --- | --- |
//! | GROUP, LISTGROUP | the group's backend, which becomes the current one ([`group`]) |
//! | by number, NEXT, LAST | the current group's backend ([`current`]) |
//! | by message-id | the current backend, then all with groups that the user reads, at once ([`by_id`]) |
//! | LIST ACTIVE, LIST NEWSGROUPS, NEWGROUPS, NEWNEWS | all of them, one after the other in what is told ([`many`]) |
//! | POST, IHAVE, CHECK, TAKETHIS | each backend that has one of the article's groups ([`post`]) |
//! | DATE, HELP, the other LISTs | this server ([`local`]) |

mod by_id;
mod current;
mod deliver;
mod group;
mod local;
mod many;
pub mod post;

use std::sync::Arc;

use protocol::nntp::command::{Command, List};
use protocol::nntp::words::{Article, Articles, GroupName};
use protocol::nntp::{No, Reply};
use service::sessions::Seat;

use crate::answer::{Answer, Sieve};
use crate::link::{Link, Status};
use crate::links::{Links, Selected};
use crate::map::Map;

/// What a session has open.
pub struct News {
    pub settings: Arc<Settings>,
    pub map: Map,
    pub links: Links,
    pub seat: Seat,
    /// The group that is selected.
    pub current: Option<Selected>,
    /// Who had the last article that was asked for by its message-id and is not the current backend's.
    pub finder: Option<String>,
}

/// What the configuration says of all sessions of a listener.
#[derive(Debug)]
pub struct Settings {
    pub servername: String,
    pub allow_newnews: bool,
    /// Bytes of an article; 0: no limit.
    pub max_size: u64,
    /// Where articles lie on their way.
    pub spool: std::path::PathBuf,
}

/// What becomes of a command.
pub enum Served {
    /// A line.
    Said(String),
    /// A line, and lines of ours up to a dot.
    Listed(String, Vec<String>),
    /// A line, and a backend's lines.
    Follows(String, Box<Answer>),
    /// The article follows; a line before, where the client waits for one.
    Wanted(Option<String>, Box<post::Taking>),
}

impl News {
    /// Does a command. `metadata`: the client has asked for CAPABILITIES, and knows metadata by their new names.
    pub async fn serve(&mut self, command: Command, metadata: bool) -> Served {
        match &command {
            Command::Group(group) => self.group(group, &command).await,
            Command::ListGroup { group: Some(group), .. } => self.group(group, &command).await,
            Command::Article(_, Article::Id(id))
            | Command::Hdr { which: Articles::Id(id), .. }
            | Command::Over { which: Articles::Id(id), .. }
            | Command::XPat { which: Articles::Id(id), .. } => self.by_id(id, &command).await,
            Command::Article(_, Article::Current | Article::Number(_))
            | Command::Hdr { .. }
            | Command::Over { .. }
            | Command::XPat { .. }
            | Command::ListGroup { group: None, .. }
            | Command::Next
            | Command::Last => self.at_current(&command).await,
            Command::List(List::Active(groups)) => self.list(groups.clone(), &command).await,
            Command::List(List::Newsgroups(groups)) => self.list(groups.clone(), &command).await,
            Command::List(list @ (List::OverviewFmt | List::Headers | List::Unsupported(_))) => {
                local::list(list, metadata)
            }
            Command::NewNews { groups, .. } => self.new_news(groups.clone(), &command).await,
            Command::NewGroups(_) => self.new_groups(&command).await,
            Command::Date => local::date(),
            Command::Help => local::help(),
            Command::Post => self.post(),
            Command::Ihave(id) => self.ihave(id).await,
            Command::Check(id) => self.check(id).await,
            Command::TakeThis(id) => self.take_this(id),
            // They are the session's, and do not come here.
            Command::AuthUser(_)
            | Command::AuthPass(_)
            | Command::AuthSasl { .. }
            | Command::Capabilities
            | Command::Compress
            | Command::ModeReader
            | Command::ModeStream
            | Command::Quit
            | Command::Slave
            | Command::StartTls
            | Command::XClient(_) => No::Unknown.into(),
        }
    }

    /// The server of the current group, as the list has it at this moment.
    async fn current_server(&self) -> Option<String> {
        let current = self.current.as_ref()?;
        self.map.readable(&current.group).await.ok().map(|home| home.server)
    }

    /// Waits for what the master has acknowledged, and says whether a group is on another server now than it was.
    async fn has_moved(&self, group: &GroupName, from: &str) -> bool {
        // What has not arrived by then is not waited for.
        let _ = self.map.directory.barrier().await;
        self.map.readable(group).await.is_ok_and(|home| home.server != from)
    }

    /// Passes an answer on, and keeps the connection that it came by.
    fn passed(&mut self, link: Link, status: &Status, line: String) -> Served {
        if status.block {
            let answer = Answer::new([link], Sieve::All);
            return Served::Follows(line, Box::new(answer));
        }
        self.links.give_back(link);
        Served::Said(line)
    }
}

impl From<No> for Served {
    fn from(no: No) -> Served {
        Served::Said(no.to_string())
    }
}

impl From<Reply> for Served {
    fn from(reply: Reply) -> Served {
        Served::Said(reply.to_string())
    }
}

/// Answers of a backend that no longer has the group.
fn may_have_moved(code: u16) -> bool {
    matches!(code, 403 | 411 | 412)
}
