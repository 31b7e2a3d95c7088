//! Who sends mail, and who reads and writes it, while daemons die.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use murder::clients::{Imap, Lmtp};
use system_tests::{Murder, message};

use super::Chance;
use super::ledger::{Ledger, Message};

/// A session of somebody's at the frontend, if it takes one now.
pub fn session(murder: &Murder, user: &str) -> Option<Imap> {
    let imap = murder.try_imap("frontend1").and_then(|mut imap| {
        let login = imap.login(user, &murder.password(user));
        login.ok().map(|()| imap)
    });
    if imap.is_none() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    imap
}

/// Sends one message after the other, each until it is accepted.
pub fn mta(murder: &Murder, ledger: &Ledger, over: &AtomicBool) {
    let mut lmtp: Option<Lmtp> = None;
    let mut number = 0u32;
    while !over.load(Ordering::SeqCst) {
        let id = format!("mta-{number}");
        number += 1;
        // Until it is accepted it may be there, or not.
        ledger.note(&id, Message::default());
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let replies = match &mut lmtp {
                Some(lmtp) => lmtp.deliver("sender@example.org", &[ledger.user], &message(&id)).ok(),
                None => None,
            };
            match replies.as_deref() {
                Some([reply]) if reply.starts_with("250") => break,
                Some([reply]) => {
                    assert!(reply.starts_with('4'), "{}: {id}: refused for good: {reply}", ledger.user);
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                _ => {
                    lmtp = murder.try_lmtp("frontend1");
                    if lmtp.is_none() {
                        std::thread::park_timeout(Duration::from_millis(50));
                    }
                }
            }
            assert!(Instant::now() < until, "{}: {id} was never accepted", ledger.user);
        }
        ledger.note(&id, Message { there: true, ..Message::default() });
    }
}

/// A client that appends, flags and expunges, with a session as long as it lasts.
pub fn client(murder: &Murder, ledger: &Ledger, over: &AtomicBool, mut chance: Chance) {
    let mut number = 0u32;
    while !over.load(Ordering::SeqCst) {
        let Some(mut imap) = session(murder, ledger.user) else { continue };
        let Ok(selected) = imap.command("SELECT INBOX") else { continue };
        if !selected.is_ok() {
            is_temporary(ledger.user, &selected.result);
            std::thread::park_timeout(Duration::from_millis(50));
            continue;
        }
        while !over.load(Ordering::SeqCst) && write(&mut imap, ledger, number, &mut chance).is_some() {
            number += 1;
        }
        number += 1;
    }
}

/// One message of a client's; None where its session is of no more use.
fn write(imap: &mut Imap, ledger: &Ledger, number: u32, chance: &mut Chance) -> Option<()> {
    let id = format!("client-{number}");
    ledger.note(&id, Message::default());
    let text = message(&id);
    let answer = imap.command(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len())).ok()?;
    if !answer.is_ok() {
        is_temporary(ledger.user, &answer.result);
        return None;
    }
    let uid = answer.result.split_once("[APPENDUID ").and_then(|(_, rest)| rest.split_once(']'));
    let uid = uid.and_then(|(both, _)| both.split(' ').nth(1)?.parse().ok());
    let mut promised = Message { there: true, uid, ..Message::default() };
    ledger.note(&id, promised.clone());
    let uid = uid?;
    if chance.below(2) == 0 {
        let answer = imap.command(&format!("UID STORE {uid} +FLAGS (\\Flagged)")).ok()?;
        let told =
            answer.lines.iter().any(|line| line.contains("FETCH (") && line.contains(&format!("UID {uid}")));
        promised.flagged = answer.is_ok() && told;
        ledger.note(&id, promised.clone());
    }
    if chance.below(4) == 0 {
        // From here on it may be there, or not.
        ledger.note(&id, Message { there: false, ..promised.clone() });
        if !imap.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)")).ok()?.is_ok() {
            return None;
        }
        let answer = imap.command(&format!("UID EXPUNGE {uid}")).ok()?;
        let told =
            answer.lines.iter().any(|line| line.ends_with(" EXPUNGE") || line.starts_with("* VANISHED"));
        if answer.is_ok() && told {
            ledger.note(&id, Message { there: false, gone: true, ..promised });
        }
    }
    Some(())
}

/// What is refused now is not said to be refused for good.
fn is_temporary(user: &str, result: &str) {
    let for_good =
        ["NONEXISTENT", "TRYCREATE", "does not exist", "NOPERM"].iter().any(|text| result.contains(text));
    assert!(!for_good, "{user}: refused for good: {result}");
}
