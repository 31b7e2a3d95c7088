//! `murder sieve-test`: what a script would do with a message, and why. Nothing is stored and nothing is sent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sieve::{
    Effect, Env, Envelope, Extensions, Limits, Location, Mail, Outcome, Problem, Program, Run, Store, Target,
};
use time::{OffsetDateTime, UtcOffset};

/// Shows what a Sieve script would do with a message, and why
#[derive(Debug, clap::Args)]
#[command(name = "sieve-test", after_help = AFTER_HELP)]
pub struct Args {
    /// The script
    script: PathBuf,
    /// The message, as it is delivered
    message: PathBuf,
    /// Show each step of the script
    #[arg(long)]
    trace: bool,
    /// The envelope's sender; empty for <>
    #[arg(long, value_name = "ADDRESS", default_value = "sender@example.org")]
    from: String,
    /// The envelope's recipient
    #[arg(long, value_name = "ADDRESS", default_value = "recipient@example.org")]
    to: String,
    /// A mailbox that is there, for the tests that look for one
    #[arg(long = "mailbox", value_name = "NAME")]
    mailboxes: Vec<String>,
    /// Where the scripts are that it includes, as NAME or NAME.sieve; else beside it
    #[arg(long, value_name = "DIRECTORY")]
    include: Option<PathBuf>,
}

