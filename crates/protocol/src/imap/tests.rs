//! Commands as they come over the wire, right and wrong.

use super::command::fetch::{Fragment, Item, Section, Text};
use super::*;
use proptest::prelude::*;

fn parse(frame: &[u8]) -> Result<Command, Bad> {
    Command::parse(frame, Limits::default())
}

fn fetch_items(text: &str) -> Vec<Item> {
    match parse(text.as_bytes()).unwrap().body {
        Body::Fetch(fetch) => fetch.items,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_that_clients_send() {
    for frame in [
        "a1 CAPABILITY\r\n",
        "a1 login fred \"pass word\"\r\n",
        "a1 LOGIN {4}\r\nfred {4+}\r\npass\r\n",
        "a1 AUTHENTICATE PLAIN\r\n",
        "a1 authenticate plain AGZyZWQAcGFzcw==\r\n",
        "a1 AUTHENTICATE EXTERNAL =\r\n",
        "a1 ID NIL\r\n",
        "a1 ID (\"name\" \"imaplib\" \"version\" NIL)\r\n",
        "a1 ENABLE CONDSTORE X-FOO\r\n",
        "a1 SELECT \"INBOX\" (CONDSTORE)\r\n",
        "a1 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541 (1,2 41,43)))\r\n",
        "a1 EXAMINE INBOX (CONDSTORE QRESYNC (1 1))\r\n",
        "a1 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)\r\n",
        "a1 UID FETCH 1:* UID (VANISHED CHANGEDSINCE 0)\r\n",
        "a1 EXAMINE INBOX\n",
        "a1 CREATE foo\r\n",
        "a1 CREATE foo be1!default\r\n",
        "a1 CREATE foo (USE (\\Sent \\Drafts) PARTITION p2)\r\n",
        "a1 RENAME a \"b c\" be2!\r\n",
        "a1 LIST \"\" *\r\n",
        "a1 LIST \"\" \"\"\r\n",
        "a1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"a/%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))\r\n",
        "a1 XLIST \"\" %\r\n",
        "a1 LSUB \"\" *\r\n",
        "a1 STATUS INBOX (MESSAGES UIDNEXT SIZE HIGHESTMODSEQ MAILBOXID)\r\n",
        "a1 SUBSCRIBE MAILBOX foo\r\n",
        "a1 SETACL foo fred +lrs\r\n",
        "a1 DELETEACL foo -fred\r\n",
        "a1 LISTRIGHTS foo anyone\r\n",
        "a1 SETQUOTA \"\" (STORAGE 512 MESSAGE -1)\r\n",
        "a1 GETMETADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\")\r\n",
        "a1 GETMETADATA (DEPTH 1) INBOX /shared/comment\r\n",
        "a1 GETMETADATA (a b) (MAXSIZE 7) (/shared/comment \"/private/*\")\r\n",
        "a1 SETMETADATA INBOX (/private/comment \"x\" /shared/comment NIL /private/x ~{2+}\r\n\0\n)\r\n",
        "a1 SETANNOTATION INBOX \"/comment\" (\"value.shared\" {3+}\r\na b)\r\n",
        "a1 LIST (METADATA (DEPTH 1 MAXSIZE 9)) \"\" * RETURN (METADATA (/shared/comment) STATUS (DELETED-STORAGE APPENDLIMIT))\r\n",
        "a1 SELECT INBOX (ANNOTATE)\r\n",
        "a1 FETCH 1:* (UID ANNOTATION ((/comment /*) (value.priv size.shared)))\r\n",
        "a1 UID STORE 1 (UNCHANGEDSINCE 5) ANNOTATION (/comment (value.priv \"x\" value.shared NIL))\r\n",
        "a1 XWARMUP INBOX (index all)\r\n",
        "a1 XRUNANNOTATOR 1:*\r\n",
        "a1 GETMETADATA INBOX (DEPTH infinity) (/shared/comment)\r\n",
        "a1 GETANNOTATION \"\" \"/vendor/cmu/cyrus-imapd/freespace\" \"value.shared\"\r\n",
        "a1 GETANNOTATION \"INBOX\" (/shared/comment/private/comment /shared/x)\r\n",
        "a1 FETCH 1:* (FLAGS UID)\r\n",
        "a1 UID FETCH 1,5:7 BODY.PEEK[HEADER.FIELDS (From \"To\")]<0.100> (CHANGEDSINCE 12)\r\n",
        "a1 STORE 1 +FLAGS.SILENT (\\Seen $Junk)\r\n",
        "a1 UID STORE 1:* (UNCHANGEDSINCE 5) FLAGS \\Seen \\Deleted\r\n",
        "a1 SEARCH UNSEEN\r\n",
        "a1 UID SEARCH RETURN (ALL) CHARSET UTF-8 SUBJECT x\r\n",
        "a1 UID FETCH 1:* (UID FLAGS) (PARTIAL -1:-10 CHANGEDSINCE 5)\r\n",
        "a1 SEARCH RETURN (SAVE PARTIAL 1:10) FUZZY TEXT x $\r\n",
        "a1 FETCH $ FLAGS\r\n",
        "a1 UID SORT RETURN (COUNT) (REVERSE DATE DISPLAYFROM) UTF-8 UNSEEN\r\n",
        "a1 THREAD REFERENCES UTF-8 ALL\r\n",
        "a1 ESEARCH IN (mailboxes (a b) subscribed) RETURN (COUNT) CHARSET UTF-8 TEXT {1+}\r\nx\r\n",
        "a1 UIDBATCHES 500 1:4\r\n",
        "a1 UID EXPUNGE $\r\n",
        "a1 UID COPY 1:5 \"Other\"\r\n",
        "a1 MOVE 1 Trash\r\n",
        "a1 EXPUNGE\r\n",
        "a1 UID EXPUNGE 3:4\r\n",
        "a1 XFER user/fred be2 default\r\n",
        "a1 XFER user/%r* be2\r\n",
        "a1 XCLIENT ADDR=192.0.2.1 SESSION=x TLS=yes\r\n",
        "a1 XCLIENT SESSION=x PARKED=yes\r\n",
        "a1 XKICK \"fred\"\r\n",
        "a1 XTAKE 1,4:9\r\n",
        "a1 XADOPT 75 u-1 7 90 90 2 E 1:5,9 7 9 9 -\r\n",
        "a1 IDLE\r\n",
        "a1 NOOP \r\n",
    ] {
        assert!(parse(frame.as_bytes()).is_ok(), "{frame}: {:?}", parse(frame.as_bytes()));
    }
}

