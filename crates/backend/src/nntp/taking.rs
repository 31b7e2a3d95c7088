//! POST, IHAVE, TAKETHIS: an article that comes, into all of its groups.
//!
//! ```text
//! wire ─intake─▶ lines without dots ─▶ the header, whole: what it must have, whose groups, may one post there
//!                                      └▶ completed, and then the body ─▶ staged ─▶ the store, durable in every group ─▶ the answer
//! ```
//!
//! What is refused early is taken in to its end and thrown away, since the client sends it all the same.

use std::sync::Arc;

use bytes::BytesMut;
use identity::auth::Login;
use protocol::acl::Rights;
use protocol::lmtp::intake::{EightBit, Intake, Outcome, Plan, Progress};
use protocol::name::MailboxName;
use protocol::nntp::words::{GroupName, MessageId};
use protocol::nntp::{Article, Expected, Head, Making, No, Refused, Reply};
use store::{Posting, SHARED, Staging, StoreError};
use submission::{Mail, To};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tracing::{error, info, warn};

use super::limits::{HEADER, rows};
use super::node::Node;
use super::refusal::refused;
use config::imapd::Imapd;

/// How an article comes, which decides on the answers.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Post,
    Ihave(MessageId),
    /// What the answer repeats.
    TakeThis(String),
    /// It is thrown away, and this is the answer.
    Swallow(Reply),
}

/// An article while it is taken in.
pub(super) struct Taking {
    kind: Kind,
    intake: Intake,
    state: State,
}

enum State {
    Header(Vec<u8>),
    Body(Box<Body>),
    Refused(Refused),
}

struct Body {
    staging: Staging,
    message_id: MessageId,
    mailboxes: Vec<MailboxName>,
}

/// Who brings it, and by which settings.
pub(super) struct Bringer<'a> {
    pub login: &'a Login,
    pub imapd: &'a Imapd,
    pub session: &'a str,
}

impl Taking {
    pub fn new(kind: Kind, imapd: &Imapd) -> Taking {
        let plan = Plan { max_size: imapd.maxmessagesize, eight_bit: EightBit::Keep, ..Plan::default() };
        Taking { kind, intake: Intake::new(plan), state: State::Header(Vec::new()) }
    }

    /// Takes what has come. The answer, once the article has ended.
    pub async fn advance(
        &mut self,
        input: &mut BytesMut,
        node: &Arc<Node>,
        by: &Bringer<'_>,
    ) -> Option<Reply> {
        let mut piece = Vec::new();
        let progress = self.intake.feed(input, &mut piece);
        if !matches!(self.kind, Kind::Swallow(_))
            && let Err(why) = self.take(&piece, node, by).await
        {
            self.state = State::Refused(why);
        }
        match progress {
            Progress::More => None,
            Progress::End => Some(self.end(node, by).await),
        }
    }

    async fn take(&mut self, piece: &[u8], node: &Arc<Node>, by: &Bringer<'_>) -> Result<(), Refused> {
        match &mut self.state {
            State::Refused(_) => Ok(()),
            State::Body(body) => body.staging.write(piece).await.map_err(|error| refused(&error)),
            State::Header(header) => {
                header.extend_from_slice(piece);
                let Some(length) = Head::length(header) else {
                    if header.len() <= HEADER {
                        return Ok(());
                    }
                    rows::HEADER.met("the header of an article is longer than any: the article is refused");
                    return Err(Refused::HeaderTooLong);
                };
                if length > HEADER {
                    return Err(Refused::HeaderTooLong);
                }
                let (head, rest) = header.split_at(length);
                let mut body = self.kind.begin(head, node, by).await?;
                body.staging.write(rest).await.map_err(|error| refused(&error))?;
                self.state = State::Body(Box::new(body));
                Ok(())
            }
        }
    }

