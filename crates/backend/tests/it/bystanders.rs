//! Whatever one connection sends, the others are served.
//!
//! The daemon runs on one thread, as its sessions would on a loaded machine. Of each poll of a session's task the time of
//! the processor is taken: it is what all others wait for. Wall time is never looked at.
//!
//! A debug build takes some microseconds for what it does with one message or one name: it makes a line, a record or a
//! string of it. With this many of them, no command that goes through all of them in one poll stays within [`MOST`].

use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use backend::daemon::Task;
use mailboxes::{Change, List, Options};
use protocol::name::MailboxName;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::timeout;

use crate::node::{Client, Node};

/// Messages in the hostile user's INBOX, and mailboxes beside it.
const MESSAGES: usize = 1 << 13;
const MAILBOXES: usize = 4000;
/// What one poll may take of the thread.
const MOST: Duration = Duration::from_millis(20);

/// What the polls of all sessions took.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Took>>);

#[derive(Clone, Copy, Default)]
struct Took {
    longest: Duration,
    all: Duration,
}

struct Watched {
    task: Task,
    watch: Watch,
}

impl Watch {
    fn round(&self, task: Task) -> Task {
        Box::pin(Watched { task, watch: self.clone() })
    }

    fn take(&self) -> Took {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let before = processor_time();
        let poll = self.task.as_mut().poll(cx);
        let took = processor_time() - before;
        let mut all = self.watch.0.lock().unwrap();
        all.longest = all.longest.max(took);
        all.all += took;
        poll
    }
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// A daemon, a user with much, and another one.
struct Scene {
    node: Node,
    watch: Watch,
    bystander: Client,
    failures: String,
}

impl Scene {
    async fn new(lines: &str) -> Scene {
        let watch = Watch::default();
        let round = watch.clone();
        let node = Node::watched(lines, Arc::new(move |task| round.round(task))).await;
        let bystander = node.login("wilma").await;
        Scene { node, watch, bystander, failures: String::new() }
    }

    /// Fills fred's INBOX by copying it again and again.
    async fn fill(&mut self, messages: usize) -> Client {
        let mut fred = self.node.login("fred").await;
        fred.append("INBOX", "From: a@example.org\nSubject: one of many\n\nHello.\n").await;
        fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
        let mut there = 1;
        while there < messages {
            fred.talk("C: c COPY 1:* INBOX\nS: …").await;
            assert!(fred.until("c ").await.starts_with("c OK [COPYUID"));
            there *= 2;
        }
        fred
    }

    /// Sends what is hostile, and then a NOOP of the bystander: no poll may take long, and the NOOP is answered first unless
    /// all of it took no longer than one poll may. The last line of the answer.
    async fn attack(&mut self, what: &str, client: &mut Client, bytes: &[u8], end: &str) -> String {
        self.watch.take();
        let bystander = &mut self.bystander;
        let hostile = async {
            client.send(bytes).await;
            client.until(end).await
        };
        let noop = async {
            // Its turn comes after that of the hostile command's first bytes.
            tokio::task::yield_now().await;
            bystander.talk("C: n NOOP\nS: n OK Completed").await;
        };
        let (mut hostile, mut noop) = (std::pin::pin!(hostile), std::pin::pin!(noop));
        let (last, first) = tokio::select! {
            biased;
            last = &mut hostile => {
                noop.await;
                (last, false)
            }
            () = &mut noop => (hostile.await, true),
        };
        let took = self.watch.take();
        assert!(last.starts_with(end), "{what}: {last}");
        if took.longest > MOST {
            writeln!(self.failures, "{what}: one poll took {:?}", took.longest).unwrap();
        }
        if !first && took.all > MOST {
            writeln!(self.failures, "{what}: answered before a bystander's NOOP, after {:?}", took.all)
                .unwrap();
        }
        last
    }

    /// A command of IMAP; its tagged answer.
    async fn imap(&mut self, what: &str, client: &mut Client, command: &str) -> String {
        self.attack(what, client, format!("x {command}\r\n").as_bytes(), "x ").await
    }

