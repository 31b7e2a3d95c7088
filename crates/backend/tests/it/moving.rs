//! Two backends and a master: mailboxes go from one to the other, and back.

use super::master::{Cable, Master, eventually};
use super::node::{Client, Node};
use super::to_cyrus::Mask;

/// Two backends of one master, which know each other.
pub struct Pair {
    pub master: Master,
    pub cable: Cable,
    pub be1: Node,
    pub be2: Node,
    /// In front of each, where each is to take the other for a Cyrus.
    masks: Vec<Mask>,
    more: String,
}

impl Pair {
    pub async fn start() -> Pair {
        Pair::with("").await
    }

    /// With further lines of imapd.conf.
    pub async fn with(more: &str) -> Pair {
        Pair::behind(Vec::new(), more).await
    }

    /// The same, each behind a mask.
    pub async fn masked() -> Pair {
        Pair::behind(vec![Mask::new().await, Mask::new().await], "").await
    }

    async fn behind(masks: Vec<Mask>, more: &str) -> Pair {
        let master = Master::start(None).await;
        let cable = Cable::to(master.address()).await;
        let (be1, be2) =
            (Node::bare(&lines("be1", &cable, more)).await, Node::bare(&lines("be2", &cable, more)).await);
        let pair = Pair { master, cable, be1, be2, masks, more: more.to_owned() };
        pair.introduce().await;
        let mut admin = login(&pair.be1, "cyrus").await;
        admin.talk("C: a CREATE user/fred\nS: a OK …\nC: a CREATE user/wilma\nS: a OK …").await;
        pair
    }

    /// Lets each know where the other is.
    pub async fn introduce(&self) {
        let mut at = [&self.be1, &self.be2].map(|node| node.address("imap"));
        for (mask, at) in self.masks.iter().zip(&mut at) {
            *at = mask.before(*at);
        }
        let ports = format!(
            "be1_address: 127.0.0.1\nbe1_ports: imap={}\nbe2_address: 127.0.0.1\nbe2_ports: imap={}\n{}",
            at[0].port(),
            at[1].port(),
            self.more
        );
        self.be1.reload(&lines("be1", &self.cable, &ports)).await;
        self.be2.reload(&lines("be2", &self.cable, &ports)).await;
    }

    pub fn node(&self, at: usize) -> &Node {
        if at == 0 { &self.be1 } else { &self.be2 }
    }

    /// Starts a daemon again that has ended. Returns who has fred's mailboxes, all of them and alone.
    pub async fn settle(&mut self, dead: usize, messages: usize) -> usize {
        eventually(async || {
            // It may end only now: the last words of a move come behind its answer.
            if self.node(dead).context.shutdown().is_cancelled() {
                let own = lines(SERVERS[dead], &self.cable, &self.more);
                if dead == 0 {
                    self.be1.restart(&own).await
                } else {
                    self.be2.restart(&own).await
                }
                self.introduce().await;
            }
            let stop = self.node(dead).context.shutdown();
            tokio::select! {
                biased;
                // It ends in the move below.
                () = stop.cancelled() => None,
                found = self.moves_on(messages) => found,
            }
        })
        .await
    }

    /// Where fred is, if he is whole there and nowhere else, and no move is under way: he goes to the other one.
    async fn moves_on(&self, messages: usize) -> Option<usize> {
        let places = self.places().await;
        let fred: Vec<&str> = places
            .iter()
            .filter(|place| place.contains("fred"))
            .filter_map(|place| place.split(' ').nth(1))
            .collect();
        let at = SERVERS.iter().position(|server| fred.iter().all(|place| place.starts_with(server)))?;
        let mut there = login(self.node(at), "fred").await;
        let told = answers(&mut there, "STATUS INBOX (MESSAGES UIDNEXT)").await;
        let wanted = format!("* STATUS INBOX (MESSAGES {messages} UIDNEXT {})", messages + 1);
        let mut elsewhere = login(self.node(1 - at), "fred").await;
        let denied = answers(&mut elsewhere, "SELECT INBOX").await;
        let alone = denied.last().is_some_and(|last| last.starts_with("x NO"));
        // And no move is under way.
        let mut admin = login(self.node(at), "cyrus").await;
        let again = answers(&mut admin, &format!("XFER user/fred {}", SERVERS[1 - at])).await;
        (fred.len() == 3 && told.first() == Some(&wanted) && alone && again.last()? == "x OK Completed")
            .then_some(1 - at)
    }

