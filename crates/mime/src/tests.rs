//! Structures of whole messages, and what hostile ones cost.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const MIXED: &str = "From: Fred Foobar <fred@example.com>\r
To: \"Doe, Jane\" <jane@example.org>, team: a@x, b@y;, plain\r
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r
Date: Mon, 23 Nov 2026 23:07:29 +0100\r
Message-ID: <1@example.com>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=\"out\"\r
\r
preamble\r
--out\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
gr=FC=DFe\r
--out\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
From: in@example.com\r
Content-Type: multipart/alternative; boundary=in\r
\r
--in\r
\r
one\r
two\r
--in\r
Content-Type: text/html\r
Content-Disposition: inline; filename=\"a b.html\"\r
\r
<b>bold</b>\r
--in--\r
--out\r
Content-Type: application/octet-stream; name*0*=utf-8''x\r
Content-Transfer-Encoding: base64\r
\r
AAEC\r
--out--\r
epilogue\r
";

fn section<'m>(message: &'m str, path: &[u32], what: What) -> Option<&'m str> {
    let structure = Structure::parse(message.as_bytes());
    structure.locate(path, what).map(|span| std::str::from_utf8(span.of(message.as_bytes())).unwrap())
}

fn rendered(message: &str, extended: bool) -> String {
    let mut out = Vec::new();
    Structure::parse(message.as_bytes()).write_bodystructure(&mut out, extended);
    String::from_utf8(out).unwrap()
}

#[test]
fn sections_of_a_mixed_message_are_found_by_number() {
    assert_eq!(section(MIXED, &[1], What::Whole), Some("gr=FC=DFe"));
    assert_eq!(
        section(MIXED, &[1], What::Mime),
        Some(
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        )
    );
    assert_eq!(section(MIXED, &[2, 1], What::Whole), Some("one\r\ntwo"));
    assert_eq!(section(MIXED, &[2, 1], What::Mime), Some("\r\n"));
    assert_eq!(section(MIXED, &[2, 2], What::Whole), Some("<b>bold</b>"));
    assert!(section(MIXED, &[2], What::Header).unwrap().starts_with("Subject: inner\r\n"));
    assert!(section(MIXED, &[2], What::Text).unwrap().starts_with("--in\r\n"));
    assert_eq!(section(MIXED, &[3], What::Whole), Some("AAEC"));
    assert_eq!(section(MIXED, &[4], What::Whole), None);
    assert_eq!(section(MIXED, &[1], What::Header), None);
    assert_eq!(section(MIXED, &[1, 1], What::Whole), None);
    assert_eq!(section(MIXED, &[0], What::Whole), None);
    assert_eq!(section(MIXED, &[], What::Whole), Some(MIXED));
}

#[test]
fn a_plain_message_is_its_own_part_one() {
    let message = "Subject: x\r\n\r\nhello\r\n";
    assert_eq!(section(message, &[1], What::Whole), Some("hello\r\n"));
    assert_eq!(section(message, &[], What::Text), Some("hello\r\n"));
    assert_eq!(section(message, &[], What::Header), Some("Subject: x\r\n\r\n"));
    assert_eq!(section(message, &[2], What::Whole), None);
    assert_eq!(section(message, &[1, 1], What::Whole), None);
    assert_eq!(rendered(message, false), r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 7 1)"#);
}

#[test]
fn a_message_that_is_one_attached_message_has_sections_below_part_one() {
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n";
    assert_eq!(section(message, &[1], What::Header), Some("Subject: in\r\n\r\n"));
    assert_eq!(section(message, &[1, 1], What::Whole), Some("body\r\n"));
    assert_eq!(section(message, &[1, 1, 1], What::Whole), None);
}

