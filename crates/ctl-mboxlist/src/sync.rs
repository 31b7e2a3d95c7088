//! `ctl_mboxlist -m`: agreement of a backend's list with the MUPDATE master's.
//!
//! What is to be done is decided by [`mailboxes::reconcile`]; here it is asked, shown and carried out, in Cyrus's order:
//! removals at the master, activations, marks of moves, and last, local mailboxes that another server has. These are
//! never destroyed: they are put away under `DELETED`, whatever `delete_mode` says.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use config::imapd::{Imapd, Role};
use directory::client::{Activate, Client, Delete};
use mailboxes::Entry;
use mailboxes::reconcile::{Activation, Busy, Known, Reconciliation, Rule};
use moves::{journal::Journals, names::Names};
use protocol::name::MailboxName;
use tracing::{info, warn};

use crate::lists::{Failure, Lists};
use crate::nodes;

type Entries = Vec<(MailboxName, Entry)>;

/// The flags of `-m`.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    pub authoritative: bool,
    pub warn_only: bool,
    pub interactive: bool,
    pub accept: bool,
}

/// `-m [-a] [-w] [-i]`.
///
/// # Errors
/// The message has been printed in Cyrus's words where Cyrus has some.
pub async fn run(imapd: &Imapd, other: Option<&Path>, how: How) -> Result<(), Failure> {
    if imapd.role() == Role::Frontend {
        return Err(Failure::Said("this node holds no mailboxes: it follows the master by itself".into()));
    }
    let test = if how.warn_only { "test " } else { "" };
    info!("{test}populating mupdate");
    let mut master = Client::connect(imapd).await.map_err(|error| {
        service::complain!("couldn't connect to mupdate server");
        Failure::Daemon(error)
    })?;
    let mut lists = Lists::reach(imapd, nodes::program(imapd), other).await?;
    if matches!(lists, Lists::Absent) && !how.accept {
        // Nothing must be taken back at the master because of a list that is yet to be made.
        info!("there is no list yet: the backend makes it from the spool, and tells the master by itself");
        return Ok(());
    }
    let (work, moving) = compare(imapd, &mut master, &mut lists, how).await?;
    for (name, at) in &work.doubtful {
        warn!("{name}: reserved at the master for {at}: left alone");
    }
    for step in work.steps() {
        info!("{step}");
        if how.warn_only {
            service::say!("{step}");
        }
    }
    if !how.warn_only {
        guard(&work, how)?;
        Hands { master: &mut master, lists: &mut lists, how }.carry_out(&work, moving).await?;
    }
    let wipes: Vec<MailboxName> = match how.warn_only {
        true => Vec::new(),
        false => work.wipes.iter().map(|(name, _)| name.clone()).collect(),
    };
    if how.interactive && !wipes.is_empty() && !confirmed(wipes.len()) {
        return Err(Failure::Said("Cancelled!".into()));
    }
    crate::wipe::all(imapd, lists, &wipes).await?;
    master.logout().await;
    info!("done {test}populating mupdate");
    Ok(())
}

/// The work, and the local entries that bear the mark of a move.
async fn compare(
    imapd: &Imapd,
    master: &mut Client,
    lists: &mut Lists,
    how: How,
) -> Result<(Reconciliation, Entries), Failure> {
    let here = master.list(Some(&format!("{}!", imapd.servername))).await?;
    let here = here.into_iter().map(|(name, entry)| (name, known(&entry))).collect();
    let local = lists.all().await?;
    let moving = local.iter().filter(|(_, entry)| entry.moving.is_some()).cloned().collect();
    let ids: HashMap<&MailboxName, &str> = local
        .iter()
        .filter_map(|(name, entry)| Some((name, entry.local.as_deref()?.uniqueid.as_str())))
        .collect();
    let moves = moves(imapd)?;
    // A daemon may be in the middle of a CREATE: its reservation is left to it.
    let otherwise = if lists.is_running() { Busy::Reserving } else { Busy::Free };
    let busy = |name: &MailboxName| match moves.busy(name, ids.get(name).copied()) {
        Busy::Free => otherwise.clone(),
        busy => busy,
    };
    let rule = if how.authoritative { Rule::Authoritative } else { Rule::Ordinary };
    let mut work = Reconciliation::begin(here, local.iter().cloned(), busy, rule);
    let questions = work.questions();
    for (name, found) in questions.iter().zip(master.find_all(&questions).await?) {
        work.answer(name, found.as_ref().map(known));
    }
    Ok((work, moving))
}

