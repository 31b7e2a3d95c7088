use super::*;
use crate::limits;
use crate::matching::AddressPart;

const MAIL: &[u8] =
    b"Received: one;\r\n Mon, 23 Nov 2026 23:07:29 +0100\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an \
alle \r\nno field\r\nX-Empty:\r\nX-Raw: gr\xfc\xdfe\r\n\r\nbody\r\n";

#[test]
fn the_fields_of_a_header_are_unfolded_and_decoded() {
    let mail = Mail::new(MAIL);
    let shown: Vec<_> = mail.fields().iter().map(|field| (field.name(), field.text())).collect();
    assert_eq!(
        shown,
        [
            ("Received", "one; Mon, 23 Nov 2026 23:07:29 +0100"),
            ("Subject", "Grüße an alle"),
            ("", "no field"),
            ("X-Empty", ""),
            ("X-Raw", "grüße"),
        ]
    );
    assert_eq!(mail.fields()[1].value(), "=?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle");
    assert!(mail.fields()[1].is("SUBJECT"));
    assert_eq!((mail.body(), mail.size()), (&b"body\r\n"[..], MAIL.len() as u64));
}

#[test]
fn a_message_without_body_or_header_is_a_message_too() {
    for (message, fields, body) in [
        ("", 0, ""),
        ("\r\nbody", 0, "body"),
        ("a: b", 1, ""),
        ("a: b\n\nbody", 1, "body"),
        ("a: b\r\n\r\n", 1, ""),
    ] {
        let mail = Mail::new(message);
        assert_eq!((mail.fields().len(), mail.body()), (fields, body.as_bytes()), "{message:?}");
    }
}

#[test]
fn an_edited_header_leaves_the_others_byte_by_byte() {
    let mail = Mail::new(MAIL);
    let mut edits = Edits::new(&mail);
    assert_eq!(edits.apply(&mail), MAIL);
    edits.add(Field::added("X-First", "grüße an  alle"), false);
    edits.add(Field::added("X-Last", "1"), true);
    edits.retain(|at| at != 2);
    let expected = [
        b"X-First: =?UTF-8?Q?gr=C3=BC=C3=9Fe?= an  alle\r\n".as_slice(),
        &MAIL[..50],
        &MAIL[MAIL.windows(10).position(|text| text == b"\r\nno field").unwrap() + 2..MAIL.len() - 8],
        b"X-Last: 1\r\n\r\nbody\r\n",
    ];
    assert_eq!(String::from_utf8_lossy(&edits.apply(&mail)), String::from_utf8_lossy(&expected.concat()));
    assert_eq!(edits.fields()[0].text(), "grüße an  alle");
    let short = Mail::new("a: b");
    assert_eq!(Edits::new(&short).apply(&short), b"a: b\r\n\r\n");
}

#[test]
fn long_values_are_folded_and_read_back_as_they_were() {
    for value in [
        "word ".repeat(40),
        "grüße ".repeat(40),
        "x".repeat(300),
        "a  b   c ".repeat(30),
        "日本語".repeat(60),
    ] {
        let mail = Mail::new("\r\n");
        let mut edits = Edits::new(&mail);
        edits.add(Field::added("X-Long", &value), false);
        let bytes = edits.apply(&mail);
        let read = Mail::new(bytes.as_slice());
        assert_eq!(read.fields()[0].text(), value.trim_ascii());
        let words = !value.starts_with('x');
        assert!(!words || bytes.split(|&byte| byte == b'\n').all(|line| line.len() <= 79), "{value}");
        assert!(bytes.is_ascii());
    }
}

#[test]
fn the_parts_of_an_address_are_its_own() {
    use AddressPart::*;
    let parts = |address: &Address| {
        [All, Localpart, Domain, User, Detail].map(|part| part.of(address).map(str::to_owned))
    };
    let some = |texts: [&str; 5]| texts.map(|text| (text != "-").then(|| text.to_owned()));
    for (value, expected) in [
        ("Ken+x+y@Example.ORG", vec![["Ken+x+y@Example.ORG", "Ken+x+y", "Example.ORG", "Ken", "x+y"]]),
        (
            "\"K, M\" <ken@a>, (c) t@b (d)",
            vec![["ken@a", "ken", "a", "ken", "-"], ["t@b", "t", "b", "t", "-"]],
        ),
        ("group: a@b, c@d;", vec![["a@b", "a", "b", "a", "-"], ["c@d", "c", "d", "c", "-"]]),
        ("undisclosed-recipients:;", vec![]),
        ("<@r1,@r2:a+@b>", vec![["a+@b", "a+", "b", "a", ""]]),
        ("root", vec![["root", "root", "-", "root", "-"]]),
        ("\"a b\"@c", vec![["a b@c", "a b", "c", "a b", "-"]]),
        ("", vec![]),
    ] {
        let found: Vec<_> = Address::list(value).iter().map(parts).collect();
        assert_eq!(found, expected.into_iter().map(some).collect::<Vec<_>>(), "{value}");
    }
    for (path, expected) in [
        ("", ["", "", "", "", ""]),
        ("<>", ["", "", "", "", ""]),
        ("ken+x@a", ["ken+x@a", "ken+x", "a", "ken", "x"]),
        ("<@r:\"a\\\"b\"@c>", ["a\"b@c", "a\"b", "c", "a\"b", "-"]),
        ("postmaster", ["postmaster", "postmaster", "-", "postmaster", "-"]),
    ] {
        assert_eq!(parts(&Address::bare(path)), some(expected), "{path}");
    }
}

#[test]
fn parts_are_found_in_their_order_and_decoded() {
    let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npro\r\nlogue\r\n--b\r\nContent-Type: text/plain; \
charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DFe\r\n--b\r\nContent-Type: \
message/rfc822\r\n\r\nSubject: in\r\n\r\ninside\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\n\
one\r\n--c\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--c--\r\n--b--\r\nepilogue\r\n";
    let mail = Mail::new(message.as_slice());
    let shown: Vec<_> =
        mail.parts().iter().map(|part| (part.depth, &*part.media, part.text(message))).collect();
    let expected = [
        (0, "multipart/mixed", "pro\r\nlogue\r\nepilogue\r\n"),
        (1, "text/plain", "grüße"),
        (1, "message/rfc822", "Subject: in\r\n\r\n"),
        (2, "text/plain", "inside"),
        (1, "multipart/alternative", ""),
        (2, "text/plain", "one"),
        (2, "image/png", "Hello"),
    ];
    assert_eq!(shown, expected);
    assert!(mail.parts()[3].fields(message)[0].is("Subject"));
}

#[test]
fn a_header_of_very_many_fields_is_seen_in_part_and_kept_whole() {
    let message = format!("{}Subject: x\r\n\r\nbody", "a:\n".repeat(6000));
    let mail = Mail::new(message.as_str());
    assert_eq!(mail.fields().len(), limits::FIELDS + 1);
    assert_eq!(mail.body(), b"body");
    let mut edits = Edits::new(&mail);
    assert_eq!(edits.apply(&mail), message.as_bytes());
    edits.retain(|at| at != 0);
    assert_eq!(edits.apply(&mail), &message.as_bytes()[3..]);
}
