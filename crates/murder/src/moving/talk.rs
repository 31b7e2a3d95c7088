//! What commands about moves say to backends, and hear.

use std::collections::BTreeMap;

use config::imapd::Imapd;
use moves::order::{Order, PAGE, Plan, Progress, Shown, Size};
use serde::de::DeserializeOwned;
use upstream::Upstream;

use crate::node;

/// Below which a backend tells of moves, and takes orders.
const ENTRY: &str = "/shared/vendor/murder/moves";

/// Has a backend do something. What it answers besides that it is done.
pub async fn order(upstream: &Upstream, server: &str, order: &Order) -> Result<String, String> {
    let value = serde_json::to_string(order).map_err(|error| error.to_string())?;
    let command = format!("SETMETADATA \"\" ({ENTRY} {})", quoted(&value));
    let answer = upstream.ask_by(server, |_| command).await.map_err(|error| error.to_string())?;
    match answer.result.split_once(' ') {
        Some(("OK", text)) => Ok(text.to_owned()),
        Some((_, text)) => Err(format!("{server}: {text}")),
        None => Err(format!("{server}: {}", answer.result)),
    }
}

/// What would move; none: the backend is not ours, or an older one.
pub async fn plan(upstream: &Upstream, server: &str, asked: &Order) -> Result<Option<Plan>, String> {
    if !takes_orders(upstream, server).await? {
        return Ok(None);
    }
    let told = order(upstream, server, asked).await?;
    serde_json::from_str(&told).map(Some).map_err(|error| format!("{server}: {error}"))
}

/// Whether a backend has a queue of moves.
pub async fn takes_orders(upstream: &Upstream, server: &str) -> Result<bool, String> {
    let told = upstream.server_entry(server, "/shared/vendor/murder/options").await;
    let told = told.map_err(|error| error.to_string())?.unwrap_or_default();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
    Ok(told["moves"].is_object())
}

/// One move of a backend.
pub async fn one(upstream: &Upstream, server: &str, id: &str) -> Result<Option<Shown>, String> {
    Ok(ask(upstream, server, &format!("/one/{id}")).await?.flatten())
}

/// What became of the plans of a backend.
pub async fn plans(upstream: &Upstream, server: &str) -> Result<BTreeMap<String, Progress>, String> {
    Ok(ask(upstream, server, "/plans").await?.unwrap_or_default())
}

/// All moves of a backend; `over`: those that are over, too. None: it has none to tell of, being Cyrus's.
pub async fn moves_of(upstream: &Upstream, server: &str, over: bool) -> Result<Option<Vec<Shown>>, String> {
    let (all, mut moves) = (if over { "/all" } else { "" }, Vec::<Shown>::new());
    loop {
        let after = moves.last().map(|last| format!("/after/{}", last.record.id)).unwrap_or_default();
        let Some(mut page) = ask::<Vec<Shown>>(upstream, server, &format!("{all}{after}")).await? else {
            return Ok(None);
        };
        let more = page.len() >= PAGE;
        moves.append(&mut page);
        if !more {
            return Ok(Some(moves));
        }
    }
}

/// What can move from a backend. None: it does not say.
pub async fn sizes(upstream: &Upstream, server: &str) -> Result<Option<Vec<Size>>, String> {
    let mut sizes = Vec::<Size>::new();
    loop {
        let after = sizes.last().map(|last| format!("/after/{}", last.root)).unwrap_or_default();
        match ask::<Vec<Size>>(upstream, server, &format!("/sizes{after}")).await? {
            None => return Ok(None),
            Some(page) if page.is_empty() => return Ok(Some(sizes)),
            Some(mut page) => sizes.append(&mut page),
        }
    }
}

async fn ask<T: DeserializeOwned>(
    upstream: &Upstream,
    server: &str,
    what: &str,
) -> Result<Option<T>, String> {
    let entry = quoted(&format!("{ENTRY}{what}"));
    match upstream.server_entry(server, &entry).await {
        Ok(Some(told)) => serde_json::from_str(&told).map(Some).map_err(|error| format!("{server}: {error}")),
        Ok(None) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The moves of all backends, by backend. False: one could not be asked.
pub async fn all(imapd: &Imapd, over: bool) -> (BTreeMap<String, Vec<Shown>>, bool) {
    let (upstream, mut moves, mut complete) = (Upstream::new(imapd), BTreeMap::new(), true);
    for server in node::other_servers(imapd).await {
        match moves_of(&upstream, &server, over).await {
            Ok(Some(of)) => drop(moves.insert(server, of)),
            Ok(None) => {}
            Err(why) => {
                complete = false;
                service::complain!("murder moves: {server}: {why}");
            }
        }
    }
    (moves, complete)
}

pub fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
