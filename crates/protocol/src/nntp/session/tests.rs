use super::*;

const OPTIONS: Options = Options { reads: true, feeds: true, anonymous: false, tls: Tls::Offered };

/// What a command comes to: a reply's line, or the name of what is to be done.
fn say(session: &mut Session, line: &str) -> String {
    match session.command(Command::parse(line.as_bytes()), true) {
        Action::Reply(reply) | Action::Close(reply) => reply.to_string(),
        Action::Serve(command) => format!("serve {command}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_stranger_may_ask_and_log_in_and_no_more() {
    let mut s = Session::new(OPTIONS);
    for line in ["GROUP a", "ARTICLE 1", "POST", "IHAVE <a@b>", "OVER 1", "NEXT", "NEWNEWS * 20260101 000000"]
    {
        assert_eq!(say(&mut s, line), "480 Authentication required", "{line}");
    }
    assert_eq!(say(&mut s, "TAKETHIS <a@b>"), "Swallow(No(NeedLogin))", "its article follows all the same");
    assert_eq!(say(&mut s, "LIST"), "serve LIST ACTIVE");
    assert_eq!(say(&mut s, "DATE"), "serve DATE");
    assert_eq!(say(&mut s, "MODE READER"), "Greet");
    assert_eq!(say(&mut s, "AUTHINFO PASS x"), "482 Must give AUTHINFO USER command");
    assert_eq!(say(&mut s, "AUTHINFO USER fred"), "381 Give AUTHINFO PASS command");
    assert_eq!(say(&mut s, "AUTHINFO PASS x y"), "Login { user: \"fred\", password: [120, 32, 121] }");
    s.logged_in();
    assert_eq!(say(&mut s, "AUTHINFO USER fred"), "502 Already authenticated");
    assert_eq!(say(&mut s, "STARTTLS"), "502 Already authenticated");
    assert_eq!(say(&mut s, "GROUP a"), "serve GROUP a");
    assert_eq!(say(&mut s, "LIST MOTD"), "503 Unsupported LIST command");
    assert_eq!(say(&mut s, "LIST X"), "501 Unrecognized LIST command");
    assert_eq!(say(&mut s, "QUIT"), "205 Connection closing");
}

#[test]
fn a_listener_for_readers_takes_no_feeds_and_one_for_feeders_serves_no_readers() {
    let mut readers = Session::new(Options { feeds: false, anonymous: true, ..OPTIONS });
    assert_eq!(say(&mut readers, "IHAVE <a@b>"), "502 Permission denied");
    assert_eq!(say(&mut readers, "TAKETHIS <a@b>"), "Swallow(No(Denied))");
    assert_eq!(say(&mut readers, "MODE STREAM"), "502 Permission denied");
    assert_eq!(say(&mut readers, "POST"), "serve POST");
    let mut feeders = Session::new(Options { reads: false, anonymous: true, ..OPTIONS });
    for line in ["GROUP a", "POST", "LIST", "MODE READER"] {
        assert_eq!(say(&mut feeders, line), "502 Permission denied", "{line}");
    }
    assert_eq!(say(&mut feeders, "CHECK <a@b>"), "serve CHECK <a@b>");
}

#[test]
fn tls_and_compression_begin_once_and_in_that_order() {
    let mut s = Session::new(OPTIONS);
    assert!(s.offers_starttls());
    assert_eq!(say(&mut s, "STARTTLS"), "StartTls");
    s.tls_started();
    assert_eq!(say(&mut s, "STARTTLS"), "502 TLS is active already");
    let mut s = Session::new(OPTIONS);
    assert_eq!(say(&mut s, "COMPRESS DEFLATE"), "Compress");
    s.compressed();
    assert_eq!(say(&mut s, "COMPRESS DEFLATE"), "502 Compression is active already");
    assert_eq!(say(&mut s, "STARTTLS"), "502 Compression is active already");
    let mut s = Session::new(Options { tls: Tls::Unavailable, ..OPTIONS });
    assert_eq!(say(&mut s, "STARTTLS"), "580 TLS is not available");
}

#[test]
fn a_password_is_not_taken_in_the_clear() {
    let mut s = Session::new(OPTIONS);
    let action = s.command(Command::parse(b"AUTHINFO USER fred"), false);
    assert_eq!(action, Action::Reply(Reply::No(No::PlaintextRefused)));
}

#[test]
fn too_many_errors_end_the_session() {
    let mut s = Session::new(OPTIONS);
    let last = (0..MAX_ERRORS).map(|_| say(&mut s, "XYZZY")).last();
    assert_eq!(last.as_deref(), Some("400 Too many errors"));
}
