//! A news server, as transcripts: groups are shared mailboxes.

use store::Store;

use crate::node::{Client, Node};

/// A node with groups: all may read and post, but to comp/closed.
pub async fn start(lines: &str) -> Node {
    let node = Node::with(lines).await;
    let mut admin = node.login("cyrus").await;
    for group in ["comp", "comp/test", "comp/other", "comp/closed"] {
        admin.talk(&format!("C: a CREATE {group}\nS: a OK …")).await;
        if group != "comp" {
            admin.talk(&format!("C: a SETACL {group} anyone lrsp\nS: a OK …")).await;
            admin.talk(&format!("C: a SETACL {group} cyrus lrswipkxtecda\nS: a OK …")).await;
        }
    }
    admin.talk("C: a SETACL comp/closed anyone l\nS: a OK …\nC: a SETACL comp anyone \"\"\nS: a OK …").await;
    node
}

/// A reader who has logged in.
pub async fn reader(node: &Node) -> Client {
    let mut client = node.client("nntp").await;
    client
        .talk(
            "S: 200 be1 Murder NNTP … server ready, posting allowed
             C: AUTHINFO USER fred
             S: 381 Give AUTHINFO PASS command
             C: AUTHINFO PASS secret
             S: 281 User logged in",
        )
        .await;
    client
}

