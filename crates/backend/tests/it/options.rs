//! Options of imapd.conf do what the manual says, and a reload takes them over for the sessions that follow.

use crate::node::{Client, Node};

/// A client of the IMAP listener that plays a transcript after its greeting.
async fn imap(node: &Node, user: &str, transcript: &str) {
    let mut client = node.client("imap").await;
    client.line().await;
    client.talk(&format!("C: l LOGIN {user} secret\nS: …\nS: l OK …\n{transcript}")).await;
}

/// An LMTP client past LHLO.
async fn lmtp(node: &Node) -> Client {
    let mut client = node.client("lmtp").await;
    client.talk("C: LHLO mx.example.org\nS: …\nS: 250 Ok SESSIONID=<…>").await;
    client
}

/// Delivers a message and gives the last reply.
async fn deliver(node: &Node, to: &str, message: &[u8]) -> String {
    let mut client = lmtp(node).await;
    client.talk(&format!("C: MAIL FROM:<ann@example.org>\nS: 250 …\nC: RCPT TO:<{to}>")).await;
    let reply = client.line().await;
    if !reply.starts_with("250") {
        return reply;
    }
    client.talk("C: DATA\nS: 354 go ahead").await;
    client.send(message).await;
    client.send(b"\r\n.\r\n").await;
    client.line().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_tells_of_itself_is_chosen() {
    let node = Node::with("").await;
    for (option, greeting) in [
        ("on", "* OK [CAPABILITY …] be1 Murder IMAP …"),
        ("min", "* OK [CAPABILITY …] be1 Murder IMAP server ready"),
        ("off", "* OK [CAPABILITY …] IMAP server ready"),
    ] {
        node.reload(&format!("serverinfo: {option}")).await;
        node.client("imap").await.expect(greeting).await;
    }
    node.reload("imapidresponse: no\nsuppress_capabilities: ID IDLE\nliteralminus: yes\nplaintextloginalert: Use TLS\nallowsetacl: no").await;
    imap(
        &node,
        "fred",
        "C: a ID NIL
         S: * ID NIL
         S: a OK …
         C: b SETACL INBOX wilma lr
         S: b NO …",
    )
    .await;
    let mut client = node.client("imap").await;
    let greeting = client.line().await;
    assert!(
        greeting.contains("LITERAL-") && !greeting.contains(" ID ") && !greeting.contains("LITERAL+"),
        "{greeting}"
    );
    client.talk("C: l LOGIN fred secret\nS: * OK [ALERT] Use TLS\nS: l OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_shown_as_configured() {
    let node = Node::with("userprefix: Users\nsharedprefix: Shared\ndeletedprefix: GONE").await;
    imap(
        &node,
        "cyrus",
        "C: a CREATE news
         S: a OK …
         C: b SETACL user/wilma fred lr
         S: b OK …
         C: c CREATE user/wilma/old
         S: c OK …
         C: d DELETE user/wilma/old
         S: d OK …
         C: e LIST \"\" GONE/*
         S: * LIST (…) \"/\" GONE/user/wilma/old/…
         S: e OK …",
    )
    .await;
    let see = "C: a LIST \"\" *
         S: …
         S: * LIST (…) \"/\" Users/wilma
         S: …
         S: a OK …
         C: b LIST \"\" Shared/*
         S: * LIST (…) \"/\" Shared/news
         S: b OK …";
    imap(&node, "fred", see).await;
    node.reload(
        "userprefix: Users\nsharedprefix: Shared\ndisable_user_namespace: yes\ndisable_shared_namespace: yes",
    )
    .await;
    imap(&node, "fred", "C: a LIST \"\" Users/*\nS: a OK …\nC: b LIST \"\" Shared/*\nS: b OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_folders_follow_the_options_of_the_moment() {
    let node = Node::with("").await;
    imap(&node, "cyrus", "C: a CREATE one\nS: a OK …\nC: b GETACL one\nS: * ACL one anyone lrs\nS: b OK …")
        .await;
    imap(&node, "fred", "C: a SETACL INBOX anyone lr\nS: a OK …\nC: b SUBSCRIBE nowhere\nS: b NO …").await;
    node.reload("defaultacl: anyone lrsp\nanyoneuseracl: no\nallowallsubscribe: yes\ndelete_mode: immediate")
        .await;
    imap(
        &node,
        "cyrus",
        "C: a CREATE two
         S: a OK …
         C: b GETACL two
         S: * ACL two anyone lrsp
         S: b OK …
         C: c DELETE two
         S: c OK …
         C: d LIST \"\" DELETED/*
         S: d OK …
         C: e RENAME user/wilma user/betty
         S: e NO …",
    )
    .await;
    imap(
        &node,
        "fred",
        "C: a SETACL INBOX anyone lrs
         S: a NO …
         C: b SUBSCRIBE nowhere
         S: b OK …
         C: c CREATE Sent (USE (\\Sent))
         S: c OK …
         C: d DELETE Sent
         S: d NO …
         C: e CREATE Odd (USE (\\Odd))
         S: e NO …
         C: f LIST \"\" Sent
         S: * LIST (…\\Sent) \"/\" Sent
         S: f OK …",
    )
    .await;
    node.reload("allowusermoves: yes\nspecialuse_protect: \\Trash\nspecialuse_extra: \\Odd\nspecialusealways: no\nimplicit_owner_rights: lka").await;
    imap(
        &node,
        "fred",
        "C: a LIST \"\" Sent
         S: * LIST (\\HasNoChildren) \"/\" Sent
         S: a OK …
         C: b LIST \"\" Sent RETURN (SPECIAL-USE)
         S: * LIST (…\\Sent) \"/\" Sent
         S: b OK …
         C: c DELETE Sent
         S: c OK …
         C: d CREATE Odd (USE (\\Odd))
         S: d OK …
         C: e LISTRIGHTS INBOX fred
         S: * LISTRIGHTS INBOX fred lkca …
         S: e OK …",
    )
    .await;
    imap(&node, "cyrus", "C: a RENAME user/wilma user/betty\nS: …\nS: a OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_quota_is_told_as_configured() {
    let node = Node::with("quotawarnpercent: 50").await;
    imap(&node, "cyrus", "C: a SETQUOTA user/fred (MESSAGE 4)\nS: * QUOTA …\nS: a OK …").await;
    let mut fred = node.login("fred").await;
    for subject in ["one", "two", "three"] {
        fred.append("INBOX", &format!("Subject: {subject}\n\nx\n")).await;
    }
    imap(
        &node,
        "fred",
        "C: a SELECT INBOX\nS: …\nS: * NO [ALERT] Mailbox is at 75% of MESSAGE quota\nS: …\nS: a OK …",
    )
    .await;
    // Only when fewer are left than this.
    let node = Node::with("quotawarnpercent: 50\nquotawarnmsg: 1").await;
    imap(&node, "cyrus", "C: a SETQUOTA user/fred (MESSAGE 4)\nS: * QUOTA …\nS: a OK …").await;
    let mut fred = node.login("fred").await;
    for subject in ["one", "two", "three"] {
        fred.append("INBOX", &format!("Subject: {subject}\n\nx\n")).await;
    }
    fred.send(b"a SELECT INBOX\r\n").await;
    loop {
        let line = fred.line().await;
        assert!(!line.contains("ALERT"), "{line}");
        if line.starts_with("a OK") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_gets_what_is_configured() {
    let node = Node::with("").await;
    for user in ["new", "newer"] {
        node.context.passwords().set(user, "secret").unwrap();
    }
    imap(&node, "cyrus", "C: a CREATE news\nS: a OK …\nC: b CREATE talk\nS: b OK …").await;
    let lines = "autocreate_quota: 2M\nautocreate_quota_messages: 500\nautocreate_inbox_folders: Sent|Work\n\
                 autocreate_subscribe_folders: Sent\nautocreate_subscribe_sharedfolders_all: yes\nautocreate_acl: Work wilma lrs\n\
                 autocreate_users: new";
    node.reload(lines).await;
    imap(
        &node,
        "new",
        "C: a LSUB \"\" *
         S: * LSUB () \"/\" INBOX
         S: * LSUB () \"/\" Sent
         S: * LSUB () \"/\" \"Shared Folders/news\"
         S: * LSUB () \"/\" \"Shared Folders/talk\"
         S: a OK …
         C: b GETQUOTAROOT INBOX
         S: …
         S: * QUOTA INBOX (STORAGE 0 2048 MESSAGE 0 500)
         S: b OK …
         C: c GETACL Work
         S: * ACL Work new lrswipkxtecdan wilma lrs
         S: c OK …",
    )
    .await;
    imap(&node, "newer", "C: a SELECT INBOX\nS: …\nS: a NO …").await;
    assert!(deliver(&node, "newer", b"Subject: x\r\n\r\n").await.starts_with("550"));
    node.reload("autocreate_quota: 0\nautocreate_post: yes\nautocreate_users: anyone").await;
    assert!(deliver(&node, "newer", b"Subject: x\r\n\r\n").await.starts_with("250"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_logs_in_as_itself_gets_no_inbox() {
    let node = Node::with("autocreate_quota: 0").await;
    for user in ["proxy", "new"] {
        node.context.passwords().set(user, "secret").unwrap();
    }
    imap(&node, "proxy", "C: a SELECT INBOX\nS: …\nS: a NO …").await;
    imap(&node, "new", "C: a SELECT INBOX\nS: …\nS: a OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_sees_what_anybody_may_and_gets_no_inbox() {
    let node = Node::with("").await;
    imap(&node, "cyrus", "C: a CREATE news\nS: a OK …").await;
    imap(&node, "fred", "C: a CREATE Drafts\nS: a OK …").await;
    let mut client = node.connect().await;
    client.talk("C: a LOGIN anonymous me@example.org\nS: a NO …").await;
    node.reload("allowanonymouslogin: yes\nautocreate_quota: 0\nfoolstupidclients: yes\naltnamespace: yes")
        .await;
    let mut client = node.connect().await;
    client
        .talk(
            "C: a LOGIN anonymous me@example.org
             S: a OK …
             C: b LIST \"\" %/%
             S: * LIST (…) \"/\" \"Shared Folders/news\"
             S: b OK …
             C: c SELECT INBOX
             S: …
             S: c NO …
             C: d SELECT \"Shared Folders/news\"
             S: …
             S: d OK …
             C: e CREATE user/anonymous
             S: e NO …",
        )
        .await;
    // Who asks for everything gets what is below INBOX.
    imap(&node, "fred", "C: a LIST \"\" *\nS: * LIST (…) \"/\" INBOX\nS: a OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_literals_have_their_limits() {
    let node = Node::with("maxword: 100\nmaxquoted: 50\nmaxliteral: 200").await;
    let long = "x".repeat(150);
    imap(
        &node,
        "fred",
        &format!(
            "C: a STATUS {long} (MESSAGES)
             S: a BAD …
             C: b STATUS \"{}\" (MESSAGES)
             S: b BAD …
             C: c STATUS {{201}}
             S: c BAD …
             C: d STATUS {{5}}
             S: + …
             C: INBOX (MESSAGES)
             S: * STATUS INBOX (MESSAGES 0)
             S: d OK …",
            &long[..60]
        ),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_user_and_of_a_host_are_counted() {
    let node = Node::with("maxlogins_per_user: 1\nimapmagicplus: yes").await;
    let _first = node.login("fred").await;
    let mut second = node.client("imap").await;
    second.line().await;
    second.talk("C: l LOGIN fred secret\nS: l NO [LIMIT] Too many open connections…").await;
    second.talk("C: m LOGIN wilma+ secret\nS: m OK …").await;
    let node = Node::with("").await;
    node.reload("maxlogins_per_host: 1").await;
    // Sessions that are just ending still count for a moment.
    let mut first = node.connect().await;
    first.send(b"l LOGIN fred secret\r\n").await;
    while !first.line().await.starts_with("l OK") {
        first = node.connect().await;
        first.send(b"l LOGIN fred secret\r\n").await;
    }
    node.connect().await.talk("C: l LOGIN wilma secret\nS: l NO [LIMIT] Too many open connections…").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_user_has_every_process_of_a_murder_hold_is_bounded() {
    let node = Node::with("maxmailboxes_per_user: 5\nallowallsubscribe: yes").await;
    let mut fred = node.login("fred").await;
    fred.talk(
        "C: a CREATE a\nS: a OK…\n\
         C: b CREATE b/c\nS: b OK…\n\
         C: c DELETE a\nS: c OK…\n\
         C: d CREATE d\nS: d OK…\n\
         C: e CREATE e\nS: e NO [LIMIT] Too many mailboxes\n\
         C: f CREATE b/f/g\nS: f NO [LIMIT] Too many mailboxes\n\
         C: g RENAME d b/d\nS: …\nS: g OK…",
    )
    .await;
    let mut cyrus = node.login("cyrus").await;
    cyrus.talk("C: a CREATE user/fred/more\nS: a OK…").await;
    for n in 0..5 {
        fred.talk(&format!("C: s{n} SUBSCRIBE any{n}\nS: s{n} OK…")).await;
    }
    fred.talk(
        "C: h SUBSCRIBE any5\nS: h NO [LIMIT] Too many subscriptions\n\
         C: i SUBSCRIBE any4\nS: i OK…\n\
         C: j UNSUBSCRIBE any4\nS: j OK…\n\
         C: k SUBSCRIBE any5\nS: k OK…",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_control_list_names_users_and_is_no_longer_than_some_kilobytes() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let long = "x".repeat(300);
    fred.talk(&format!(
        "C: a SETACL INBOX {long} lr\nS: a NO [LIMIT] Identifier is too long\n\
         C: b SETACL INBOX a^b lr\nS: b NO [CANNOT] Invalid identifier\n\
         C: c SETACL INBOX group:staff lr\nS: c OK…\n\
         C: d SETACL INBOX -jane lr\nS: d OK…"
    ))
    .await;
    let mut refused = None;
    for n in 0..100 {
        fred.send(format!("e{n} SETACL INBOX {}{n} lr\r\n", "u".repeat(200)).as_bytes()).await;
        let said = fred.line().await;
        if !said.contains(" OK ") {
            refused = Some((n, said));
            break;
        }
    }
    let (n, said) = refused.unwrap();
    assert!((35..45).contains(&n), "{n}");
    assert_eq!(said, format!("e{n} NO [LIMIT] Access control list is too long"));
    fred.talk(&format!("C: f DELETEACL INBOX {}0\nS: f OK…", "u".repeat(200))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_follows_its_options() {
    let node = Node::with("popexpiretime: 14d\npopuseimapflags: yes").await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", "Subject: one\n\nx\n").await;
    let mut pop3 = node.client("pop3").await;
    pop3.talk(
        "S: +OK …
         C: CAPA
         S: …
         S: EXPIRE 14
         S: …
         S: .
         C: USER fred
         S: +OK …
         C: PASS secret
         S: +OK …
         C: RETR 1
         S: …
         S: .
         C: QUIT
         S: +OK …",
    )
    .await;
    imap(
        &node,
        "fred",
        "C: a SELECT INBOX\nS: …\nS: a OK …\nC: b FETCH 1 FLAGS\nS: * 1 FETCH (FLAGS (…\\Seen…))\nS: b OK …",
    )
    .await;
    node.reload("popminpoll: 5\npoppollpadding: 1").await;
    let login = "S: +OK …\nC: USER wilma\nS: +OK …\nC: PASS secret\nS: ";
    let mut first = node.client("pop3").await;
    first.talk(&format!("{login}+OK …\nC: QUIT\nS: +OK …")).await;
    node.client("pop3").await.talk(&format!("{login}-ERR [LOGIN-DELAY] …")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_follow_their_options() {
    let mail: &[u8] = b"Subject: x\r\n\r\nHello.\r\n";
    let node = Node::with("").await;
    imap(&node, "fred", "C: a CREATE Lists\nS: a OK …\nC: b SETACL Lists anyone p\nS: b OK …").await;
    assert!(deliver(&node, "FRED", mail).await.starts_with("250"));
    assert!(deliver(&node, "nobody@example.org", mail).await.starts_with("550"));
    let mut strict = lmtp(&node).await;
    strict.talk("C: MAIL FROM:<ann@example.org>\nS: 250 …\nC: RCPT TO:<wilma+Gr\u{fc}n>\nS: 5…").await;
    // Where 8-bit characters in a header go.
    let odd: &[u8] = b"Message-ID: <odd@x>\r\nSubject: gr\xfc\xdfe\r\n\r\nx\r\n";
    assert!(deliver(&node, "fred", odd).await.starts_with("250"));
    imap(
        &node,
        "fred",
        "C: a SELECT INBOX\nS: …\nS: a OK …\nC: b SEARCH SUBJECT grXXe\nS: * SEARCH 2\nS: b OK …",
    )
    .await;
    node.reload("reject8bit: yes\nlmtp_downcase_rcpt: no\nlmtp_catchall_mailbox: wilma\nlmtp_fuzzy_mailbox_match: yes\nlmtp_strict_rfc2821: no").await;
    let reply = deliver(&node, "fred", odd).await;
    assert!(reply.starts_with("554"), "{reply}");
    assert!(deliver(&node, "nobody@example.org", b"Message-ID: <c@x>\r\n\r\n").await.starts_with("250"));
    assert!(deliver(&node, "fred+lists", b"Message-ID: <f@x>\r\n\r\n").await.starts_with("250"));
    let mut lax = lmtp(&node).await;
    lax.talk("C: MAIL FROM:<ann@example.org>\nS: 250 …\nC: RCPT TO:<wilma+Gr\u{fc}n>\nS: 250 …").await;
    imap(&node, "fred", "C: a STATUS Lists (MESSAGES)\nS: * STATUS Lists (MESSAGES 1)\nS: a OK …").await;
    imap(&node, "wilma", "C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 1)\nS: a OK …").await;
    // Quota: temporary unless told otherwise, and with the message counted in only when strict.
    imap(&node, "cyrus", "C: a SETQUOTA user/fred (STORAGE 2)\nS: * QUOTA …\nS: a OK …").await;
    let large = [b"Message-ID: <l@x>\r\n\r\n".as_slice(), &[b'y'; 5000]].concat();
    node.reload("lmtp_strict_quota: yes").await;
    let mut sized = lmtp(&node).await;
    sized.talk("C: MAIL FROM:<a@x> SIZE=5000\nS: 250 …\nC: RCPT TO:<fred>\nS: 452 …").await;
    node.reload("lmtp_over_quota_perm_failure: yes").await;
    assert!(deliver(&node, "fred", &large).await.starts_with("250"));
    let reply = deliver(&node, "fred", b"Message-ID: <n@x>\r\n\r\n").await;
    assert!(reply.starts_with("552"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_on_the_same_partition_is_refused() {
    let node = Node::with("").await;
    let dir = tempfile::tempdir().unwrap();
    let spool = node.dir.path().join("spool");
    let text = format!(
        "configdirectory: {}\nservername: be2\npartition-default: {}\n",
        dir.path().display(),
        spool.display()
    );
    let imapd = config::imapd::Imapd::parse(std::path::Path::new("imapd.conf"), &text, "backend").unwrap();
    let context = service::Context::new("backend", imapd, Vec::new()).unwrap();
    let refused = backend::daemon::run(context).await.unwrap_err();
    assert_eq!(refused.code, 75);
    assert_eq!(
        refused.message,
        format!(
            "partition-default: {} is in use by another store: each needs its own; or a tool works on it",
            spool.display()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_into_another_partitions_messages_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().display();
    std::fs::create_dir_all(dir.path().join("spool/7f")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("spool/7f"), dir.path().join("news")).unwrap();
    let text = format!(
        "configdirectory: {root}/conf\nservername: be\npartition-default: {root}/spool\npartition-news: {root}/news\n"
    );
    let imapd = config::imapd::Imapd::parse(std::path::Path::new("imapd.conf"), &text, "backend").unwrap();
    let context = service::Context::new("backend", imapd, Vec::new()).unwrap();
    let refused = backend::daemon::run(context).await.unwrap_err();
    assert_eq!(refused.code, 78);
    assert!(
        refused.message.contains("lies in the message directories of partition-default"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn who_says_nothing_for_as_long_as_poptimeout_is_sent_away() {
    for minutes in [11, 25] {
        let node = Node::with(&format!("poptimeout: {minutes}")).await;
        let mut client = node.client("pop3").await;
        client.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret\nS: +OK …").await;
        // From here on time goes as fast as nothing happens.
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        assert_eq!(client.last_words().await, "-ERR Idle for too long");
        assert_eq!(before.elapsed().as_secs() / 60, minutes);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn an_idle_ends_after_imapidletimeout_and_where_that_is_not_set_after_timeout() {
    for (lines, minutes) in
        [("imapidletimeout: 3", 3), ("timeout: 40", 40), ("timeout: 40\nimapidletimeout: 50", 50)]
    {
        let node = Node::with(lines).await;
        let mut client = node.login("fred").await;
        client.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b IDLE\nS: + idling").await;
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        assert_eq!(client.last_words().await, "* BYE [UNAVAILABLE] Idle for too long");
        assert_eq!(before.elapsed().as_secs() / 60, minutes, "{lines}");
        tokio::time::resume();
    }
}
