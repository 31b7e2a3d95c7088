//! Asking the backends how much room they have.

use std::time::Duration;

use config::imapd::SelectMode;
use placement::{Candidate, Space};
use protocol::frame::trim_line;
use protocol::grammar::{Cursor, Limits, argument, astring, byte, keyword, mailbox, parenthesis, space};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use upstream::{Answer, Upstream};

use crate::limits::{SURVEY, rows};

/// Asks all servers at once, each on a connection of the frontend's own, as an admin. A user's would not do: a backend with autocreate
/// would make the INBOX of whoever logs in there to ask. Those that do not tell are left out; if nobody tells, all are there,
/// without figures.
pub(crate) async fn survey(upstream: &Upstream, servers: &[String], mode: SelectMode) -> Vec<Candidate> {
    let mut asked = JoinSet::new();
    for (at, server) in servers.iter().enumerate() {
        let (upstream, server) = (upstream.clone(), server.clone());
        asked.spawn(async move { (at, free_space(&upstream, &server, mode).await) });
    }
    let mut told: Vec<Option<(u64, u64)>> = vec![None; servers.len()];
    let until = Instant::now() + SURVEY;
    while let Ok(Some(answer)) = timeout_at(until, asked.join_next()).await {
        if let Ok((at, space)) = answer
            && let Some(slot) = told.get_mut(at)
        {
            *slot = space;
        }
    }
    if !asked.is_empty() {
        let bound = Duration::as_secs(&SURVEY);
        rows::SURVEY.met(format_args!(
            "{} of serverlist did not tell how much room they have in {bound} s: not chosen while others can be",
            asked.len()
        ));
        // They end within their own bounds, and whoever is next knows who is down.
        asked.detach_all();
    }
    candidates(servers, &told)
}

fn candidates(servers: &[String], told: &[Option<(u64, u64)>]) -> Vec<Candidate> {
    let nobody = told.iter().all(Option::is_none);
    let asked = servers.iter().zip(told).enumerate();
    let those = asked.filter_map(|(at, (server, told))| {
        let (available, total) = told.or(nobody.then_some((0, 0)))?;
        // Each server is one of its kind.
        Some(Candidate { name: server.clone(), space: Space { id: at as u64 + 1, available, total } })
    });
    those.collect()
}

async fn free_space(upstream: &Upstream, server: &str, mode: SelectMode) -> Option<(u64, u64)> {
    let what = if mode == SelectMode::FreespaceMost { "total" } else { "percent/most" };
    let entry = format!("/vendor/cmu/cyrus-imapd/freespace/{what}");
    let answer = upstream.ask_by(server, |announced| match announced.has("METADATA") {
        true => format!("GETMETADATA \"\" (\"/shared{entry}\")"),
        false => format!("GETANNOTATION \"\" \"{entry}\" (\"value.shared\")"),
    });
    match answer.await {
        Ok(answer) => {
            let told = told(&answer);
            if told.is_none() {
                warn!("{server} does not say how much space it has");
            }
            told
        }
        Err(error) => {
            warn!("{server} is not asked how much space it has: {error}");
            None
        }
    }
}

/// KiB, free and in all.
fn told(answer: &Answer) -> Option<(u64, u64)> {
    let quoted = answer.lines.iter().find_map(|line| value(line.as_bytes()));
    let value = quoted.or_else(|| answer.literals.last().cloned())?;
    let (available, total) = std::str::from_utf8(&value).ok()?.split_once(';')?;
    Some((available.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// ```text
/// METADATA SP mailbox SP "(" entry SP value …
/// ANNOTATION SP mailbox SP entry SP "(" attribute SP value …       value = string ; "available;total"
/// ```
fn value(line: &[u8]) -> Option<Vec<u8>> {
    let untagged = |kind| {
        let mut at = Cursor::new(trim_line(line), Limits::default());
        at.read(byte(b'*')).ok()?;
        at.read(argument(keyword(kind))).ok()?;
        at.read(space).ok()?;
        Some(at)
    };
    let (mut at, entries) =
        untagged("METADATA").map(|at| (at, 0)).or_else(|| Some((untagged("ANNOTATION")?, 1)))?;
    at.read(mailbox).ok()?;
    for _ in 0..entries {
        at.read(argument(astring)).ok()?;
    }
    at.read(argument(parenthesis(b'('))).ok()?;
    at.read(astring).ok()?;
    at.read(argument(astring)).ok().map(|value| value.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(line: &str, literal: Option<&str>) -> Answer {
        let literals = literal.into_iter().map(|text| text.as_bytes().to_vec()).collect();
        Answer { lines: vec![line.to_owned()], literals, result: "OK".into() }
    }

    #[test]
    fn free_space_is_read_from_both_answers_quoted_or_as_a_literal() {
        let metadata = "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" ";
        assert_eq!(told(&answer(&format!("{metadata}\"12;34\")"), None)), Some((12, 34)));
        assert_eq!(told(&answer(&format!("{metadata}{{5}}"), Some("12;34"))), Some((12, 34)));
        let annotation =
            "* ANNOTATION \"\" \"/vendor/cmu/cyrus-imapd/freespace/total\" (\"value.shared\" \"5;6\")";
        assert_eq!(told(&answer(annotation, None)), Some((5, 6)));
    }

    #[test]
    fn an_answer_without_figures_tells_nothing() {
        for line in [
            "* 3 EXISTS",
            "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" NIL)",
            "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" \"12\")",
            "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" \"-1;2\")",
            "* METADATA \"\" ()",
            "",
        ] {
            assert_eq!(told(&answer(line, None)), None, "{line}");
        }
        assert_eq!(told(&Answer::default()), None);
    }

    proptest! {
        #[test]
        fn every_pair_of_figures_is_read_back_and_no_line_is_too_strange(
            free in any::<u64>(), total in any::<u64>(), line in any::<Vec<u8>>(), tail in "[ -~]{0,40}"
        ) {
            let metadata = "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" ";
            prop_assert_eq!(told(&answer(&format!("{metadata}\"{free};{total}\")"), None)), Some((free, total)));
            value(&line);
            value(format!("{metadata}{tail}").as_bytes());
            value(format!("* ANNOTATION {tail}").as_bytes());
        }
    }

    #[test]
    fn who_tells_nothing_is_left_out_unless_nobody_tells() {
        let servers = ["be1", "be2", "be3"].map(str::to_owned);
        let names = |told: &[Option<(u64, u64)>]| -> Vec<(String, u64)> {
            candidates(&servers, told).into_iter().map(|one| (one.name, one.space.total)).collect()
        };
        let be = |n: usize, total: u64| (format!("be{n}"), total);
        assert_eq!(names(&[Some((1, 2)), None, Some((3, 4))]), [be(1, 2), be(3, 4)]);
        assert_eq!(names(&[None, None, None]), [be(1, 0), be(2, 0), be(3, 0)]);
        assert_eq!(names(&[Some((0, 0)), None, None]), [be(1, 0)]);
    }
}
