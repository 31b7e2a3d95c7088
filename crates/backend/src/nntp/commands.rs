//! What a command that is about news does: one answer each, and perhaps what follows it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use identity::auth::Login;
use protocol::nntp::command::{Form, List, Part};
use protocol::nntp::words::{Articles, GroupName, MessageId, Range};
use protocol::nntp::{Command, No, Reply, overview};
use service::drive::Next;
use store::Record;
use time::OffsetDateTime;

use super::article::{Answer, Chosen};
use super::groups::{GroupList, Kind as GroupKind};
use super::help::help;
use super::listing::{Listing, Numbers};
use super::newnews::NewNews;
use super::overview::What;
use super::refusal::refused;
use super::selected::Selected;
use super::session::{Client, Phase, close, say};
use super::taking::Kind;

/// What is answered otherwise than with a list.
pub(super) enum Other {
    No(No),
    /// An article comes, after this has been said.
    Take(Option<Reply>, Kind),
}

impl From<No> for Other {
    fn from(no: No) -> Other {
        Other::No(no)
    }
}

impl Client {
    /// Does a command. None: go on with the input.
    pub(super) async fn serve(&mut self, command: Command, out: &mut BytesMut) -> Option<Next> {
        let login = match self.known().await {
            Ok(login) => login,
            Err(reply) => return Some(close(&reply, out)),
        };
        match self.answer(command, &login).await {
            Ok((reply, listing)) => {
                say(&reply, out);
                self.phase = listing.map_or(Phase::Command, Phase::Sending);
            }
            Err(Other::No(no)) => say(&no.into(), out),
            Err(Other::Take(reply, kind)) => {
                if let Some(reply) = reply {
                    say(&reply, out);
                }
                self.phase = self.taking(kind);
            }
        }
        None
    }

    async fn answer(&mut self, command: Command, login: &Login) -> Result<Answer, Other> {
        let groups = |kind, wildmat| Some(Listing::Groups(Box::new(GroupList::new(kind, wildmat))));
        Ok(match command {
            Command::Article(part, which) => {
                let chosen = self.node.choose(&mut self.selected, which, login).await?;
                self.node.show(part, &chosen, login).await?
            }
            Command::Group(group) => (self.select(&group, login).await?, None),
            Command::ListGroup { group, range } => self.numbers(group, range, login).await?,
            Command::Next => {
                let record = self.node.readable(&mut self.selected, login)?.next()?;
                self.noted(record, login).await?
            }
            Command::Last => {
                let record = self.node.readable(&mut self.selected, login)?.last()?;
                self.noted(record, login).await?
            }
            Command::Over { which, .. } => {
                self.fields(Reply::OverviewFollows, which, Some(What::Overview), login).await?
            }
            Command::Hdr { form: Form::Rfc3977, field, which } => {
                self.fields(Reply::HeadersFollow, which, What::field(field, None), login).await?
            }
            Command::Hdr { form: Form::Old, field, which } => {
                self.fields(Reply::OldHeadersFollow, which, What::field(field, None), login).await?
            }
            Command::XPat { field, which, patterns } => {
                let what = What::field(field, Some(patterns));
                self.fields(Reply::OldHeadersFollow, which, what, login).await?
            }
            Command::List(list) => self.list(list),
            Command::NewGroups(since) => {
                (Reply::NewGroupsFollow, groups(GroupKind::New(since.epoch(now())), None))
            }
            Command::NewNews { .. } if !self.imapd.allownewnews => return Err(No::NewNewsDisabled.into()),
            Command::NewNews { groups, since } => {
                let news = NewNews::new(groups, since.epoch(now()), login.clone());
                (Reply::NewNewsFollows, Some(Listing::NewNews(Box::new(news))))
            }
            Command::Date => (Reply::Date(date()), None),
            Command::Help => (Reply::HelpFollows, Some(Listing::Lines(help()))),
            Command::Post => return Err(Other::Take(Some(Reply::SendPost), Kind::Post)),
            Command::Ihave(id) => return Err(self.offered(id).await),
            Command::Check(id) => (self.check(id).await, None),
            Command::TakeThis(id) => return Err(Other::Take(None, Kind::TakeThis(id))),
            // These are the session's own.
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
            | Command::XClient(_) => return Err(No::Unknown.into()),
        })
    }