#[test]
fn bodystructure_and_body_are_printed_as_rfc_3501_wants() {
    assert_eq!(
        rendered(MIXED, false),
        concat!(
            r#"(("TEXT" "PLAIN" ("CHARSET" "iso-8859-1") NIL NIL "QUOTED-PRINTABLE" 9 0)"#,
            r#"("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 212 (NIL "inner" "#,
            r#"((NIL NIL "in" "example.com")) ((NIL NIL "in" "example.com")) ((NIL NIL "in" "example.com")) "#,
            r#"NIL NIL NIL NIL NIL) "#,
            r#"(("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 8 1)"#,
            r#"("TEXT" "HTML" NIL NIL NIL "7BIT" 11 0) "ALTERNATIVE") 14)"#,
            r#"("APPLICATION" "OCTET-STREAM" ("NAME*" "utf-8''x") NIL NIL "BASE64" 4) "MIXED")"#,
        )
    );
    let extended = rendered(MIXED, true);
    assert!(extended.contains(r#" 11 0 NIL ("INLINE" ("FILENAME" "a b.html")) NIL NIL)"#), "{extended}");
    assert!(extended.ends_with(r#" "MIXED" ("BOUNDARY" "out") NIL NIL NIL)"#), "{extended}");
}

#[test]
fn the_envelope_keeps_encoded_words_and_prints_groups() {
    let mut out = Vec::new();
    Structure::parse(MIXED.as_bytes()).write_envelope(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"("Mon, 23 Nov 2026 23:07:29 +0100" "=?utf-8?q?gr=C3=BC=C3=9Fe?=" "#,
            r#"(("Fred Foobar" NIL "fred" "example.com")) (("Fred Foobar" NIL "fred" "example.com")) "#,
            r#"(("Fred Foobar" NIL "fred" "example.com")) "#,
            r#"(("Doe, Jane" NIL "jane" "example.org")(NIL NIL "team" NIL)(NIL NIL "a" "x")(NIL NIL "b" "y")"#,
            r#"(NIL NIL NIL NIL)(NIL NIL "plain" "unspecified-domain")) NIL NIL NIL "<1@example.com>")"#,
        )
    );
}

#[test]
fn odd_addresses_are_read_as_they_are_meant() {
    let read = |text: &str| {
        let shown = |raw: &Option<Raw>| raw.as_ref().map(|r| String::from_utf8_lossy(r).into_owned());
        Address::parse_list(text.as_bytes())
            .iter()
            .map(|a| [shown(&a.name), shown(&a.route), shown(&a.mailbox), shown(&a.host)])
            .collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read("fred@x.org (Fred)"), [[some("Fred"), None, some("fred"), some("x.org")]]);
    assert_eq!(
        read("J. R. Ewing <@a,@b:\"j r\"@x>"),
        [[some("J. R. Ewing"), some("@a,@b"), some("j r"), some("x")]]
    );
    assert_eq!(read("a . b @ c . d"), [[None, None, some("a.b"), some("c.d")]]);
    assert_eq!(read("undisclosed-recipients:;").len(), 2);
    assert_eq!(read(""), Vec::<[Option<String>; 4]>::new());
    assert_eq!(read("<>,,,"), [[None, None, some(""), some("unspecified-domain")]]);
}

/// What is printed on another thread: more addresses or parts than fit on the spot.
#[test]
fn a_monstrous_structure_is_heavy_and_an_ordinary_one_light() {
    let heavy = |message: &str| Structure::parse(message.as_bytes()).weight() > 256;
    assert!(!heavy(MIXED));
    assert!(heavy(&format!("To: {}\r\n\r\n", "a@b,".repeat(300))));
    let parts = "--x\r\n\r\n\r\n".repeat(300);
    assert!(heavy(&format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}")));
}

#[test]
fn text_for_search_is_decoded() {
    let structure = Structure::parse(MIXED.as_bytes());
    assert!(structure.header_lines(MIXED.as_bytes()).contains("Subject: grüße\n"));
    let seen = structure.body_texts(MIXED.as_bytes());
    assert_eq!(seen[1], "grüße");
    // Each part's header comes before its text.
    assert!(seen[3].contains("Subject: inner"));
    assert_eq!(seen[5], "one\r\ntwo");
    assert_eq!(seen[7], "<b>bold</b>");
    assert_eq!(seen.len(), 9);
}

#[test]
fn an_inner_part_that_is_not_closed_ends_at_the_outer_boundary() {
    let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\
                   \r\n--ab\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n";
    assert_eq!(section(message, &[1, 1], What::Whole), Some("x"));
    assert_eq!(section(message, &[2], What::Whole), Some("y"));
}

#[test]
fn nesting_and_parts_beyond_the_limits_are_content() {
    let mut deep = String::new();
    for level in 0..10_000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
    }
    let structure = Structure::parse(deep.as_bytes());
    assert_eq!(kept(&structure, deep.as_bytes()).structure(), Ok(structure));

    let mut wide = String::from("Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    wide.push_str(&"--b\r\n\r\n".repeat(100_000));
    let structure = Structure::parse(wide.as_bytes());
    assert!(matches!(&structure.root.kind, Kind::Multipart(parts) if parts.len() < MAX_PARTS));
    let cached = kept(&structure, wide.as_bytes());
    assert_eq!(cached.structure(), Ok(structure));
    // So much is printed when it is asked for.
    assert_eq!(cached.text(Shown::BodyStructure), None);
}

/// As it comes out of a file.
fn kept(structure: &Structure, message: &[u8]) -> Cached {
    Cached::read(Cached::new(structure, message).bytes().clone()).unwrap()
}

fn printed(structure: &Structure, shown: Shown) -> Vec<u8> {
    let mut out = Vec::new();
    shown.print(structure, &mut out);
    out
}

#[test]
fn a_damaged_cache_is_told_from_another_version() {
    let read = |bytes: &[u8]| Cached::read(Bytes::copy_from_slice(bytes)).map(|cached| cached.structure());
    let mut bytes = bare(&Structure::parse(MIXED.as_bytes()), MIXED.as_bytes());
    assert!(bytes.len() < 700, "{}", bytes.len());
    bytes[0] = 9;
    assert_eq!(read(&bytes), Err(CacheError::Version(9)));
    assert!(CacheError::Version(9).to_string().contains("version 9"));
    bytes[0] = 1;
    bytes[20] ^= 1;
    assert_eq!(read(&bytes), Err(CacheError::Checksum));
    assert_eq!(read(b""), Err(CacheError::Damaged));
    let whole = kept(&Structure::parse(MIXED.as_bytes()), MIXED.as_bytes()).bytes().clone();
    let structure = Structure::parse(MIXED.as_bytes());
    for cut in 1..whole.len() {
        // Cut between two sections it is shorter, and never another one.
        let read = Cached::read(whole.slice(..cut)).and_then(|cached| cached.structure());
        assert!(read.is_err() || read.as_ref() == Ok(&structure), "{cut}");
    }
}

/// What version 1 kept of a message.
fn bare(structure: &Structure, message: &[u8]) -> Vec<u8> {
    let cached = Cached::new(structure, message);
    // Version, tag and a length of one or two bytes come before the structure.
    let fields = cached.bytes().slice(3..);
    let (len, from) = match cached.bytes()[2] {
        len @ 0..128 => (usize::from(len), 0),
        low => (usize::from(low & 0x7f) | usize::from(fields[0]) << 7, 1),
    };
    let mut bytes = [&[1], &fields[from..from + len]].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

#[test]
fn what_the_first_version_left_in_a_cache_is_read_and_shown() {
    // As version 1 wrote it for this message.
    let message = b"Subject: x\r\nFrom: a@b\r\n\r\nhello\r\n";
    let left = include_bytes!("bare.cached");
    let structure = Structure::parse(message);
    assert_eq!(bare(&structure, message), left);
    let cached = Cached::read(Bytes::from_static(left)).unwrap();
    assert_eq!(cached.structure(), Ok(structure.clone()));
    for shown in [Shown::Envelope, Shown::BodyStructure, Shown::Body] {
        assert_eq!(cached.text(shown), Some(printed(&structure, shown).as_slice()));
    }
    assert_eq!((cached.sort_keys(), cached.thread_keys()), (None, None));
    assert!(cached.needs_header());
    let head = b"References: <1@x>\r\n\r\n";
    let cached = cached.with_keys(&structure, head);
    assert_eq!(cached.thread_keys().unwrap().references.collect::<Vec<_>>(), [b"1@x"]);
    assert_eq!(cached.sort_keys(), kept(&structure, message).sort_keys());
}

#[test]
fn the_second_version_of_a_cache_kept_references_alone_and_gets_its_keys_without_the_message() {
    let message = b"References: <1@x>\r\nSubject: re: x\r\nMessage-ID: <2@x>\r\n\r\n";
    let structure = Structure::parse(message);
    let today = kept(&structure, message);
    // As it was written: the sections of today up to the texts, then the field.
    let bare = Cached::read(Bytes::from(bare(&structure, message))).unwrap();
    let left = [bare.bytes(), &b"\x05\x05<1@x>"[..]].concat();
    let cached = Cached::read(Bytes::from(left)).unwrap();
    assert_eq!((cached.sort_keys(), cached.thread_keys(), cached.needs_header()), (None, None, false));
    let cached = cached.with_keys(&structure, b"");
    assert_eq!(cached.sort_keys(), today.sort_keys());
    assert_eq!(cached.thread_keys(), today.thread_keys());
    assert_eq!(cached.clone().with_keys(&structure, b""), cached);
}

#[test]
fn a_section_that_a_later_version_adds_is_passed_over() {
    let structure = Structure::parse(MIXED.as_bytes());
    let mut bytes = Cached::new(&structure, MIXED.as_bytes()).bytes().to_vec();
    bytes.extend_from_slice(&[77, 3, 1, 2, 3, 0, 0]);
    let cached = Cached::read(Bytes::from(bytes)).unwrap();
    assert_eq!(cached.structure(), Ok(structure));
}

#[test]
fn references_are_kept_for_threads() {
    let of = |message: &str| {
        let structure = Structure::parse(message.as_bytes());
        let cached = kept(&structure, message.as_bytes());
        let ids: Vec<_> = cached.thread_keys().unwrap().references.map(<[u8]>::to_vec).collect();
        ids
    };
    assert_eq!(of("References: <1@x>\r\n <2@x>\r\n\r\n"), [b"1@x", b"2@x"]);
    assert_eq!(of("Subject: x\r\n\r\n"), Vec::<Vec<u8>>::new());
    let many = of(&format!("References: {}\r\n\r\n", "<1234567@x> ".repeat(10_000)));
    assert!(many.concat().len() <= 8192 && many.iter().all(|id| id == b"1234567@x"));
}

/// Bytes that look enough like MIME to reach deep into the scanner.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=a\r\n".to_vec()),
        Just(b"Content-Type: multipart/digest; boundary=\"a b\r\n".to_vec()),
        Just(b"content-type: message/rfc822\r\n\r\n".to_vec()),
        Just(b"To: a:b;c<@d:e@f>,(((\"\\\r\n".to_vec()),
        Just(b"Date: Mon, 99 Nov 99 99:99 (\r\n".to_vec()),
        Just(b"Subject: =?utf-8?b?=?=\r\n =?x?q?=\r\n".to_vec()),
        Just(b"--a\r\n".to_vec()),
        Just(b"--a--\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn spans(part: &Part, out: &mut Vec<Span>) {
    out.extend([part.header, part.body]);
    match &part.kind {
        Kind::Leaf => {}
        Kind::Multipart(parts) => parts.iter().for_each(|part| spans(part, out)),
        Kind::Message(inner) => spans(&inner.part, out),
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_structure_inside_them(message in hostile()) {
        let structure = Structure::parse(&message);
        let mut all = Vec::new();
        spans(&structure.root, &mut all);
        for span in all {
            prop_assert!(span.end() as usize <= message.len());
        }
        let cached = kept(&structure, &message);
        for shown in [Shown::Envelope, Shown::BodyStructure, Shown::Body] {
            let text = printed(&structure, shown);
            prop_assert!(cached.text(shown).is_none_or(|kept| kept == text));
            prop_assert!(cached.text(shown).is_some() || text.len() > 16 << 10 || structure.weight() > 256);
        }
        let _ = (structure.header_lines(&message), structure.body_texts(&message));
        prop_assert!(cached.sort_keys().is_some() && cached.thread_keys().is_some());
        prop_assert_eq!(cached.structure(), Ok(structure));
    }

    #[test]
    fn any_bytes_are_refused_or_decoded_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = [&[1], bytes.as_slice()].concat();
        framed.extend_from_slice(&crc32fast::hash(&framed).to_le_bytes());
        let _ = Cached::read(Bytes::from(framed)).map(|cached| cached.structure());
        for lead in [&[2][..], &[2, 1, 40], &[2, 6, 30], &[2, 7, 30]] {
            let _ = Cached::read(Bytes::from([lead, bytes.as_slice()].concat())).map(|cached| {
                let _ = (cached.structure(), cached.sort_keys(), cached.thread_keys(), cached.preview());
            });
        }
        let _ = header_text(&bytes);
        let _ = pick_fields(&bytes, &["a"], true);
    }
}
