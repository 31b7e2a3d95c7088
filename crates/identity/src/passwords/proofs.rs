//! Passwords that were verified lately, so that a client that logs in again and again (POP3) does not cost the slow hash
//! each time.
//!
//! What is kept is a digest under a key that only this process has, one for each user. It covers the user's stored keys:
//! where the password was changed, the old one no longer fits, and what no longer fits is dropped with the old file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ring::hmac;

use super::keys::Keys;
use crate::limits::{PROOF_AGE, PROOFS};

pub(super) struct Proofs {
    /// None without randomness: nothing is kept then.
    key: Option<hmac::Key>,
    seen: Mutex<HashMap<String, Proof>>,
}

struct Proof {
    digest: hmac::Tag,
    /// Whose keys it covers.
    stored: Vec<u8>,
    since: Instant,
}

impl Proofs {
    pub(super) fn new() -> Proofs {
        let mut bytes = [0; 32];
        let key = getrandom::fill(&mut bytes).ok().map(|()| hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        Proofs { key, seen: Mutex::default() }
    }

    /// Whether this was verified lately.
    pub(super) fn contains(&self, user: &str, password: &[u8], keys: &Keys, now: Instant) -> bool {
        let Some(key) = &self.key else { return false };
        let mut seen = self.lock();
        let Some(proof) = seen.get(user) else { return false };
        if now.saturating_duration_since(proof.since) >= PROOF_AGE || proof.stored != keys.stored {
            seen.remove(user);
            return false;
        }
        hmac::verify(key, &covered(user, password, keys), proof.digest.as_ref()).is_ok()
    }

    pub(super) fn insert(&self, user: &str, password: &[u8], keys: &Keys, now: Instant) {
        let Some(key) = &self.key else { return };
        let digest = hmac::sign(key, &covered(user, password, keys));
        let mut seen = self.lock();
        if seen.len() >= PROOFS && !seen.contains_key(user) {
            let mut ages: Vec<Instant> = seen.values().map(|proof| proof.since).collect();
            let eighth = *ages.select_nth_unstable(PROOFS / 8).1;
            seen.retain(|_, proof| proof.since > eighth);
        }
        seen.insert(user.to_owned(), Proof { digest, stored: keys.stored.clone(), since: now });
    }

    /// Drops what is too old, and what `fits` says is not so any longer: of which user with which stored key.
    pub(super) fn keep(&self, now: Instant, fits: impl Fn(&str, &[u8]) -> bool) {
        let young = |proof: &Proof| now.saturating_duration_since(proof.since) < PROOF_AGE;
        self.lock().retain(|user, proof| young(proof) && fits(user, &proof.stored));
    }

    pub(super) fn forget(&self, user: &str) {
        self.lock().remove(user);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Proof>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each piece behind its length, so that no two pairs of pieces are the same bytes.
fn covered(user: &str, password: &[u8], keys: &Keys) -> Vec<u8> {
    let pieces = [user.as_bytes(), password, &keys.stored];
    let mut bytes = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + 8).sum());
    for piece in pieces {
        bytes.extend_from_slice(&(piece.len() as u64).to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::passwords::Hash;

    fn keys(of: &str) -> Keys {
        Keys::made_up(b"secret", of, Hash::Sha256, 4096)
    }

    #[test]
    fn a_proof_holds_for_its_password_its_keys_and_its_time() {
        let (proofs, now, fred) = (Proofs::new(), Instant::now(), keys("fred"));
        proofs.insert("fred", b"secret", &fred, now);
        assert!(proofs.contains("fred", b"secret", &fred, now));
        assert!(!proofs.contains("fred", b"Secret", &fred, now));
        assert!(!proofs.contains("jane", b"secret", &keys("jane"), now));
        assert!(!proofs.contains("fred", b"secret", &fred, now + PROOF_AGE));
        assert!(!proofs.contains("fred", b"secret", &fred, now), "what expired is dropped");
        proofs.insert("fred", b"secret", &fred, now);
        assert!(!proofs.contains("fred", b"secret", &keys("changed"), now));
        proofs.insert("fred", b"secret", &fred, now);
        proofs.forget("fred");
        assert!(!proofs.contains("fred", b"secret", &fred, now));
        proofs.insert("fred", b"secret", &fred, now);
        proofs.keep(now, |user, stored| user != "fred" || stored != fred.stored);
        assert!(proofs.lock().is_empty());
    }

    #[test]
    fn the_oldest_proofs_make_room() {
        let (proofs, now, same) = (Proofs::new(), Instant::now(), keys("fred"));
        for n in 0..=PROOFS {
            proofs.insert(&n.to_string(), b"x", &same, now + Duration::from_millis(n as u64));
        }
        assert!(proofs.lock().len() <= PROOFS);
        assert!(proofs.contains(&PROOFS.to_string(), b"x", &same, now + Duration::from_secs(60)));
        assert!(!proofs.contains("0", b"x", &same, now));
    }
}
