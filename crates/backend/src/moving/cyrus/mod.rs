//! The steps of a move to a server of Cyrus, which knows nothing of moves but SYNCGET, SYNCAPPLY and MUPDATEPUSH.
//!
//! ```text
//! Begin    is it Cyrus with X-REPLICATION, and does the master say this server?
//! Round    SYNCGET USER, and what its copies lack                       rounds.rs, told.rs
//! Prepare  the last difference; SYNCGET USER: both checksums, LAST_UID, HIGHESTMODSEQ, UIDVALIDITY and ACL of each copy are ours
//! Activate the decision, as between servers of ours: this server's one conditional write at the master
//! Commit   MUPDATEPUSH of the root: Cyrus looks whether it has the mailbox, and tells the master so itself
//! Follow   the master, then MUPDATEPUSH, for the others
//! ```
//!
//! Cyrus itself has the master reserve the mailboxes meanwhile (DEACTIVATE), and everybody hears NO. That is not needed where the source's
//! gates are closed and the write is conditional, and protects nothing: a Cyrus that starts removes copies of reserved mailboxes too.

pub(super) mod rounds;
mod told;

use mailboxes::{Expect, Place};
use moves::destination;
use moves::journal::Record;
use moves::source::{Outcome, Step, Whose};
use protocol::name::MailboxName;
use protocol::namespace::View;
use protocol::sync::Apply;
use store::MasterError;
use tracing::warn;

use super::Moving;
use super::going::Giving;
use super::peer::{Fault, Peer};
use crate::moving::rounds::Sum;

use rounds::Sent;

impl Moving {
    /// Whether a server of Cyrus can be moved to.
    pub(super) async fn cyrus_takes(&self, to: &str) -> Result<(), String> {
        let upstream = self.upstream();
        let mut peer = Peer::connect_to_cyrus(upstream, to)
            .await
            .map_err(|fault| format!("Server(s) unavailable to complete operation ({fault})"))?;
        match peer.command(b"SYNCRESTART").await {
            Ok(()) if peer.announces("X-REPLICATION") => Ok(()),
            Ok(()) => Err(format!("{to} does not announce X-REPLICATION")),
            Err(Fault::Refused(_)) => {
                let own = &upstream.imapd().proxy_authname;
                Err(format!("{to} does not take {own} as an admin: add it to its admins"))
            }
            Err(fault) => Err(format!("Server(s) unavailable to complete operation ({fault})")),
        }
    }
}

impl Giving {
    /// The step of a move to Cyrus, where that is another than to a server of ours.
    pub(super) async fn step_with_cyrus(&mut self, step: Step) -> Option<Outcome> {
        Some(match step {
            Step::Begin => self.begin_with_cyrus().await,
            Step::AskPeer => self.ask_cyrus().await,
            Step::Withdraw => self.withdraw_from_cyrus().await,
            Step::Commit => self.commit_to_cyrus().await,
            Step::Return => self.take_back().await,
            Step::Follow => match self.follow().await {
                Outcome::Done => self.push_others().await,
                other => other,
            },
            Step::Dismiss => {
                // Best effort: what is left there is removed by its `ctl_mboxlist -m`.
                if self.is_ours().await {
                    self.withdraw_from_cyrus().await;
                }
                Outcome::Done
            }
            _ => return None,
        })
    }

