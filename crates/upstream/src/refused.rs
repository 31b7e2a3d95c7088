//! Servers that do not take our own password: each login of a user would be refused like the last one, and be slowed by the
//! server as a stranger's guess is. So the server is asked again only after a pause, which doubles; everybody meanwhile hears
//! the same answer at once. No clock in here: the caller hands in the time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Proto};

#[derive(Debug, Default)]
pub(crate) struct Refused {
    servers: Mutex<HashMap<(String, Proto), Refusal>>,
}

#[derive(Debug)]
struct Refusal {
    authname: String,
    text: String,
    pause: Duration,
    until: Instant,
}

impl Refused {
    /// `Err` while the server need not be asked.
    pub fn admit(&self, server: &str, proto: Proto, now: Instant) -> Result<(), Error> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        match servers.get(&(server.to_owned(), proto)).filter(|refusal| now < refusal.until) {
            None => Ok(()),
            Some(Refusal { authname, text, .. }) => Err(Error::WrongPassword {
                server: server.to_owned(),
                authname: authname.clone(),
                text: text.clone(),
            }),
        }
    }

    /// What came of a login.
    pub fn note(&self, server: &str, proto: Proto, error: Option<&Error>, now: Instant) {
        let key = (server.to_owned(), proto);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(Error::WrongPassword { authname, text, .. }) => {
                let before = servers.get(&key).map(|refusal| refusal.pause * 2);
                let pause = before.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
                let (authname, text, until) = (authname.clone(), text.clone(), now + pause);
                servers.insert(key, Refusal { authname, text, pause, until });
            }
            // It has not been heard, or not to its end.
            Some(_) => {}
            None => drop(servers.remove(&key)),
        }
    }

    /// There may be another password now.
    pub fn forget(&self) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A server's own pause after wrong passwords grows to 24 s (`failedloginpause`): who comes later than that is not slowed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_until_the_password_is_right() {
        let (refused, mut now) = (Refused::default(), Instant::now());
        let wrong = || Error::WrongPassword {
            server: "be1".into(),
            authname: "proxy".into(),
            text: "authentication failure".into(),
        };
        let mut asked = 0;
        let began = now;
        while now < began + Duration::from_secs(600) {
            if refused.admit("be1", Proto::Imap, now).is_ok() {
                asked += 1;
                refused.note("be1", Proto::Imap, Some(&wrong()), now);
            }
            assert!(matches!(refused.admit("be1", Proto::Imap, now), Err(Error::WrongPassword { .. })));
            assert!(
                refused.admit("be2", Proto::Imap, now).is_ok(),
                "another server may have another password"
            );
            now += Duration::from_secs(1);
        }
        assert!((20..=25).contains(&asked), "{asked} times in ten minutes");
        refused.note("be1", Proto::Imap, None, now);
        assert!(refused.admit("be1", Proto::Imap, now).is_ok());
        refused.note("be1", Proto::Imap, Some(&wrong()), now);
        refused.forget();
        assert!(refused.admit("be1", Proto::Imap, now).is_ok());
    }
}
