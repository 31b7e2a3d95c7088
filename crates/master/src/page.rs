//! The status page for people: one HTML file without anything from outside, readable on a phone.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::board::{Board, Process};
use crate::exposition::Figures;

/// Renders a snapshot with what the processes' metrics say.
pub fn render(board: &Board, metrics: &Figures) -> String {
    let word = board.word();
    let mut page = String::with_capacity(8 * 1024);
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=refresh content=10><title>{server}: {word}</title><style>{STYLE}</style>\
         <h1>{server} <span class=\"badge {class}\">{word}</span></h1><p class=dim>up {uptime} · murder {version}</p>",
        server = escape(&board.server),
        class = word.replace(' ', "-"),
        uptime = duration(board.uptime_seconds),
        version = board.version,
    );
    let complaints = board.complaints().into_iter().chain(metrics.complaints());
    if board.draining {
        page.push_str(
            "<p class=notice>draining: new clients are sent elsewhere, until <b>murder drain --end</b></p>",
        );
    }
    complaints.for_each(|complaint| {
        let _ = write!(page, "<p class=complaint>{}</p>", escape(&complaint));
    });
    services(&mut page, board, metrics);
    page.push_str("<h2>Processes</h2>");
    board.processes.iter().for_each(|process| card(&mut page, process));
    backends(&mut page, metrics);
    mailboxes(&mut page, metrics);
    moves(&mut page, metrics);
    disks(&mut page, board);
    certificates(&mut page, metrics);
    errors(&mut page, metrics);
    page.push_str("<p class=dim><a href=/metrics>metrics</a> · <a href=/status.json>JSON</a></p></html>\n");
    page
}

/// Listeners, with who is on.
fn services(page: &mut String, board: &Board, metrics: &Figures) {
    page.push_str("<h2>Services</h2><table><tr><th>service<th>address<th class=n>clients<th class=n>limit");
    for listener in &board.listeners {
        let limit = listener.maxchild.map_or_else(|| "–".to_owned(), |limit| limit.to_string());
        let clients = metrics.of("murder_connections", "listener", &listener.service).unwrap_or(0.0);
        let _ = write!(
            page,
            "<tr><td>{}<td class=wrap>{}<td class=n>{clients}<td class=n>{limit}",
            escape(&listener.service),
            escape(&listener.address),
        );
    }
    page.push_str("</table>");
}

fn card(page: &mut String, process: &Process) {
    let workers = process.workers.map(|workers| u64::from(workers.active.saturating_sub(workers.ready)));
    let clients = workers.or(process.clients).map(|n| format!("{n} clients · ")).unwrap_or_default();
    let pid = process.pid.map(|pid| format!(" · pid {pid}")).unwrap_or_default();
    let age = process.age_seconds.map(|age| format!("up {} · ", duration(age))).unwrap_or_default();
    let restarts = process.starts.saturating_sub(1);
    let _ = write!(
        page,
        "<div class=card title=\"{}\"><b>{}</b> <span class={}>{}</span><br><span class=dim>{age}{clients}{restarts} restarts · \
         {} failures{pid}</span></div>",
        escape(&process.status),
        escape(&process.name),
        process.state.word(),
        process.state.word(),
        process.failures,
    );
}

/// The backends that this node's programs connect to, by the last attempt of each.
fn backends(page: &mut String, metrics: &Figures) {
    let mut servers: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for (mut labels, value) in metrics.all("murder_backend_reachable") {
        let mut take = |label| labels.remove(label).unwrap_or_default();
        let (server, protocol) = (take("server"), take("protocol"));
        let known = servers.entry(server).or_default();
        match known.iter_mut().find(|(of, _)| *of == protocol) {
            Some((_, reachable)) => *reachable &= value > 0.0,
            None => known.push((protocol, value > 0.0)),
        }
    }
    if servers.is_empty() {
        return;
    }
    page.push_str("<h2>Backends</h2><table><tr><th>server<th>at the last attempt");
    for (server, mut protocols) in servers {
        protocols.sort();
        let words = protocols.iter().map(|(protocol, reachable)| match reachable {
            true => format!("<span class=ready>{} answers</span>", escape(protocol)),
            false => format!("<span class=disabled>{} does not answer</span>", escape(protocol)),
        });
        let words = words.collect::<Vec<_>>().join(", ");
        let _ = write!(page, "<tr><td class=wrap>{}<td>{words}", escape(&server));
    }
    page.push_str("</table>");
}