    async fn begin_with_cyrus(&mut self) -> Outcome {
        (self.peer, self.cyrus, self.rounds) = (None, Sent::default(), 0);
        let rate = self.record.wishes.rate;
        self.live.begin(rate.unwrap_or_else(|| self.moving.context.imapd().move_rate));
        match Peer::connect_to_cyrus(self.moving.upstream(), &self.to()).await {
            // Copies that are there already are told of as ours, and removed where they differ.
            Ok(peer) if self.is_ours().await => {
                self.peer = Some(peer);
                Outcome::Done
            }
            Ok(_) => {
                self.record.why = Some("the MUPDATE master does not say that the mailbox is here".to_owned());
                Outcome::Silent
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Whether the root is this server's by its own list and by the master's.
    async fn is_ours(&self) -> bool {
        let Ok(root) = MailboxName::parse(&self.record.root) else { return false };
        let Some(item) = self.record.items.iter().find(|item| item.name == self.record.root) else {
            return false;
        };
        if !self.moving.lists(&root, item) {
            return false;
        }
        let own = self.moving.server.as_str();
        super::unfenced::is_at(&*self.moving.master, &root, own).await == Ok(true)
    }

    /// A round, and whether it was one with all that there was.
    pub(super) async fn round_to_cyrus(&mut self, peer: &mut Peer) -> Result<Sum, Fault> {
        self.moving.send_round_to_cyrus(peer, &mut self.record, &mut self.cyrus).await
    }

    /// The last difference is there: are the copies the same?
    pub(super) async fn prepare_with_cyrus(&mut self, mut peer: Peer) -> Outcome {
        match self.moving.compare_at_cyrus(&mut peer, &mut self.record, &self.cyrus).await {
            Ok(None) => {
                self.peer = Some(peer);
                Outcome::Done
            }
            Ok(Some(name)) => {
                let (to, here) = (self.to(), &self.moving.server);
                Outcome::Failed(format!("the copy on {to} differs in {name}: stays on {here}"))
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// After the master lost its list: was the mailbox Cyrus's, and changed there?
    async fn ask_cyrus(&mut self) -> Outcome {
        let there = match self.cyrus_peer().await {
            Ok(mut peer) => {
                let there = self.moving.at_cyrus(&mut peer, &self.record, &self.cyrus).await;
                self.peer = Some(peer);
                there
            }
            Err(fault) => Err(fault),
        };
        let there = match there {
            Ok(there) => there,
            Err(fault) => return self.fault(fault),
        };
        let of_move = self.record.items.iter().filter_map(|item| Some((item, there.get(&item.uniqueid)?)));
        let (mut some, mut past) = (false, false);
        for (item, there) in of_move {
            some = true;
            past |= item.digest.as_deref().is_some_and(|proof| told::is_past(there, proof));
        }
        Outcome::Peer(match (some, past) {
            (_, true) => Some(destination::Phase::Committed),
            (true, false) => Some(destination::Phase::Prepared),
            (false, false) => None,
        })
    }

    /// Removes the copies of this move. Whoever asks for that knows that they are nobody's.
    async fn withdraw_from_cyrus(&mut self) -> Outcome {
        let mut peer = match self.cyrus_peer().await {
            Ok(peer) => peer,
            Err(fault) => return self.fault(fault),
        };
        let there = match self.moving.at_cyrus(&mut peer, &self.record, &self.cyrus).await {
            Ok(there) => there,
            Err(fault) => return self.fault(fault),
        };
        for item in &self.record.items {
            let Some(copy) = there.get(&item.uniqueid) else { continue };
            if let Err(fault) = peer.apply(&Apply::LocalUnmailbox(copy.name.clone())).await {
                return self.fault(fault);
            }
        }
        self.peer = Some(peer);
        Outcome::Done
    }

    async fn commit_to_cyrus(&mut self) -> Outcome {
        let root = self.record.root.clone();
        let mut peer = match self.cyrus_peer().await {
            Ok(peer) => peer,
            Err(fault) => return self.fault(fault),
        };
        match self.push(&mut peer, &root).await {
            Ok(()) => {
                self.peer = Some(peer);
                Outcome::Done
            }
            Err(Fault::Refused(text)) => {
                // Its own list decides, not a text.
                let there = self.moving.at_cyrus(&mut peer, &self.record, &self.cyrus).await;
                self.peer = Some(peer);
                let root = self.record.items.iter().find(|item| item.name == root);
                match (there, root) {
                    (Ok(there), Some(root)) if !there.contains_key(&root.uniqueid) => {
                        warn!(id = %self.record.id, root = root.name, text, "the copy is not there any more: the mailbox stays here");
                        self.record.why = Some(format!("the copy on {} is gone: {text}", self.to()));
                        Outcome::Lost
                    }
                    _ => Outcome::Failed(text),
                }
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Has Cyrus tell the master of a mailbox that it has.
    async fn push(&self, peer: &mut Peer, name: &str) -> Result<(), Fault> {
        let name = MailboxName::parse(name).map_err(store::StoreError::from)?;
        let view = View { userid: "", admin: true, utf8: false };
        let external = self.moving.store.namespace().external(&name, &view);
        peer.command(format!("MUPDATEPUSH {{{}+}}\r\n{external}", external.len()).as_bytes()).await
    }

    async fn push_others(&mut self) -> Outcome {
        let mut peer = match self.cyrus_peer().await {
            Ok(peer) => peer,
            Err(fault) => return self.fault(fault),
        };
        let mut failed = None;
        for item in self.record.items.iter().filter(|item| item.name != self.record.root) {
            match self.push(&mut peer, &item.name).await {
                Ok(()) => {}
                // It was renamed or deleted there since, or it is gone: the copy here stays.
                Err(Fault::Refused(text)) => {
                    warn!(id = %self.record.id, mailbox = item.name, text, "was moved, and the other server does not tell the master of it");
                }
                Err(fault) => {
                    failed = Some(fault);
                    break;
                }
            }
        }
        if let Some(fault) = failed {
            return self.fault(fault);
        }
        // What was uploaded and not used is of no use any more.
        let _ = peer.command(b"SYNCRESTART").await;
        self.peer = Some(peer);
        Outcome::Done
    }

    /// Nobody changed the mailbox there, since it is not there: it is this server's again.
    async fn take_back(&mut self) -> Outcome {
        let Ok(root) = MailboxName::parse(&self.record.root) else { return Outcome::Silent };
        let Some(item) = self.record.items.iter().find(|item| item.name == self.record.root) else {
            return Outcome::Silent;
        };
        let here = self.moving.here(&item.partition);
        let to = self.to();
        let asked = async {
            let mut master = self.moving.master.connect().await?;
            let there = match master.status(&root).await {
                Err(MasterError::NoFence) => {
                    master.activate(&root, &here, &item.acl).await?;
                    return Ok(Outcome::At(Whose::Source));
                }
                there => there?,
            };
            let fence = there.fence();
            match &there.entry {
                Some(entry) if entry.server() == here.server() => Ok(Outcome::At(Whose::Source)),
                Some(entry) if entry.server() == to => {
                    let place = Place::from(&entry.location);
                    let place = fence.map_or(place.clone(), |fence| place.fenced(fence));
                    let expect =
                        if entry.is_active() { Expect::Active(place) } else { Expect::Reserved(place) };
                    master.activate_expecting(&root, &here, &item.acl, &expect).await?;
                    Ok(Outcome::At(Whose::Source))
                }
                _ => Ok::<_, MasterError>(Outcome::At(Whose::Neither)),
            }
        };
        match asked.await {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(%error, %root, "waiting for the MUPDATE master's word: changes wait");
                Outcome::Silent
            }
        }
    }

    /// The connection, taken out; a new one where there is none.
    async fn cyrus_peer(&mut self) -> Result<Peer, Fault> {
        match self.peer.take() {
            Some(peer) => Ok(peer),
            None => Peer::connect_to_cyrus(self.moving.upstream(), &self.to()).await,
        }
    }
}

/// Whether a move's other side is Cyrus's.
pub fn is_with(record: &Record) -> bool {
    record.id.is_with_cyrus()
}
