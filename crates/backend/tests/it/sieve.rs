//! Users' scripts at delivery: what comes in by LMTP, what is in the mailboxes afterwards, and what goes out to a mail server.

use std::path::Path;

use config::imapd::Imapd;
use identity::passwords::PasswordDb;
use protocol::managesieve::ScriptName;
use store::Store;
use test_host::sink::{Behaviour, Sink};

use crate::node::{Client, Node};

/// A backend whose mails go to a sink.
struct Bench {
    node: Node,
    sink: Sink,
    options: String,
}

impl Bench {
    /// `scripts`: users and what is active for them.
    async fn new(options: &str, scripts: &[(&str, &str)]) -> Bench {
        let sink = Sink::start(Behaviour::offering(&["SIZE", "8BITMIME", "DSN", "DELIVERBY"]));
        let options = format!("smtp_backend: host\nsmtp_host: {}\n{options}", sink.host());
        let mut node = Node::with(&options).await;
        node.restart_after(&options, async |dir| install(dir, scripts).await).await;
        Bench { node, sink, options }
    }

    async fn script(&mut self, user: &str, script: &str) {
        self.node.restart_after(&self.options, async |dir| install(dir, &[(user, script)]).await).await;
    }

    async fn lmtp(&self) -> Client {
        let mut client = self.node.client("lmtp").await;
        client.talk("C: LHLO mx.example.org\nS: …\nS: 250 Ok SESSIONID=<…>").await;
        client
    }

    /// Delivers to these recipients; the last line of the reply for each, without the session.
    async fn deliver(&self, to: &[&str], message: &str) -> Vec<String> {
        transaction(&mut self.lmtp().await, "ann@example.org", to, message).await
    }

    async fn from(&self, sender: &str, to: &str, message: &str) -> String {
        transaction(&mut self.lmtp().await, sender, &[to], message).await.remove(0)
    }

    /// The messages of a mailbox, as flags and Subject; none: there is no such mailbox.
    async fn mailbox(&self, user: &str, mailbox: &str) -> Option<Vec<String>> {
        let mut imap = self.node.login(user).await;
        imap.send(format!("e EXAMINE {mailbox}\r\n").as_bytes()).await;
        if !imap.until("e ").await.starts_with("e OK") {
            return None;
        }
        imap.send(b"f UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT X-TEST)])\r\n").await;
        let mut found: Vec<String> = Vec::new();
        loop {
            let line = imap.line().await;
            if let Some((_, rest)) = line.split_once("FLAGS (") {
                let all = rest.split(')').next().unwrap_or_default();
                let shown: Vec<&str> = all.split(' ').filter(|flag| *flag != "\\Recent").collect();
                found.push(shown.join(" "));
            } else if let Some((name, value)) = line.split_once(": ") {
                let last = found.last_mut().unwrap();
                *last = format!("{last}|{}{value}", if name == "Subject" { "" } else { "X-Test=" });
            } else if line.starts_with("f ") {
                return Some(found);
            }
        }
    }

    async fn inbox(&self, user: &str) -> Vec<String> {
        self.mailbox(user, "INBOX").await.unwrap()
    }
}

/// Puts scripts into the store of a backend that does not run.
async fn install(dir: &Path, scripts: &[(&str, &str)]) {
    let imapd = Imapd::load(&dir.join("imapd.conf"), "backend").unwrap();
    let store = Store::open(&imapd, service::names::namespace(&imapd), None).await.unwrap();
    for (user, script) in scripts {
        let name = ScriptName::parse("main").unwrap();
        let own = store.scripts(user).await.unwrap();
        own.put(name.clone(), script.as_bytes()).await.unwrap();
        own.activate(Some(name)).await.unwrap();
    }
    store.close().await;
}

