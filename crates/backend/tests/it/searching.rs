//! SEARCH and what grew out of it, as transcripts.

use crate::node::{Client, Node};

fn mail(id: u32, subject: &str, from: &str, more: &str) -> String {
    format!(
        "From: {from}\nTo: fred@example.org\nSubject: {subject}\nDate: Mon, {id} Nov 2026 12:00:00 +0000\n\
         Message-ID: <{id}@example.org>\n{more}\nText of {id}.\n"
    )
}

/// Fred, with five messages in his INBOX, which is open.
async fn five(node: &Node) -> Client {
    let mut fred = node.login("fred").await;
    for (id, subject, from, more) in [
        (3, "Lunch", "Zoe <adam@example.org>", ""),
        (1, "Re: lunch", "=?utf-8?q?=C3=84nne?= <zoe@example.org>", "In-Reply-To: <3@example.org>\n"),
        (2, "Dinner", "bob@example.org", ""),
        (5, "Fwd: Dinner", "Group: carl@example.org;", "References: <2@example.org>\n"),
        (4, "[list] Caf\u{e9}", "bob@example.org", ""),
    ] {
        fred.append("INBOX", &mail(id, subject, from, more)).await;
    }
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    fred
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_search_saved_is_named_by_a_dollar() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    fred.talk(
        r#"
        C: a UID FETCH $ FLAGS
        S: a OK Completed
        C: b FETCH $ FLAGS
        S: b OK Completed
        C: c STORE 1 +FLAGS.SILENT (\Deleted)
        S: c OK Completed
        C: d EXPUNGE
        S: * 1 EXPUNGE
        S: d OK Completed
        C: e SEARCH RETURN (SAVE) FROM bob
        S: e OK Completed
        C: f FETCH $ (UID)
        S: * 2 FETCH (UID 3)
        S: * 4 FETCH (UID 5)
        S: f OK Completed
        C: g UID SEARCH $ SUBJECT dinner
        S: * SEARCH 3
        S: g OK Completed
        C: h SEARCH RETURN (SAVE COUNT) NOT UID $
        S: * ESEARCH (TAG "h") COUNT 2
        S: h OK Completed
        C: i UID STORE $ +FLAGS (\Flagged)
        S: * 1 FETCH (UID 2 FLAGS (\Recent \Flagged))
        S: * 3 FETCH (UID 4 FLAGS (\Recent \Flagged))
        S: i OK Completed
        C: j STORE $ (UNCHANGEDSINCE 1) +FLAGS (\Seen)
        S: * OK [HIGHESTMODSEQ …] Ok
        S: j OK [MODIFIED 1,3] Conditional STORE failed
        C: k UID STORE $ (UNCHANGEDSINCE 1) +FLAGS (\Seen)
        S: k OK [MODIFIED 2,4] Conditional STORE failed
        C: l SEARCH RETURN (SAVE) CHARSET x-none TEXT x
        S: l NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set
        C: m FETCH $ FLAGS
        S: m OK Completed
        C: n COPY $ INBOX
        S: n OK Completed
        C: o UID SEARCH RETURN (SAVE MIN MAX) ALL
        S: * ESEARCH (TAG "o") UID MIN 2 MAX 5
        S: o OK Completed
        C: p SEARCH RETURN (FOO) ALL
        S: p BAD Invalid Search return option in Search
        C: q STORE $ +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (MODSEQ (…))
        S: * 4 FETCH (MODSEQ (…))
        S: q OK Completed
        C: r UID EXPUNGE $
        S: * 1 EXPUNGE
        S: * 3 EXPUNGE
        S: r OK [HIGHESTMODSEQ …] Completed
        C: s UID SEARCH $
        S: * SEARCH
        S: s OK Completed
        C: t SEARCH RETURN (SAVE) ALL
        S: t OK Completed
        C: u MOVE $ INBOX
        S: * OK [COPYUID … 3:4 6:7] Completed
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: * 2 EXISTS
        S: …
        S: u OK …
        C: v FETCH $ FLAGS
        S: v OK Completed
        C: w SEARCH RETURN (SAVE) ALL
        S: w OK Completed
        C: x SELECT INBOX
        S: …
        S: x OK [READ-WRITE] Completed
        C: y UID SEARCH $
        S: * SEARCH
        S: y OK Completed
        "#,
    )
    .await;
    // One behind the other, as a client pipelines them.
    fred.send(b"z1 SEARCH RETURN (SAVE) SUBJECT fwd\r\nz2 FETCH $ (UID)\r\n").await;
    fred.talk("S: z1 OK Completed\nS: * 2 FETCH (UID 7)\nS: z2 OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expunged_leaves_what_was_saved_when_the_client_hears_of_it() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    let mut other = node.login("fred").await;
    fred.talk("C: a SEARCH RETURN (SAVE) 2:4\nS: a OK Completed").await;
    other
        .talk(
            "C: a SELECT INBOX\nS: …\nS: a OK [READ-WRITE] Completed\nC: b STORE 3 +FLAGS.SILENT (\\Deleted)\nS: b OK \
             Completed\nC: c EXPUNGE\nS: * 3 EXPUNGE\nS: c OK Completed",
        )
        .await;
    fred.talk(
        r#"
        C: b FETCH $ (UID)
        S: * 2 FETCH (UID 2)
        S: * 4 FETCH (UID 4)
        S: b OK Completed
        C: c NOOP
        S: * 3 EXPUNGE
        S: c OK Completed
        C: d FETCH $ (UID)
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 4)
        S: d OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_what_was_found_are_told() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    fred.talk(
        r#"
        C: a UID SEARCH RETURN (PARTIAL -1:-3 COUNT) ALL
        S: * ESEARCH (TAG "a") UID COUNT 5 PARTIAL (-1:-3 3:5)
        S: a OK Completed
        C: b SEARCH RETURN (PARTIAL 3:2 MIN) FROM example
        S: * ESEARCH (TAG "b") MIN 1 PARTIAL (3:2 2:3)
        S: b OK Completed
        C: c SEARCH RETURN (PARTIAL 9:7) ALL
        S: * ESEARCH (TAG "c") PARTIAL (9:7 NIL)
        S: c OK Completed
        C: d SEARCH RETURN (PARTIAL 1:2 ALL) ALL
        S: d BAD Invalid Search return option in Search
        C: e UID FETCH 2:* (UID) (PARTIAL -1:-2)
        S: * 4 FETCH (UID 4)
        S: * 5 FETCH (UID 5)
        S: e OK Completed
        C: f UID FETCH 1:* (UID) (PARTIAL 2:2)
        S: * 2 FETCH (UID 2)
        S: f OK Completed
        C: g UID FETCH 1:* (UID) (PARTIAL 7:8)
        S: g OK Completed
        C: h FETCH 1:* (UID) (PARTIAL 1:2)
        S: h BAD Invalid modifier in Fetch
        C: i SEARCH RETURN (MIN MAX COUNT ALL) TEXT nothing
        S: * ESEARCH (TAG "i") COUNT 0
        S: i OK Completed
        C: j UID SEARCH RETURN (MAX) MODSEQ 1
        S: * OK [HIGHESTMODSEQ …] Ok
        S: * ESEARCH (TAG "j") UID MAX 5 MODSEQ …
        S: j OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_field_that_stands_twice_the_last_one_is_searched_as_cyrus_does() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let field = |name: &str| format!("{name}: alpha <alpha@x>\n{name}: omega <omega@x>\n");
    let fields: String =
        ["From", "To", "Cc", "Bcc", "Subject", "Message-ID", "In-Reply-To", "X-Mark"].map(field).concat();
    // The second is too long for the cache, and its header is read.
    for more in [String::new(), format!("Cc: {}omega@x\n", "a@b, ".repeat(1000))] {
        fred.append("INBOX", &format!("{fields}{more}\nText.\n")).await;
    }
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    for name in ["FROM", "TO", "CC", "BCC", "SUBJECT", "HEADER Subject", "HEADER to", "HEADER Message-ID"] {
        fred.talk(&format!("C: a SEARCH {name} alpha\nS: * SEARCH\nS: a OK Completed")).await;
        fred.talk(&format!("C: a SEARCH {name} omega\nS: * SEARCH 1 2\nS: a OK Completed")).await;
    }
    for name in ["In-Reply-To", "X-Mark"] {
        for word in ["alpha", "omega"] {
            fred.talk(&format!("C: a SEARCH HEADER {name} {word}\nS: * SEARCH 1 2\nS: a OK Completed")).await;
        }
    }
    fred.talk("C: a SEARCH TEXT \"alpha <alpha\"\nS: * SEARCH 1 2\nS: a OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_differs_in_accents_and_a_fuzzy_one_tells_where() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    fred.talk(
        r#"
        C: a SEARCH SUBJECT cafe
        S: * SEARCH 5
        S: a OK Completed
        C: b SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT cafe
        S: * ESEARCH (TAG "b") ALL 5 RELEVANCY (100)
        S: b OK Completed
        C: c SEARCH RETURN (RELEVANCY ALL) OR FUZZY BODY "of 2" FUZZY FROM anne
        S: * ESEARCH (TAG "c") ALL 2:3 RELEVANCY (100 50)
        S: c OK Completed
        C: d SORT (RELEVANCY) UTF-8 OR FUZZY BODY "of 2" FUZZY FROM anne
        S: * SORT 2 3
        S: d OK Completed
        C: e SEARCH RETURN (ALL RELEVANCY) SUBJECT lunch
        S: * ESEARCH (TAG "e") ALL 1:2
        S: e OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_sorted_and_threaded() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    let mut other = node.login("fred").await;
    other.append("INBOX", "From: nobody@example.org\n\nNo date, no subject.\n").await;
    fred.talk(
        r#"
        C: n NOOP
        S: …
        S: n OK Completed
        C: a SORT (DATE) UTF-8 1:5
        S: * SORT 2 3 1 5 4
        S: a OK Completed
        C: b UID SORT (REVERSE DATE) US-ASCII 1:5
        S: * SORT 4 5 1 3 2
        S: b OK Completed
        C: c SORT (SUBJECT REVERSE DATE) UTF-8 ALL
        S: * SORT 6 5 4 3 1 2
        S: c OK Completed
        C: d SORT (FROM) UTF-8 ALL
        S: * SORT 1 3 5 4 6 2
        S: d OK Completed
        C: e SORT (DISPLAYFROM) UTF-8 1:5
        S: * SORT 2 3 5 4 1
        S: e OK Completed
        C: f SORT (REVERSE ARRIVAL) UTF-8 SUBJECT dinner
        S: * SORT …
        S: f OK Completed
        C: g SORT (REVERSE SIZE UID) UTF-8 TEXT nothing
        S: * SORT
        S: g OK Completed
        C: h UID SORT RETURN (ALL MIN MAX COUNT) (DATE) UTF-8 1:5
        S: * ESEARCH (TAG "h") UID COUNT 5 MIN 2 MAX 4 ALL 2:3,1,5,4
        S: h OK Completed
        C: i SORT RETURN (PARTIAL -1:-2 SAVE) (DATE) UTF-8 1:5
        S: * ESEARCH (TAG "i") PARTIAL (-1:-2 5,4)
        S: i OK Completed
        C: j FETCH $ (UID)
        S: * 4 FETCH (UID 4)
        S: * 5 FETCH (UID 5)
        S: j OK Completed
        C: k SORT (DATE) x-none ALL
        S: k NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set
        C: l THREAD REFERENCES UTF-8 1:5
        S: * THREAD (3 4)(1 2)(5)
        S: l OK Completed
        C: m UID THREAD ORDEREDSUBJECT UTF-8 1:5
        S: * THREAD (2 1)(3 4)(5)
        S: m OK Completed
        C: o THREAD REFS UTF-8 1:5
        S: * THREAD (1 2)(3 4)(5)
        S: o OK Completed
        C: p THREAD REFERENCES UTF-8 TEXT nothing
        S: * THREAD
        S: p OK Completed
        C: q SORT (MODSEQ) UTF-8 MODSEQ 1 UID 1:2
        S: * OK [HIGHESTMODSEQ …] Ok
        S: * SORT 1 2 (MODSEQ …)
        S: q OK Completed
        C: r UID SORT (REVERSE UID) UTF-8 1:3
        S: * SORT 3 2 1
        S: r OK Completed
        C: s STORE 1 +FLAGS.SILENT (\Deleted)
        S: …
        S: s OK Completed
        C: t EXPUNGE
        S: …
        S: t OK …
        C: u UID SORT (DATE SUBJECT) UTF-8 UID 1:5
        S: * SORT 2 3 5 4
        S: u OK Completed
        C: v UID THREAD REFERENCES UTF-8 UID 1:5
        S: * THREAD (2)(3 4)(5)
        S: v OK Completed
        "#,
    )
    .await;
    // What comes later is found beside what is known already.
    other.append("INBOX", &mail(2, "Re: Lunch", "a@b", "References: <1@example.org>\n")).await;
    fred.talk("C: w UID THREAD REFERENCES UTF-8 UID 2,7\nS: …\nS: * THREAD (2 7)\nS: …\nS: w OK Completed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_uids_of_a_mailbox_are_told_in_batches() {
    let node = Node::with("uidbatches_min_batch: 2").await;
    let mut fred = five(&node).await;
    fred.talk(
        r#"
        C: a UIDBATCHES 2
        S: * UIDBATCHES (TAG "a") 5:4,3:2,1:1
        S: a OK Completed
        C: b STORE 2,4 +FLAGS.SILENT (\Deleted)
        S: b OK Completed
        C: c EXPUNGE
        S: …
        S: c OK …
        C: d UIDBATCHES 2
        S: * UIDBATCHES (TAG "d") 5:3,2:1
        S: d OK Completed
        C: e UIDBATCHES 2 2:9
        S: * UIDBATCHES (TAG "e") 2:1
        S: e OK Completed
        C: f UIDBATCHES 2 7:9
        S: * UIDBATCHES (TAG "f")
        S: f OK Completed
        C: g UIDBATCHES 1
        S: g NO [TOOFEW] A batch has 2 messages at least
        C: h UIDBATCHES 0
        S: h BAD Invalid range in Uidbatches
        C: i CLOSE
        S: i OK Completed
        C: j UIDBATCHES 500
        S: j BAD Please select a mailbox first
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_mailboxes_are_searched_at_once() {
    let node = Node::start().await;
    let mut fred = five(&node).await;
    fred.talk(
        r#"
        C: a CREATE "z z"
        S: a OK …
        C: b CREATE a/c
        S: b OK …
        C: c CREATE a/c/d
        S: c OK …
        C: d SUBSCRIBE a/c
        S: d OK Completed
        C: e COPY 3:4 a/c
        S: e OK [COPYUID … 3:4 1:2] Completed
        C: f COPY 4 "z z"
        S: f OK [COPYUID … 4 1] Completed
        C: g COPY 1 a/c/d
        S: g OK [COPYUID … 1 1] Completed
        C: h ESEARCH IN (personal) RETURN (ALL COUNT) SUBJECT dinner
        S: * ESEARCH (TAG "h" MAILBOX INBOX UIDVALIDITY …) UID COUNT 2 ALL 3:4
        S: * ESEARCH (TAG "h" MAILBOX a/c UIDVALIDITY …) UID COUNT 2 ALL 1:2
        S: * ESEARCH (TAG "h" MAILBOX "z z" UIDVALIDITY …) UID COUNT 1 ALL 1
        S: h OK Completed
        C: i ESEARCH IN (subtree-one a/c mailboxes (INBOX nowhere INBOX)) SUBJECT lunch
        S: * ESEARCH (TAG "i" MAILBOX INBOX UIDVALIDITY …) UID ALL 1:2
        S: * ESEARCH (TAG "i" MAILBOX a/c/d UIDVALIDITY …) UID ALL 1
        S: i OK Completed
        C: j ESEARCH IN (subscribed) RETURN (MIN PARTIAL -1:-1) ALL
        S: * ESEARCH (TAG "j" MAILBOX a/c UIDVALIDITY …) UID MIN 1 PARTIAL (-1:-1 2)
        S: j OK Completed
        C: k ESEARCH IN (selected) RETURN (SAVE COUNT) FROM bob
        S: * ESEARCH (TAG "k" MAILBOX INBOX UIDVALIDITY …) UID COUNT 2
        S: k OK Completed
        C: l ESEARCH $ SUBJECT dinner
        S: * ESEARCH (TAG "l" MAILBOX INBOX UIDVALIDITY …) UID ALL 3
        S: l OK Completed
        C: m ESEARCH IN (personal) RETURN (COUNT) TEXT nothing
        S: m OK Completed
        C: n ESEARCH IN (personal) RETURN (SAVE) ALL
        S: n BAD Invalid Search return option in Esearch
        C: o ESEARCH IN (personal) CHARSET x-none TEXT x
        S: o NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set
        C: p FETCH 1 (UID)
        S: * 1 FETCH (UID 1)
        S: p OK Completed
        C: q CLOSE
        S: q OK Completed
        C: r ESEARCH ALL
        S: r BAD Please select a mailbox first
        C: s ESEARCH IN (subtree a) RETURN (COUNT) 1
        S: * ESEARCH (TAG "s" MAILBOX a/c UIDVALIDITY …) UID COUNT 1
        S: * ESEARCH (TAG "s" MAILBOX a/c/d UIDVALIDITY …) UID COUNT 1
        S: s OK Completed
        "#,
    )
    .await;
    let mut cyrus = node.login("cyrus").await;
    cyrus.talk("C: a SETACL user/fred/a/c fred l\nS: a OK Completed").await;
    fred.talk(
        r#"
        C: u ESEARCH IN (mailboxes (a/c a/c/d)) RETURN (COUNT) ALL
        S: * ESEARCH (TAG "u" MAILBOX a/c/d UIDVALIDITY …) UID COUNT 1
        S: u OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mailboxes_of_others_are_searched_by_the_name_above_them() {
    for (lines, users, shared) in
        [("", "\"Other Users\"", "\"Shared Folders\""), ("altnamespace: no", "user", "news")]
    {
        let node = Node::with(lines).await;
        let mut admin = node.login("cyrus").await;
        admin
            .talk(
                "C: a CREATE user/wilma/x\nS: a OK …\nC: b SETACL user/wilma/x fred lr\nS: b OK …\n\
                 C: c CREATE news\nS: c OK …\nC: d SETACL news fred lri\nS: d OK …",
            )
            .await;
        let mut wilma = node.login("wilma").await;
        let own = if lines.is_empty() { "x" } else { "INBOX/x" };
        wilma.append(own, &mail(1, "Hers", "zoe@example.org", "")).await;
        let mut fred = five(&node).await;
        let (top, at) = match lines {
            "" => ("\"Other Users/wilma/x\"", "\"Shared Folders/news\""),
            _ => ("user/wilma/x", "news"),
        };
        fred.append(at, &mail(1, "News", "zoe@example.org", "")).await;
        fred.talk(&format!(
            "C: a ESEARCH IN (subtree {users}) ALL\n\
             S: * ESEARCH (TAG \"a\" MAILBOX {top} UIDVALIDITY …) UID ALL 1\n\
             S: a OK Completed\n\
             C: b ESEARCH IN (subtree-one ({users} {shared})) RETURN (COUNT) ALL\n\
             S: * ESEARCH (TAG \"b\" MAILBOX {at} UIDVALIDITY …) UID COUNT 1\n\
             S: b OK Completed\n\
             C: c NOTIFY SET STATUS (subtree {users} (MessageNew MessageExpunge))\n\
             S: * STATUS {top} (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)\n\
             S: c OK Completed"
        ))
        .await;
        wilma.append(own, &mail(2, "More", "zoe@example.org", "")).await;
        // It comes by itself: a command now could be answered first.
        fred.talk(&format!("S: * STATUS {top} (MESSAGES 2 UIDNEXT 3 UIDVALIDITY …)")).await;
        fred.talk("C: d NOOP\nS: d OK Completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_how_far_a_long_search_is() {
    let node = Node::with("search_maxtime: 0\nimap_inprogress_interval: 1").await;
    let mut fred = node.login("fred").await;
    let text = format!("{}\n", "aaaaaaaa".repeat(9)).repeat(30_000);
    fred.append("INBOX", &format!("Subject: large\n\n{text}")).await;
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    let keys: Vec<String> = (0..4900).map(|n| format!("NOT BODY {}b{n}", "a".repeat(20))).collect();
    fred.send(format!("x]y SEARCH {}\r\n", keys.join(" ")).as_bytes()).await;
    fred.expect("* OK [INPROGRESS (NIL 0 1)] Still working").await;
    let mut other = node.login("fred").await;
    other.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    other.send(format!("x SORT (DATE) UTF-8 {}\r\n", keys.join(" ")).as_bytes()).await;
    other.expect("* OK [INPROGRESS (\"x\" 0 1)] Still working").await;
}
