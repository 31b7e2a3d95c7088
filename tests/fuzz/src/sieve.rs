//! Any text is a script or is refused; a script that runs ends within its limits, and its plain form is the same script.

use std::sync::Arc;

use sieve::{Effect, Env, Envelope, Extensions, Limits, Location, Mail, Program, Run};

/// The target: a script, a NUL byte, and a message.
pub fn run(input: &[u8]) {
    let end = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let (script, message) = input.split_at(end);
    if let Ok(plain) = sieve::plain(script) {
        assert_eq!(sieve::plain(plain.as_bytes()).as_ref(), Ok(&plain), "the plain form is a script");
    }
    let Ok(compiled) = sieve::compile(script, Extensions::all()) else { return };
    let mail = Mail::new(message.get(1..).unwrap_or_default());
    let envelope = Envelope { from: "a@b.example".to_owned(), to: "c+d@e.example".to_owned(), auth: None };
    let limits = Limits { instructions: 20_000, trace: true, ..Limits::default() };
    let mut whole = Run::new(Arc::clone(&compiled.program), &mail, envelope.clone(), limits.clone());
    let mut server = Server(Arc::clone(&compiled.program));
    let outcome = whole.go(&mut server, u64::MAX).expect("without a budget it ends");
    assert!(outcome.effects.len() <= limits.actions, "{outcome:?}");
    let redirects = outcome.effects.iter().filter(|effect| matches!(effect, Effect::Redirect(_))).count();
    assert!(redirects <= limits.redirects, "{outcome:?}");
    assert!(outcome.error.is_none() || outcome.keep.is_some(), "{outcome:?}");
    let mut steps = Run::new(compiled.program, &mail, envelope, limits);
    let other = std::iter::repeat_with(|| steps.go(&mut server, 7)).flatten().next().expect("it ends");
    assert_eq!(
        (other.effects, other.keep),
        (outcome.effects, outcome.keep),
        "in small steps it does the same"
    );
}

/// One that has whatever is asked for in lower case.
struct Server(Arc<Program>);

impl Env for Server {
    fn now(&self) -> i64 {
        1_767_268_800
    }

    fn offset(&self, _at: i64) -> i32 {
        -12_600
    }

    fn mailbox_exists(&mut self, name: &str) -> bool {
        name.starts_with(char::is_lowercase)
    }

    fn mailbox_id_exists(&mut self, id: &str) -> bool {
        self.mailbox_exists(id)
    }

    fn special_use_exists(&mut self, mailbox: Option<&str>, _special_use: &str) -> bool {
        mailbox.is_none()
    }

    fn metadata(&mut self, mailbox: &str, entry: &str) -> Option<String> {
        self.mailbox_exists(mailbox).then(|| entry.to_owned())
    }

    fn server_metadata(&mut self, entry: &str) -> Option<String> {
        Some(entry.to_owned())
    }

    fn duplicate_seen(&mut self, id: &str) -> bool {
        self.mailbox_exists(id)
    }

    /// The script itself, so that it goes in a circle, for some names.
    fn include(&mut self, _location: Location, name: &str) -> Result<Option<Arc<Program>>, String> {
        match name.len() % 3 {
            0 => Ok(Some(Arc::clone(&self.0))),
            1 => Ok(None),
            _ => Err("it is broken".to_owned()),
        }
    }

    fn environment(&mut self, item: &str) -> Option<String> {
        self.mailbox_exists(item).then(|| item.to_owned())
    }
}