    /// Where the master has the mailboxes of these names.
    pub async fn places(&self) -> Vec<String> {
        let entries = self.master.entries().await.into_iter();
        entries
            .map(|(name, entry)| format!("{name} {}", entry.split(' ').nth(1).unwrap_or_default()))
            .collect()
    }
}

pub const SERVERS: [&str; 2] = ["be1", "be2"];

pub fn lines(server: &str, cable: &Cable, more: &str) -> String {
    format!(
        "servername: {server}\nadmins: cyrus proxy\nproxy_authname: proxy\nproxy_password: secret\nallowusermoves: yes\n{}{more}",
        cable.lines()
    )
}

pub async fn login(node: &Node, user: &str) -> Client {
    let mut client = node.client("imap").await;
    client.talk(&format!("S: * OK …\nC: l LOGIN {user} secret\nS: l OK …")).await;
    client
}

/// Everything that IMAP shows of a user.
pub async fn shown(node: &Node, user: &str) -> Vec<String> {
    let mut client = login(node, user).await;
    let mut all = Vec::new();
    for command in [
        "LIST \"\" * RETURN (SUBSCRIBED SPECIAL-USE MYRIGHTS)",
        "LSUB \"\" *",
        "GETMETADATA (DEPTH infinity) INBOX (/private /shared/comment)",
        "GETQUOTAROOT INBOX",
    ] {
        all.extend(answers(&mut client, command).await);
    }
    let mut names = vec!["INBOX".to_owned()];
    names.extend(["Archive", "Archive/2024"].map(str::to_owned));
    for name in names {
        for command in [
            format!("SELECT {name} (CONDSTORE)"),
            "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ EMAILID SAVEDATE BODY.PEEK[])".to_owned(),
            format!(
                "STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ MAILBOXID SIZE DELETED)"
            ),
        ] {
            all.extend(answers(&mut client, &command).await);
        }
    }
    all
}

pub fn assert_same(now: &[String], before: &[String]) {
    let differ: Vec<_> = now.iter().zip(before).filter(|(now, before)| now != before).collect();
    assert!(differ.is_empty() && now.len() == before.len(), "{differ:#?}");
}

pub async fn answers(client: &mut Client, command: &str) -> Vec<String> {
    client.send(format!("x {command}\r\n").as_bytes()).await;
    let mut all = Vec::new();
    loop {
        let line = client.line().await;
        let over = line.starts_with("x ") || line == "<end>";
        all.push(line);
        if over {
            return all;
        }
    }
}

