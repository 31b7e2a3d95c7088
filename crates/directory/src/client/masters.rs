//! What this process knows of the masters that an imapd.conf names: who worked last, who failed last, and what each said.
//!
//! Each operation of a backend connects by itself, so the choice is the process's, not a connection's.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use config::imapd::{Imapd, Upstream};
use mailboxes::Position;
use tokio::time::Instant;

use super::Error;
use crate::client::limits::MURDERS;

/// A master as it was met last.
#[derive(Debug, Clone, Default)]
pub struct Met {
    /// Where it answered.
    pub address: Option<SocketAddr>,
    /// Where its list stood then, if that was asked.
    pub position: Option<Position>,
    /// How long ago it answered.
    pub age: Option<Duration>,
    /// Why it was of no use since.
    pub trouble: Option<String>,
}

/// The masters of one `mupdate_server`.
#[derive(Debug, Default)]
struct Murder {
    /// Who worked last: asked first.
    kept: Option<String>,
    /// Who failed last: asked last.
    left: Option<String>,
    met: BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    address: Option<SocketAddr>,
    position: Option<Position>,
    at: Option<Instant>,
    trouble: Option<String>,
}

static KNOWN: LazyLock<Mutex<HashMap<String, Murder>>> = LazyLock::new(Mutex::default);

/// All masters in the order in which they are asked: who worked last, then the others by chance, and last who failed last.
/// At the beginning the order of imapd.conf.
pub(super) fn order(imapd: &Imapd, chance: fn() -> u16) -> Vec<Upstream> {
    let mut all = imapd.mupdate_upstreams();
    let known = known();
    let Some(murder) = known.get(key(imapd)) else { return all };
    let rank = |upstream: &Upstream| {
        let is = |name: &Option<String>| name.as_ref() == Some(&upstream.name);
        match (is(&murder.left), is(&murder.kept)) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        }
    };
    all.sort_by_cached_key(|upstream| (rank(upstream), chance()));
    all
}

/// A master has let us in.
pub(super) fn keep(imapd: &Imapd, name: &str, address: SocketAddr, position: Option<Position>) {
    with(imapd, |murder| {
        murder.kept = Some(name.to_owned());
        murder.left.take_if(|left| left == name);
        let seen = murder.met.entry(name.to_owned()).or_default();
        let position = position.or(seen.position);
        *seen = Seen { address: Some(address), position, at: Some(Instant::now()), trouble: None };
    });
}

/// A master does not let us in, is behind, or has ended what was begun with it: the others are asked first.
pub fn leave(imapd: &Imapd, name: &str, why: &str) {
    with(imapd, |murder| {
        murder.kept.take_if(|kept| kept == name);
        murder.left = Some(name.to_owned());
        murder.met.entry(name.to_owned()).or_default().trouble = Some(why.to_owned());
    });
}

/// The same of whoever ended a conversation with this error.
pub fn leave_after(imapd: &Imapd, error: &Error) {
    if let Error::Unavailable { server, why } = error {
        leave(imapd, server, &why.to_string());
    }
}

/// What is known of each master that imapd.conf names now, in its order.
pub fn all(imapd: &Imapd) -> Vec<(String, Met)> {
    let known = known();
    let met = |name: &str| {
        let seen = known.get(key(imapd))?.met.get(name)?;
        let age = seen.at.map(|at| at.elapsed());
        Some(Met { address: seen.address, position: seen.position, age, trouble: seen.trouble.clone() })
    };
    let upstreams = imapd.mupdate_upstreams().into_iter();
    upstreams.map(|upstream| (upstream.name.clone(), met(&upstream.name).unwrap_or_default())).collect()
}

fn with(imapd: &Imapd, change: impl FnOnce(&mut Murder)) {
    // One master needs no choice, and a name that imapd.conf has not is none of them.
    let upstreams = imapd.mupdate_upstreams();
    if upstreams.len() < 2 {
        return;
    }
    let mut known = known();
    if known.len() >= MURDERS && !known.contains_key(key(imapd)) {
        known.clear();
    }
    let murder = known.entry(key(imapd).to_owned()).or_default();
    change(murder);
    murder.met.retain(|name, _| upstreams.iter().any(|upstream| upstream.name == *name));
}

fn key(imapd: &Imapd) -> &str {
    imapd.mupdate_server.as_deref().unwrap_or_default()
}

fn known() -> MutexGuard<'static, HashMap<String, Murder>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn imapd(line: &str) -> Imapd {
        let text = format!("configdirectory: /v\nmupdate_server: {line}\n");
        Imapd::parse(Path::new("imapd.conf"), &text, "x").unwrap()
    }

    fn asked(imapd: &Imapd) -> Vec<String> {
        order(imapd, || 7).into_iter().map(|upstream| upstream.name).collect()
    }

    #[test]
    fn who_worked_last_is_asked_first_and_who_failed_last_is_asked_last() {
        let imapd = imapd("order-a order-b:77 order-c/tls");
        assert_eq!(asked(&imapd), ["order-a", "order-b:77", "order-c/tls"]);
        let here = "127.0.0.1:3905".parse().unwrap();
        keep(&imapd, "order-c/tls", here, None);
        assert_eq!(asked(&imapd), ["order-c/tls", "order-a", "order-b:77"]);
        leave(&imapd, "order-c/tls", "the connection was closed");
        assert_eq!(asked(&imapd), ["order-a", "order-b:77", "order-c/tls"]);
        keep(&imapd, "order-b:77", here, None);
        assert_eq!(asked(&imapd), ["order-b:77", "order-a", "order-c/tls"]);
        let told = all(&imapd);
        assert_eq!(told.len(), 3);
        assert_eq!(told[2].1.trouble.as_deref(), Some("the connection was closed"));
        assert_eq!((told[1].1.address, told[1].1.trouble.as_deref()), (Some(here), None));
    }

    #[test]
    fn the_others_come_in_any_order() {
        let imapd = imapd("chance-a chance-b chance-c chance-d chance-e chance-f");
        leave(&imapd, "chance-a", "gone");
        let seconds: std::collections::HashSet<String> =
            (0..200).map(|_| order(&imapd, retry::chance).swap_remove(0).name).collect();
        assert_eq!(seconds.len(), 5, "{seconds:?}");
    }

    #[test]
    fn one_master_alone_is_nothing_to_choose_from() {
        let imapd = imapd("only");
        leave(&imapd, "only", "gone");
        assert_eq!(asked(&imapd), ["only"]);
        assert!(all(&imapd)[0].1.trouble.is_none());
    }
}
