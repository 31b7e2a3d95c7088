//! `murder sieve-import`: Sieve scripts of a Cyrus come over, each user's to the backend with the user's INBOX, and the active one is
//! active afterwards.
//!
//! They are read from a `sievedir` ([`sievedir`]), or by ManageSieve from a server that runs, which has them in `#sieve` (Cyrus 3.6 and
//! later) or in files, whichever. Each is checked first; what was stored is read back and compared.

mod sievedir;

use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use service::{complain, say};
use sieve::Extensions;
use upstream::{Scripts, Upstream};

use crate::node;
use crate::status::{bounded, sources};
use sievedir::{Found, Script, Sievedir};

/// Takes over the Sieve scripts of a Cyrus server; the active ones are active afterwards
#[derive(Debug, clap::Args)]
#[command(name = "sieve-import", after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of a frontend, or of another node that may log in at the backends
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Cyrus's sievedir, or a copy of it
    #[arg(long, value_name = "DIRECTORY", required_unless_present = "from")]
    sievedir: Option<PathBuf>,
    /// A server that runs, from which the scripts of each USER are read by ManageSieve
    #[arg(long, value_name = "SERVER", conflicts_with = "sievedir", requires = "users")]
    from: Option<String>,
    /// Store scripts in place of other ones of the same name, and change which one is active
    #[arg(long)]
    replace: bool,
    /// Only say what would be done, and which scripts have mistakes
    #[arg(long)]
    dry_run: bool,
    /// Only these users
    #[arg(value_name = "USER")]
    users: Vec<String>,
}

/// 0: all is taken over, or could be. 1: something is not.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let mut import = Import { args, upstream: Upstream::new(&imapd), imapd, left: 0, done: 0 };
        match import.all().await {
            Ok(()) => {
                let what = if args.dry_run { "would be stored" } else { "stored" };
                say!("{} scripts {what}, {} problems", import.done, import.left);
            }
            Err(why) => import.problem(why),
        }
        if import.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

struct Import<'a> {
    args: &'a Args,
    imapd: Imapd,
    upstream: Upstream,
    /// What is not taken over.
    left: usize,
    done: usize,
}