/// 0: it runs. 1: it has mistakes, or ends with an error.
pub fn run(args: &Args) -> ExitCode {
    let read = |path: &Path| fs::read(path).map_err(|why| format!("{}: {why}", path.display()));
    let (script, message) = match read(&args.script).and_then(|script| Ok((script, read(&args.message)?))) {
        Ok(read) => read,
        Err(why) => {
            service::complain!("murder sieve-test: {why}");
            return ExitCode::FAILURE;
        }
    };
    let compiled = match sieve::compile(&script, Extensions::all()) {
        Ok(compiled) => compiled,
        Err(problems) => {
            show(&args.script, &problems, "");
            return ExitCode::FAILURE;
        }
    };
    show(&args.script, &compiled.warnings, "warning: ");
    let beside = args.script.parent().map(Path::to_owned).unwrap_or_default();
    let mut there = There {
        now: OffsetDateTime::now_utc(),
        mailboxes: &args.mailboxes,
        directory: args.include.clone().unwrap_or(beside),
    };
    let envelope = Envelope { from: args.from.clone(), to: args.to.clone(), auth: None };
    let outcome = outcome(compiled.program, message, envelope, args.trace, &mut there);
    service::say_part!("{}", text(&outcome));
    if outcome.error.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn outcome(
    program: Arc<Program>,
    message: Vec<u8>,
    envelope: Envelope,
    trace: bool,
    there: &mut There<'_>,
) -> Outcome {
    let limits = Limits { trace, ..Limits::default() };
    let mail = Mail::new(message);
    let mut run = Run::new(program, &mail, envelope, limits);
    // Without a budget it goes to its end.
    run.go(there, u64::MAX).unwrap_or_default()
}

fn show(path: &Path, problems: &[Problem], kind: &str) {
    for Problem { line, text } in problems {
        service::complain!("{}:{line}: {kind}{text}", path.display());
    }
}

/// What would be done, a line each.
fn text(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    for step in &outcome.trace {
        lines.push(format!("{}line {}: {}", "  ".repeat(step.depth), step.line, step.text));
    }
    lines.extend(outcome.log.iter().map(|text| format!("would log: {text}")));
    lines.extend(outcome.effects.iter().map(line));
    lines.extend(outcome.keep.as_ref().map(|keep| format!("{} (implicit keep)", stored(keep))));
    lines.extend(outcome.error.as_ref().map(|error| format!("the script fails at {error}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Store(store) => stored(store),
        Effect::Redirect(redirect) => format!("would redirect to {}", redirect.address),
        Effect::Reject(reject) => format!("would reject: {}", reject.text.trim_end()),
        Effect::Discard => "would discard".to_owned(),
        Effect::Vacation(vacation) => {
            format!("would answer, if an answer is due: {}", vacation.reason.trim_end())
        }
        Effect::Notify(notify) => format!("would notify {}: {}", notify.method, notify.message.trim_end()),
        Effect::MarkDuplicate(mark) => format!("would remember {} for {} s", mark.id, mark.seconds),
    }
}

fn stored(store: &Store) -> String {
    let mut text = match &store.target {
        Target::Keep => "would keep".to_owned(),
        Target::Mailbox { name, id, special_use } => {
            let mut text = format!("would file into {name}");
            for (what, value) in [("id", id), ("special use", special_use)] {
                text += &value
                    .as_ref()
                    .map(|value| format!(", or rather that of {what} {value}"))
                    .unwrap_or_default();
            }
            text
        }
    };
    for (is, words) in [(store.create, ", which is made"), (store.edits.is_some(), ", with another header")] {
        text += if is { words } else { "" };
    }
    if !store.flags.is_empty() {
        text += &format!(", with flags {}", store.flags.join(" "));
    }
    text
}

/// What a dry run knows of a server.
struct There<'a> {
    now: OffsetDateTime,
    mailboxes: &'a [String],
    directory: PathBuf,
}

impl Env for There<'_> {
    fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
    }

    fn offset(&self, at: i64) -> i32 {
        let at = OffsetDateTime::from_unix_timestamp(at).unwrap_or(self.now);
        UtcOffset::local_offset_at(at).map_or(0, UtcOffset::whole_seconds)
    }

    fn mailbox_exists(&mut self, name: &str) -> bool {
        name.eq_ignore_ascii_case("INBOX") || self.mailboxes.iter().any(|known| known == name)
    }

    fn mailbox_id_exists(&mut self, _id: &str) -> bool {
        false
    }

    fn special_use_exists(&mut self, _mailbox: Option<&str>, _special_use: &str) -> bool {
        false
    }

    fn metadata(&mut self, _mailbox: &str, _entry: &str) -> Option<String> {
        None
    }

    fn server_metadata(&mut self, _entry: &str) -> Option<String> {
        None
    }

    fn duplicate_seen(&mut self, _id: &str) -> bool {
        false
    }

    /// A name has no slash: the script checker sees to it.
    fn include(&mut self, _location: Location, name: &str) -> Result<Option<Arc<Program>>, String> {
        let files = ["", ".sieve", ".siv", ".script"].map(|end| self.directory.join(format!("{name}{end}")));
        let Some(path) = files.iter().find(|path| path.is_file()) else { return Ok(None) };
        let script = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
        match sieve::compile(&script, Extensions::all()) {
            Ok(compiled) => Ok(Some(compiled.program)),
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    }

    fn environment(&mut self, item: &str) -> Option<String> {
        let value = match item {
            "location" => "MDA",
            "phase" => "during",
            "name" => "murder",
            "version" => env!("CARGO_PKG_VERSION"),
            _ => return None,
        };
        Some(value.to_owned())
    }
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Nothing is stored and nothing is sent. Of the server it knows the mailboxes that are named, and no marks of earlier messages.

Exit status:
  0   the script runs
  1   it has mistakes, or ends with an error: the message would be kept
  2   wrong use

Examples:
  murder sieve-test main.sieve message.eml
  murder sieve-test --trace --to fred+lists@example.org --mailbox lists main.sieve message.eml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_shows_what_would_be_done_and_each_step() {
        let script = b"require [\"fileinto\", \"copy\", \"imap4flags\", \"include\"];\n\
            if header :contains \"subject\" \"hi\" {\n  fileinto :copy :flags \"\\\\Seen\" \"lists\";\n}\n\
            include :optional \"none\";\nredirect \"fred@example.org\";\n";
        let compiled = sieve::compile(script, Extensions::all()).unwrap();
        let mut there = There {
            now: OffsetDateTime::UNIX_EPOCH,
            mailboxes: &[],
            directory: PathBuf::from("/nonexistent"),
        };
        let message = b"Subject: oh hi\r\n\r\nx\r\n".to_vec();
        let outcome = outcome(compiled.program, message, Envelope::default(), true, &mut there);
        assert_eq!(
            text(&outcome),
            "line 2: header: true\nline 3: fileinto\nline 5: include\nline 6: redirect\n\
             would file into lists, with flags \\Seen\nwould redirect to fred@example.org\n"
        );
    }
}