/// The room where this node keeps things.
fn disks(page: &mut String, board: &Board) {
    if board.disks.is_empty() {
        return;
    }
    page.push_str("<h2>Disks</h2><table><tr><th>for<th>path<th class=n>free<th class=n>of");
    for disk in &board.disks {
        let percent = disk.free_percent();
        let class = if percent < FULL { "disabled" } else { "" };
        let _ = write!(
            page,
            "<tr><td>{}<td class=wrap>{}<td class=n><span class=\"{class}\">{} ({percent} %)</span><td class=n>{}",
            escape(&disk.name),
            escape(&disk.path.display().to_string()),
            bytes(disk.free_bytes),
            bytes(disk.total_bytes),
        );
    }
    page.push_str("</table>");
}

/// The certificates in use, the one that ends first at the top.
fn certificates(page: &mut String, metrics: &Figures) {
    let mut files: BTreeMap<String, f64> = BTreeMap::new();
    for (mut labels, days) in metrics.all("murder_certificate_days_left") {
        let least = files.entry(labels.remove("file").unwrap_or_default()).or_insert(days);
        *least = least.min(days);
    }
    if files.is_empty() {
        return;
    }
    let mut files: Vec<(String, f64)> = files.into_iter().collect();
    files.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    page.push_str("<h2>Certificates</h2><table><tr><th>file<th class=n>days left");
    for (file, days) in files {
        let _ = write!(page, "<tr><td class=wrap>{}<td class=n>{}", escape(&file), days.floor());
    }
    page.push_str("</table>");
}

/// `812 MiB`, `3.4 TiB`.
fn bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64 / 1_048_576.0, "MiB");
    for larger in ["GiB", "TiB"] {
        if value >= 1024.0 {
            (value, unit) = (value / 1024.0, larger);
        }
    }
    let digits = usize::from(value < 10.0);
    format!("{value:.digits$} {unit}")
}

/// The lists of mailboxes of this node's programs.
fn mailboxes(page: &mut String, metrics: &Figures) {
    let lists = metrics.all("murder_list_complete");
    if lists.is_empty() {
        return;
    }
    page.push_str("<h2>Mailboxes</h2><table><tr><th>list<th>server<th class=n>mailboxes<th class=n>lag");
    for (labels, complete) in lists {
        let program = labels.get("program").map_or("", String::as_str);
        let lag = metrics.of("murder_replica_lag_seconds", "program", program);
        let lag = lag.map_or_else(|| "–".to_owned(), lag_text);
        let counts = metrics.all("murder_list_mailboxes").into_iter();
        let mut counts: Vec<(String, f64)> = counts
            .filter(|(labels, _)| labels.get("program").is_some_and(|p| p == program))
            .map(|(labels, count)| (labels.get("server").cloned().unwrap_or_default(), count))
            .collect();
        counts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let note = if complete == 1.0 { "" } else { " <span class=starting>incomplete</span>" };
        let mut name = format!("{}{note}", escape(program));
        if counts.is_empty() {
            let _ = write!(page, "<tr><td>{name}<td class=dim>none counted<td class=n>–<td class=n>{lag}");
        }
        for (server, count) in counts {
            let is_cordoned = |(labels, value): &(BTreeMap<String, String>, f64)| {
                let of = |label| labels.get(label).map_or("", String::as_str);
                *value == 1.0 && of("program") == program && of("server") == server
            };
            let cordoned = metrics.all("murder_list_cordoned").iter().any(is_cordoned);
            let note = if cordoned { " <span class=starting>cordoned</span>" } else { "" };
            let _ = write!(
                page,
                "<tr><td>{name}<td class=wrap>{}{note}<td class=n>{count}<td class=n>{lag}",
                escape(&server)
            );
            name.clear();
        }
    }
    page.push_str("</table>");
}

