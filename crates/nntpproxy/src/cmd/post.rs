//! POST, IHAVE, CHECK, TAKETHIS: an article comes, is checked, and lies in the spool until its backends have it.

use bytes::BytesMut;
use lmtp::{Incoming, Message, Spool};
use protocol::acl::Rights;
use protocol::lmtp::intake::{Defect, EightBit, Intake, Outcome, Plan, Progress};
use protocol::nntp::article::{Expected, Head, Making};
use protocol::nntp::words::{GroupName, MessageId};
use protocol::nntp::{No, Refused, Reply};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::deliver::Fate;
use super::{News, Served};
use crate::limits::{HEADER, rows};
use crate::map::NoGroup;

/// How an article comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    Post,
    Ihave(MessageId),
    /// Any word may stand for the message-id.
    TakeThis(String),
    /// It follows though it is not wanted: a line is said when it is over.
    Nothing(String),
}

/// An article on its way in.
pub struct Taking {
    purpose: Purpose,
    intake: Intake,
    /// The header so far; none once it is complete.
    header: Option<Vec<u8>>,
    /// What it is, once the header is complete.
    known: Option<Known>,
    /// Where it lies, or why it is not taken whatever else comes.
    spool: Result<Spool, Refused>,
}

struct Known {
    id: MessageId,
    groups: Vec<GroupName>,
    /// As it goes to the backends, with its blank line; the spool has what follows.
    header: Vec<u8>,
}

impl News {
    pub(super) fn post(&self) -> Served {
        let taking = Taking::new(Purpose::Post, self);
        Served::Wanted(Some(Reply::SendPost.to_string()), Box::new(taking))
    }

    pub(super) async fn ihave(&mut self, id: &MessageId) -> Served {
        if self.is_everywhere(id).await {
            return No::NotWanted.into();
        }
        let taking = Taking::new(Purpose::Ihave(id.clone()), self);
        Served::Wanted(Some(Reply::SendTransfer.to_string()), Box::new(taking))
    }

    pub(super) async fn check(&mut self, id: &str) -> Served {
        let unwanted = match MessageId::parse(id) {
            Some(parsed) => self.is_everywhere(&parsed).await,
            None => true,
        };
        match unwanted {
            true => No::NotWantedChecked(id.to_owned()).into(),
            false => Reply::SendChecked(id.to_owned()).into(),
        }
    }

    pub(super) fn take_this(&self, id: &str) -> Served {
        Served::Wanted(None, Box::new(Taking::new(Purpose::TakeThis(id.to_owned()), self)))
    }

