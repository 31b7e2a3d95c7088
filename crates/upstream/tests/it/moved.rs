//! What a backend says of a mailbox that it has given away, in as many lines as it needs.

use bytes::BytesMut;
use upstream::wire::imap::{Event, Moved, Wire};

fn hear(wire: &mut Wire, text: &str) -> Vec<Event> {
    let (mut input, mut events) = (BytesMut::from(text.as_bytes()), Vec::new());
    while let Some(event) = wire.next(&mut input).unwrap() {
        events.push(event);
    }
    events
}

#[test]
fn a_state_is_whole_when_its_last_line_has_come_and_no_client_sees_it() {
    let (mut wire, mut out) = (Wire::new([7; 10]), BytesMut::new());
    let id = wire.command("NOOP", &mut out).unwrap();
    let tag = String::from_utf8(out.to_vec()).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(hear(&mut wire, "* OK [XMOVED be2 + 75 u-1 7 9] gone\r\n"), []);
    assert_eq!(wire.take_moved(), None);
    let rest = format!(
        "* OK [XMOVED be2 + 9 0 - 1:3,5] gone\r\n* OK [XMOVED be2 ,7 - - 0 -] gone\r\n{tag} OK done\r\n"
    );
    let events = hear(&mut wire, &rest);
    assert!(matches!(events.as_slice(), [Event::Done(of, _)] if *of == id), "{events:?}");
    assert!(!wire.is_at_rest(b""), "it is not the next session's");
    let moved = Moved { server: "be2".into(), state: "75 u-1 7 99 0 - 1:3,5,7 - - 0 -".into() };
    assert_eq!(wire.take_moved(), Some(moved));
    assert!(wire.is_at_rest(b""));
    // One that never ends is none.
    wire.command("NOOP", &mut out).unwrap();
    let part = format!("* OK [XMOVED be2 + {}] gone\r\n", "1,".repeat(500_000));
    let mut input = BytesMut::from(part.repeat(10).as_bytes());
    assert!(wire.next(&mut input).is_err());
}
