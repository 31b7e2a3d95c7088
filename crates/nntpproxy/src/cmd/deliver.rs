//! An article to each backend that has one of its groups: one IHAVE serves all groups of a backend.
//!
//! | backend says | counts as |
//! | --- | --- |
//! | 335, then 235 | taken |
//! | 435, 438 | had already: taken, too; it came by another way, or a retry of the client's brings it again |
//! | 437 | refused for good |
//! | 436, 480, 5xx, nothing within `client_timeout` | not taken now |
//!
//! If one backend fails, the client hears of a failure though others have the article, and may send it again: those have it by its
//! message-id and its groups, and take it once.

use std::collections::BTreeMap;
use std::sync::Arc;

use lmtp::Message;
use protocol::acl::Rights;
use protocol::nntp::Refused;
use protocol::nntp::words::{GroupName, MessageId};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::News;
use crate::gone::Gone;
use crate::link::Link;
use crate::links::Reach;
use crate::map::NoGroup;

/// What became of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Taken,
    /// Every backend had it before.
    Had,
    Refused(Refused),
    /// A backend wants it never, and says why.
    Rejected(String),
    /// A backend did not take it now.
    Failed(String),
}

impl News {
    /// Delivers an article into those of its groups that there are. The poster needs the right to post in all of them.
    pub(super) async fn deliver(
        &mut self,
        id: &MessageId,
        groups: &[GroupName],
        header: &[u8],
        body: Message,
    ) -> Fate {
        let servers = match self.destinations(groups).await {
            Ok(servers) => servers,
            Err(refused) => return Fate::Refused(refused),
        };
        let body = Arc::new(body);
        let mut sent = JoinSet::new();
        for (server, own) in servers {
            let article = Article { id: id.clone(), header: header.to_vec(), own, body: body.clone() };
            let (reach, link) = (self.links.reach(), self.links.take(&server));
            sent.spawn(async move { send(&reach, link, &server, &article).await });
        }
        let mut fate = None;
        while let Some(joined) = sent.join_next().await {
            let (link, one) = joined.unwrap_or((None, Fate::Failed("A backend failed".to_owned())));
            link.into_iter().for_each(|link| self.links.give_back(link));
            fate = Some(match fate {
                None => one,
                Some(before) => worse(before, one),
            });
        }
        let fate = fate.unwrap_or(Fate::Refused(Refused::NoSuchGroup));
        info!(user = self.map.reader.userid, article = id.as_str(), ?fate, "article");
        fate
    }

    /// Who has which of the groups.
    async fn destinations(&self, groups: &[GroupName]) -> Result<BTreeMap<String, Vec<GroupName>>, Refused> {
        let mut servers: BTreeMap<String, Vec<GroupName>> = BTreeMap::new();
        let mut denied = false;
        for group in groups {
            match self.map.locate(group).await {
                Ok(home) => {
                    denied |= !home.rights.contains(Rights::POST);
                    servers.entry(home.server).or_default().push(group.clone());
                }
                // An article goes to groups of many sites.
                Err(NoGroup::Missing) => {}
                Err(NoGroup::Denied) => denied = true,
                Err(NoGroup::Unsure) => {
                    return Err(Refused::Temporary("The mailbox list is not complete at the moment"));
                }
            }
        }
        match (denied, servers.is_empty()) {
            (true, _) => Err(Refused::Denied),
            (false, true) => Err(Refused::NoSuchGroup),
            (false, false) => Ok(servers),
        }
    }
}

/// What one backend gets.
struct Article {
    id: MessageId,
    header: Vec<u8>,
    /// Its groups among those of the article.
    own: Vec<GroupName>,
    body: Arc<Message>,
}