/// Moves of mailboxes to and from this node.
fn moves(page: &mut String, metrics: &Figures) {
    let states = metrics.all("murder_moves").into_iter().filter(|(_, count)| *count > 0.0);
    let mut states: Vec<(String, f64)> =
        states.map(|(mut labels, count)| (labels.remove("state").unwrap_or_default(), count)).collect();
    if states.is_empty() {
        return;
    }
    states.sort_by(|(a, _), (b, _)| a.cmp(b));
    page.push_str("<h2>Moves</h2><table><tr><th>state<th class=n>moves");
    for (state, count) in states {
        let note = if state == "switching" { " <span class=starting>changes wait</span>" } else { "" };
        let _ = write!(page, "<tr><td>{}{note}<td class=n>{count}", escape(&state));
    }
    page.push_str("</table><p class=dim>murder moves shows each</p>");
}

fn lag_text(seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.1} s") } else { "never heard".to_owned() }
}

fn errors(page: &mut String, metrics: &Figures) {
    page.push_str("<h2>Errors since start</h2><table>");
    for (name, words) in ERRORS {
        // The sum of nothing is -0.
        let total = metrics.all(name).into_iter().fold(0.0, |sum, (_, value)| sum + value);
        let _ = write!(page, "<tr><td>{words}<td class=n>{total}");
    }
    page.push_str("</table>");
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

/// Hundredths of a disk below which it is shown as nearly full.
const FULL: u64 = 5;
/// Counters of what should not happen.
const ERRORS: &[(&str, &str)] = &[
    ("murder_login_failures_total", "failed logins"),
    ("murder_connections_refused_total", "connections beyond maxchild"),
    ("murder_connections_denied_total", "connections from addresses that are not let in"),
    ("murder_tls_handshake_failures_total", "TLS handshakes that failed"),
    ("murder_session_panics_total", "sessions ended by a defect"),
];

const STYLE: &str = "body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:44em;padding:1em .9em 2em;color:#1d1d1f;background:#fff}\
h1{font-size:1.25em;margin:0;overflow-wrap:anywhere}h2{font-size:1em;margin:1.6em 0 .4em}p{margin:.3em 0}.dim{color:#666;font-size:.87em}\
.badge{font-size:.72em;padding:.15em .6em;border-radius:1em;color:#fff!important;background:#b00020;vertical-align:middle;white-space:nowrap}\
.badge.ready{background:#176b2c}.badge.draining,.badge.stopping{background:#8a5a00}\
.complaint{border-left:4px solid #b00020;padding:.35em .7em;background:#fdecef;border-radius:3px;overflow-wrap:anywhere}\
.notice{border-left:4px solid #8a5a00;padding:.35em .7em}\
table{border-collapse:collapse;width:100%}th{font-weight:600;color:#666;font-size:.82em}th,td{text-align:left;padding:.3em .7em .3em 0;\
border-bottom:1px solid #e3e3e3;vertical-align:top}th:last-child,td:last-child{padding-right:0}.wrap{overflow-wrap:anywhere;font-size:.87em}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.card{padding:.45em 0;border-bottom:1px solid #e3e3e3}.ready{color:#176b2c}.disabled,.resting{color:#b00020;font-weight:600}\
.starting{color:#8a5a00}.waiting{color:#666}@media(prefers-color-scheme:dark){body{color:#e4e4e6;background:#141416}\
th,td,.card{border-color:#303034}.dim,th,.waiting{color:#9a9aa0}a{color:#8ab4f8}.ready{color:#6fcf83}.disabled,.resting{color:#ff6b7d}\
.starting{color:#e0b050}.complaint{background:#3a1a20}}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Disk;

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
            draining: false,
            processes: vec![process],
            listeners: Vec::new(),
            disks: Vec::new(),
            metrics: Vec::new(),
        };
        let mut exposition = crate::exposition::Exposition::default();
        exposition.merge(
            "murder_list_complete{program=\"imapproxy\"} 0\nmurder_list_mailboxes{program=\"imapproxy\",server=\"be<1\"} 42\n\
             murder_list_cordoned{program=\"imapproxy\",server=\"be<1\"} 1\nmurder_list_cordoned{program=\"a\",server=\"be2\"} 1\n\
             murder_list_mailboxes{program=\"imapproxy\",server=\"be2\"} 7\n\
             murder_replica_lag_seconds{program=\"imapproxy\"} inf\nmurder_login_failures_total{program=\"a\"} 3\n\
             murder_login_failures_total{program=\"b\"} 4\n",
        );
        let page = render(&board, &exposition.figures());
        let cordoned = "be&lt;1 <span class=starting>cordoned</span><td class=n>42<td class=n>never heard";
        assert!(page.contains(cordoned) && page.contains("be2<td class=n>7<td"), "{page}");
        assert!(
            page.contains("failed logins<td class=n>7")
                && page.contains("imapproxy: its list of mailboxes is not complete")
        );
        assert!(page.contains("imap&lt;script&gt; is disabled") && !page.contains("<script"), "{page}");
        assert!(page.contains("up 1 d 1 h") && page.contains("not ready"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn a_quiet_node_counts_no_errors_and_shows_its_disks_backends_and_certificates() {
        let disk = |name: &str, free_bytes| Disk {
            name: name.to_owned(),
            path: "/var/spool/murder".into(),
            free_bytes,
            total_bytes: 4 << 40,
        };
        let board = Board {
            version: "1",
            server: "fe1.example.org".to_owned(),
            uptime_seconds: 1,
            ready: true,
            stopping: false,
            draining: true,
            processes: Vec::new(),
            listeners: Vec::new(),
            disks: vec![disk("partition-default", 3 << 40), disk("partition-old", 512 << 20)],
            metrics: Vec::new(),
        };
        let mut exposition = crate::exposition::Exposition::default();
        exposition.merge(
            "murder_backend_reachable{program=\"imapproxy\",server=\"be1\",protocol=\"imap\"} 1\n\
             murder_moves{program=\"backend\",state=\"switching\"} 1\nmurder_moves{program=\"backend\",state=\"kept\"} 3\n\
             murder_moves{program=\"backend\",state=\"queued\"} 0\n\
             murder_backend_reachable{program=\"lmtpproxy\",server=\"be1\",protocol=\"lmtp\"} 0\n\
             murder_certificate_days_left{program=\"imapproxy\",file=\"/c.pem\"} 90.5\n\
             murder_certificate_days_left{program=\"imapproxy\",file=\"/d.pem\"} 3.9\n",
        );
        let page = render(&board, &exposition.figures());
        assert!(page.contains("failed logins<td class=n>0") && !page.contains("-0"), "{page}");
        assert!(
            page.contains("<span class=ready>imap answers</span>, <span class=disabled>lmtp does not answer")
        );
        assert!(page.contains("lmtpproxy: be1 does not answer by lmtp"), "{page}");
        let moves = "<tr><td>kept<td class=n>3<tr><td>switching <span class=starting>changes wait</span><td class=n>1</table>";
        assert!(page.contains(moves), "{page}");
        assert!(
            page.contains("3.0 TiB (75 %)") && page.contains("<span class=\"disabled\">512 MiB (0 %)"),
            "{page}"
        );
        // The one that ends first is the first.
        assert!(
            page.contains("<td class=wrap>/d.pem<td class=n>3<tr><td class=wrap>/c.pem<td class=n>90"),
            "{page}"
        );
        assert!(page.contains("/d.pem: the certificate ends in 3 days"), "{page}");
        assert!(
            page.contains("class=\"badge draining\">draining") && page.contains("murder drain --end"),
            "{page}"
        );
    }
}