    async fn end(&mut self, node: &Arc<Node>, by: &Bringer<'_>) -> Reply {
        if let Kind::Swallow(reply) = &self.kind {
            return reply.clone();
        }
        let state = std::mem::replace(&mut self.state, State::Refused(Refused::BadHeader));
        let done = match (self.intake.outcome(), state) {
            (Outcome::TooLarge, _) => Err(Refused::TooLarge(by.imapd.maxmessagesize)),
            (_, State::Refused(why)) => Err(why),
            (Outcome::Invalid(protocol::lmtp::intake::Defect::Nul), _) => Err(Refused::Nul),
            (Outcome::Invalid(_), _) | (Outcome::Good, State::Header(_)) => Err(Refused::BadHeader),
            (Outcome::Good, State::Body(body)) => store(*body, node, by).await,
        };
        let outcome = match &done {
            Ok(Stored { new: true, .. }) => "taken",
            Ok(_) => "had",
            Err(why) if why.may_pass() => "deferred",
            Err(_) => "refused",
        };
        metrics::counter!("murder_articles_total", "outcome" => outcome).increment(1);
        if let Err(why) = &done {
            info!(user = by.login.userid, "an article is not taken: {why}");
        }
        self.kind.answer(done)
    }
}

/// What became of an article.
struct Stored {
    message_id: MessageId,
    /// It came into a group that did not have it.
    new: bool,
}

impl Kind {
    /// The header is whole: what is to become of the article.
    async fn begin(&self, head: &[u8], node: &Arc<Node>, by: &Bringer<'_>) -> Result<Body, Refused> {
        let head = Head::parse(head)?;
        let announced = match self {
            Kind::TakeThis(id) => Some(MessageId::parse(id).ok_or(Refused::BadMessageId)?),
            Kind::Ihave(id) => Some(id.clone()),
            Kind::Post | Kind::Swallow(_) => None,
        };
        let expected = announced.as_ref().map_or(Expected::Posted, Expected::Transferred);
        let article = head.check(expected)?;
        let mailboxes = node.targets(&article, by.login).await?;
        let message_id = match article.id.clone() {
            Some(id) => id,
            None => made_id(by).ok_or(Refused::BadMessageId)?,
        };
        let header = head.completed(&making(&article, &message_id, by).of(by));
        let first = mailboxes.first().ok_or(Refused::NoSuchGroup)?;
        let mut staging = node.store.stage(first, None).await.map_err(|error| refused(&error))?;
        staging.write(&header).await.map_err(|error| refused(&error))?;
        Ok(Body { staging, message_id, mailboxes })
    }

    fn answer(&self, done: Result<Stored, Refused>) -> Reply {
        match (self, done) {
            (Kind::Post, Ok(stored)) => Reply::Posted(stored.message_id),
            (Kind::Post, Err(why)) => No::PostFailed(why).into(),
            (Kind::Ihave(_), Ok(_)) => Reply::Transferred,
            (Kind::Ihave(_), Err(why)) if why.may_pass() => No::TransferFailed(why.to_string()).into(),
            (Kind::Ihave(_), Err(why)) => No::TransferRejected(why).into(),
            (Kind::TakeThis(id), Ok(Stored { new: true, .. })) => Reply::Taken(id.clone()),
            // Streaming has one word for all of them; what may pass ends the session, so that it comes again (RFC 4644 section 2.5).
            (Kind::TakeThis(_), Err(why)) if why.may_pass() => No::Unavailable(why.to_string()).into(),
            (Kind::TakeThis(id), Ok(_) | Err(_)) => No::Rejected(id.clone()).into(),
            (Kind::Swallow(reply), _) => reply.clone(),
        }
    }
}

impl Node {
    /// The groups of an article that are here. The poster must have the right to post to all of them.
    async fn targets(&self, article: &Article, login: &Login) -> Result<Vec<MailboxName>, Refused> {
        let (mut targets, mut elsewhere) = (Vec::new(), false);
        for group in &article.groups {
            let Some(name) = self.groups.mailbox(group) else { continue };
            let entry = match self.store.find(&name).await {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(StoreError::Moved(_) | StoreError::Frozen) => {
                    elsewhere = true;
                    continue;
                }
                Err(error) => return Err(refused(&error)),
            };
            if self.group_of(&name, &entry).is_none() {
                elsewhere |= entry.moving.is_some();
                continue;
            }
            let rights = self.rights(&name, &entry.acl, login);
            if !rights.contains(Rights::POST) {
                let seen = rights.contains(Rights::LOOKUP) || rights.contains(Rights::READ);
                return Err(if seen { Refused::Denied } else { Refused::NoSuchGroup });
            }
            targets.push(name);
        }
        match targets.is_empty() {
            true if elsewhere => Err(Refused::Elsewhere),
            true => Err(Refused::NoSuchGroup),
            false => Ok(targets),
        }
    }