    /// Whether each backend with a group of an article has it. One that has it not, or does not answer, may have failed when the
    /// others took it: then it must come again, and they take it once.
    async fn is_everywhere(&mut self, id: &MessageId) -> bool {
        let servers = self.map.servers(None, Rights::LOOKUP | Rights::READ).await;
        let (had, _) = self.who_has(servers, id, |_| false).await;
        let Some(first) = had.first() else { return false };
        let Some(groups) = self.newsgroups(&first.clone(), id).await else { return false };
        for group in groups {
            match self.map.locate(&group).await {
                Ok(home) if had.contains(&home.server) => {}
                Err(NoGroup::Missing) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }

    /// The groups of an article that a backend has.
    async fn newsgroups(&mut self, server: &str, id: &MessageId) -> Option<Vec<GroupName>> {
        let (mut link, status) = self.links.ask(server, &format!("HEAD {id}")).await.ok()?;
        let mut header = Vec::new();
        if status.block {
            while let Some(piece) = link.piece().await.ok()? {
                header.extend_from_slice(&piece);
                if header.len() > HEADER {
                    rows::HEADER.met(format_args!("{server}: {id} has a header without end"));
                    return None;
                }
            }
        }
        self.links.give_back(link);
        Some(Head::parse(&header).ok()?.check(Expected::Transferred(id)).ok()?.groups)
    }

    /// An article has come to its end; what the client is told, and whether the session can go on.
    pub async fn taken(&mut self, taking: Taking) -> (String, bool) {
        let Taking { purpose, intake, header: _, known, spool } = taking;
        let outcome = match intake.outcome() {
            Outcome::Good => spool,
            Outcome::TooLarge => Err(Refused::TooLarge(self.settings.max_size)),
            Outcome::Invalid(Defect::Nul) => Err(Refused::Nul),
            Outcome::Invalid(Defect::BadHeader | Defect::EightBitHeader) => {
                spool.and(Err(Refused::BadHeader))
            }
        };
        let fate = match (finished(outcome).await, &known) {
            (Err(refused), _) => Fate::Refused(refused),
            (Ok(body), Some(Known { id, groups, header })) => self.deliver(id, groups, header, body).await,
            (Ok(_), None) => Fate::Refused(Refused::BadHeader),
        };
        purpose.answer(fate, known.map(|known| known.id))
    }
}

impl Taking {
    pub fn new(purpose: Purpose, news: &News) -> Taking {
        let plan = Plan { max_size: news.settings.max_size, eight_bit: EightBit::Keep, ..Plan::default() };
        let spool = match purpose {
            Purpose::Nothing(_) => Err(Refused::Denied),
            Purpose::Post | Purpose::Ihave(_) | Purpose::TakeThis(_) => Ok(Spool::new(&news.settings.spool)),
        };
        Taking { purpose, intake: Intake::new(plan), header: Some(Vec::new()), known: None, spool }
    }

    /// Takes in what there is of it.
    pub async fn take(&mut self, input: &mut BytesMut, servername: &str, userid: &str) -> Progress {
        let mut piece = Vec::new();
        let progress = self.intake.feed(input, &mut piece);
        if let Err(refused) = self.write(piece, progress, servername, userid).await {
            self.spool = self.refused(refused);
        }
        progress
    }

    async fn write(
        &mut self,
        piece: Vec<u8>,
        progress: Progress,
        servername: &str,
        userid: &str,
    ) -> Result<(), Refused> {
        let Ok(spool) = &mut self.spool else { return Ok(()) };
        let Some(header) = &mut self.header else { return stored(spool, &piece).await };
        header.extend_from_slice(&piece);
        let length = match (Head::length(header), progress) {
            (Some(length), _) => length,
            // A header without a body, or one that may go on.
            (None, Progress::End | Progress::More) => header.len(),
        };
        if length > HEADER {
            rows::HEADER.met("an article's header is too long: it is refused");
            return Err(Refused::HeaderTooLong);
        }
        if length == header.len() && progress == Progress::More && Head::length(header).is_none() {
            return Ok(());
        }
        let whole = self.header.take().unwrap_or_default();
        let (header, body) = whole.split_at_checked(length).ok_or(Refused::BadHeader)?;
        let head = Head::parse(header)?;
        let taken = match &self.purpose {
            Purpose::Post | Purpose::Nothing(_) => head.check(Expected::Posted)?,
            Purpose::Ihave(id) => head.check(Expected::Transferred(id))?,
            Purpose::TakeThis(id) => {
                let id = MessageId::parse(id).ok_or(Refused::BadMessageId)?;
                head.check(Expected::Transferred(&id))?
            }
        };
        let id = match taken.id {
            Some(id) => id,
            None => made(servername)?,
        };
        let date = OffsetDateTime::now_utc().format(&Rfc2822).unwrap_or_default();
        let making = Making { servername, userid, message_id: Some(&id), date: &date, ..Making::default() };
        stored(spool, body).await?;
        let header = head.completed(&making);
        self.known = Some(Known { id, groups: taken.groups, header });
        Ok(())
    }

    fn refused(&self, refused: Refused) -> Result<Spool, Refused> {
        match &self.spool {
            Err(before) => Err(before.clone()),
            Ok(_) => Err(refused),
        }
    }
}

impl Purpose {
    /// What the client is told. False: the connection ends (RFC 4644 section 2.5 has no "later" for TAKETHIS).
    fn answer(self, fate: Fate, id: Option<MessageId>) -> (String, bool) {
        match self {
            Purpose::Nothing(line) => (line, true),
            Purpose::Post => (posted(fate, id), true),
            Purpose::Ihave(_) => (transferred(fate), true),
            Purpose::TakeThis(id) => match fate {
                Fate::Taken => (Reply::Taken(id).to_string(), true),
                Fate::Failed(why) => (No::Unavailable(why).to_string(), false),
                Fate::Refused(refused) if refused.may_pass() => {
                    (No::Unavailable(refused.to_string()).to_string(), false)
                }
                Fate::Had | Fate::Rejected(_) | Fate::Refused(_) => (No::Rejected(id).to_string(), true),
            },
        }
    }
}

fn posted(fate: Fate, id: Option<MessageId>) -> String {
    match (fate, id) {
        (Fate::Taken | Fate::Had, Some(id)) => Reply::Posted(id).to_string(),
        (Fate::Taken | Fate::Had, None) => No::Failed.to_string(),
        (Fate::Refused(refused), _) => No::PostFailed(refused).to_string(),
        (Fate::Rejected(why) | Fate::Failed(why), _) => format!("441  Failed receiving article ({why})"),
    }
}

fn transferred(fate: Fate) -> String {
    match fate {
        Fate::Taken | Fate::Had => Reply::Transferred.to_string(),
        Fate::Failed(why) => No::TransferFailed(why).to_string(),
        Fate::Refused(refused) if refused.may_pass() => No::TransferFailed(refused.to_string()).to_string(),
        Fate::Refused(refused) => No::TransferRejected(refused).to_string(),
        Fate::Rejected(why) => format!("437 Transfer rejected: do not retry ({why})"),
    }
}

async fn stored(spool: &mut Spool, bytes: &[u8]) -> Result<(), Refused> {
    spool.write(bytes).await.map_err(|_| Refused::NoSpace)
}

async fn finished(spool: Result<Spool, Refused>) -> Result<Message, Refused> {
    spool?.finish().await.map_err(|_| Refused::NoSpace)
}

/// A message-id for an article that is posted without one.
fn made(servername: &str) -> Result<MessageId, Refused> {
    let failed = Refused::Temporary("No random number");
    let (Ok(one), Ok(two)) = (getrandom::u64(), getrandom::u64()) else { return Err(failed) };
    MessageId::parse(&format!("<murder-nntp-{one:016x}{two:016x}@{servername}>")).ok_or(failed)
}
