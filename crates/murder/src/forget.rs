//! `murder forget SERVER`: what becomes of the mailboxes of a backend that is dead for good, while nobody has their mail.
//!
//! Their entries are not simply deleted: then every frontend would refuse their users' mail for good. They become reservations of
//! the dead server: mail is refused as temporary, an IMAP client is told that the mailbox is reserved, and the names are kept for
//! whoever brings the mail back. With `--bounce` they are deleted, and mail for their users is refused for good.
//!
//! A dump of all that is changed lies on disk before anything is; `ctl_mboxlist -u` takes it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::imapd::Imapd;
use directory::client::{Client, Deactivate, Delete};
use mailboxes::{Entry, Expect, dump};
use moves::journal::Role;
use moves::order::Shown;
use protocol::name::MailboxName;
use service::{complain, say, say_part};
use upstream::{Proto, Upstream};

use crate::moving::{table, talk};
use crate::node;
use crate::status::date;
use crate::who::{age, now};

/// Has the murder give up the mailboxes of a backend that is dead for good: shows what would be done, asks for the server's name,
/// and keeps a dump that ctl_mboxlist -u takes back
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may change its list
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Delete the entries: mail for their users is refused for good, and their names are free
    #[arg(long)]
    bounce: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Where the dump goes instead of murder/forgotten below configdirectory; a file that is there is not replaced
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// The dead backend, as its mailboxes are listed
    server: String,
}

/// 0 when it was done (or shown, with --dry-run), 1 when nothing was changed, 75 when only a part was.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| match forget(args, &imapd).await {
        Ok(code) => code,
        Err(why) => {
            complain!("murder forget: {why}: nothing is changed");
            ExitCode::FAILURE
        }
    })
}

async fn forget(args: &Args, imapd: &Imapd) -> Result<ExitCode, String> {
    let mut master = node::master(imapd).await?;
    let sightings = Sightings::ask(&mut master).await?;
    let plan = Plan::make(&mut master, &args.server, args.bounce).await?;
    let file = args.dump.clone().unwrap_or_else(|| dump_file(imapd, &args.server));
    if plan.entries.is_empty() {
        let reserved =
            if plan.kept > 0 { format!(" ({} are reserved already)", plan.kept) } else { String::new() };
        return Err(format!("the master lists nothing of {} that would change{reserved}", args.server));
    }
    say_part!("{}", plan.text(&sightings, &file));
    say_part!("{}", copies(&args.server, &moves_of_others(imapd, &args.server).await));
    is_dead(imapd, &args.server, &sightings).await?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if file.exists() {
        return Err(format!("{}: is there already, and may be what undoes another change", file.display()));
    }
    if !is_named(&args.server) {
        return Err("the name that was typed is another one".to_owned());
    }
    // It may have come back while somebody thought it over.
    is_dead(imapd, &args.server, &Sightings::ask(&mut master).await?).await?;
    plan.keep(&file)?;
    Ok(plan.carry_out(&mut master, &file).await)
}

/// The moves of the backends that answer, but for the dead one.
async fn moves_of_others(imapd: &Imapd, server: &str) -> Vec<(String, Vec<Shown>)> {
    let (upstream, mut found) = (Upstream::new(imapd), Vec::new());
    for other in node::other_servers(imapd).await.into_iter().filter(|other| other != server) {
        // One that does not answer has nothing to offer now.
        if let Ok(Some(moves)) = talk::moves_of(&upstream, &other, false).await {
            found.push((other, moves));
        }
    }
    found
}

/// What others have of the dead server's mailboxes, by moves.
fn copies(server: &str, moves: &[(String, Vec<Shown>)]) -> String {
    let mut out = String::new();
    for (other, all) in moves {
        for shown in all {
            let (id, root) = (table::short(&shown.record.id), &shown.record.root);
            let _ = match &shown.record.role {
                Role::Source { to, .. } if to == server && shown.record.is_kept() => {
                    writeln!(out, "copy        {other} keeps one of {root}: murder moves --restore-kept {id}")
                }
                Role::Destination { from, .. } if from == server && shown.record.is_busy() => {
                    writeln!(out, "copy        {other} has a part of {root}: murder moves --adopt {id}")
                }
                _ => Ok(()),
            };
        }
    }
    out
}

/// Refuses where the server was seen lately, or answers.
async fn is_dead(imapd: &Imapd, server: &str, sightings: &Sightings) -> Result<(), String> {
    match sightings.objection(server, now(), retry_delay(imapd)) {
        Some(why) => Err(why),
        None => answers(imapd, server).await.map_or(Ok(()), Err),
    }
}

/// When the master heard of its backends last.
struct Sightings {
    /// None: a Cyrus master, which does not say.
    times: Option<BTreeMap<String, u64>>,
    /// Seconds for which it has listened.
    watching: u64,
}

