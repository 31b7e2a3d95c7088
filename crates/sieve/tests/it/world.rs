//! A server for scripts under test: what it has stands in the case.

use std::collections::HashMap;
use std::sync::Arc;

use sieve::{
    Edits, Effect, Env, Envelope, Extensions, Limits, Location, Mail, Message, Outcome, Program, Run, Store,
    Target, Vacation, compile,
};

/// What the server has.
#[derive(Debug, Default)]
pub struct World {
    pub mailboxes: Vec<String>,
    /// Mailbox and id, mailbox and special use.
    pub ids: Vec<(String, String)>,
    pub uses: Vec<(String, String)>,
    pub metadata: HashMap<(String, String), String>,
    pub seen: Vec<String>,
    pub scripts: HashMap<(Location, String), String>,
}

impl Env for World {
    /// Thu, 01 Jan 2026 12:00:00 UTC
    fn now(&self) -> i64 {
        1_767_268_800
    }

    fn offset(&self, _at: i64) -> i32 {
        3600
    }

    fn mailbox_exists(&mut self, name: &str) -> bool {
        self.mailboxes.iter().any(|known| known == name)
    }

    fn mailbox_id_exists(&mut self, id: &str) -> bool {
        self.ids.iter().any(|(_, known)| known == id)
    }

    fn special_use_exists(&mut self, mailbox: Option<&str>, special_use: &str) -> bool {
        let is = |(of, known): &(String, String)| {
            known.eq_ignore_ascii_case(special_use) && mailbox.is_none_or(|name| name == of)
        };
        self.uses.iter().any(is)
    }

    fn metadata(&mut self, mailbox: &str, entry: &str) -> Option<String> {
        self.metadata.get(&(mailbox.to_owned(), entry.to_owned())).cloned()
    }

    fn server_metadata(&mut self, entry: &str) -> Option<String> {
        self.metadata(" server", entry)
    }

    fn duplicate_seen(&mut self, id: &str) -> bool {
        self.seen.iter().any(|known| known == id)
    }

    fn include(&mut self, location: Location, name: &str) -> Result<Option<Arc<Program>>, String> {
        let Some(script) = self.scripts.get(&(location, name.to_owned())) else { return Ok(None) };
        match compile(script.as_bytes(), Extensions::all()) {
            Ok(compiled) => Ok(Some(compiled.program)),
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    }

    fn environment(&mut self, item: &str) -> Option<String> {
        let value = match item {
            "domain" => "example.org",
            "host" => "be1.example.org",
            "location" => "MDA",
            "phase" => "during",
            "name" => "murder",
            _ => return None,
        };
        Some(value.to_owned())
    }
}

impl World {
    /// Runs a script, in small steps, as delivery does.
    pub fn run(
        &mut self,
        program: Arc<Program>,
        message: &[u8],
        envelope: Envelope,
    ) -> (Outcome, Vec<String>) {
        let mail = Mail::new(message);
        let mut run = Run::new(program, &mail, envelope, Limits::default());
        let outcome = loop {
            if let Some(outcome) = run.go(self, 3) {
                break outcome;
            }
        };
        let shown = show(&outcome, &mail);
        (outcome, shown)
    }
}

/// What came of it, a line each.
fn show(outcome: &Outcome, mail: &dyn Message) -> Vec<String> {
    let mut lines: Vec<String> = outcome.effects.iter().map(|effect| effect_line(effect, mail)).collect();
    lines.extend(outcome.keep.as_ref().map(|keep| format!("implicit {}", store(keep, mail))));
    lines.extend(outcome.error.as_ref().map(|error| format!("error {error}")));
    lines.extend(outcome.log.iter().map(|text| format!("log {text}")));
    lines
}

fn effect_line(effect: &Effect, mail: &dyn Message) -> String {
    match effect {
        Effect::Store(one) => store(one, mail),
        Effect::Redirect(redirect) => {
            let mut line = format!("redirect {}", redirect.address);
            for (name, value) in [("notify", &redirect.notify), ("ret", &redirect.ret)] {
                line += &value.as_ref().map(|value| format!(" {name}={value}")).unwrap_or_default();
            }
            if let Some(by) = &redirect.deliver_by {
                line += &format!(
                    " by={}{}{}",
                    by.seconds,
                    if by.return_it { "R" } else { "N" },
                    if by.trace { "T" } else { "" }
                );
            }
            line + &edits(redirect.edits.as_deref(), mail)
        }
        Effect::Reject(reject) if reject.extended => format!("ereject {:?}", reject.text),
        Effect::Reject(reject) => format!("reject {:?}", reject.text),
        Effect::Discard => "discard".to_owned(),
        Effect::Vacation(vacation) => vacation_line(vacation, mail),
        Effect::Notify(notify) => {
            let from = notify.from.as_ref().map(|from| format!(" from={from:?}")).unwrap_or_default();
            let options =
                if notify.options.is_empty() { String::new() } else { format!(" {:?}", notify.options) };
            format!("notify {}{from} {}{options} {:?}", notify.method, notify.importance, notify.message)
        }
        Effect::MarkDuplicate(mark) => {
            format!("mark {:?} {}{}", mark.id, mark.seconds, if mark.last { " last" } else { "" })
        }
    }
}

fn vacation_line(vacation: &Vacation, mail: &dyn Message) -> String {
    let mut line = "vacation".to_owned();
    line += &vacation.seconds.map(|seconds| format!(" {seconds}s")).unwrap_or_default();
    for (name, value) in
        [("subject", &vacation.subject), ("from", &vacation.from), ("handle", &vacation.handle)]
    {
        line += &value.as_ref().map(|value| format!(" {name}={value:?}")).unwrap_or_default();
    }
    if !vacation.addresses.is_empty() {
        line += &format!(" me={}", vacation.addresses.join(","));
    }
    line += if vacation.mime { " mime" } else { "" };
    line += &format!(" {:?}", vacation.reason);
    line += &vacation.fcc.as_ref().map(|fcc| format!(" fcc: {}", store(fcc, mail))).unwrap_or_default();
    line
}

fn store(store: &Store, mail: &dyn Message) -> String {
    let mut line = match &store.target {
        Target::Keep => "keep".to_owned(),
        Target::Mailbox { name, id, special_use } => {
            let mut line = format!("fileinto {name}");
            line += &id.as_ref().map(|id| format!(" id={id}")).unwrap_or_default();
            line += &special_use.as_ref().map(|special| format!(" use={special}")).unwrap_or_default();
            line
        }
    };
    if store.create {
        line += " create";
    }
    if !store.flags.is_empty() {
        line += &format!(" ({})", store.flags.join(" "));
    }
    line + &edits(store.edits.as_deref(), mail)
}

/// The header's lines, if it was edited.
fn edits(edits: Option<&Edits>, mail: &dyn Message) -> String {
    let Some(edits) = edits else { return String::new() };
    let message = edits.apply(mail);
    let header = message.len() - mail.body().len();
    let header = String::from_utf8_lossy(&message[..header]).into_owned();
    format!(" edited {:?}", header.trim_end())
}