/// What moves have under way here. One that cannot be read may be the only word of where a mailbox is: then nothing is done.
fn moves(imapd: &Imapd) -> Result<Names, Failure> {
    let records = Journals::read(&imapd.program_directory("backend"));
    let records = records.map_err(|error| Failure::Said(format!("{error}: nothing is done")))?;
    Ok(Names::of(&records))
}

fn known(entry: &Entry) -> Known {
    Known { active: entry.is_active(), location: entry.location.clone(), acl: entry.acl.clone() }
}

/// Holds what would remove too much, until an operator says so.
fn guard(work: &Reconciliation, how: How) -> Result<(), Failure> {
    let [at_master, local] = work.plans();
    if how.accept || (at_master.is_safe() && local.is_safe()) {
        return Ok(());
    }
    if !at_master.is_safe() {
        service::complain!("at the MUPDATE master: {at_master}");
    }
    if !local.is_safe() {
        service::complain!("here: {local}");
    }
    let message = "nothing was done: see -mw, then repeat with --accept-mass-delete if that is what you want, or with \
                   -a if this server is right";
    Err(Failure::Said(message.into()))
}

/// What the work is done with.
struct Hands<'a> {
    master: &'a mut Client,
    lists: &'a mut Lists,
    how: How,
}

impl Hands<'_> {
    async fn carry_out(&mut self, work: &Reconciliation, moving: Entries) -> Result<(), Failure> {
        let doomed: Vec<Delete<'_>> =
            work.removals.iter().map(|(name, known)| Delete { name, expect: known.expect() }).collect();
        let outcomes = self.master.delete_all(&doomed).await.inspect_err(|_| {
            // Which of them was the first to be lost is not known.
            work.removals
                .iter()
                .take(1)
                .for_each(|(name, _)| service::complain!("couldn't mupdate delete {name}"));
        })?;
        if let Some((what, Err(error))) = doomed.iter().zip(outcomes).find(|(_, outcome)| outcome.is_err()) {
            service::complain!("couldn't mupdate delete {}", what.name);
            return Err(error.into());
        }
        self.activate(&work.activations).await?;
        self.activate(&work.given).await?;
        let unflagged = |name: &MailboxName| work.unflags.iter().any(|activation| activation.name == *name);
        let mut freed: Entries = moving.into_iter().filter(|(name, _)| unflagged(name)).collect();
        freed.iter_mut().for_each(|(_, entry)| entry.moving = None);
        self.lists.put(freed).await?;
        self.activate(&work.unflags).await
    }

    /// A NO is no reason to stop: the next synchronisation tries again. A lost connection is.
    async fn activate(&mut self, all: &[Activation]) -> Result<(), Failure> {
        let expected = !self.how.authoritative;
        let all: Vec<Activate<'_>> = all
            .iter()
            .map(|what| Activate {
                name: &what.name,
                location: &what.location,
                acl: &what.acl,
                expect: expected.then(|| what.expect()),
            })
            .collect();
        let outcomes = self.master.activate_all(&all).await.inspect_err(|_| {
            service::complain!("permanent failure storing");
        })?;
        for (what, outcome) in all.iter().zip(outcomes) {
            if outcome.is_err() {
                service::complain!("temporary failure storing '{}' (update continuing)", what.name);
            }
        }
        Ok(())
    }
}

fn confirmed(mailboxes: usize) -> bool {
    service::complain_part!("OK to delete {mailboxes} local mailboxes? ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.as_str(), "y\n" | "Y\n")
}