    fn end(self) {
        assert!(self.failures.is_empty(), "{}", self.failures);
    }
}

/// Tells of a set with a range for every other message.
fn ranges(count: usize) -> String {
    let ranges: Vec<String> = (0..count).map(|n| (2 * n + 1).to_string()).collect();
    ranges.join(",")
}

#[tokio::test]
async fn others_are_served_while_one_user_searches_changes_and_removes_a_large_mailbox() {
    let mut scene = Scene::new("").await;
    let mut fred = scene.fill(MESSAGES).await;
    let mut other = scene.node.login("fred").await;
    let ok = |last: String, what: &str| assert!(last.starts_with("x OK"), "{what}: {last}");
    for (what, command) in [
        ("SELECT", "SELECT INBOX".to_owned()),
        ("STATUS", "STATUS INBOX (MESSAGES UNSEEN DELETED SIZE)".to_owned()),
        ("SEARCH of flags", format!("SEARCH {}", "SEEN UNFLAGGED KEYWORD $x ".repeat(1600).trim_end())),
        (
            "SEARCH of alternatives",
            format!("SEARCH {}ALL", "OR FLAGGED OR DELETED OR LARGER 9999 ".repeat(16)),
        ),
        ("SEARCH of all", "UID SEARCH RETURN (ALL COUNT) ALL".to_owned()),
        ("SEARCH of a long set", format!("SEARCH {}", ranges(50_000))),
        ("SEARCH that saves", format!("SEARCH RETURN (SAVE COUNT) UID {}", ranges(50_000))),
        ("SEARCH of what was saved", "SEARCH RETURN (PARTIAL -1:-1000) NOT $".to_owned()),
        ("FETCH of what was saved", "FETCH $ (FLAGS UID)".to_owned()),
        ("SEARCH of fuzzy texts", format!("UID SEARCH {}", "NOT FUZZY BODY none ".repeat(8).trim_end())),
        ("SORT of all", "SORT (REVERSE DATE SUBJECT FROM) UTF-8 ALL".to_owned()),
        ("SORT of all again", "UID SORT RETURN (ALL) (DISPLAYTO SIZE) UTF-8 ALL".to_owned()),
        ("SORT by everything", format!("SORT ({}) UTF-8 ALL", "SUBJECT REVERSE CC ".repeat(16).trim_end())),
        ("THREAD by references", "THREAD REFERENCES UTF-8 ALL".to_owned()),
        ("THREAD by subjects", "UID THREAD ORDEREDSUBJECT UTF-8 ALL".to_owned()),
        ("UIDBATCHES", "UIDBATCHES 100".to_owned()),
        ("ESEARCH", "ESEARCH IN (selected personal) RETURN (ALL COUNT) NOT BODY none".to_owned()),
        ("FETCH of all", "FETCH 1:* (FLAGS UID)".to_owned()),
        ("FETCH of a long set", format!("UID FETCH {} (FLAGS)", ranges(50_000))),
        ("STORE", "STORE 1:* +FLAGS (\\Flagged)".to_owned()),
        ("STORE of a long set", format!("STORE {} FLAGS ($a $b \\Draft)", ranges(4_000))),
        ("STORE on a condition", "STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)".to_owned()),
    ] {
        ok(scene.imap(what, &mut fred, &command).await, what);
    }
    ok(scene.imap("SELECT", &mut other, "SELECT INBOX").await, "SELECT");
    for (what, command) in [
        ("STORE before another session", "STORE 1:* +FLAGS.SILENT (\\Seen)"),
        ("STORE and back", "STORE 1:* -FLAGS.SILENT (\\Seen)"),
        ("STORE of what goes", "STORE 1:5000 +FLAGS.SILENT (\\Deleted)"),
    ] {
        ok(scene.imap(what, &mut fred, command).await, what);
        ok(scene.imap("NOOP that hears of it", &mut other, "NOOP").await, what);
    }
    ok(scene.imap("COPY", &mut fred, "COPY 1:2000 INBOX").await, "COPY");
    ok(scene.imap("EXPUNGE", &mut fred, "EXPUNGE").await, "EXPUNGE");
    ok(scene.imap("FETCH among ghosts", &mut other, "FETCH 1:* (UID)").await, "FETCH");
    ok(scene.imap("NOOP that hears of it", &mut other, "NOOP").await, "NOOP");
    ok(scene.imap("UID EXPUNGE", &mut fred, &format!("UID EXPUNGE {}", ranges(50_000))).await, "UID EXPUNGE");
    scene.comes_back(&mut fred).await;
    scene.pop3().await;
    scene.end();
}

impl Scene {
    /// What a client with QRESYNC can ask.
    async fn comes_back(&mut self, fred: &mut Client) {
        fred.talk("C: v ENABLE QRESYNC UIDONLY\nS: …\nS: v OK Completed").await;
        fred.send(b"v STATUS INBOX (UIDVALIDITY)\r\n").await;
        let line = fred.until("* STATUS").await;
        fred.until("v OK").await;
        let validity = line.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned();
        for (what, command) in [
            ("SELECT that knows nothing", format!("SELECT INBOX (QRESYNC ({validity} 1))")),
            (
                "SELECT that knows a long set",
                format!("SELECT INBOX (QRESYNC ({validity} 1 {}))", ranges(50_000)),
            ),
            ("SELECT that knows all", format!("SELECT INBOX (QRESYNC ({validity} 1 1:4294967295))")),
            ("FETCH of what vanished", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)".to_owned()),
            (
                "FETCH of what vanished of a long set",
                format!("UID FETCH {} (UID) (CHANGEDSINCE 1 VANISHED)", ranges(50_000)),
            ),
            ("MOVE", "UID MOVE 1:* INBOX".to_owned()),
            ("STORE of all", "UID STORE 1:* +FLAGS.SILENT ($moved)".to_owned()),
        ] {
            let last = self.imap(what, fred, &command).await;
            assert!(last.starts_with("x OK"), "{what}: {last}");
        }
        // Numbers are another session's.
        let mut other = self.node.login("fred").await;
        other.talk("C: v ENABLE QRESYNC\nS: …\nS: v OK Completed").await;
        let matched = format!("SELECT INBOX (QRESYNC ({validity} 1 1:9 ({0} {0})))", ranges(40_000));
        let last = self.imap("SELECT with numbers and UIDs", &mut other, &matched).await;
        assert!(last.starts_with("x OK"), "{last}");
    }

