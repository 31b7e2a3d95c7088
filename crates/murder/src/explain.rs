//! `murder explain`: where a mailbox is, by each list that this node can ask. What several lists say alike is said once.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use directory::client::{Client, Error};
use protocol::name::MailboxName;
use protocol::namespace::{Namespace, View};
use serde_json::Value;

use crate::node::with_node;
use crate::status::{bounded, date, sources};
use crate::who::age;

/// Shows where a mailbox lives and since when, by each list that this node can ask, and who has which rights
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// The mailbox, as an administrator names it (user/fred/Sent) or as the lists do (user.fred.Sent)
    mailbox: String,
}

/// 0 when a list has the mailbox, 1 when none has.
pub fn run(args: &Args) -> ExitCode {
    with_node(&args.config, async |imapd| {
        let namespace = service::names::namespace(&imapd);
        let name = match named(&args.mailbox, &namespace) {
            Ok(name) => name,
            Err(why) => {
                service::complain!("murder explain: {}: not a mailbox name: {why}", args.mailbox);
                return ExitCode::FAILURE;
            }
        };
        let mut answers = Answers::default();
        for (list, source) in sources(&imapd) {
            match bounded(async { known_of(&mut source.client(&imapd).await?, &name).await }).await {
                Ok(status) => answers.add(list, &status),
                Err(error) => answers.silent.push((list, error.to_string())),
            }
        }
        let external = namespace.external(&name, &ADMIN);
        service::say_part!("{}", answers.text(&name, &external, SystemTime::now()));
        if answers.known() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Either form. With a `/` as separator, a name without one is the lists' own: an administrator's top-level mailbox with a dot in
/// its name is to be written as the lists do. With virtual domains, one that ends in `@domain` is an administrator's.
fn named(text: &str, namespace: &Namespace) -> Result<MailboxName, String> {
    let written = (namespace.separator() == '/' && text.contains('/'))
        || (namespace.virtdomains && text.contains('@') && !text.contains('!'));
    match written {
        true => namespace.internal(text, &ADMIN).map_err(|why| why.to_string()),
        false => MailboxName::parse(text).map_err(|why| why.to_string()),
    }
}

/// The status of a list with what it has of a mailbox; of a Cyrus's only the latter is to be had.
async fn known_of(client: &mut Client, name: &MailboxName) -> Result<Value, Error> {
    if client.greeting().has("STATUS") {
        return client.status_with(Some(name)).await;
    }
    let found = client.find(name).await?;
    let mailbox = found.map(|entry| {
        let state = if entry.is_active() { "active" } else { "reserved" };
        serde_json::json!({ "state": state, "location": entry.location.as_str(), "acl": entry.acl.as_ref() })
    });
    Ok(serde_json::json!({ "mailbox": mailbox }))
}

/// What the lists say, in the order in which they were asked.
#[derive(Default)]
struct Answers {
    all: Vec<Answer>,
    /// Those that could not be asked, and why.
    silent: Vec<(String, String)>,
    /// Those that have not heard of their upstream for long.
    stale: Vec<(String, String)>,
}

/// What some lists say alike.
struct Answer {
    lists: Vec<String>,
    /// State, location and ACL; none where there is no such mailbox.
    entry: Option<(String, String, String)>,
    /// The earliest of the times since which they have it so; 0 where none says.
    since: u64,
}

impl Answers {
    fn add(&mut self, list: String, status: &Value) {
        let mailbox = &status["mailbox"];
        let text = |key: &str| mailbox[key].as_str().map(str::to_owned);
        let entry = text("state").zip(text("location"));
        let entry = entry.map(|(state, location)| (state, location, text("acl").unwrap_or_default()));
        let since = mailbox["since"].as_u64().unwrap_or(0);
        if let Some(upstream) = status["upstream"].as_object() {
            let heard = upstream.get("heard_seconds_ago").and_then(Value::as_f64);
            let server = upstream.get("server").and_then(Value::as_str).unwrap_or("its upstream");
            match heard {
                Some(seconds) if seconds < STALE => {}
                Some(seconds) => {
                    let words = format!("has not heard of {server} for {}", age(seconds as u64));
                    self.stale.push((list.clone(), words));
                }
                None => self.stale.push((list.clone(), format!("has never heard of {server}"))),
            }
        }
        match self.all.iter_mut().find(|answer| answer.entry == entry) {
            Some(answer) => {
                answer.lists.push(list);
                answer.since = match (answer.since, since) {
                    (0, other) | (other, 0) => other,
                    (one, other) => one.min(other),
                };
            }
            None => self.all.push(Answer { lists: vec![list], entry, since }),
        }
    }

    fn known(&self) -> bool {
        self.all.iter().any(|answer| answer.entry.is_some())
    }

    fn text(&self, name: &MailboxName, external: &str, now: SystemTime) -> String {
        let mut out = match external == name.as_str() {
            true => format!("{name}\n"),
            false => format!("{external} ({name} in the lists)\n"),
        };
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        for answer in &self.all {
            let mut line = match &answer.entry {
                Some((state, location, _)) => format!("{state} at {location}"),
                None => "no such mailbox".to_owned(),
            };
            if answer.since > 0 {
                let ago = age(now.saturating_sub(answer.since));
                let _ = write!(line, ", since {} ({ago} ago)", date(answer.since));
            }
            let _ = writeln!(out, "  {line}\n    by {}", answer.lists.join(", "));
            let acl = answer.entry.as_ref().map_or("", |(_, _, acl)| acl);
            for (who, rights) in protocol::acl::Acl::parse(acl).entries() {
                let _ = writeln!(out, "    {who} {rights}");
            }
        }
        for (list, words) in self.stale.iter().chain(&self.silent) {
            let _ = writeln!(out, "  {list}: {words}");
        }
        out
    }
}

const ADMIN: View<'_> = View { userid: "", admin: true };
/// Seconds for which a list may not have heard of its upstream before that is worth a word.
const STALE: f64 = 60.0;

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   a list has the mailbox
  1   none has it, or it is no name of a mailbox
  78  the configuration is wrong

Examples:
  murder explain user/fred
  murder explain user.fred.Sent";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lists_that_agree_are_shown_once_and_those_that_do_not_beside_them() {
        let entry = |location: &str, since: u64| {
            serde_json::json!({
                "mailbox": { "state": "active", "location": location, "acl": "fred\tlrs\t", "since": since },
                "upstream": { "server": "m.example.org", "heard_seconds_ago": 0.25 },
            })
        };
        let mut answers = Answers::default();
        answers.add("mupdate".into(), &entry("be1!default", 1_700_000_060));
        answers.add("imapproxy".into(), &entry("be1!default", 1_700_000_000));
        let mut late = entry("be2!default", 0);
        late["upstream"]["heard_seconds_ago"] = 400.into();
        answers.add("lmtpproxy".into(), &late);
        answers
            .add("pop3proxy".into(), &serde_json::json!({ "mailbox": null, "upstream": { "server": "m" } }));
        answers.silent.push(("master".into(), "no answer".into()));
        let name = MailboxName::parse("user.fred").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_120);
        let told = "user/fred (user.fred in the lists)
  active at be1!default, since 2023-11-14T22:13:20Z (2 min ago)
    by mupdate, imapproxy
    fred lrs
  active at be2!default
    by lmtpproxy
    fred lrs
  no such mailbox
    by pop3proxy
  lmtpproxy: has not heard of m.example.org for 6 min
  pop3proxy: has never heard of m
  master: no answer
";
        assert_eq!(answers.text(&name, "user/fred", now), told);
        assert!(answers.known());
    }

    #[test]
    fn a_mailbox_is_named_as_an_administrator_or_as_the_lists_name_it() {
        let unix = Namespace { unixhierarchysep: true, ..Namespace::default() };
        let internal =
            |text: &str, namespace: &Namespace| named(text, namespace).map(|name| name.to_string());
        for text in ["user/ben/Sent", "user.ben.Sent"] {
            assert_eq!(internal(text, &unix).as_deref(), Ok("user.ben.Sent"), "{text}");
        }
        assert_eq!(internal("user/ben.x", &unix).as_deref(), Ok("user.ben^x"));
        let dots = Namespace { unixhierarchysep: false, ..unix };
        assert_eq!(internal("user.ben", &dots).as_deref(), Ok("user.ben"));
        assert!(internal("", &dots).is_err());
    }
}
