//! SCRAM keys (RFC 5802 section 3): what is kept of a password, and how a password is checked against it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::pbkdf2;
use rsasl::mechanisms::scram::tools::derive_keys;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::PasswordError;
use crate::limits::MAX_ITERATIONS;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub fn mechanism(self) -> &'static str {
        match self {
            Hash::Sha1 => "SCRAM-SHA-1",
            Hash::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// The slow hash: PBKDF2 with HMAC. Ring's is the fast implementation of it, in unoptimised builds too.
    pub(crate) fn salt_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = vec![0; self.length()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }

    fn length(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }
}

/// What is kept of one password: its keys for both hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    sha256: Keys,
    sha1: Keys,
}

impl Secret {
    /// New salts, new keys. Slow on purpose: `iterations` rounds for each hash.
    pub fn new(password: &str, iterations: u32) -> Result<Secret, PasswordError> {
        // SASLprep as the mechanisms apply it to what a client sends; a password it forbids is kept as it is.
        let prepared = password.as_bytes();
        let (salt256, salt1) = (random_salt()?, random_salt()?);
        Ok(Secret {
            sha256: Keys::derive(Hash::Sha256, prepared, &salt256, iterations),
            sha1: Keys::derive(Hash::Sha1, prepared, &salt1, iterations),
        })
    }

    pub fn keys(&self, hash: Hash) -> &Keys {
        match hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
        }
    }
}

/// The keys for one hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored: Vec<u8>,
    pub server: Vec<u8>,
}

impl Keys {
    fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Keys {
        let salted = hash.salt_password(password, salt, iterations);
        let (stored, server) = match hash {
            Hash::Sha1 => {
                let (client, server) = derive_keys::<Sha1>(&salted);
                (Sha1::digest(client).to_vec(), server.to_vec())
            }
            Hash::Sha256 => {
                let (client, server) = derive_keys::<Sha256>(&salted);
                (Sha256::digest(client).to_vec(), server.to_vec())
            }
        };
        Keys { iterations, salt: salt.to_vec(), stored, server }
    }

    /// Keys that look like anybody's: the salt depends on the name and on a secret, the keys are unknown to all.
    pub(super) fn made_up(secret: &[u8], user: &str, hash: Hash, iterations: u32) -> Keys {
        let part = |what: &str| {
            let mut digest = Sha256::new();
            for piece in [secret, what.as_bytes(), hash.mechanism().as_bytes(), user.as_bytes()] {
                digest.update((piece.len() as u64).to_be_bytes());
                digest.update(piece);
            }
            digest.finalize().to_vec()
        };
        let cut = |mut bytes: Vec<u8>, length: usize| {
            bytes.truncate(length);
            bytes
        };
        Keys {
            iterations,
            salt: cut(part("salt"), SALT_LENGTH),
            stored: cut(part("stored"), hash.length()),
            server: cut(part("server"), hash.length()),
        }
    }

    /// Whether these are the keys of `password`; the time taken does not depend on where they differ.
    pub fn fit(&self, hash: Hash, password: &[u8]) -> bool {
        let derived = Keys::derive(hash, password, &self.salt, self.iterations);
        let differing = derived.stored.iter().zip(&self.stored).fold(0, |acc, (a, b)| acc | (a ^ b));
        derived.stored.len() == self.stored.len() && differing == 0
    }

    fn print(&self, hash: Hash) -> String {
        let [salt, stored, server] =
            [&self.salt, &self.stored, &self.server].map(|bytes| BASE64.encode(bytes));
        format!("{}${}:{salt}${stored}:{server}", hash.mechanism(), self.iterations)
    }

    fn parse(text: &str, hash: Hash) -> Option<Keys> {
        let (iterations, rest) = text.strip_prefix(hash.mechanism())?.strip_prefix('$')?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored, server) = keys.split_once(':')?;
        let [salt, stored, server] = [salt, stored, server].map(|text| BASE64.decode(text).ok());
        let keys =
            Keys { iterations: iterations.parse().ok()?, salt: salt?, stored: stored?, server: server? };
        let sound = (1..=MAX_ITERATIONS).contains(&keys.iterations)
            && keys.stored.len() == hash.length()
            && keys.server.len() == hash.length();
        sound.then_some(keys)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.sha256.print(Hash::Sha256), self.sha1.print(Hash::Sha1))
    }
}

impl FromStr for Secret {
    type Err = ();

    fn from_str(text: &str) -> Result<Secret, ()> {
        let (sha256, sha1) = text.split_once('\t').ok_or(())?;
        let sha256 = Keys::parse(sha256, Hash::Sha256).ok_or(())?;
        Ok(Secret { sha256, sha1: Keys::parse(sha1, Hash::Sha1).ok_or(())? })
    }
}

fn random_salt() -> Result<Vec<u8>, PasswordError> {
    let mut salt = vec![0; SALT_LENGTH];
    match getrandom::fill(&mut salt) {
        Ok(()) => Ok(salt),
        Err(why) => Err(PasswordError::Io {
            path: "/dev/urandom".into(),
            why: std::io::Error::other(why.to_string()),
        }),
    }
}

const SALT_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3: user "user", password "pencil".
    #[test]
    fn keys_are_those_of_the_rfc() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::derive(Hash::Sha256, b"pencil", &salt, 4096);
        assert_eq!(BASE64.encode(&keys.stored), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
        assert_eq!(BASE64.encode(&keys.server), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    }

    #[test]
    fn a_secret_survives_its_text() {
        let secret = Secret::new("p\u{e4}ss w\u{f6}rd", 4096).unwrap();
        let again: Secret = secret.to_string().parse().unwrap();
        assert_eq!(again, secret);
        assert!(again.keys(Hash::Sha1).fit(Hash::Sha1, "p\u{e4}ss w\u{f6}rd".as_bytes()));
        assert!(!again.keys(Hash::Sha256).fit(Hash::Sha256, b"password"));
    }

    #[test]
    fn a_user_who_does_not_exist_keeps_a_salt() {
        let keys = |user| Keys::made_up(b"secret", user, Hash::Sha1, 4096);
        assert_eq!(keys("nobody"), keys("nobody"));
        assert_ne!(keys("nobody").salt, keys("noone").salt);
        assert_eq!(keys("nobody").stored.len(), 20);
    }

    #[test]
    fn broken_lines_are_refused() {
        let good = Secret::new("x", 10_000).unwrap().to_string();
        assert!(good.parse::<Secret>().is_ok());
        for cut in 0..good.len() {
            let Some(part) = good.get(..cut) else { continue };
            assert!(part.parse::<Secret>().is_err(), "{part}");
        }
        assert!(good.replace("$10000:", "$99999999:").parse::<Secret>().is_err());
    }
}
