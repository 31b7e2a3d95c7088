//! Mails that a script sends: redirects, answers, notifications, reports of refusals. They go when all that is kept here is on disk.

use protocol::lmtp::refusal::Refusal;
use sieve::{DeliverBy, Mailto, Message, Notify, Redirect, Reject, Vacation};
use submission::compose::{self, Stamp, notify, redirect, refuse, text, vacation};
use submission::{By, ByMode, Mail, Ret, To};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tracing::{info, warn};
use work::aside::weighed;

use super::super::limits::{LOT, REASON_LINE, REASON_LINES, REDIRECTED, VACATION};
use super::case::Case;
use super::place::edited;
use super::trial::Trial;

/// What became of a mail that a script wanted sent.
pub(super) enum Sent {
    Yes,
    /// Something forbids it, and nothing is wrong.
    Not,
    /// It must not go, and the message must stay: it is on its way round.
    Round,
}

impl Case<'_> {
    /// RFC 5228 section 4.2. An error is one of the mail server's.
    pub(super) async fn redirect(&self, trial: &Trial, wanted: &Redirect) -> Result<Sent, String> {
        let (store, id) = (self.store, self.shipment.message_id.as_deref().unwrap_or_default());
        let user = text::without_detail(&self.own_address());
        if let Some(why) = redirect::is_loop(trial.mail.raw(), &user) {
            warn!(userid = self.userid, message_id = id, to = wanted.address, "not redirected: {why}");
            return Ok(Sent::Round);
        }
        let (to, date) = (wanted.address.to_lowercase(), self.shipment.date.as_deref().unwrap_or_default());
        let about = [&b"redirect"[..], id.as_bytes(), to.as_bytes(), date.as_bytes()];
        let once = self.policy.suppress_duplicates && !id.is_empty();
        if once && store.is_marked(self.userid, &about).unwrap_or(false) {
            info!(userid = self.userid, message_id = id, to = wanted.address, "redirected before");
            return Ok(Sent::Not);
        }
        let own = edited(&trial.mail, wanted.edits.as_ref()).await;
        let (mail, size) = (trial.mail.clone(), trial.mail.raw().len());
        let made = move || redirect::message(own.as_deref().unwrap_or_else(|| mail.raw()), &user);
        let message = weighed(size / LOT, made).await;
        let ret = wanted.ret.as_deref().map(|ret| if ret == "FULL" { Ret::Full } else { Ret::Headers });
        let mail = Mail {
            from: self.shipment.mail.from.to_string(),
            to: vec![To { address: wanted.address.clone(), notify: wanted.notify.clone() }],
            user: Some(self.userid.to_owned()),
            ret,
            by: wanted.deliver_by.as_ref().map(by),
            message: message.into(),
        };
        self.send(&mail).await?;
        info!(userid = self.userid, message_id = id, to = wanted.address, "sieve redirected");
        if once && let Err(error) = store.mark(self.userid, &about, REDIRECTED.as_secs()).await {
            warn!(%error, userid = self.userid, "a message may be redirected once more");
        }
        Ok(Sent::Yes)
    }

    /// RFC 5230: the answer, where one is due; it is marked when it has been sent. Gives the mail, for `:fcc`.
    pub(super) async fn answer(&self, trial: &Trial, wanted: &Vacation) -> Result<Option<Vec<u8>>, String> {
        let sender = self.shipment.mail.from.to_string();
        let mine: Vec<String> = std::iter::once(&self.address).chain(&wanted.addresses).cloned().collect();
        let raw = trial.mail.raw();
        let header = raw.get(..raw.len() - trial.mail.body().len()).unwrap_or_default();
        let incoming = vacation::Incoming { header, sender: &sender, mine: &mine };
        let me = match vacation::addressee(&incoming) {
            Ok(me) => me,
            Err(why) => {
                info!(userid = self.userid, from = sender, "no vacation answer: {why}");
                return Ok(None);
            }
        };
        let answer = vacation::Answer {
            from: wanted.from.as_deref(),
            subject: wanted.subject.as_deref(),
            reason: &wanted.reason,
            mime: wanted.mime,
        };
        let key = vacation::key(&sender, wanted.handle.as_deref(), &answer);
        let about: Vec<&[u8]> = key.iter().map(Vec::as_slice).collect();
        if self.store.is_marked(self.userid, &about).unwrap_or(false) {
            info!(userid = self.userid, from = sender, "no vacation answer: there was one lately");
            return Ok(None);
        }
        let stamp = self.stamp();
        let message = vacation::message(&incoming, &me, &answer, stamp.now());
        let mut mail = Mail::new("", &sender, message.clone());
        mail.user = Some(self.userid.to_owned());
        self.send(&mail).await?;
        info!(userid = self.userid, to = sender, "sieve vacation answer sent");
        let imapd = &self.policy.imapd;
        let least = imapd.sieve_vacation_min_response.as_secs();
        let most = imapd.sieve_vacation_max_response.as_secs().max(least);
        let seconds = wanted.seconds.unwrap_or(VACATION.as_secs()).clamp(least, most);
        if let Err(error) = self.store.mark(self.userid, &about, seconds).await {
            warn!(%error, userid = self.userid, "a vacation answer may be sent once more");
        }
        Ok(Some(message))
    }

    /// RFC 5436. Gives the mail, for `:fcc`; none: none was sent, which is no error of the delivery (RFC 5435, section 3).
    pub(super) async fn notify(&self, trial: &Trial, wanted: &Notify) -> Option<Vec<u8>> {
        let (raw, userid) = (trial.mail.raw(), self.userid);
        let header = raw.get(..raw.len() - trial.mail.body().len()).unwrap_or_default();
        if notify::is_automatic(header) {
            info!(userid, "no notification of a message that was sent automatically");
            return None;
        }
        let read = match Mailto::parse(&wanted.method) {
            Ok(read) => read,
            Err(why) => {
                warn!(userid, method = wanted.method, "no notification: {why}");
                return None;
            }
        };
        let (sender, owner) = (self.shipment.mail.from.to_string(), self.own_address());
        let notice = notify::Notice {
            header,
            sender: &sender,
            owner: &owner,
            from: wanted.from.as_deref(),
            message: Some(wanted.message.as_str()).filter(|message| !message.is_empty()),
            importance: wanted.importance,
        };
        let mailto = notify::Mailto {
            recipients: &read.recipients,
            subject: read.subject.as_deref(),
            body: read.body.as_deref(),
            fields: &read.headers,
        };
        let stamp = self.stamp();
        let message = notify::message(&mailto, &notice, stamp.now());
        let to = |address| To { address, notify: None };
        let mail = Mail {
            from: notify::sender(&notice),
            to: read.recipients.iter().cloned().map(to).collect(),
            user: Some(userid.to_owned()),
            ret: None,
            by: None,
            message: message.clone().into(),
        };
        match self.send(&mail).await {
            Ok(()) => {
                info!(userid, to = wanted.method, "sieve notification sent");
                Some(message)
            }
            Err(_) => None,
        }
    }

    /// RFC 5429: a refusal for the MTA; or none, where a report has gone to the sender, or nobody is to be told.
    pub(super) async fn refuse(&self, trial: &Trial, wanted: &Reject) -> Result<Option<Refusal>, String> {
        let (userid, message_id) = (self.userid, self.shipment.message_id.as_deref());
        if wanted.extended || self.policy.imapd.sieve_use_lmtp_reject && wanted.text.is_ascii() {
            info!(userid, message_id, "sieve LMTP rejected");
            let lines = reply_lines(&wanted.text, self.shipment.mail.smtputf8);
            return Ok(Some(Refusal::Relayed { code: 550, lines }));
        }
        let sender = self.shipment.mail.from.to_string();
        if sender.is_empty() {
            info!(userid, message_id, "sieve: discarded reject to <>");
            return Ok(None);
        }
        let imapd = &self.policy.imapd;
        let postmaster = match imapd.postmaster.contains('@') {
            true => imapd.postmaster.clone(),
            false => format!("{}@{}", imapd.postmaster, imapd.servername),
        };
        let (original, to, reason, stamp) =
            (trial.mail.clone(), sender.clone(), wanted.text.clone(), self.stamp());
        let (recipient, servername) = (self.own_address(), imapd.servername.clone());
        let made = move || {
            let refused = refuse::Refused {
                message: original.raw(),
                sender: &to,
                recipient: &recipient,
                reason: &reason,
                postmaster: &postmaster,
                servername: &servername,
            };
            refuse::message(&refused, stamp.now())
        };
        let report = weighed(trial.mail.raw().len() / LOT, made).await;
        let mut mail = Mail::new("", &sender, report);
        mail.user = Some(userid.to_owned());
        self.send(&mail).await?;
        info!(userid, message_id, to = sender, "sieve rejected");
        Ok(None)
    }

    async fn send(&self, mail: &Mail) -> Result<(), String> {
        self.rules.submission.send(&self.policy.imapd, mail).await.map_err(|error| {
            warn!(userid = self.userid, %error, "a mail of a script is not sent");
            error.to_string()
        })
    }

    fn stamp(&self) -> Made {
        let now = OffsetDateTime::now_utc();
        let date = now.format(&Rfc2822).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned());
        // Only uniqueness is at stake: without entropy the time remains.
        let random = getrandom::u64().unwrap_or(0);
        let stamp = now.unix_timestamp_nanos();
        Made {
            date,
            message_id: format!("murder-sieve-{stamp:x}-{random:x}@{}", self.policy.imapd.servername),
        }
    }
}