impl Sightings {
    async fn ask(master: &mut Client) -> Result<Sightings, String> {
        if !master.greeting().has("STATUS") {
            return Ok(Sightings { times: None, watching: 0 });
        }
        let status = master.status().await.map_err(|error| error.to_string())?;
        if status["role"] != "master" {
            return Err(
                "this list is not the MUPDATE master's: name its imapd.conf, or mupdate_server".to_owned()
            );
        }
        let seen = status["seen"].as_object().into_iter().flatten();
        let times = seen.filter_map(|(server, time)| Some((server.clone(), time.as_u64()?)));
        // A master of an earlier build says nothing of it.
        let times = status["seen"].is_object().then(|| times.collect());
        Ok(Sightings { times, watching: status["watching"].as_u64().unwrap_or(0) })
    }

    fn words(&self, server: &str, now: u64) -> String {
        match self.times.as_ref().map(|times| times.get(server)) {
            None => "not known: this MUPDATE master does not say".to_owned(),
            Some(None) => format!("never in the {} for which the master has listened", age(self.watching)),
            Some(Some(time)) => format!("{} ago ({})", age(now.saturating_sub(*time)), date(*time)),
        }
    }

    /// Why the server may well be alive. A master that has just started is given the time in which its backends come back.
    fn objection(&self, server: &str, now: u64, retry_delay: u64) -> Option<String> {
        let times = self.times.as_ref()?;
        let least = if times.contains_key(server) { retry_delay.saturating_mul(3) } else { ALIVE };
        if let Some(ago) = times.get(server).map(|time| now.saturating_sub(*time))
            && ago < ALIVE
        {
            return Some(format!(
                "{server} was seen by the master {} ago, and must not have been for an hour",
                age(ago)
            ));
        }
        (self.watching < least).then(|| {
            let wait = age(least.saturating_sub(self.watching));
            format!("the master has listened for {} only: ask again in {wait}", age(self.watching))
        })
    }
}

/// What is to be done.
struct Plan<'a> {
    server: &'a str,
    bounce: bool,
    entries: Vec<(MailboxName, Entry)>,
    /// Entries of the server that stay as they are: reservations.
    kept: usize,
}

impl<'a> Plan<'a> {
    async fn make(master: &mut Client, server: &'a str, bounce: bool) -> Result<Plan<'a>, String> {
        let all = master.list(Some(&format!("{server}!"))).await.map_err(|error| error.to_string())?;
        let (entries, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, entry)| bounce || entry.is_active());
        Ok(Plan { server, bounce, entries, kept: kept.len() })
    }

    fn text(&self, sightings: &Sightings, file: &Path) -> String {
        let mut out = String::new();
        let inboxes = self.entries.iter().filter(|(name, _)| name.is_inbox());
        let users: BTreeSet<String> = inboxes.filter_map(|(name, _)| name.owner()).collect();
        let mut partitions = BTreeMap::<&str, usize>::new();
        for (_, entry) in &self.entries {
            *partitions.entry(entry.location.partition().unwrap_or("(none)")).or_default() += 1;
        }
        let _ = writeln!(out, "server      {}", self.server);
        let _ = writeln!(out, "last seen   {}", sightings.words(self.server, now()));
        let _ = writeln!(out, "mailboxes   {}", self.entries.len());
        partitions.iter().for_each(|(name, count)| {
            let _ = writeln!(out, "            {count} on partition {name}");
        });
        let some: Vec<&str> = users.iter().take(SHOWN).map(String::as_str).collect();
        let more = users.len().saturating_sub(some.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(out, "users       {}: {}{more}", users.len(), some.join(", "));
        if self.kept > 0 {
            let _ = writeln!(out, "forgotten   {} are reservations already, and stay", self.kept);
        }
        let follows = match self.bounce {
            true => "mail for these users is refused for good (550), and their names are free",
            false => {
                "mail for these users is refused as temporary (451), and their names are kept, until the mail is back"
            }
        };
        let _ = writeln!(out, "then        {follows}");
        let _ = writeln!(
            out,
            "undone by   ctl_mboxlist -u < {}   (on the MUPDATE master, with this file of this host)",
            file.display()
        );
        out
    }

    /// Writes the dump. As who owns its directory, and never half.
    fn keep(&self, file: &Path) -> Result<(), String> {
        let mut text = dump::BEGIN.to_owned();
        for (at, (name, entry)) in self.entries.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { dump::BETWEEN });
            text.push_str(&dump::line(name, entry));
        }
        text.push_str(dump::END);
        let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
        let made = directory.map_or(Ok(()), |path| files::directory(path, 0o700, None));
        made.and_then(|()| files::replace(file, 0o600, text.as_bytes()))
            .map_err(|why| format!("{}: {why}", file.display()))
    }

    /// Each entry is changed as long as it is still as the plan has it: a mailbox that somebody has brought back meanwhile is
    /// left alone.
    async fn carry_out(&self, master: &mut Client, file: &Path) -> ExitCode {
        let (mut done, mut left) = (0, 0);
        for some in self.entries.chunks(AT_ONCE) {
            let outcomes = match self.bounce {
                true => {
                    let all: Vec<_> =
                        some.iter().map(|(name, entry)| Delete { name, expect: expect(entry) }).collect();
                    master.delete_all(&all).await
                }
                false => {
                    let all = some.iter().map(|(name, entry)| Deactivate {
                        name,
                        location: &entry.location,
                        expect: expect(entry),
                    });
                    master.deactivate_all(&all.collect::<Vec<_>>()).await
                }
            };
            let outcomes = match outcomes {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    complain!("murder forget: {error}: {done} of {} are done; ask again", self.entries.len());
                    return ExitCode::from(PARTLY);
                }
            };
            for ((name, _), outcome) in some.iter().zip(outcomes) {
                match outcome {
                    Ok(()) => done += 1,
                    Err(why) => {
                        left += 1;
                        complain!("murder forget: {name}: left alone: {why}");
                    }
                }
            }
        }
        let what = if self.bounce { "deleted" } else { "reserved" };
        say!("{done} mailboxes of {} are {what}, {left} left alone; dump: {}", self.server, file.display());
        if left == 0 { ExitCode::SUCCESS } else { ExitCode::from(PARTLY) }
    }
}

