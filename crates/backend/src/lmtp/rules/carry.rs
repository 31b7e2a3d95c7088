//! What a script wants done is done: first all that is kept here, in its order, then the mails.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::counter;
use protocol::lmtp::refusal::{Refusal, Verdict};
use protocol::name::MailboxName;
use sieve::{Effect, Envelope, Limits, Outcome};
use store::{Script, UserScripts};
use tracing::{info, warn};

use super::case::{Case, failed_flag};
use super::place::{Place, edited};
use super::send::Sent;
use super::trial::Trial;

/// A script came to nothing: what was to be done is not done, or not all of it.
struct Failed {
    why: String,
    /// Mailboxes that have the message already.
    placed: Vec<MailboxName>,
}

impl Case<'_> {
    /// Runs the script and does what it wants.
    pub async fn deliver(&self, script: Arc<Script>) -> Verdict {
        let trial = match self.trial(script).await {
            Ok(trial) => Arc::new(trial),
            Err(why) => return self.keep_all_the_same(Failed { why, placed: Vec::new() }).await,
        };
        let outcome = trial.clone().run().await;
        for text in &outcome.log {
            info!(userid = self.userid, message_id = self.shipment.message_id, text, "sieve log");
        }
        match self.carry_out(&trial, outcome).await {
            Ok(verdict) => verdict,
            Err(failed) => self.keep_all_the_same(failed).await,
        }
    }

    async fn trial(&self, script: Arc<Script>) -> Result<Trial, String> {
        let program = match self.rules.programs.known(&script) {
            Some(known) => known,
            None => {
                let programs = self.rules.programs.clone();
                let compiled = tokio::task::spawn_blocking(move || programs.compile(&script)).await;
                compiled.map_err(|error| error.to_string())?
            }
        };
        let program = program.map_err(|why| format!("the script has an error: {why}"))?;
        let scripts = match self.store.scripts(self.userid).await {
            Ok(scripts) => scripts.all(),
            Err(_) => Arc::new(UserScripts::default()),
        };
        let imapd = &self.policy.imapd;
        let mail = self.shipment.parsed().await?;
        let redirects = usize::try_from(imapd.sieve_max_redirects).unwrap_or(usize::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(Trial {
            store: self.store.clone(),
            rules: self.rules.clone(),
            userid: self.userid.to_owned(),
            program,
            scripts,
            mail,
            envelope: Envelope {
                from: self.shipment.mail.from.to_string(),
                to: self.address.clone(),
                auth: self.shipment.mail.auth.clone(),
            },
            limits: Limits { redirects, ..Limits::default() },
            now: i64::try_from(now).unwrap_or(i64::MAX),
            servername: imapd.servername.clone(),
            remote: self.policy.remote,
        })
    }

    async fn carry_out(&self, trial: &Arc<Trial>, outcome: Outcome) -> Result<Verdict, Failed> {
        if let Some(error) = outcome.error {
            if let Some(limit) = error.limit {
                limit.met(format_args!("the script of {}: {error}: the message is kept", self.userid));
            }
            self.notify_all(trial, &outcome.effects).await;
            return Err(Failed { why: error.to_string(), placed: Vec::new() });
        }
        if let Some(verdict) = self.refused(trial, &outcome.effects).await? {
            return Ok(verdict);
        }
        let mut placed = self.place_all(trial, &outcome).await?;
        let sent = self.send_all(trial, &outcome.effects, &mut placed).await;
        self.notify_all(trial, &outcome.effects).await;
        sent.map_err(|why| Failed { why, placed })?;
        self.mark(&outcome.effects).await;
        if outcome.effects.iter().any(|effect| matches!(effect, Effect::Discard)) && outcome.keep.is_none() {
            count("discard");
            info!(userid = self.userid, message_id = self.shipment.message_id, "sieve discarded");
        }
        Ok(Verdict::Delivered)
    }

    /// Stands alone beside notifications.
    async fn refused(&self, trial: &Trial, effects: &[Effect]) -> Result<Option<Verdict>, Failed> {
        let reject = effects.iter().find_map(|effect| match effect {
            Effect::Reject(reject) => Some(reject),
            _ => None,
        });
        let Some(reject) = reject else { return Ok(None) };
        count("reject");
        let refusal = self.refuse(trial, reject).await;
        self.notify_all(trial, effects).await;
        let refusal = refusal.map_err(|why| Failed { why, placed: Vec::new() })?;
        self.mark(effects).await;
        Ok(Some(refusal.map_or(Verdict::Delivered, Verdict::Refused)))
    }

    /// `keep` and `fileinto`, one delivery for each mailbox.
    async fn place_all(&self, trial: &Trial, outcome: &Outcome) -> Result<Vec<MailboxName>, Failed> {
        let stores = outcome.effects.iter().filter_map(|effect| match effect {
            Effect::Store(store) => Some(store),
            _ => None,
        });
        let keep = self.policy.mailbox(self.store, &self.shipment.mail, &self.target.recipient).await;
        let (owner, mut placed) = (self.owner(), Vec::new());
        let mut places: Vec<Place> = Vec::new();
        for wanted in stores.chain(&outcome.keep) {
            let fails = |why| Failed { why, placed: Vec::new() };
            let place = owner.place(wanted, &keep).await.map_err(fails)?;
            match places.iter_mut().find(|before| before.mailbox == place.mailbox) {
                // Names that mean one mailbox: the later action counts, as of one name.
                Some(before) => *before = Place { make: before.make.take().or(place.make), ..place },
                None => places.push(place),
            }
        }
        for place in places {
            let name = place.mailbox.clone();
            match self.place(trial, place).await {
                Ok(()) => placed.push(name),
                Err(why) => return Err(Failed { why: format!("Fileinto ({name}): {why}"), placed }),
            }
        }
        Ok(placed)
    }

    async fn place(&self, trial: &Trial, place: Place) -> Result<(), String> {
        let owner = self.owner();
        if let Some(special_use) = place.make {
            owner.make(&place.mailbox, special_use).await.map_err(|error| error.to_string())?;
        }
        let staged = match edited(&trial.mail, place.edits.as_ref()).await {
            None => self.shipment.staged.clone(),
            Some(message) => {
                owner.staged(&place.mailbox, &message).await.map_err(|error| error.to_string())?
            }
        };
        count(if place.keep { "keep" } else { "fileinto" });
        let put =
            self.shipment.put(self.store, self.policy, self.target, &place.mailbox, staged, place.flags);
        match put.await {
            Verdict::Delivered => Ok(()),
            Verdict::Refused(refusal) => Err(refusal.answer().lines.last().cloned().unwrap_or_default()),
        }
    }

    /// Redirects and answers, in their order.
    async fn send_all(
        &self,
        trial: &Trial,
        effects: &[Effect],
        placed: &mut Vec<MailboxName>,
    ) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Redirect(wanted) => {
                    count("redirect");
                    let sent = self.redirect(trial, wanted).await?;
                    if matches!(sent, Sent::Round) && placed.is_empty() {
                        // It goes no further, and nobody else has it.
                        let name = self.inbox.clone();
                        let flags = Vec::new();
                        let staged = self.shipment.staged.clone();
                        let put =
                            self.shipment.put(self.store, self.policy, self.target, &name, staged, flags);
                        match put.await {
                            Verdict::Delivered => placed.push(name),
                            Verdict::Refused(refusal) => return Err(format!("{refusal:?}")),
                        }
                    }
                }
                Effect::Vacation(wanted) => {
                    count("vacation");
                    if let Some(message) = self.answer(trial, wanted).await? {
                        self.file_copy(wanted.fcc.as_ref(), &message).await;
                    }
                }
                Effect::Store(_)
                | Effect::Reject(_)
                | Effect::Discard
                | Effect::Notify(_)
                | Effect::MarkDuplicate(_) => {}
            }
        }
        Ok(())
    }

    async fn notify_all(&self, trial: &Trial, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Notify(wanted) = effect {
                count("notify");
                if let Some(message) = self.notify(trial, wanted).await {
                    self.file_copy(wanted.fcc.as_ref(), &message).await;
                }
            }
        }
    }

    /// `:fcc` (RFC 8580): a copy of what was sent. It has been sent: nothing fails any more.
    async fn file_copy(&self, wanted: Option<&sieve::Store>, message: &[u8]) {
        let Some(wanted) = wanted else { return };
        let (owner, userid) = (self.owner(), self.userid);
        let filed = async {
            let place = owner.place(wanted, self.inbox).await?;
            if let Some(special_use) = place.make {
                owner.make(&place.mailbox, special_use).await.map_err(|error| error.to_string())?;
            }
            let staged = owner.staged(&place.mailbox, message).await.map_err(|error| error.to_string())?;
            let copy = store::Delivery {
                mailbox: place.mailbox,
                staged,
                flags: place.flags,
                message_id: None,
                date: None,
                ignore_quota: false,
            };
            self.store.deliver(copy).await.map_err(|error| error.to_string())
        };
        if let Err(why) = filed.await {
            warn!(userid, "no copy is kept of what a script has sent: {why}");
        }
    }

    /// RFC 7352: what was seen is recorded when the message is where it is to be.
    async fn mark(&self, effects: &[Effect]) {
        let most = self.policy.imapd.sieve_duplicate_max_expiration.as_secs();
        for effect in effects {
            let Effect::MarkDuplicate(mark) = effect else { continue };
            let about = [&b"duplicate"[..], mark.id.as_bytes()];
            if !mark.last && self.store.is_marked(self.userid, &about).unwrap_or(false) {
                continue;
            }
            if let Err(error) = self.store.mark(self.userid, &about, mark.seconds.min(most)).await {
                warn!(%error, userid = self.userid, "a duplicate of this message will not be known");
            }
        }
    }

    /// The message goes where it would go without a script. Its user sees by a keyword that the script has failed.
    async fn keep_all_the_same(&self, failed: Failed) -> Verdict {
        count("error");
        let (userid, message_id) = (self.userid, self.shipment.message_id.as_deref());
        warn!(userid, message_id, "sieve runtime error: {}", failed.why);
        let mailbox = self.policy.mailbox(self.store, &self.shipment.mail, &self.target.recipient).await;
        if failed.placed.contains(&mailbox) {
            return Verdict::Delivered;
        }
        let put = |flags| {
            let staged = self.shipment.staged.clone();
            self.shipment.put(self.store, self.policy, self.target, &mailbox, staged, flags)
        };
        match put(vec![failed_flag()]).await {
            // There may be no room for one more keyword.
            Verdict::Refused(Refusal::Io) => put(Vec::new()).await,
            verdict => verdict,
        }
    }
}

fn count(action: &'static str) {
    counter!("murder_sieve_actions_total", "action" => action).increment(1);
}