/// Posts to groups, with a Message-ID.
pub async fn post(client: &mut Client, groups: &str, id: &str) {
    client
        .talk(&format!(
            "C: POST
             S: 340  Send article
             C: From: Fred <fred@example.org>
             C: Newsgroups: {groups}
             C: Subject: about {id}
             C: Date: Mon, 30 Nov 2026 12:00:00 +0000
             C: Message-ID: <{id}@example.org>
             C:
             C: Hello.
             C: ..dot
             C: .
             S: 240 <{id}@example.org> Article received ok"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_is_posted_and_read_and_has_what_it_lacked() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.test", "1").await;
    fred.talk(
        "C: GROUP comp.test
         S: 211 1 1 1 comp.test
         C: ARTICLE
         S: 220 1 <1@example.org>
         S: Path: be1!fred
         S: From: Fred <fred@example.org>
         S: Newsgroups: comp.test
         S: Subject: about 1
         S: Date: Mon, 30 Nov 2026 12:00:00 +0000
         S: Message-ID: <1@example.org>
         S: Xref: be1 comp.test:1
         S:
         S: Hello.
         S: ..dot
         S: .
         C: HEAD <1@example.org>
         S: 221 1 <1@example.org>
         S: …
         S: Xref: be1 comp.test:1
         S: .
         C: BODY 1
         S: 222 1 <1@example.org>
         S: Hello.
         S: ..dot
         S: .
         C: STAT
         S: 223 1 <1@example.org>
         C: NEXT
         S: 421 No next article in this group
         C: LAST
         S: 422 No previous article in this group
         C: STAT 2
         S: 423 No such article in this newsgroup
         C: STAT <nothing@example.org>
         S: 430 No article found with that message-id
         C: POST
         S: 340  Send article
         C: Path: fe1!alice
         C: Xref: fe1 comp.test:77
         C: From: f@x
         C: Newsgroups: comp.test
         C: Subject: bare
         C:
         C: x
         C: .
         S: 240 <murder-nntp-…@be1> Article received ok
         C: HEAD 2
         S: 221 2 <murder-nntp-…@be1>
         S: Path: be1!fe1!alice
         S: From: f@x
         S: Newsgroups: comp.test
         S: Subject: bare
         S: Message-ID: <murder-nntp-…@be1>
         S: Date: …
         S: Xref: be1 comp.test:2
         S: .
         C: QUIT
         S: 205 Connection closing
         S: <end>",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_article_must_have_and_where_it_may_go() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    let all = ["From: f@x", "Newsgroups: comp.test", "Subject: s"];
    let tries: [(&str, &str); 8] = [
        ("From: f@x\r\nNewsgroups: comp.test", "No Subject header in article"),
        ("Newsgroups: comp.test\r\nSubject: s", "No From header in article"),
        ("From: f@x\r\nSubject: s", "No newsgroups header in article"),
        ("From: f@x\r\nSubject: s\r\nNewsgroups: no.such", "Mailbox does not exist"),
        ("From: f@x\r\nSubject: s\r\nNewsgroups: comp.closed,comp.test", "Permission denied"),
        ("From: f@x\r\nSubject: s\r\nNewsgroups: user.fred", "Mailbox does not exist"),
        (
            "From: f@x\r\nSubject: s\r\nNewsgroups: comp.test\r\nControl: cancel <a@b>",
            "Mailbox does not exist",
        ),
        (
            "From: f@x\r\nFrom: g@x\r\nSubject: s\r\nNewsgroups: comp.test",
            "More than one From header in article",
        ),
    ];
    for (header, why) in tries {
        fred.talk("C: POST\nS: 340  Send article").await;
        fred.send(format!("{header}\r\n\r\nbody\r\n.\r\n").as_bytes()).await;
        fred.expect(&format!("441  Failed receiving article ({why})")).await;
    }
    fred.talk("C: GROUP comp.test\nS: 211 0 1 0 comp.test").await;
    // A control message goes to its group, if it may.
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a CREATE control\nS: a OK …\nC: a CREATE control/cancel\nS: a OK …").await;
    admin.talk("C: a SETACL control/cancel anyone lrsp\nS: a OK …").await;
    fred.talk("C: POST\nS: 340  Send article").await;
    fred.send(format!("{}\r\nControl: cancel <a@b>\r\n\r\nx\r\n.\r\n", all.join("\r\n")).as_bytes()).await;
    fred.expect("240 <…> Article received ok").await;
    fred.talk(
        "C: GROUP control.cancel\nS: 211 1 1 1 control.cancel\nC: GROUP comp.test\nS: 211 0 1 0 comp.test",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crosspost_is_in_every_group_once_and_its_xref_names_those_that_one_may_read() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.other", "0").await;
    post(&mut fred, "comp.test,comp.other, comp.test,no.such", "1").await;
    // The same again goes nowhere.
    post(&mut fred, "comp.test,comp.other", "1").await;
    fred.talk(
        "C: GROUP comp.test
         S: 211 1 1 1 comp.test
         C: OVER 1
         S: 224 Overview information follows:
         S: 1\tabout 1\tFred <fred@example.org>\tMon, 30 Nov 2026 12:00:00 +0000\t<1@example.org>\t\t…\t2\tXref: be1 comp.test:1 comp.other:2
         S: .
         C: GROUP comp.other
         S: 211 2 1 2 comp.other
         C: HDR Xref 1-
         S: 225 Headers follow:
         S: 1 be1 comp.other:1
         S: 2 be1 comp.other:2 comp.test:1
         S: .",
    )
    .await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a SETACL comp/other anyone p\nS: a OK …").await;
    fred.talk(
        "C: GROUP comp.other
         S: 411 No such newsgroup (Mailbox does not exist)
         C: HEAD <1@example.org>
         S: 221 0 <1@example.org>
         S: …
         S: Xref: be1 comp.test:1
         S: .
         C: STAT <0@example.org>
         S: 430 No article found with that message-id",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_what_one_may_read_or_see() {
    let node = start("").await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a SETMETADATA comp/test (/shared/comment \"For tests\")\nS: a OK …").await;
    admin.talk("C: a SETACL comp/other anyone lr\nS: a OK …").await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.test", "1").await;
    fred.talk(
        "C: LIST
         S: 215 List of newsgroups follows:
         S: comp.other 0 1 n
         S: comp.test 1 1 y
         S: .
         C: LIST ACTIVE comp.*,!*.other
         S: 215 List of newsgroups follows:
         S: comp.test 1 1 y
         S: .
         C: LIST NEWSGROUPS
         S: 215 List of newsgroups follows:
         S: comp.closed\t
         S: comp.other\t
         S: comp.test\tFor tests
         S: .
         C: LIST OVERVIEW.FMT
         S: 215 Order of overview fields follows:
         S: Subject:
         S: From:
         S: Date:
         S: Message-ID:
         S: References:
         S: Bytes:
         S: Lines:
         S: Xref:full
         S: .
         C: LIST HEADERS MSGID
         S: 215 List of headers follows:
         S: :
         S: :bytes
         S: :lines
         S: .
         C: LIST ACTIVE.TIMES
         S: 503 Unsupported LIST command
         C: LIST COUNTS
         S: 503 Unsupported LIST command
         C: LIST NOTHING
         S: 501 Unrecognized LIST command
         C: LISTGROUP comp.test 1-5
         S: 211 1 1 1 comp.test list follows
         S: 1
         S: .
         C: LISTGROUP comp.test 2-
         S: 211 1 1 1 comp.test list follows
         S: .
         C: GROUP comp.closed
         S: 411 No such newsgroup (Permission denied)
         C: NEWGROUPS 19700101 000000 GMT
         S: 231 List of new newsgroups follows:
         S: comp.other 0 1 n
         S: comp.test 1 1 y
         S: .
         C: NEWGROUPS 20991231 000000 GMT
         S: 231 List of new newsgroups follows:
         S: .
         C: NEWNEWS * 19700101 000000
         S: 502 NEWNEWS is disabled (allownewnews)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_shown_by_number_by_range_and_by_message_id() {
    let node = start("allownewnews: yes").await;
    let mut fred = reader(&node).await;
    fred.talk("C: OVER\nS: 412 No newsgroup selected\nC: ARTICLE\nS: 412 No newsgroup selected").await;
    fred.talk(
        "C: GROUP comp.test\nS: 211 0 1 0 comp.test\nC: STAT\nS: 420 Current article number is invalid",
    )
    .await;
    for id in ["1", "2", "3"] {
        post(&mut fred, "comp.test", id).await;
    }
    fred.talk(
        "C: GROUP comp.test
         S: 211 3 1 3 comp.test
         C: HDR :bytes 1-3
         S: 225 Headers follow:
         S: 1 1…
         S: 2 1…
         S: 3 1…
         S: .
         C: XHDR subject 2-
         S: 221 Headers follow:
         S: 2 about 2
         S: 3 about 3
         S: .
         C: HDR Subject <3@example.org>
         S: 225 Headers follow:
         S: 3 about 3
         S: .
         C: HDR :lines
         S: 225 Headers follow:
         S: 1 2
         S: .
         C: HDR :nothing 1
         S: 503 Unknown metadata item
         C: XPAT Subject 1- *3 *x
         S: 221 Headers follow:
         S: 3 about 3
         S: .
         C: OVER 9
         S: 423 No such article in this newsgroup
         C: OVER 3-2
         S: 423 No such article in this newsgroup
         C: NEXT
         S: 223 2 <2@example.org>
         C: LAST
         S: 223 1 <1@example.org>
         C: CAPABILITIES
         S: 101 Capability list follows:
         S: VERSION 2
         S: IMPLEMENTATION Murder NNTP …
         S: COMPRESS DEFLATE
         S: IHAVE
         S: STREAMING
         S: READER
         S: POST
         S: NEWNEWS
         S: HDR
         S: OVER MSGID
         S: XPAT
         S: LIST ACTIVE HEADERS NEWSGROUPS OVERVIEW.FMT
         S: .
         C: LIST OVERVIEW.FMT
         S: 215 Order of overview fields follows:
         S: …
         S: :bytes
         S: :lines
         S: Xref:full
         S: .
         C: NEWNEWS comp.* 20260101 000000 GMT
         S: 230 List of new articles follows:
         S: <1@example.org>
         S: <2@example.org>
         S: <3@example.org>
         S: .
         C: NEWNEWS alt.* 20260101 000000 GMT
         S: 230 List of new articles follows:
         S: .
         C: NEWNEWS * 20991231 000000 GMT
         S: 230 List of new articles follows:
         S: .",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_offers_articles_and_what_is_known_is_not_wanted() {
    let node = start("").await;
    let mut peer = reader(&node).await;
    let article = "Path: peer!x\r\nFrom: f@x\r\nNewsgroups: comp.test\r\nSubject: s\r\nDate: d\r\n";
    peer.talk("C: IHAVE <1@x>\nS: 335 Send article").await;
    peer.send(format!("{article}Message-ID: <1@x>\r\n\r\nbody\r\n.\r\n").as_bytes()).await;
    peer.talk(
        "S: 235 Article transferred ok
         C: IHAVE <1@x>
         S: 435 Article not wanted
         C: MODE STREAM
         S: 203 Streaming allowed
         C: CHECK <1@x>
         S: 438 <1@x> Article not wanted
         C: CHECK <2@x>
         S: 238 <2@x> Send article
         C: CHECK nonsense
         S: 438 nonsense Article not wanted",
    )
    .await;
    // A stream: two that come, one that is there, one whose name is another's, one for a group that is not here.
    let other = article.replace("comp.test", "no.such");
    for (id, header, own) in [
        ("<2@x>", article, "<2@x>"),
        ("<1@x>", article, "<1@x>"),
        ("<3@x>", article, "<4@x>"),
        ("<5@x>", &*other, "<5@x>"),
    ] {
        peer.send(format!("TAKETHIS {id}\r\n{header}Message-ID: {own}\r\n\r\n..\r\n.\r\n").as_bytes()).await;
    }
    peer.talk(
        "S: 239 <2@x> Article transferred ok
         S: 439 <1@x> Transfer rejected
         S: 439 <3@x> Transfer rejected
         S: 439 <5@x> Transfer rejected
         C: IHAVE <6@x>
         S: 335 Send article",
    )
    .await;
    peer.send(
        format!("{}Message-ID: <6@x>\r\n\r\nbody\r\n.\r\n", article.replace("test", "closed")).as_bytes(),
    )
    .await;
    peer.talk("S: 437 Transfer rejected: do not retry (Permission denied)\nC: GROUP comp.test\nS: 211 2 1 2 comp.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_asked_to_log_in_unless_anybody_may_read() {
    let node = start("").await;
    let mut stranger = node.client("nntp").await;
    stranger
        .talk(
            "S: 200 be1 …
             C: GROUP comp.test
             S: 480 Authentication required
             C: TAKETHIS <1@x>
             C: From: x
             C:
             C: QUIT
             C: .
             S: 480 Authentication required
             C: AUTHINFO USER fred
             S: 381 Give AUTHINFO PASS command
             C: AUTHINFO PASS wrong
             S: 481 Invalid login
             C: AUTHINFO SASL PLAIN
             S: 383 =
             C: *
             S: 481 Authentication cancelled
             C: AUTHINFO SASL PLAIN AGZyZWQAc2VjcmV0
             S: 281 User logged in
             C: AUTHINFO USER fred
             S: 502 Already authenticated
             C: XYZZY
             S: 500 Unrecognized command
             C: SLAVE
             S: 202 Slave status noted",
        )
        .await;
    let node = start("allowanonymouslogin: yes").await;
    let mut anybody = node.client("nntp").await;
    anybody
        .talk(
            "S: 200 be1 …
             C: GROUP comp.test
             S: 211 0 1 0 comp.test
             C: GROUP comp.closed
             S: 411 No such newsgroup (Permission denied)",
        )
        .await;
    post(&mut anybody, "comp.test", "1").await;
    // authzid anonymous, authcid proxy: a frontend
    let mut proxy = node.client("nntp").await;
    proxy
        .talk(
            "S: 200 be1 …
             C: AUTHINFO SASL PLAIN YW5vbnltb3VzAHByb3h5AHNlY3JldA==
             S: 281 User logged in
             C: GROUP comp.test
             S: 211 1 1 1 comp.test
             C: HEAD
             S: 221 1 <1@example.org>
             S: Path: be1!anonymous
             S: …
             S: .",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_for_readers_or_for_feeders_serve_no_others() {
    let node = start("").await;
    let mut reader = node.client("nntpr").await;
    reader.talk("S: 200 …\nC: AUTHINFO SASL PLAIN AGZyZWQAc2VjcmV0\nS: 281 …\nC: IHAVE <1@x>\nS: 502 Permission denied").await;
    let mut feeder = node.client("nntpf").await;
    feeder.talk("S: 201 be1 … posting prohibited\nC: AUTHINFO SASL PLAIN AGZyZWQAc2VjcmV0\nS: 281 …").await;
    feeder
        .talk("C: GROUP comp.test\nS: 502 Permission denied\nC: CHECK <1@x>\nS: 238 <1@x> Send article")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_below_a_prefix_and_mail_addresses_join_articles() {
    let lines = "newsprefix: comp\nnewsgroups: *,!other\nnewspostuser: post\nnewsaddheaders: to replyto";
    let node = start(lines).await;
    let mut fred = reader(&node).await;
    post(&mut fred, "test", "1").await;
    fred.talk(
        "C: GROUP other
         S: 411 No such newsgroup (Mailbox does not exist)
         C: GROUP comp.test
         S: 411 No such newsgroup (Mailbox does not exist)
         C: GROUP test
         S: 211 1 1 1 test
         C: HEAD
         S: 221 1 <1@example.org>
         S: …
         S: To: post+test@be1
         S: Reply-To: Fred <fred@example.org>,
         S: \tpost+test@be1
         S: Xref: be1 test:1
         S: .",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_that_came_by_mail_or_imap_is_found_by_its_message_id() {
    let node = start("").await;
    let mut admin = node.login("cyrus").await;
    admin
        .append(
            "comp/test",
            "From: \"A\" <a@x> (c)\nMessage-ID: <mail@x>\nSubject: one\n two\nReferences: <r@x>\n\nHello.\n",
        )
        .await;
    let mut fred = reader(&node).await;
    fred.talk(
        "C: OVER <mail@x>
         S: 224 Overview information follows:
         S: 0\tone two\t\"A\" <a@x> (c)\t\t<mail@x>\t<r@x>\t…\t1\tXref: be1 comp.test:1
         S: .
         C: IHAVE <mail@x>
         S: 435 Article not wanted",
    )
    .await;
    admin.talk("C: s SELECT comp/test\nS: …\nS: s OK …\nC: s STORE 1 +FLAGS (\\Deleted)\nS: …\nS: s OK …\nC: s EXPUNGE\nS: …\nS: s OK …").await;
    fred.talk("C: STAT <mail@x>\nS: 430 No article found with that message-id").await;
    admin.talk("C: r RENAME comp/other comp/new\nS: …\nS: r OK …").await;
    post(&mut fred, "comp.new", "2").await;
    fred.talk("C: STAT <2@example.org>\nS: 223 0 <2@example.org>").await;
    admin.talk("C: r RENAME comp/new comp/newer\nS: …\nS: r OK …").await;
    fred.talk("C: HEAD <2@example.org>\nS: 221 0 <2@example.org>\nS: …\nS: Xref: be1 comp.newer:1\nS: .")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_articles_are_known_and_not_taken_twice() {
    let mut node = start("").await;
    post(&mut reader(&node).await, "comp.test,comp.other", "1").await;
    node.restart("").await;
    let mut fred = reader(&node).await;
    fred.talk("C: IHAVE <1@example.org>\nS: 435 Article not wanted\nC: STAT <1@example.org>\nS: 223 0 <1@example.org>").await;
    post(&mut fred, "comp.test,comp.other", "1").await;
    fred.talk("C: GROUP comp.other\nS: 211 1 1 1 comp.other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expire_annotation_of_a_group_ends_its_articles() {
    let mut node = start("").await;
    let mut admin = node.login("cyrus").await;
    let annotation = "/shared/vendor/cmu/cyrus-imapd/expire";
    admin.talk(&format!("C: a SETMETADATA comp/test ({annotation} \"1\")\nS: a OK …")).await;
    let old = "From: a@x\r\nNewsgroups: comp.test\r\nMessage-ID: <old@x>\r\nSubject: s\r\n\r\nx\r\n";
    let date = "\" 1-Jan-2020 10:00:00 +0000\"";
    admin.send(format!("a APPEND comp/test {date} {{{}+}}\r\n{old}\r\n", old.len()).as_bytes()).await;
    admin.expect("a OK [APPENDUID …] Completed").await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.test", "new").await;
    fred.talk("C: STAT <old@x>\nS: 223 0 <old@x>").await;
    node.restart_after("", async |dir| {
        let imapd = config::imapd::Imapd::load(&dir.join("imapd.conf"), "backend").unwrap();
        let store = Store::open(&imapd, service::names::namespace(&imapd), None).await.unwrap();
        let ages = store::Ages { delivered: Some(3 * 86_400), ..store::Ages::default() };
        let expired = store.expire(&ages).await.unwrap();
        assert_eq!((expired.expired, expired.articles), (1, 1));
        store.close().await;
    })
    .await;
    let mut fred = reader(&node).await;
    fred.talk("C: STAT <old@x>\nS: 430 …\nC: GROUP comp.test\nS: 211 1 2 2 comp.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_commands_are_answered_in_their_order() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.test", "1").await;
    fred.send(b"GROUP comp.test\r\nSTAT\r\nDATE\r\nOVER 1\r\nLISTGROUP\r\nXYZZY\r\nQUIT\r\n").await;
    fred.talk(
        "S: 211 1 1 1 comp.test
         S: 223 1 <1@example.org>
         S: 111 20…
         S: 224 …
         S: …
         S: .
         S: 211 1 1 1 comp.test list follows
         S: 1
         S: .
         S: 500 Unrecognized command
         S: 205 Connection closing
         S: <end>",
    )
    .await;
}