async fn transaction(client: &mut Client, sender: &str, to: &[&str], message: &str) -> Vec<String> {
    client.talk(&format!("C: MAIL FROM:<{sender}>\nS: 250 2.1.0 ok")).await;
    for recipient in to {
        client.talk(&format!("C: RCPT TO:<{recipient}>\nS: 250 2.1.5 ok")).await;
    }
    client.talk("C: DATA\nS: 354 go ahead").await;
    client.send(message.replace('\n', "\r\n").as_bytes()).await;
    client.send(b".\r\n").await;
    let mut replies = Vec::new();
    for _ in to {
        let mut reply = client.line().await;
        while reply.as_bytes().get(3) == Some(&b'-') {
            reply = client.line().await;
        }
        replies.push(reply.split(" SESSIONID=").next().unwrap_or_default().to_owned());
    }
    replies
}

fn message(subject: &str) -> String {
    format!(
        "Message-ID: <{subject}@example.org>\nDate: Mon, 23 Nov 2026 12:00:00 +0100\nTo: fred@example.org\n\
         Subject: {subject}\n\nHello.\n"
    )
}

const DELIVERED: &str = "250 2.1.5 Success";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_filed_where_the_script_says_with_its_flags() {
    let script = r#"require ["fileinto", "mailbox", "imap4flags", "copy"];
        if header :is "subject" "list" { fileinto :create :flags ["\\Seen", "$Work"] "Lists/a"; }
        elsif header :is "subject" "copy" { fileinto :copy :create "Copies"; setflag "\\Flagged"; }
        elsif header :is "subject" "twice" { fileinto :create :flags "a" "Twice"; fileinto :flags "b" "Twice"; }
        elsif header :is "subject" "spam" { discard; }
        elsif header :is "subject" "flag" { addflag "\\Answered"; }"#;
    let bench = Bench::new("", &[("fred", script)]).await;
    for subject in ["list", "copy", "twice", "spam", "flag", "other"] {
        assert_eq!(bench.deliver(&["fred"], &message(subject)).await, [DELIVERED], "{subject}");
    }
    assert_eq!(bench.mailbox("fred", "Lists/a").await.unwrap(), ["$Work \\Seen|list"]);
    assert_eq!(bench.mailbox("fred", "Copies").await.unwrap(), ["|copy"]);
    assert_eq!(bench.mailbox("fred", "Twice").await.unwrap(), ["b|twice"]);
    assert_eq!(bench.inbox("fred").await, ["\\Flagged|copy", "\\Answered|flag", "|other"]);
    // What a script makes, its owner is subscribed to.
    let mut imap = bench.node.login("fred").await;
    imap.talk(
        "C: a LSUB \"\" *
         S: …
         S: * LSUB (…) \"/\" Lists/a
         S: …
         S: a OK …",
    )
    .await;
    // The same message again is not filed again.
    assert_eq!(bench.deliver(&["fred"], &message("list")).await, [DELIVERED]);
    assert_eq!(bench.mailbox("fred", "Lists/a").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_with_a_script_the_message_is_in_the_inbox_and_says_so() {
    for (script, why) in [
        ("require \"fileinto\"; fileinto \"Nowhere\";", "the folder is missing"),
        (
            "require [\"fileinto\", \"copy\"]; redirect :copy \"a@b.org\"; fileinto \"Nowhere\";",
            "after a redirect",
        ),
        ("nonsense;", "it does not compile"),
        (
            "require [\"variables\", \"fileinto\"]; set \"a\" \"*a*a\"; fileinto \"${a}/\";",
            "no mailbox has such a name",
        ),
        ("require \"include\"; include \"missing\";", "it includes nothing"),
        ("require [\"reject\"]; keep; reject \"no\";", "its actions contradict each other"),
        ("redirect \"no address\";", "it redirects to nobody"),
    ] {
        let bench = Bench::new("", &[("fred", script)]).await;
        assert_eq!(bench.deliver(&["fred"], &message("x")).await, [DELIVERED], "{why}");
        assert_eq!(bench.inbox("fred").await, ["$SieveFailed|x"], "{why}");
        assert_eq!(bench.sink.rest(), [], "{why}: nothing is sent before all is stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_an_option_lists_are_made_without_being_asked_for() {
    let script = "require \"fileinto\"; if header \"subject\" \"a\" { fileinto \"Spam\"; } else { fileinto \"Other/x\"; }";
    let bench = Bench::new("autocreate_sieve_folders: Spam | Later", &[("fred", script)]).await;
    bench.deliver(&["fred"], &message("a")).await;
    bench.deliver(&["fred"], &message("b")).await;
    assert_eq!(bench.mailbox("fred", "Spam").await.unwrap(), ["|a"]);
    assert_eq!(bench.inbox("fred").await, ["$SieveFailed|b"]);
    let bench = Bench::new("anysievefolder: yes", &[("fred", script)]).await;
    bench.deliver(&["fred"], &message("b")).await;
    assert_eq!(bench.mailbox("fred", "Other/x").await.unwrap(), ["|b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_beyond_ascii_is_found_in_utf8_and_as_old_scripts_write_it() {
    let script = "require [\"fileinto\", \"mailbox\"];
        if header \"subject\" \"utf8\" { fileinto :create \"Entwürfe\"; } else { fileinto \"Entw&APw-rfe\"; }";
    let bench = Bench::new("", &[("fred", script)]).await;
    bench.deliver(&["fred"], &message("utf8")).await;
    bench.deliver(&["fred"], &message("old")).await;
    assert_eq!(bench.mailbox("fred", "Entw&APw-rfe").await.unwrap(), ["|utf8", "|old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_goes_to_the_folder_of_the_address_where_one_may_post() {
    let mut bench = Bench::new("", &[("fred", "keep;")]).await;
    let mut imap = bench.node.login("fred").await;
    imap.talk(
        "C: a CREATE lists\nS: a OK …\nC: b SETACL lists anyone p\nS: b OK …\nC: c CREATE own\nS: c OK …",
    )
    .await;
    for detail in ["lists", "own", "missing"] {
        assert_eq!(
            bench.deliver(&[&format!("fred+{detail}@example.org")], &message(detail)).await,
            [DELIVERED]
        );
    }
    assert_eq!(bench.mailbox("fred", "lists").await.unwrap(), ["|lists"]);
    assert_eq!(bench.inbox("fred").await, ["|own", "|missing"], "and no failure");
    bench.script("fred", "require [\"envelope\", \"fileinto\"]; if envelope :all \"to\" \"Fred+X@Example.ORG\" { fileinto \"own\"; }").await;
    bench.deliver(&["Fred+X@Example.ORG"], &message("as received")).await;
    assert_eq!(bench.mailbox("fred", "own").await.unwrap(), ["|as received"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_message_goes_out_as_it_came_and_only_once() {
    let script = "redirect \"fred@far.org\"; redirect \"fred@far.org\"; redirect \"wilma@far.org\";";
    let bench = Bench::new("", &[("fred", script)]).await;
    assert_eq!(bench.deliver(&["fred+x@example.org"], &message("r")).await, [DELIVERED]);
    let (first, second) = (bench.sink.next(), bench.sink.next());
    assert_eq!(first.commands.last().unwrap(), "RCPT TO:<fred@far.org>");
    assert_eq!(second.commands.last().unwrap(), "RCPT TO:<wilma@far.org>");
    assert!(first.commands[0].starts_with("MAIL FROM:<ann@example.org>"), "{first:?}");
    let (head, rest) = first.message.split_once("\nMessage-ID: ").unwrap();
    assert!(head.starts_with(
        "X-Sieve-Action: redirect\nX-Sieve-Redirected-From: <fred@example.org>\nReceived: from "
    ));
    assert!(rest.ends_with("\nSubject: r\n\nHello.\n"), "{rest}");
    assert!(!first.message.contains("Return-Path"));
    assert_eq!(bench.inbox("fred").await, [""; 0]);
    // A message that an MTA sends again is not sent on again.
    assert_eq!(bench.deliver(&["fred"], &message("r")).await, [DELIVERED]);
    assert_eq!((bench.sink.rest(), bench.inbox("fred").await.len()), (vec![], 0));
    // One that comes back stays here.
    let back = format!("X-Sieve-Redirected-From: <fred@example.org>\n{}", message("back"));
    assert_eq!(bench.deliver(&["fred@example.org"], &back).await, [DELIVERED]);
    assert_eq!((bench.sink.rest(), bench.inbox("fred").await), (vec![], vec!["|back".to_owned()]));
    // The empty sender stays empty.
    assert_eq!(bench.from("", "fred", &message("bounce")).await, DELIVERED);
    assert!(bench.sink.next().commands[0].starts_with("MAIL FROM:<> "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_the_mail_server_does_not_take_leaves_the_message_here() {
    let bench = Bench::new("", &[("fred", "redirect \"fred@far.org\";")]).await;
    for answer in ["550 5.1.1 nobody", "451 4.3.0 later"] {
        bench.sink.behave(Behaviour::default().answering("RCPT", answer));
        assert_eq!(bench.deliver(&["fred"], &message(&answer[..3])).await, [DELIVERED]);
    }
    assert_eq!(bench.inbox("fred").await, ["$SieveFailed|550", "$SieveFailed|451"]);
    // It was not sent: it may be, the next time.
    bench.sink.behave(Behaviour::default());
    assert_eq!(bench.deliver(&["fred"], &message("451")).await, [DELIVERED]);
    assert_eq!(bench.sink.next().commands.last().unwrap(), "RCPT TO:<fred@far.org>");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_redirects_allowed_a_script_that_redirects_fails() {
    let bench = Bench::new("sieve_max_redirects: 0", &[("fred", "redirect \"fred@far.org\";")]).await;
    assert_eq!(bench.deliver(&["fred"], &message("x")).await, [DELIVERED]);
    assert_eq!((bench.inbox("fred").await, bench.sink.rest()), (vec!["$SieveFailed|x".to_owned()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_reply_to_the_mail_server_or_a_mail_to_the_sender() {
    let reject = "require \"reject\"; reject text:\nNo.\nNever.\n.\n;";
    let wide = "require \"reject\"; reject \"Né\";";
    let mut bench = Bench::new("", &[("fred", reject), ("wilma", wide)]).await;
    let mut lmtp = bench.lmtp().await;
    lmtp.talk(
        "C: MAIL FROM:<ann@example.org>
         S: 250 2.1.0 ok
         C: RCPT TO:<fred>
         S: 250 2.1.5 ok
         C: DATA
         S: 354 go ahead
         C: Message-ID: <1@a>
         C: .
         S: 550-5.7.1 No.
         S: 550 5.7.1 Never.",
    )
    .await;
    assert_eq!(bench.sink.rest(), []);
    assert_eq!(bench.deliver(&["wilma@example.org"], &message("w")).await, [DELIVERED]);
    let report = bench.sink.next();
    assert_eq!(report.commands[0].split(' ').take(2).collect::<Vec<_>>(), ["MAIL", "FROM:<>"]);
    assert_eq!(report.commands[1], "RCPT TO:<ann@example.org>");
    for part in [
        "From: Mail Sieve Subsystem <postmaster@be1>\n",
        "report-type=disposition-notification",
        "Final-Recipient: rfc822; wilma@example.org\n",
        "Original-Message-ID: <w@example.org>\n",
        "\nNé\n",
    ] {
        assert!(report.message.contains(part), "{part}: {}", report.message);
    }
    // Nobody is to be told of a bounce.
    assert_eq!(bench.from("", "wilma", &message("b")).await, DELIVERED);
    assert_eq!((bench.sink.rest(), bench.inbox("wilma").await.len()), (vec![], 0));
    bench.script("wilma", "require \"ereject\"; ereject \"Né\";").await;
    assert_eq!(bench.deliver(&["wilma"], &message("e")).await, ["550 5.7.1 N?"]);
    bench.options = format!("{}sieve_use_lmtp_reject: no\npostmaster: boss@example.org\n", bench.options);
    bench.script("fred", reject).await;
    assert_eq!(bench.deliver(&["fred"], &message("f")).await, [DELIVERED]);
    assert!(bench.sink.next().message.contains("\nFrom: Mail Sieve Subsystem <boss@example.org>\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_a_folder_of_an_excluded_use_goes_to_the_inbox() {
    let bench = Bench::new("lmtp_exclude_specialuse: \\Sent", &[]).await;
    let mut imap = bench.node.login("fred").await;
    imap.talk("C: a CREATE out (USE (\\Sent))\nS: a OK …\nC: b SETACL out anyone p\nS: b OK …").await;
    imap.talk("C: a CREATE in (USE (\\Drafts))\nS: a OK …\nC: b SETACL in anyone p\nS: b OK …").await;
    bench.deliver(&["fred+out"], &message("out")).await;
    bench.deliver(&["fred+in"], &message("in")).await;
    assert_eq!(bench.inbox("fred").await, ["|out"]);
    assert_eq!(bench.mailbox("fred", "in").await.unwrap(), ["|in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_answers_each_sender_once_and_from_the_address_that_was_written_to() {
    let script = r#"require ["vacation", "fcc", "mailbox", "imap4flags"];
        vacation :days 1 :addresses "f.red@example.org" :subject "away" :fcc "Sent" :create :flags "\\Seen" "I am away.";"#;
    let bench = Bench::new("", &[("fred", script)]).await;
    let to = |id: &str, to: &str| message(id).replace("To: fred@example.org", &format!("To: Fred <{to}>"));
    assert_eq!(bench.deliver(&["fred@example.org"], &to("1", "F.Red@Example.org")).await, [DELIVERED]);
    let answer = bench.sink.next();
    assert!(answer.commands[0].starts_with("MAIL FROM:<> "), "{answer:?}");
    assert_eq!(answer.commands[1], "RCPT TO:<ann@example.org>");
    for part in [
        "X-Sieve-Action: vacation\n",
        "\nFrom: <F.Red@Example.org>\n",
        "\nTo: <ann@example.org>\n",
        "\nSubject: away\n",
        "\nIn-Reply-To: <1@example.org>\n",
        "\nAuto-Submitted: auto-replied (vacation)\n",
        "\n\nI am away.\n",
    ] {
        assert!(answer.message.contains(part), "{part}: {}", answer.message);
    }
    assert_eq!(bench.mailbox("fred", "Sent").await.unwrap(), ["\\Seen|away"]);
    // Not again, nor to whom it is not due.
    bench.deliver(&["fred@example.org"], &to("2", "fred@example.org")).await;
    bench.deliver(&["fred@example.org"], &to("3", "list@example.org")).await;
    bench.from("", "fred@example.org", &to("4", "fred@example.org")).await;
    bench
        .from(
            "bob@example.org",
            "fred@example.org",
            &format!("List-Id: <x>\n{}", to("5", "fred@example.org")),
        )
        .await;
    assert_eq!(bench.sink.rest(), []);
    // Another sender gets his own; so does this one from another user.
    bench.from("bob@example.org", "fred@example.org", &to("6", "fred@example.org")).await;
    assert_eq!(bench.sink.next().commands[1], "RCPT TO:<bob@example.org>");
    assert_eq!(bench.inbox("fred").await.len(), 6, "each message is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_sent_is_sent_the_next_time() {
    let mut bench = Bench::new("", &[("fred", "require \"vacation\"; vacation \"away\";")]).await;
    bench.sink.behave(Behaviour::default().answering("DATA", "451 4.3.0 later"));
    assert_eq!(bench.deliver(&["fred@example.org"], &message("1")).await, [DELIVERED]);
    bench.sink.behave(Behaviour::default());
    bench.deliver(&["fred@example.org"], &message("2")).await;
    assert!(bench.sink.next().message.contains("\nIn-Reply-To: <2@example.org>\n"));
    assert_eq!(bench.inbox("fred").await.len(), 2, "both are here, each once");
    // That outlives the daemon.
    bench.script("wilma", "keep;").await;
    bench.deliver(&["fred@example.org"], &message("3")).await;
    assert_eq!(bench.sink.rest(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_goes_by_mail_and_its_failure_keeps_nothing_from_its_folder() {
    let script = r#"require ["enotify", "fileinto", "mailbox"]; fileinto :create "f";
        notify :importance "1" :message "You have mail" "mailto:fred@phone.org?X-Tag=1";"#;
    let bench = Bench::new("", &[("fred", script)]).await;
    bench.deliver(&["fred@example.org"], &message("1")).await;
    let sent = bench.sink.next();
    assert!(sent.commands[0].starts_with("MAIL FROM:<fred@example.org>"), "{sent:?}");
    assert_eq!(sent.commands[1], "RCPT TO:<fred@phone.org>");
    for part in [
        "\nSubject: You have mail\n",
        "\nX-Tag: 1\n",
        "\nAuto-Submitted: auto-notified; owner-email=\"fred@example.org\"\n",
    ] {
        assert!(sent.message.contains(part), "{part}: {}", sent.message);
    }
    bench.deliver(&["fred@example.org"], &format!("Auto-Submitted: auto-notified\n{}", message("2"))).await;
    assert_eq!(bench.sink.rest(), []);
    bench.sink.behave(Behaviour::default().answering("MAIL", "550 no"));
    assert_eq!(bench.deliver(&["fred@example.org"], &message("3")).await, [DELIVERED]);
    assert_eq!(bench.mailbox("fred", "f").await.unwrap(), ["|1", "|2", "|3"]);
    assert_eq!(bench.inbox("fred").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_asks_the_store_is_answered() {
    let script = r#"require ["fileinto", "mailbox", "special-use", "mboxmetadata", "servermetadata", "environment", "duplicate",
            "include", "mailboxid", "imap4flags", "variables"];
        if duplicate :header "Subject" { addflag "duplicate"; }
        if mailboxexists "there" { addflag "there"; }
        if mailboxexists ["there", "missing"] { addflag "WRONG"; }
        if specialuse_exists "\\Junk" { addflag "junk"; }
        if specialuse_exists "\\Sent" { addflag "WRONG"; }
        if specialuse_exists "there" "\\Junk" { addflag "WRONG"; }
        if metadata "there" "/private/comment" "mine" { addflag "mine"; }
        if metadata "there" "/shared/comment" "mine" { addflag "WRONG"; }
        if servermetadata "/private/comment" "server" { addflag "server"; }
        if environment "phase" "during" { addflag "during"; }
        if environment "remote-ip" "127.0.0.1" { addflag "remote"; }
        if mailboxidexists "nonsense" { addflag "WRONG"; }
        include :optional "missing";
        if header "Subject" "filed" { fileinto :specialuse "\\Junk" "nowhere"; }"#;
    let bench = Bench::new("", &[("fred", script)]).await;
    let mut imap = bench.node.login("fred").await;
    imap.talk(
        "C: a CREATE there
         S: a OK …
         C: b CREATE spam (USE (\\Junk))
         S: b OK …
         C: c SETMETADATA there (/private/comment mine)
         S: c OK …
         C: d SETMETADATA \"\" (/private/comment server)
         S: d OK …",
    )
    .await;
    bench.deliver(&["fred"], &message("filed")).await;
    bench.deliver(&["fred"], &message("x")).await;
    bench
        .deliver(
            &["fred"],
            &format!("X-Other: 1\n{}", message("x").replace("Message-ID: <x", "Message-ID: <y")),
        )
        .await;
    let shown = |all: Vec<String>| -> Vec<String> {
        let sorted = |one: &String| {
            let mut words: Vec<&str> = one.split('|').next().unwrap().split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        };
        all.iter().map(sorted).collect()
    };
    let usual = "during junk mine remote server there";
    assert_eq!(shown(bench.mailbox("fred", "spam").await.unwrap()), [usual]);
    assert_eq!(shown(bench.inbox("fred").await), [usual, "duplicate during junk mine remote server there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_header_is_what_is_stored_and_sent_on() {
    let script = r#"require ["editheader", "fileinto", "mailbox", "copy"]; redirect :copy "before@far.org";
        addheader "X-Test" "é"; deleteheader "Subject"; fileinto :create :copy "f"; redirect :copy "after@far.org";"#;
    let bench = Bench::new("", &[("fred", script)]).await;
    assert_eq!(bench.deliver(&["fred", "wilma"], &message("e")).await, [DELIVERED; 2]);
    let (before, after) = (bench.sink.next(), bench.sink.next());
    assert!(before.message.contains("\nSubject: e\n") && !before.message.contains("X-Test"), "{before:?}");
    assert!(!after.message.contains("\nSubject: ") && after.message.contains("\nX-Test: =?"), "{after:?}");
    assert_eq!(bench.mailbox("fred", "f").await.unwrap().len(), 1);
    assert!(bench.mailbox("fred", "f").await.unwrap()[0].starts_with("|X-Test=="));
    assert!(bench.inbox("fred").await[0].starts_with("|X-Test=="));
    assert_eq!(bench.inbox("wilma").await, ["|e"], "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_never_ends_ends_with_its_message_kept() {
    let mut script = String::from("require \"variables\"; set \"a\" \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\";");
    for _ in 0..20 {
        script.push_str("set \"a\" \"${a}${a}\";");
    }
    for _ in 0..500 {
        script.push_str("if string :matches \"${a}\" \"*a*a*a*a*a*a*a*a*b\" { discard; }");
    }
    let bench = Bench::new("", &[("fred", &script)]).await;
    assert_eq!(bench.deliver(&["fred", "wilma"], &message("x")).await, [DELIVERED; 2]);
    assert_eq!(bench.inbox("fred").await, ["$SieveFailed|x"]);
    assert_eq!(bench.inbox("wilma").await, ["|x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_filed_like_a_small_one() {
    let script = "require [\"fileinto\", \"mailbox\", \"editheader\"];
        if size :over 1M { addheader \"X-Test\" \"large\"; fileinto :create \"Large\"; }";
    let bench = Bench::new("", &[("fred", script)]).await;
    let large = format!("{}{}", message("big"), "0123456789abcdef\n".repeat(200_000));
    assert_eq!(bench.deliver(&["fred", "wilma"], &large).await, [DELIVERED; 2]);
    assert_eq!(bench.mailbox("fred", "Large").await.unwrap(), ["|X-Test=large|big"]);
    assert_eq!(bench.inbox("wilma").await, ["|big"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_refuses_what_a_script_files_there_for_that_recipient_alone() {
    let script = "require \"fileinto\"; fileinto \"f\";";
    let bench = Bench::new("", &[("fred", script)]).await;
    let mut admin = bench.node.login("cyrus").await;
    admin
        .talk("C: a CREATE user/fred/f\nS: a OK …\nC: b SETQUOTA user/fred/f (STORAGE 0)\nS: …\nS: b OK …")
        .await;
    assert_eq!(bench.deliver(&["fred", "wilma"], &message("x")).await, [DELIVERED; 2]);
    assert_eq!(bench.inbox("fred").await, ["$SieveFailed|x"], "there is room in the INBOX");
    admin.talk("C: c SETQUOTA user/fred (MESSAGE 1)\nS: …\nS: c OK …").await;
    let mut lmtp = bench.lmtp().await;
    lmtp.talk("C: MAIL FROM:<a@b>\nS: 250 …\nC: RCPT TO:<fred>\nS: 452 4.2.2 Over quota…").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_gets_the_script_that_is_meant_for_new_users() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("welcome.sieve");
    std::fs::write(&path, "require [\"fileinto\", \"mailbox\"]; fileinto :create \"first\";").unwrap();
    let options =
        format!("autocreate_quota: 0\nautocreate_post: yes\nautocreate_sieve_script: {}\n", path.display());
    let bench = Bench::new(&options, &[]).await;
    PasswordDb::new(bench.node.dir.path().join("passwords")).set("newbie", "secret").unwrap();
    assert_eq!(bench.deliver(&["newbie", "fred"], &message("x")).await, [DELIVERED; 2]);
    assert_eq!(bench.mailbox("newbie", "first").await.unwrap(), ["|x"]);
    assert_eq!(bench.inbox("fred").await, ["|x"], "who was there before has none");
}

/// A user's script, the reply for the user, and where the message is afterwards.
const KINDS: [(&str, &str, &str); 7] = [
    ("redirects", "redirect \"r@far.org\";", DELIVERED),
    ("plain", "", DELIVERED),
    ("files", "require [\"fileinto\", \"imap4flags\"]; setflag \"filed\"; fileinto \"f\";", DELIVERED),
    (
        "edits",
        "require [\"editheader\", \"imap4flags\"]; addheader \"X-Test\" \"e\"; deleteheader \"Subject\"; setflag \"e\";",
        DELIVERED,
    ),
    ("rejects", "require \"reject\"; reject \"no\";", "550 5.7.1 no"),
    (
        "fails",
        "require [\"imap4flags\", \"fileinto\"]; setflag \"x\"; if header :contains \"X-Test\" \"\" { discard; } fileinto \"missing\";",
        DELIVERED,
    ),
    (
        "full",
        "require \"imap4flags\"; if not exists \"Subject\" { discard; } setflag \"x\"; keep;",
        "452 4.2.2 Over quota",
    ),
];

/// All orders of `0..count`, by Heap's way.
fn orders(count: usize) -> Vec<Vec<usize>> {
    fn go(n: usize, list: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
        if n <= 1 {
            return out.push(list.clone());
        }
        for at in 0..n {
            go(n - 1, list, out);
            list.swap(if n.is_multiple_of(2) { at } else { 0 }, n - 1);
        }
    }
    let (mut list, mut out) = ((0..count).collect(), Vec::new());
    go(count, &mut list, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn no_recipient_of_a_message_sees_what_the_script_of_another_did_in_whatever_order_they_stand() {
    let scripts: Vec<(&str, &str)> =
        KINDS.iter().filter(|kind| !kind.1.is_empty()).map(|kind| (kind.0, kind.1)).collect();
    let sink_options = "duplicatesuppression: no";
    let mut bench = Bench::new(sink_options, &[]).await;
    let passwords = PasswordDb::new(bench.node.dir.path().join("passwords"));
    let mut admin = bench.node.login("cyrus").await;
    for (user, ..) in KINDS {
        passwords.set(user, "secret").unwrap();
        admin.talk(&format!("C: a CREATE user/{user}\nS: a OK …")).await;
    }
    admin
        .talk("C: a CREATE user/files/f\nS: a OK …\nC: b SETQUOTA user/full (STORAGE 0)\nS: …\nS: b OK …")
        .await;
    let options = bench.options.clone();
    bench.node.restart_after(&options, async |dir| install(dir, &scripts).await).await;
    // At RCPT nobody is over quota who says so.
    let mut lmtp = bench.lmtp().await;
    let orders = orders(KINDS.len() - 2);
    for (number, order) in orders.iter().enumerate() {
        // Five in every order, two more at each place among them in turn.
        let mut order: Vec<usize> = order.iter().map(|at| at + 2).collect();
        order.insert(number % 6, 0);
        order.insert(number % 7, 1);
        let subject = format!("n{number}");
        lmtp.talk("C: MAIL FROM:<ann@example.org>\nS: 250 2.1.0 ok").await;
        let mut accepted = Vec::new();
        for at in order {
            let (user, _, reply) = KINDS[at];
            lmtp.send(format!("RCPT TO:<{user}@example.org>\r\n").as_bytes()).await;
            let answer = lmtp.line().await;
            match user == "full" {
                true => assert!(answer.starts_with(reply), "{answer}"),
                false => {
                    assert_eq!(answer, "250 2.1.5 ok");
                    accepted.push(reply);
                }
            }
        }
        lmtp.talk("C: DATA\nS: 354 go ahead").await;
        lmtp.send(message(&subject).replace('\n', "\r\n").as_bytes()).await;
        lmtp.send(b".\r\n").await;
        for reply in accepted {
            let answer = lmtp.line().await;
            assert!(answer.starts_with(reply), "{answer}");
        }
    }
    let all = |form: &dyn Fn(usize) -> String| (0..orders.len()).map(form).collect::<Vec<_>>();
    let mails = bench.sink.rest();
    assert_eq!(mails.len(), orders.len());
    assert!(
        mails.iter().all(|mail| mail.message.contains("\nSubject: n") && !mail.message.contains("X-Test"))
    );
    assert_eq!(bench.inbox("plain").await, all(&|n| format!("|n{n}")));
    assert_eq!(bench.mailbox("files", "f").await.unwrap(), all(&|n| format!("filed|n{n}")));
    assert_eq!(bench.inbox("edits").await, all(&|_| "e|X-Test=e".to_owned()));
    assert_eq!(bench.inbox("fails").await, all(&|n| format!("$SieveFailed|n{n}")));
    for empty in ["redirects", "files", "rejects", "full"] {
        assert_eq!(bench.inbox(empty).await, [""; 0], "{empty}");
    }
}