impl Article {
    /// The header with the backend's own groups in front: a Cyrus looks at the first one alone.
    fn own_first(&self) -> Vec<u8> {
        let mut fields: Vec<Vec<u8>> = Vec::new();
        for line in self.header.split_inclusive(|&byte| byte == b'\n') {
            match fields.last_mut().filter(|_| line.starts_with(b" ") || line.starts_with(b"\t")) {
                Some(field) => field.extend_from_slice(line),
                None => fields.push(line.to_vec()),
            }
        }
        for field in &mut fields {
            let text = String::from_utf8_lossy(field);
            let Some((name, value)) = text.split_once(':') else { continue };
            if name.trim_end().eq_ignore_ascii_case("newsgroups") {
                let mut groups: Vec<&str> = value.split(',').map(str::trim).collect();
                groups.sort_by_key(|group| !self.own.iter().any(|own| own.as_str() == *group));
                *field = format!("{name}: {}\r\n", groups.join(",")).into_bytes();
            }
        }
        fields.concat()
    }
}

/// One backend's part, and its connection if another article may be sent on it.
async fn send(reach: &Reach, link: Option<Link>, server: &str, article: &Article) -> (Option<Link>, Fate) {
    let id = &article.id;
    let gone = |gone: Gone| {
        warn!(user = reach.user, article = id.as_str(), "not delivered: {gone}");
        reach.seat.unlinked(server);
        (None, Fate::Failed("Server(s) unavailable to complete operation".to_owned()))
    };
    let (mut link, mut status) = match reach.ask(link, server, &format!("IHAVE {id}")).await {
        Ok(asked) => asked,
        Err(error) => return gone(error),
    };
    if status.code == SEND {
        let sent = match link.takes_another() {
            true => link.send(&article.header, &article.body).await,
            false => link.send(&article.own_first(), &article.body).await,
        };
        status = match sent {
            Ok(status) => status,
            Err(error) => return gone(error),
        };
    }
    let fate = match status.code {
        TRANSFERRED => Fate::Taken,
        NOT_WANTED => Fate::Had,
        NEVER => Fate::Rejected(status.text),
        _ => {
            warn!(user = reach.user, article = id.as_str(), server, "not delivered: {}", status.line());
            Fate::Failed(status.text)
        }
    };
    if !link.takes_another() {
        reach.seat.unlinked(server);
    }
    (link.takes_another().then_some(link), fate)
}

/// What two backends' answers are together: what went wrong comes first, what may pass before what will not.
fn worse(one: Fate, other: Fate) -> Fate {
    let weight = |fate: &Fate| match fate {
        Fate::Had => 0,
        Fate::Taken => 1,
        Fate::Rejected(_) | Fate::Refused(_) => 2,
        Fate::Failed(_) => 3,
    };
    if weight(&other) > weight(&one) { other } else { one }
}

const SEND: u16 = 335;
const TRANSFERRED: u16 = 235;
const NOT_WANTED: u16 = 435;
const NEVER: u16 = 437;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cyrus_gets_its_own_groups_first() {
        let id = MessageId::parse("<a@b>").unwrap();
        let header = b"From: f\r\nNewsgroups: a,b,\r\n c.d\r\nSubject: a,c.d\r\n b\r\n\r\n".to_vec();
        let own = vec![GroupName::parse("c.d").unwrap(), GroupName::parse("b").unwrap()];
        let article = Article { id, header, own, body: Arc::new(Message::Memory(Arc::new([]))) };
        let reordered = b"From: f\r\nNewsgroups: b,c.d,a\r\nSubject: a,c.d\r\n b\r\n\r\n";
        assert_eq!(article.own_first(), reordered);
    }

    #[test]
    fn one_backend_that_fails_makes_a_failure_and_one_that_has_it_none() {
        let failed = Fate::Failed("x".into());
        let rejected = Fate::Rejected("x".into());
        for (one, other, both) in [
            (Fate::Taken, Fate::Had, Fate::Taken),
            (Fate::Had, Fate::Had, Fate::Had),
            (Fate::Taken, failed.clone(), failed.clone()),
            (Fate::Had, rejected.clone(), rejected.clone()),
            (rejected, failed.clone(), failed),
        ] {
            assert_eq!(worse(one.clone(), other.clone()), both);
            assert_eq!(worse(other, one), both);
        }
    }
}