/// When and as what a mail is made.
struct Made {
    date: String,
    message_id: String,
}

impl Made {
    fn now(&self) -> Stamp<'_> {
        compose::Stamp { date: &self.date, message_id: &self.message_id }
    }
}

fn by(wanted: &DeliverBy) -> By {
    let mode = if wanted.return_it { ByMode::Return } else { ByMode::Notify };
    By { seconds: wanted.seconds, mode, trace: wanted.trace }
}

/// The lines of a refusal, each with its code and short enough. What the client cannot read is left out.
fn reply_lines(reason: &str, utf8: bool) -> Vec<String> {
    let clean = |c: char| match c {
        _ if c.is_control() => ' ',
        _ if !utf8 && !c.is_ascii() => '?',
        _ => c,
    };
    let mut lines = Vec::new();
    for line in reason.lines() {
        let mut part = String::from("5.7.1 ");
        for c in line.chars().map(clean) {
            if part.len() + c.len_utf8() > REASON_LINE {
                lines.push(std::mem::replace(&mut part, String::from("5.7.1 ")));
            }
            part.push(c);
        }
        lines.push(part);
        if lines.len() >= REASON_LINES {
            break;
        }
    }
    lines.truncate(REASON_LINES);
    if lines.is_empty() {
        lines.push("5.7.1 Message rejected".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_lines_that_an_mta_takes() {
        assert_eq!(reply_lines("No.\r\nNever\t!", false), ["5.7.1 No.", "5.7.1 Never !"]);
        assert_eq!(reply_lines("né", false), ["5.7.1 n?"]);
        assert_eq!(reply_lines("né", true), ["5.7.1 né"]);
        assert_eq!(reply_lines("", false), ["5.7.1 Message rejected"]);
        let long = reply_lines(&"x".repeat(1000), false);
        assert!(long.len() == 3 && long.iter().all(|line| line.len() <= REASON_LINE), "{long:?}");
        assert_eq!(reply_lines(&"x\n".repeat(1000), false).len(), REASON_LINES);
    }
}
