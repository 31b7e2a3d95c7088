//! `murder deny` and `murder allow`: who may not log in. The file is Cyrus's own `user_deny.db`, so that `cyr_deny` sees the same.

use std::path::PathBuf;
use std::process::ExitCode;

use identity::deny::{DEFAULT_MESSAGE, Denial, DenyList};

use crate::{node, who};

/// Denies a user the use of services on this node, or lists who is denied
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// List who is denied what
    #[arg(short, long, conflicts_with_all = ["user", "services", "message", "kick"])]
    list: bool,
    /// Entries of cyrus.conf, as patterns separated by commas: imap*,pop3s
    #[arg(short, long, value_name = "PATTERNS", default_value = "*", value_parser = patterns)]
    services: String,
    /// What the user is told
    #[arg(short, long, value_name = "TEXT", default_value = DEFAULT_MESSAGE)]
    message: String,
    /// End all sessions that the user has, of every service and on other nodes too
    #[arg(short, long)]
    kick: bool,
    #[arg(required_unless_present = "list")]
    user: Option<String>,
}

/// Lets a denied user in again
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_ALLOW)]
pub struct AllowArgs {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    user: String,
}

pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let list = DenyList::new(&imapd.userdeny_db_path);
        let Some(user) = &args.user else { return show(&list) };
        let words = [user, &args.services, &args.message];
        if user.is_empty() || words.iter().any(|word| word.chars().any(char::is_control)) {
            service::complain!("murder deny: a user, services and a message are each one line of text");
            return ExitCode::FAILURE;
        }
        let denial = Denial { services: args.services.clone(), message: args.message.clone() };
        // As logins are folded.
        let user = &if imapd.username_tolower { user.to_lowercase() } else { user.clone() };
        let before = list
            .all()
            .ok()
            .and_then(|all| Some(all.iter().find(|(name, _)| *name == user)?.1.services.clone()));
        let open = who::services_of(&imapd, user);
        let ends = open.iter().filter(|service| denial.covers(service)).count();
        if let Err(error) = list.deny(user, denial) {
            return failed("deny", &list, &error);
        }
        node::release(&imapd, user);
        if let Some(before) = before.filter(|before| *before != args.services) {
            service::say!("this replaces what {user} was denied before: {before}");
        }
        service::say!(
            "{user} is denied {} on this node, and told: {} (undone by murder allow {user})",
            if args.services == "*" { "every service" } else { &args.services },
            args.message
        );
        // The daemons have seen the file by now, and ended some.
        match args.kick {
            true => {
                service::say!("{} sessions end", who::end_sessions(&imapd, user, false).await.max(open.len()))
            }
            false => {
                service::say!("{ends} sessions end");
                if open.len() > ends {
                    let others = open.len() - ends;
                    service::say!(
                        "{others} sessions of {user} with other services go on: murder kick {user} ends them"
                    );
                }
            }
        }
        ExitCode::SUCCESS
    })
}

/// 1 when the user was not denied.
pub fn allow(args: &AllowArgs) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let list = DenyList::new(&imapd.userdeny_db_path);
        let user = if imapd.username_tolower { args.user.to_lowercase() } else { args.user.clone() };
        match list.allow(&user) {
            Ok(true) => {
                service::say!("{user} is let in again on this node");
                ExitCode::SUCCESS
            }
            Ok(false) => {
                service::complain!("murder allow: {} was not denied", args.user);
                ExitCode::FAILURE
            }
            Err(error) => failed("allow", &list, &error),
        }
    })
}

/// Patterns of services; none at all would deny nothing.
fn patterns(text: &str) -> Result<String, String> {
    match text.split(',').any(|pattern| pattern.trim().is_empty()) {
        true => Err("a pattern is empty: it matches no service, and the user would not be denied".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn show(list: &DenyList) -> ExitCode {
    match list.all() {
        Ok(all) => {
            for (user, denial) in all.iter() {
                service::say!("{user:<30} {:<20} {}", denial.services, denial.message);
            }
            ExitCode::SUCCESS
        }
        Err(error) => failed("deny", list, &error),
    }
}

fn failed(command: &str, list: &DenyList, error: &std::io::Error) -> ExitCode {
    service::complain!("murder {command}: {}: {error}", list.path().display());
    ExitCode::FAILURE
}

/// What `--help` and the manual page end with.
const AFTER_ALLOW: &str = "\
Exit status:
  0   done
  1   the user was not denied, or the file could not be written
  78  the configuration is wrong

Examples:
  murder allow fred";
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   the file could not be read or written, or a word is none
  78  the configuration is wrong

Examples:
  murder deny fred                                     from every service of this node
  murder deny -s 'imap*,pop3*' -m 'Please call the desk' -k fred
  murder deny -l";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pattern_is_refused_since_it_would_deny_nothing() {
        for empty in ["", " ", "imap,", ",pop3"] {
            assert!(patterns(empty).is_err(), "{empty:?}");
        }
        assert_eq!(patterns("imap*,pop3s"), Ok("imap*,pop3s".to_owned()));
    }
}