impl Import<'_> {
    fn problem(&mut self, why: impl std::fmt::Display) {
        complain!("murder sieve-import: {why}");
        self.left += 1;
    }

    async fn all(&mut self) -> Result<(), String> {
        if let Some(server) = &self.args.from {
            for user in &self.args.users {
                match self.running(server, user).await {
                    Ok(found) => self.user(found).await,
                    Err(why) => self.problem(format!("{user}: {why}")),
                }
            }
            return Ok(());
        }
        let Some(root) = &self.args.sievedir else { return Err("no source is named".to_owned()) };
        let read = Sievedir::read(root).map_err(|why| format!("{}: {why}", root.display()))?;
        read.problems.into_iter().for_each(|why| self.problem(why));
        let wanted = &self.args.users;
        for user in wanted {
            if !read.users.iter().any(|found| found.user.as_ref() == Some(user)) {
                self.problem(format!("{user}: has no scripts in {}", root.display()));
            }
        }
        for found in read.users {
            if wanted.is_empty() || found.user.as_ref().is_some_and(|user| wanted.contains(user)) {
                self.user(found).await;
            }
        }
        Ok(())
    }

    /// The scripts of a user on a server that runs.
    async fn running(&self, server: &str, user: &str) -> Result<Found, String> {
        let mut scripts = self.upstream.scripts(server, user).await.map_err(|why| why.to_string())?;
        let mut found = Found { user: Some(user.to_owned()), ..Found::default() };
        for one in scripts.list().await.map_err(|why| why.to_string())? {
            let content = scripts.get(&one.name).await.map_err(|why| why.to_string())?.into_bytes();
            let origin = format!("{server}, {user}, {}", one.name);
            if one.active {
                found.active = Some(one.name.clone());
            }
            found.scripts.push(Script { name: one.name, content, origin });
        }
        Ok(found)
    }

    async fn user(&mut self, mut found: Found) {
        let whose = found.user.clone().unwrap_or_else(|| "global scripts".to_owned());
        let sound = std::mem::take(&mut found.scripts);
        found.scripts = sound.into_iter().filter(|script| self.is_sound(script)).collect();
        if let Some(active) = &found.active
            && !found.scripts.iter().any(|script| script.name == *active)
        {
            self.problem(format!(
                "{whose}: the active script is {active}, which is not taken: none becomes active"
            ));
            found.active = None;
        }
        if found.scripts.is_empty() {
            return;
        }
        let targets = match &found.user {
            Some(user) => self.backend(user).await.map(|server| vec![(server, user.clone())]),
            None => self.for_all().await,
        };
        let targets = match targets {
            Ok(targets) => targets,
            Err(why) => return self.problem(format!("{whose}: {why}")),
        };
        for (server, user) in targets {
            if let Err(why) = self.store(&whose, &server, &user, &found).await {
                self.problem(format!("{whose}: {why}"));
            }
        }
    }

    /// Whether a script can run here; its mistakes are shown.
    fn is_sound(&mut self, script: &Script) -> bool {
        match sieve::compile(&script.content, Extensions::all()) {
            Ok(_) => true,
            Err(problems) => {
                for one in problems {
                    self.problem(format!("{}:{}: {}", script.origin, one.line, one.text));
                }
                false
            }
        }
    }

    /// The backend with a user's INBOX.
    async fn backend(&self, user: &str) -> Result<String, String> {
        let name = service::names::namespace(&self.imapd).inbox(user).map_err(|why| why.to_string())?;
        let mut silent = String::new();
        for (list, source) in sources(&self.imapd) {
            let asked = bounded(async { source.client(&self.imapd).await?.find(&name).await }).await;
            match asked {
                Ok(Some(entry)) if entry.is_active() => return Ok(entry.location.server().to_owned()),
                Ok(_) => return Err("there is no such user".to_owned()),
                Err(why) => silent = format!(": {list}: {why}"),
            }
        }
        Err(format!("no list of mailboxes can be asked{silent}"))
    }

    /// Every backend, as an administrator: each has the scripts for all users, as long as the administrator has no INBOX.
    async fn for_all(&self) -> Result<Vec<(String, String)>, String> {
        let admin = self.upstream.asker().unwrap_or_else(|| self.imapd.proxy_authname.clone());
        if self.backend(&admin).await.is_ok() {
            return Err(format!(
                "{admin} has an INBOX, so that its scripts are its own: put them with another administrator"
            ));
        }
        let servers = node::other_servers(&self.imapd).await;
        Ok(servers.into_iter().map(|server| (server, admin.clone())).collect())
    }

    async fn store(&mut self, whose: &str, server: &str, user: &str, found: &Found) -> Result<(), String> {
        let told = |why: upstream::Error| why.to_string();
        let mut there = self.upstream.scripts(server, user).await.map_err(told)?;
        let before = there.list().await.map_err(told)?;
        let mut kept = Vec::new();
        for script in &found.scripts {
            let is_there = before.iter().any(|one| one.name == script.name);
            if is_there {
                if there.get(&script.name).await.map_err(told)?.as_bytes() == script.content {
                    say!("{whose}: {} is at {server} already", script.name);
                    continue;
                }
                if !self.args.replace {
                    self.problem(format!(
                        "{whose}: another {} is at {server}: kept there (--replace)",
                        script.name
                    ));
                    kept.push(script.name.as_str());
                    continue;
                }
            }
            say!("{whose}: {} to {server} ({} bytes)", script.name, script.content.len());
            if !self.args.dry_run {
                put(&mut there, script).await.map_err(|why| format!("{}: {why}", script.origin))?;
            }
            self.done += 1;
        }
        let Some(active) = &found.active else { return Ok(()) };
        let now = before.iter().find(|one| one.active).map(|one| one.name.as_str());
        match now {
            Some(now) if now == active => return Ok(()),
            Some(now) if !self.args.replace => {
                return Err(format!("{now} is active at {server}: {active} does not become it (--replace)"));
            }
            Some(_) | None if kept.contains(&active.as_str()) => {
                return Err(format!("{active} does not become active: it is not the same at {server}"));
            }
            Some(_) | None => {}
        }
        say!("{whose}: {active} becomes active");
        if self.args.dry_run {
            return Ok(());
        }
        there.activate(active).await.map_err(told)??;
        let after = there.list().await.map_err(told)?;
        match after.iter().any(|one| one.active && one.name == *active) {
            true => Ok(()),
            false => Err(format!("{active} was made active at {server}, and is not")),
        }
    }
}

/// Stores a script and reads it back.
async fn put(there: &mut Scripts, script: &Script) -> Result<(), String> {
    there.put(&script.name, &script.content).await.map_err(|why| why.to_string())??;
    match there.get(&script.name).await.map_err(|why| why.to_string())?.as_bytes() == script.content {
        true => Ok(()),
        false => Err("what was stored is not what was read".to_owned()),
    }
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Nothing is taken away where the scripts come from. A script with mistakes is not taken: they are shown with file and line.

Exit status:
  0   all is taken over, or could be (--dry-run)
  1   something is not taken over; it is said what and why
  78  the configuration is wrong

Examples:
  murder sieve-import --sievedir /usr/sieve --dry-run
  murder sieve-import --sievedir /usr/sieve
  murder sieve-import --from old.example.org fred ann";