    /// What a POP3 client can pipeline.
    async fn pop3(&mut self) {
        let mut fred = self.node.client("pop3").await;
        fred.until("+OK").await;
        fred.talk("C: USER fred\nS: +OK …").await;
        self.attack("PASS", &mut fred, b"PASS secret\r\n", "+OK").await;
        for (what, one) in [("STAT", "STAT\r\n"), ("DELE and RSET", "DELE 1\r\nRSET\r\n")] {
            // The last of them has an answer of its own.
            let bytes = format!("{}CAPA\r\n", one.repeat(10_000));
            self.attack(what, &mut fred, bytes.as_bytes(), ".").await;
        }
        self.attack("UIDL", &mut fred, b"UIDL\r\n", ".").await;
        self.attack("LIST", &mut fred, b"LIST\r\n", ".").await;
        let all: String = (1..3000).map(|n| format!("DELE {n}\r\n")).collect();
        self.attack("DELE", &mut fred, format!("{all}CAPA\r\n").as_bytes(), ".").await;
        self.attack("QUIT", &mut fred, b"QUIT\r\n", "+OK").await;
    }
}

#[tokio::test]
async fn others_are_served_while_one_user_lists_many_mailboxes() {
    let mut scene = Scene::new("").await;
    scene.node.restart_after("", many_mailboxes).await;
    scene.bystander = scene.node.login("wilma").await;
    let mut fred = scene.node.login("fred").await;
    let subscribe: String = (0..100).map(|n| format!("s SUBSCRIBE {}/{n}\r\n", "a".repeat(30))).collect();
    fred.send(format!("{subscribe}x NOOP\r\n").as_bytes()).await;
    assert_eq!(fred.until("x ").await, "x OK Completed");
    let evil = "a%*".repeat(30_000);
    let many: Vec<String> = (0..16).map(|n| format!("a*a*{n}%")).collect();
    for (what, command) in [
        ("LIST of all", "LIST \"\" *".to_owned()),
        ("LIST of a long pattern", format!("LIST \"\" {evil}")),
        ("LIST of a pattern that matches late", format!("LIST \"\" {}x", "a*".repeat(25))),
        ("LIST of many patterns", format!("LIST \"\" ({}) RETURN (SUBSCRIBED)", many.join(" "))),
        ("LIST of what is subscribed", "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *)".to_owned()),
        ("LIST with states", "LIST \"\" a*/11 RETURN (STATUS (MESSAGES UNSEEN))".to_owned()),
        ("LSUB of all", "LSUB \"\" *".to_owned()),
        ("LSUB of a long pattern", format!("LSUB \"\" {evil}%")),
        ("GETMETADATA", "GETMETADATA \"a*\" (/shared/vendor/cmu/cyrus-imapd/server)".to_owned()),
        ("GETQUOTAROOT", "GETQUOTAROOT INBOX".to_owned()),
        ("ESEARCH in all", "ESEARCH IN (subtree-one INBOX subtree INBOX) RETURN (COUNT) ALL".to_owned()),
    ] {
        let last = scene.imap(what, &mut fred, &command).await;
        assert!(last.starts_with("x OK"), "{what}: {last}");
    }
    scene.end();
}

/// Puts mailboxes into the list of a daemon that is down: they have no messages, but names.
async fn many_mailboxes(dir: &Path) {
    let list = List::open_when_free(&dir.join("murder/backend"), Options::owner()).unwrap();
    let like = list.get(&MailboxName::parse("user.fred").unwrap()).unwrap().unwrap();
    let put = |n: usize| {
        let name = format!("user.fred.{}.{n}", "a".repeat(30));
        Change::put(MailboxName::parse(&name).unwrap(), like.clone())
    };
    list.commit((0..MAILBOXES).map(put).collect()).await.unwrap();
    list.close().await.unwrap();
}

#[tokio::test]
async fn others_are_served_while_one_user_reads_monstrous_messages() {
    let mut scene = Scene::new("").await;
    let mut fred = scene.node.login("fred").await;
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    let addresses = "a@b, ".repeat(10_000);
    let lists = ["From", "To", "Cc", "Bcc", "Sender", "Reply-To"];
    let envelope: String = lists.iter().map(|name| format!("{name}: {addresses}\r\n")).collect();
    let fields: String = (0..60_000).map(|n| format!("X{n}: {n}\r\n")).collect();
    let deep: String =
        (0..60).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    let parts = format!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n{}",
        "--x\r\nContent-Type: text/plain; a=b; c=d; e=f; g=h\r\n\r\n\r\n".repeat(6000)
    );
    let base64 = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_owned()
        + &format!("{}\r\n", "QUJDREVG".repeat(9)).repeat(20_000);
    for (what, message) in [
        ("APPEND of many addresses", format!("{envelope}\r\nHello\r\n")),
        ("APPEND of many fields", format!("{fields}\r\nHello\r\n")),
        ("APPEND of deep parts", format!("{deep}{}", "--b\r\n".repeat(50_000))),
        ("APPEND of many parts", parts),
        ("APPEND of base64", base64),
        ("APPEND of comments", format!("To: {}\r\n\r\n", "(".repeat(200_000))),
        ("APPEND of folds", format!("Subject: {}\r\n\r\n", "a\r\n ".repeat(50_000))),
        ("APPEND of a small one", format!("To: {}\r\n\r\n", "(a<b,".repeat(3_000))),
    ] {
        let command = format!("APPEND INBOX {{{}+}}\r\n{message}", message.len());
        let last = scene.imap(what, &mut fred, &command).await;
        assert!(last.starts_with("x OK"), "{what}: {last}");
    }
    let names: Vec<String> = (0..256).map(|n| format!("X{n}")).collect();
    let sections: Vec<String> =
        (0..32).map(|n| format!("BODY.PEEK[HEADER.FIELDS ({} Y{n})]", names[1..].join(" "))).collect();
    for (what, command) in [
        ("FETCH of envelopes", "FETCH 1:* (ENVELOPE)".to_owned()),
        ("FETCH of structures", "FETCH 1:* (BODYSTRUCTURE BODY)".to_owned()),
        ("FETCH of header fields", format!("FETCH 1:* ({})", sections.join(" "))),
        (
            "FETCH without header fields",
            format!("FETCH 1:* (BODY.PEEK[HEADER.FIELDS.NOT ({})])", names.join(" ")),
        ),
        (
            "FETCH of what is decoded",
            "FETCH 5 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1]<7.9> PREVIEW)".to_owned(),
        ),
        ("FETCH of all", "FETCH 1:* (BODY[])".to_owned()),
        ("SEARCH of texts", format!("SEARCH {}", "NOT BODY none NOT FROM none ".repeat(50).trim_end())),
    ] {
        let last = scene.imap(what, &mut fred, &command).await;
        assert!(last.starts_with("x OK"), "{what}: {last}");
    }
    scene.end();
}