/// What ManageSieve lists of fred's, and the content of a script.
async fn scripts(node: &Node) -> Vec<String> {
    let mut fred = node.client("sieve").await;
    fred.talk("S: …\nS: OK\nC: AUTHENTICATE \"PLAIN\" \"AGZyZWQAc2VjcmV0\"\nS: OK").await;
    fred.send(b"LISTSCRIPTS\r\nGETSCRIPT \"b\"\r\n").await;
    let mut all = Vec::new();
    while all.iter().filter(|line: &&String| *line == "OK").count() < 2 {
        all.push(fred.line().await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_scripts_move_too_and_the_active_one_stays_active() {
    let pair = Pair::start().await;
    let mut fred = pair.be1.client("sieve").await;
    fred.talk(
        r#"
        S: …
        S: OK
        C: AUTHENTICATE "PLAIN" "AGZyZWQAc2VjcmV0"
        S: OK
        C: PUTSCRIPT "b" "keep;"
        S: OK
        C: PUTSCRIPT "a" "discard;"
        S: OK
        C: SETACTIVE "b"
        S: OK
        "#,
    )
    .await;
    let wanted = ["\"b\" ACTIVE", "\"a\"", "OK", "{5}", "keep;", "OK"];
    let mut admin = login(&pair.be1, "cyrus").await;
    assert_eq!(answers(&mut admin, "XFER user/fred be2").await.last().unwrap(), "x OK Completed");
    fred.talk("C: PUTSCRIPT \"c\" \"keep;\"\nS: BYE (TRYLATER) \"Mailbox has been moved to another server\"\nS: <end>").await;
    assert_eq!(scripts(&pair.be2).await, wanted);
    // What changes there comes back, and what an earlier stay left here does not count.
    let mut there = pair.be2.client("sieve").await;
    there
        .talk(
            r#"
            S: …
            S: OK
            C: AUTHENTICATE "PLAIN" "AGZyZWQAc2VjcmV0"
            S: OK
            C: RENAMESCRIPT "a" "z"
            S: OK
            C: PUTSCRIPT "b" "stop;"
            S: OK
            C: SETACTIVE "z"
            S: OK
            "#,
        )
        .await;
    let mut admin = login(&pair.be2, "cyrus").await;
    // The move before may have last words to say.
    eventually(async || {
        let answer = answers(&mut admin, "XFER user/fred be1").await;
        (answer.last()? == "x OK Completed").then_some(())
    })
    .await;
    assert_eq!(scripts(&pair.be1).await, ["\"b\"", "\"z\" ACTIVE", "OK", "{5}", "stop;", "OK"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_moves_to_another_backend_and_back_and_nothing_that_imap_shows_differs() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    // Whoever looks first takes \Recent.
    shown(&pair.be1, "fred").await;
    let before = shown(&pair.be1, "fred").await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.talk("C: a XFER user/fred be2\nS: * OK USER fred\nS: a OK Completed").await;
    assert_same(&shown(&pair.be2, "fred").await, &before);
    let moved = [
        "user.fred be2!default",
        "user.fred.Archive be2!default",
        "user.fred.Archive.2024 be2!default",
        "user.wilma be1!default",
    ];
    eventually(async || (pair.places().await == moved).then_some(())).await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a SELECT INBOX\nS: a NO [UNAVAILABLE] Mailbox has been moved to another server").await;
    let mut fred = login(&pair.be2, "fred").await;
    fred.append("INBOX", "Subject: new\n\nnew\n").await;
    fred.talk("C: a UNSUBSCRIBE Archive\nS: a OK …\nC: b SELECT INBOX\nS: …\nS: b OK …\nC: c STORE 1 +FLAGS (\\Deleted)\nS: …\nS: c OK …\nC: d EXPUNGE\nS: …\nS: d OK …\nC: e UNSELECT\nS: e OK …").await;
    shown(&pair.be2, "fred").await;
    let before = shown(&pair.be2, "fred").await;
    eventually(async || {
        let mut admin = login(&pair.be2, "cyrus").await;
        let answer = answers(&mut admin, "XFER user/fred be1").await;
        (answer.last().is_some_and(|last| last == "x OK Completed")).then_some(())
    })
    .await;
    assert_same(&shown(&pair.be1, "fred").await, &before);
    let back = [
        "user.fred be1!default",
        "user.fred.Archive be1!default",
        "user.fred.Archive.2024 be1!default",
        "user.wilma be1!default",
    ];
    eventually(async || (pair.places().await == back).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_delivered_during_moves_is_lost_or_doubled() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let (mut delivered, mut at) = (0, 0);
    for round in 0..6 {
        let (here, there) = (pair.node(at), SERVERS[1 - at]);
        // The move before may have last words to say.
        let mut admin = login(here, "cyrus").await;
        let over = std::sync::atomic::AtomicBool::new(false);
        let moves = async {
            eventually(async || {
                let answer = answers(&mut admin, &format!("XFER user/fred {there}")).await;
                answer.last().is_some_and(|last| last == "x OK Completed").then_some(())
            })
            .await;
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        // Whoever has had the mailbox puts them where it is now.
        let mut writer = login(here, "fred").await;
        let writes = async {
            let mut done = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let text = format!("Subject: {round}.{done}\r\n\r\n{done}\r\n");
                writer.send(format!("ap APPEND INBOX {{{}+}}\r\n{text}\r\n", text.len()).as_bytes()).await;
                let answer = writer.until("ap ").await;
                assert!(answer.starts_with("ap OK"), "{answer}");
                done += 1;
            }
            done
        };
        let ((), done) = tokio::join!(moves, writes);
        delivered += done;
        at = 1 - at;
    }
    let mut fred = login(pair.node(at), "fred").await;
    let told = answers(&mut fred, "STATUS INBOX (MESSAGES UIDNEXT)").await;
    let wanted = format!("* STATUS INBOX (MESSAGES {} UIDNEXT {})", delivered + 3, delivered + 4);
    assert_eq!(told.first(), Some(&wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_whole_on_one_backend_whenever_one_of_the_two_dies() {
    let deaths = die_at_each_write(Pair::start().await).await;
    assert!(deaths >= 16, "{deaths} deaths");
}

/// Ends a daemon at each write of a journal of either side, before and after, and starts it again. How often.
pub async fn die_at_each_write(mut pair: Pair) -> u32 {
    fill(&pair.be1).await;
    let (mut at, mut count, mut deaths) = (0, 3, 0);
    for source in [true, false] {
        for after in [false, true] {
            for write in 0..20 {
                let dies = if source { at } else { 1 - at };
                pair.node(dies).trap.set(write, after);
                let mut admin = login(pair.node(at), "cyrus").await;
                admin.send(format!("x XFER user/fred {}\r\n", SERVERS[1 - at]).as_bytes()).await;
                // Its end, or that of the move.
                let stop = pair.node(dies).context.shutdown();
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = admin.until("x ") => {}
                }
                at = pair.settle(dies, count).await;
                let went_off = pair.node(dies).trap.went_off();
                let mut fred = login(pair.node(at), "fred").await;
                fred.append("INBOX", "Subject: x\n\nx\n").await;
                count += 1;
                if !went_off {
                    break;
                }
                deaths += 1;
            }
        }
    }
    deaths
}

/// Messages with flags and keywords, folders, subscriptions, a quota root, annotations.
pub async fn fill(node: &Node) {
    let mut fred = login(node, "fred").await;
    fred.talk("C: a CREATE Archive (USE (\\Archive))\nS: a OK …\nC: b CREATE Archive/2024\nS: b OK …\nC: c SUBSCRIBE Archive\nS: c OK …\nC: d SUBSCRIBE INBOX\nS: d OK …")
        .await;
    for mailbox in ["INBOX", "Archive/2024"] {
        for n in 0..3 {
            fred.append(mailbox, &format!("Subject: {n}\n\nmessage {n}\n{}", "x".repeat(n * 100_000))).await;
        }
    }
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1:2 +FLAGS (\\Seen $Important)\nS: …\nS: b OK …\nC: c STORE 2 -FLAGS ($Important)\nS: …\nS: c OK …\nC: d UNSELECT\nS: d OK …\nC: e SETMETADATA INBOX (/private/comment \"mine\")\nS: e OK …")
        .await;
    let mut admin = login(node, "cyrus").await;
    admin.talk("C: a SETQUOTA user/fred (STORAGE 100000)\nS: …\nS: a OK …\nC: b SETACL user/fred/Archive wilma lrs\nS: b OK …").await;
    let mut wilma = login(node, "wilma").await;
    wilma.talk("C: a SELECT \"Other Users/fred/Archive\"\nS: …\nS: a OK …\nC: b UNSELECT\nS: b OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_cannot_be_says_why_and_a_rename_to_a_server_is_one() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin
        .talk(
            "C: a XFER user/fred be1
             S: a NO Invalid server requested
             C: b XFER user/fred nowhere
             S: * NO USER fred (Server(s) unavailable to complete operation)
             S: b NO Server(s) unavailable to complete operation
             C: c XFER user/nobody be2
             S: * NO USER nobody (Mailbox does not exist)
             S: c NO Mailbox does not exist
             C: d XFER user/fred/Archive be2
             S: d NO Operation is not supported on mailbox
             C: e RENAME user/fred user/other be2
             S: e NO Cross-server or cross-partition move w/rename not supported
             C: f RENAME user/fred user/fred be2!default
             S: * OK USER fred
             S: f OK Completed",
        )
        .await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a XFER user/fred be2\nS: a NO [NOPERM] Permission denied").await;
    // Shared mailboxes, which Cyrus cannot move.
    admin
        .talk(
            "C: g CREATE lists\nS: g OK …\nC: h XFER lists be2\nS: * OK MAILBOX \"lists\"\nS: h OK Completed",
        )
        .await;
    eventually(async || pair.places().await.contains(&"lists be2!default".to_owned()).then_some(())).await;
}