    /// GROUP: selects a group.
    async fn select(&mut self, group: &GroupName, login: &Login) -> Result<Reply, No> {
        let open = self.node.open(group, login).await?;
        let selected = Selected::new(open.group, open.mailbox);
        let reply = selected.reply(false);
        self.seat.opened(Some(group.as_str()));
        self.selected = Some(selected);
        Ok(reply)
    }

    /// LISTGROUP: selects a group, where one is named, and shows its numbers.
    async fn numbers(&mut self, group: Option<GroupName>, range: Range, login: &Login) -> Result<Answer, No> {
        if let Some(group) = group {
            self.select(&group, login).await?;
        }
        let selected = self.node.readable(&mut self.selected, login)?;
        selected.rewind();
        let numbers = Numbers { mailbox: selected.mailbox.clone(), range, next: range.from };
        Ok((selected.reply(true), Some(Listing::Numbers(numbers))))
    }

    /// The answer to NEXT and LAST: the article's number and Message-ID.
    async fn noted(&mut self, record: Record, login: &Login) -> Result<Answer, No> {
        let mailbox = self.node.readable(&mut self.selected, login)?.mailbox.clone();
        let chosen = Chosen { mailbox, number: record.uid, record };
        self.node.show(Part::Stat, &chosen, login).await
    }

    async fn fields(
        &mut self,
        reply: Reply,
        which: Articles,
        what: Option<What>,
        login: &Login,
    ) -> Result<Answer, No> {
        let what = what.ok_or(No::UnknownMetadata)?;
        let fields = self.node.fields(&mut self.selected, which, what, login).await?;
        Ok((reply, Some(Listing::Fields(fields))))
    }

    /// IHAVE.
    async fn offered(&mut self, id: MessageId) -> Other {
        match self.node.store.wants_article(id.as_str()).await {
            Ok(true) => Other::Take(Some(Reply::SendTransfer), Kind::Ihave(id)),
            Ok(false) => No::NotWanted.into(),
            Err(error) => No::TransferFailed(refused(&error).to_string()).into(),
        }
    }

    async fn check(&mut self, id: String) -> Reply {
        let Some(known) = MessageId::parse(&id) else { return No::NotWantedChecked(id).into() };
        match self.node.store.wants_article(known.as_str()).await {
            Ok(true) => Reply::SendChecked(id),
            Ok(false) => No::NotWantedChecked(id).into(),
            Err(_) => No::CheckLater(id).into(),
        }
    }

    fn list(&self, list: List) -> Answer {
        let lines =
            |lines: &[&str]| Some(Listing::Lines(lines.iter().map(|line| (*line).to_owned()).collect()));
        let groups = |kind, wildmat| Some(Listing::Groups(Box::new(GroupList::new(kind, wildmat))));
        match list {
            List::Active(wildmat) => {
                (Reply::ListFollows("List of newsgroups"), groups(GroupKind::Active, wildmat))
            }
            List::Newsgroups(wildmat) => {
                (Reply::ListFollows("List of newsgroups"), groups(GroupKind::Newsgroups, wildmat))
            }
            List::OverviewFmt => {
                (Reply::ListFollows("Order of overview fields"), lines(&overview::format(self.metadata)))
            }
            List::Headers => (Reply::ListFollows("List of headers"), lines(&[":", ":bytes", ":lines"])),
            List::Unsupported(_) => (No::UnsupportedList.into(), None),
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// `yyyymmddhhmmss`, UTC.
fn date() -> String {
    let now = OffsetDateTime::now_utc();
    let (date, time) = (now.date(), now.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}