fn expect(entry: &Entry) -> Expect {
    let at = (&entry.location).into();
    if entry.is_active() { Expect::Active(at) } else { Expect::Reserved(at) }
}

/// Why the server is alive: somebody greets at its IMAP port, whatever comes then.
async fn answers(imapd: &Imapd, server: &str) -> Option<String> {
    match Upstream::new(imapd).greets(server, Proto::Imap).await {
        Ok(()) => Some(format!("{server} answers at its IMAP port")),
        Err(error) if error.is_unreachable() => {
            say!("no answer   {error}");
            None
        }
        Err(error) => Some(format!("{server} answers at its IMAP port ({error})")),
    }
}

/// Whether the operator types the server's name.
pub(crate) fn is_named(server: &str) -> bool {
    say_part!("Type the server's name to go on: ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    say!("");
    read.is_ok() && line.trim() == server
}

/// A name that no server can make lead elsewhere, and that nothing has yet.
fn dump_file(imapd: &Imapd, server: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '.' };
    let name: String = server.chars().take(100).map(safe).collect();
    let directory = Path::new(&imapd.configdirectory).join("murder/forgotten");
    let named = |second: u64| directory.join(format!("{name}-{second}.json"));
    (now()..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(now()))
}

fn retry_delay(imapd: &Imapd) -> u64 {
    imapd.mupdate_retry_delay.as_secs()
}

/// Seconds for which a server must not have been seen.
const ALIVE: u64 = 3600;
/// Users that a plan names.
const SHOWN: usize = 5;
/// Changes that are under way at once.
const AT_ONCE: usize = 1000;
/// Some of it was done: ask again.
const PARTLY: u8 = 75;

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done, or shown with --dry-run
  1   nothing was changed: the message says why
  75  a part was done: ask again
  78  the configuration is wrong

Examples:
  murder forget --dry-run be1.example.org
  murder forget be1.example.org
  murder forget --bounce be1.example.org
  ctl_mboxlist -u < /var/lib/murder/murder/forgotten/be1.example.org-1700000000.json     takes it back";

#[cfg(test)]
mod tests {
    use super::*;

    fn sightings(seen: Option<&[(&str, u64)]>, watching: u64) -> Sightings {
        let times = seen.map(|seen| seen.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect());
        Sightings { times, watching }
    }

    #[test]
    fn a_server_that_was_seen_within_the_hour_is_not_forgotten() {
        let now = 1_700_010_000;
        let why =
            |seen: Option<&[(&str, u64)]>, watching| sightings(seen, watching).objection("be1", now, 20);
        let seen = why(Some(&[("be1", now - 3599)]), 10_000).unwrap();
        assert!(seen.contains("was seen by the master 59 min ago"), "{seen}");
        assert_eq!(why(Some(&[("be1", now - 3600)]), 10_000), None);
        // A master that has just started does not know who is coming back.
        let young = why(Some(&[("be1", now - 7200)]), 59).unwrap();
        assert!(young.contains("has listened for 59 s only: ask again in 1 s"), "{young}");
        assert_eq!(why(Some(&[("be1", now - 7200)]), 60), None);
        // Who was never seen may have been there before the master was.
        assert!(why(Some(&[("be2", now)]), 3599).is_some());
        assert_eq!(why(Some(&[("be2", now)]), 3600), None);
        // A Cyrus master does not say.
        assert_eq!(why(None, 0), None);
        assert!(sightings(None, 0).words("be1", now).starts_with("not known"));
    }

    #[test]
    fn the_dump_stays_in_its_directory_whatever_the_server_is_called() {
        let imapd = Imapd::parse(Path::new("/x/imapd.conf"), "configdirectory: /v\n", "murder").unwrap();
        let file = dump_file(&imapd, "../../etc/be1.example.org");
        assert_eq!(file.parent(), Some(Path::new("/v/murder/forgotten")));
    }
}
