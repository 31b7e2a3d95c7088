//! The status page for people: one HTML file without anything from outside, readable on a phone.

use std::fmt::Write;

use crate::board::{Board, Process};

/// Renders a snapshot.
pub fn render(board: &Board) -> String {
    let word = match (board.stopping, board.takes_clients()) {
        (true, _) => "stopping",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    let mut page = String::with_capacity(8 * 1024);
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=refresh content=10><title>{server}: {word}</title><style>{STYLE}</style>\
         <h1>{server} <span class=\"{class}\">{word}</span></h1><p>up {uptime} · murder {version}</p>",
        server = escape(&board.server),
        class = if word == "ready" { "ready" } else { "disabled" },
        uptime = duration(board.uptime_seconds),
        version = board.version,
    );
    for complaint in board.complaints() {
        let _ = write!(page, "<p class=disabled>{}</p>", escape(&complaint));
    }
    page.push_str(
        "<h2>Processes</h2><table><tr><th>name<th>state<th>pid<th>age<th>clients<th>starts<th>failures",
    );
    board.processes.iter().for_each(|process| row(&mut page, process));
    page.push_str("</table><h2>Listeners</h2><table><tr><th>service<th>address<th>limit<th>program");
    for listener in &board.listeners {
        let limit = listener.maxchild.map_or_else(|| "–".to_owned(), |limit| limit.to_string());
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td class=n>{limit}<td>{}",
            escape(&listener.service),
            escape(&listener.address),
            escape(&listener.program)
        );
    }
    page.push_str("</table><p><a href=/metrics>metrics</a> · <a href=/status.json>JSON</a></p></html>\n");
    page
}

fn row(page: &mut String, process: &Process) {
    let shown = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
    let clients =
        process.workers.map(|workers| u64::from(workers.active - workers.ready)).or(process.clients);
    let _ = write!(
        page,
        "<tr><td title=\"{}\">{}<td class={}>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}",
        escape(&process.status),
        escape(&process.name),
        process.state.word(),
        process.state.word(),
        shown(process.pid.and_then(|pid| u64::try_from(pid).ok())),
        process.age_seconds.map_or_else(|| "–".to_owned(), duration),
        shown(clients),
        process.starts,
        process.failures,
    );
}

/// `3 d 4 h`, `12 min`, `45 s`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.4 system-ui,sans-serif;margin:1em auto;max-width:60em;padding:0 .7em;color:#222;background:#fff}\
h1{font-size:1.3em}h2{font-size:1.05em;margin:1.4em 0 .3em}table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}\
th,td{text-align:left;padding:.25em .7em .25em 0;border-bottom:1px solid #ddd;white-space:nowrap}.n{text-align:right;\
font-variant-numeric:tabular-nums}.ready{color:#176b2c}.disabled,.resting{color:#b00020;font-weight:600}.starting{color:#8a5a00}\
.waiting{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}th,td{border-color:#333}a{color:#8ab4f8}\
.ready{color:#6fcf83}.disabled,.resting{color:#ff6b7d}.starting{color:#e0b050}.waiting{color:#999}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_state_and_complaints_and_escapes_what_it_shows() {
        let process = Process {
            kind: "SERVICE",
            name: "imap<script>".to_owned(),
            state: crate::board::State::Disabled,
            ..Process::default()
        };
        let board = Board {
            version: "1",
            server: "be1.example.org".to_owned(),
            uptime_seconds: 90_061,
            ready: true,
            stopping: false,
            processes: vec![process],
            listeners: Vec::new(),
            metrics: Vec::new(),
        };
        let page = render(&board);
        assert!(page.contains("imap&lt;script&gt; is disabled") && !page.contains("<script"), "{page}");
        assert!(page.contains("up 1 d 1 h") && page.contains("not ready"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