#[tokio::test]
async fn others_are_served_while_mail_comes_for_thousands_of_recipients() {
    let mut scene = Scene::new("").await;
    let mut peer = scene.node.client("lmtp").await;
    peer.until("220").await;
    peer.talk("C: LHLO test\nS: …\nS: 250 …\nC: MAIL FROM:<>\nS: 250 …").await;
    let nobody: String = (0..5000).map(|n| format!("RCPT TO:<nobody{n}@example.org>\r\n")).collect();
    let end = "VRFY x\r\n";
    scene.attack("RCPT", &mut peer, format!("{nobody}RCPT TO:<fred>\r\n{end}").as_bytes(), "252").await;
    peer.talk("C: DATA\nS: 354 …").await;
    let message = format!("Subject: large\r\n\r\n{}.\r\n", "..dots\r\n".repeat(300_000));
    scene.attack("DATA", &mut peer, message.as_bytes(), "250").await;
    scene.end();
}

#[tokio::test]
async fn a_search_ends_with_its_client() {
    // No bound but the client: if it went on, the daemon's end would wait for it for ever.
    let scene = Scene::new("search_maxtime: 0").await;
    let mut fred = scene.node.login("fred").await;
    let mut other = scene.node.login("fred").await;
    large_message(&mut fred).await;
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    fred.send(endless_search().as_bytes()).await;
    let sessions = || {
        scene
            .node
            .context
            .sessions()
            .list()
            .iter()
            .filter(|shown| shown.user.as_deref() == Some("fred"))
            .count()
    };
    // The command is being worked on when the client goes.
    other.talk("C: n NOOP\nS: n OK Completed").await;
    drop(fred);
    let gone = async {
        while sessions() > 1 {
            other.talk("C: n NOOP\nS: n OK Completed").await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.expect("the session ends with its client");
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended() {
    let scene = Scene::new("search_maxtime: 1").await;
    let mut fred = scene.node.login("fred").await;
    large_message(&mut fred).await;
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    fred.send(endless_search().as_bytes()).await;
    fred.talk("S: x NO [LIMIT] This takes too long\nC: n NOOP\nS: n OK Completed").await;
}

async fn large_message(client: &mut Client) {
    let text = format!("{}\n", "aaaaaaaa".repeat(9)).repeat(30_000);
    client.append("INBOX", &format!("Subject: large\n\n{text}")).await;
}

/// Thousands of texts that are nearly found everywhere.
fn endless_search() -> String {
    let keys: Vec<String> = (0..4900).map(|n| format!("NOT BODY {}b{n}", "a".repeat(20))).collect();
    format!("x SEARCH {}\r\n", keys.join(" "))
}