#[test]
fn wrong_commands_are_answered_by_their_tag() {
    for (frame, text) in [
        ("a1\r\n", "Null command"),
        ("a1 \r\n", "Null command"),
        ("a1 FOO\r\n", "Unrecognized command"),
        ("a1 UID\r\n", "Missing required argument to Uid"),
        ("a1 UID NOOP\r\n", "Unrecognized UID subcommand"),
        ("a1 SELECT INBOX ()\r\n", "Missing required argument to Select"),
        ("a1 FETCH 1 BINARY.SIZE[1]<0.1>\r\n", "Invalid body section in Fetch"),
        ("a1 SETQUOTA a (STORAGE -5)\r\n", "Invalid quota list in Setquota"),
        ("a1 LOGIN fred\r\n", "Missing required argument to Login"),
        ("a1 SELECT\r\n", "Missing required argument to Select"),
        ("a1 NOOP x\r\n", "Unexpected extra arguments to Noop"),
        ("a1 UID FETCH x FLAGS\r\n", "Invalid sequence in Uid Fetch"),
        ("a1 FETCH 1 BODY[1\r\n", "Invalid body section in Fetch"),
        ("a1 FETCH 1 (FOO)\r\n", "Invalid attribute in Fetch"),
        ("a1 FETCH 1 FLAGS (PARTIAL 1:2)\r\n", "Invalid modifier in Fetch"),
        ("a1 UID FETCH 1 FLAGS (PARTIAL 1:-2)\r\n", "Invalid range in Uid Fetch"),
        ("a1 SEARCH RETURN (ALL PARTIAL 1:2) ALL\r\n", "Invalid Search return option in Search"),
        ("a1 SORT (FOO) UTF-8 ALL\r\n", "Invalid Sort criterion in Sort"),
        ("a1 THREAD FOO UTF-8 ALL\r\n", "Invalid Thread algorithm in Thread"),
        ("a1 UID ESEARCH ALL\r\n", "Unrecognized UID subcommand"),
        ("a1 UIDBATCHES 0\r\n", "Invalid range in Uidbatches"),
        ("a1 STORE 1 FLAGS (\\Foo)\r\n", "Invalid system flag in Store"),
        ("a1 STORE 1 FLAGS (\\Recent\r\n", "Invalid parenthesized list in Store"),
        ("a1 APPEND INBOX\r\n", "Missing required argument to Append"),
        ("a1 XCLIENT ADDR=192.0.2.1\r\n", "Invalid origin in Xclient"),
        ("a1 UID FETCH 1 FLAGS (VANISHED)\r\n", "VANISHED is for UID FETCH with CHANGEDSINCE"),
        ("a1 FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)\r\n", "VANISHED is for UID FETCH with CHANGEDSINCE"),
        ("a1 FETCH 1 FLAGS (CHANGEDSINCE)\r\n", "Missing required argument to Fetch"),
        ("a1 FETCH 1 FLAGS (X)\r\n", "Invalid modifier in Fetch"),
        ("a1 SELECT INBOX (QRESYNC (1))\r\n", "Invalid QRESYNC parameter list in Select"),
        ("a1 XCLIENT\r\n", "Missing required argument to Xclient"),
    ] {
        let bad = parse(frame.as_bytes()).unwrap_err();
        assert_eq!(bad.text, text, "{frame}");
    }
}