    /// Sends an article on to those who get a group by mail (the annotation news2mail). It is kept whether or not that works.
    async fn mail(&self, mailboxes: &[MailboxName], staged: &store::Staged, by: &Bringer<'_>) {
        let mut to = Vec::new();
        for name in mailboxes {
            let Ok(mailbox) = self.store.mailbox(name).await else { continue };
            let Some(address) = mailbox.annotation(NEWS2MAIL, SHARED) else { continue };
            to.push(To { address: String::from_utf8_lossy(&address).trim().to_owned(), notify: None });
        }
        if to.is_empty() {
            return;
        }
        let message = match staged.bytes().await {
            Ok(message) => message,
            Err(error) => return error!(%error, "an article is not sent on by mail"),
        };
        let mail = Mail { from: String::new(), to, user: None, ret: None, by: None, message };
        if let Err(error) = self.submission.send(by.imapd, &mail).await {
            warn!(%error, "an article is not sent on by mail");
        }
    }
}

/// On return the article is on disk in all of its groups.
async fn store(body: Body, node: &Arc<Node>, by: &Bringer<'_>) -> Result<Stored, Refused> {
    let failed = |error: StoreError| {
        if !matches!(error, StoreError::TooLarge(_)) {
            warn!(%error, "an article is not taken");
        }
        refused(&error)
    };
    let Body { staging, message_id, mailboxes } = body;
    let staged = Arc::new(staging.finish().await.map_err(failed)?);
    let posting = Posting { mailboxes, staged: staged.clone(), message_id: message_id.to_string() };
    let posted = node.store.post_article(posting).await.map_err(failed)?;
    for group in &posted.stored {
        info!(user = by.login.userid, %message_id, %group, "article taken");
    }
    node.mail(&posted.stored, &staged, by).await;
    Ok(Stored { message_id, new: !posted.stored.is_empty() })
}

/// What is added to a header, and owns it.
struct Made {
    message_id: MessageId,
    date: String,
    addresses: Vec<String>,
}

impl Made {
    fn of<'a>(&'a self, by: &Bringer<'a>) -> Making<'a> {
        let adds = |what: &str| by.imapd.newsaddheaders.iter().any(|one| one == what);
        Making {
            servername: &by.imapd.servername,
            userid: &by.login.userid,
            message_id: Some(&self.message_id),
            date: &self.date,
            addresses: &self.addresses,
            to: adds("to"),
            reply_to: adds("replyto"),
        }
    }
}

fn making(article: &Article, message_id: &MessageId, by: &Bringer<'_>) -> Made {
    let now = OffsetDateTime::now_utc();
    let date = now.format(&Rfc2822).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned());
    let address = |user: &String, group: &GroupName| format!("{user}+{group}@{}", by.imapd.servername);
    let user = by.imapd.newspostuser.as_ref().filter(|user| !user.is_empty() && !article.is_control);
    let addresses = user.map(|user| article.groups.iter().map(|group| address(user, group)).collect());
    Made { message_id: message_id.clone(), date, addresses: addresses.unwrap_or_default() }
}

/// A Message-ID for an article that came without.
fn made_id(by: &Bringer<'_>) -> Option<MessageId> {
    // Only uniqueness is at stake: without entropy the session's name remains.
    let random = getrandom::u64().unwrap_or(0);
    MessageId::parse(&format!("<murder-nntp-{}-{random:x}@{}>", by.session, by.imapd.servername))
}

const NEWS2MAIL: &str = "/vendor/cmu/cyrus-imapd/news2mail";