#[test]
fn hostile_frames() {
    let parens = format!("a SEARCH {}\r\n", "(".repeat(10_000));
    let nested = format!("a FETCH 1 {}\r\n", "(".repeat(10_000));
    let parts = format!("a FETCH 1 BODY[{}1]\r\n", "1.".repeat(10_000));
    let long = format!("a SELECT {}\r\n", "x".repeat(200_000));
    let ranges = format!("a FETCH {}1 FLAGS\r\n", "1,".repeat(60_000));
    let deep = |start: &str, nest: &str| format!("a {start} {}ALL\r\n", nest.repeat(10_000));
    let searches = [
        deep("SORT (DATE) UTF-8", "("),
        deep("THREAD REFS UTF-8", "NOT "),
        deep("ESEARCH IN (personal)", "FUZZY "),
        deep("SEARCH", "OR ALL "),
    ];
    let known = format!("a SELECT INBOX (QRESYNC (1 1 {}1))\r\n", "1,".repeat(60_000));
    let lists = format!("a SELECT INBOX (QRESYNC {})\r\n", "(".repeat(10_000));
    for frame in [parens, nested, parts, long, ranges, known, lists].into_iter().chain(searches) {
        assert_eq!(parse(frame.as_bytes()).unwrap_err().tag.unwrap().as_str(), "a");
    }
    for frame in [&b"\0\r\n"[..], b"\r\n", b"(a NOOP\r\n", b"+ NOOP\r\n", b" NOOP\r\n", b"\xff\xfe\r\n"] {
        assert_eq!(parse(frame).unwrap_err().tag, None, "{frame:?}");
    }
    assert!(parse(b"a SELECT \"a\0b\"\r\n").is_err());
    assert!(parse(b"a SELECT a\0b\r\n").is_err());
    assert!(parse(b"a LOGIN {3}\r\na\0b x\r\n").is_err());
}

#[test]
fn fetch_macros_and_sections() {
    assert_eq!(fetch_items("a FETCH 1 FAST"), [Item::Flags, Item::InternalDate, Item::Size]);
    assert_eq!(fetch_items("a UID FETCH 1 FLAGS"), [Item::Uid, Item::Flags]);
    let section = Section { part: vec![1, 2], text: Text::HeaderFieldsNot(vec![b"X".to_vec()]) };
    let fragment = Fragment { peek: true, section, partial: Some((5, 7)) };
    assert_eq!(fetch_items("a FETCH 1 body.peek[1.2.header.fields.not (X)]<5.7>"), [Item::Section(fragment)]);
    assert!(parse(b"a FETCH 1 BODY[MIME]").is_err());
    assert!(parse(b"a FETCH 1 BODY[0]").is_err());
    assert!(parse(b"a FETCH 1 BODY[1.]").is_err());
    assert!(parse(b"a FETCH 1 BODY[]<1.0>").is_err());
}

proptest! {
    #[test]
    fn no_frame_makes_the_parser_panic(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&frame);
        let _ = command::append::Append::step(&frame, Limits::default());
        let _ = command::append::Run::parse(&frame, command::append::Place::start(false), Limits::default());
    }

    #[test]
    fn nothing_like_a_command_makes_the_parser_panic(
        frame in "a (UID )?(FETCH|STORE|SEARCH|SORT|THREAD|ESEARCH IN|UIDBATCHES|SELECT x \\(QRESYNC|LIST|APPEND|STATUS|CREATE|[GS]ETMETADATA|ID|FETCH 1 ANNOTATION|STORE 1 ANNOTATION|APPEND x ANNOTATION|REPLACE|APPEND x CATENATE \\() [A-Z1-3:*,.()\\[\\]<>{}+\"\\\\ \r\n%]{0,60}"
    ) {
        let _ = parse(frame.as_bytes());
        let _ = command::append::Append::step(frame.as_bytes(), Limits::default());
    }

    #[test]
    fn a_section_prints_as_it_parses(part in proptest::collection::vec(1u32..9, 0..4), which in 0usize..6) {
        let names = vec![b"From".to_vec(), b"X Y".to_vec()];
        let mut text = [Text::All, Text::Header, Text::HeaderFields(names.clone()), Text::HeaderFieldsNot(names),
            Text::Text, Text::Mime][which].clone();
        if part.is_empty() && text == Text::Mime {
            text = Text::All;
        }
        let section = Section { part, text };
        let mut printed = b"a FETCH 1 BODY[".to_vec();
        section.print(&mut printed);
        printed.extend_from_slice(b"]");
        let items = fetch_items(std::str::from_utf8(&printed).unwrap());
        prop_assert_eq!(items, vec![Item::Section(Fragment { peek: false, section, partial: None })]);
    }
}

#[test]
fn what_is_allowed_before_login_is_the_same_by_name() {
    for frame in [
        "a CAPABILITY",
        "a NOOP",
        "a LOGOUT",
        "a ID NIL",
        "a STARTTLS",
        "a LOGIN a b",
        "a AUTHENTICATE PLAIN",
        "a NAMESPACE",
        "a IDLE",
        "a ENABLE X",
        "a SELECT x",
        "a CHECK",
        "a UNAUTHENTICATE",
        "a XKICK x",
    ] {
        let name = frame.split(' ').nth(1).unwrap_or_default();
        assert_eq!(
            parse(frame.as_bytes()).unwrap().body.before_login(),
            command::before_login(name),
            "{frame}"
        );
    }
}
