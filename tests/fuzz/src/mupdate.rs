//! MUPDATE from bytes to judged commands and back: any command is a command or a refusal, in any state of a session, and
//! any response is a response or an error. What is written is read back.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use mailboxes::Expect;
use protocol::{
    frame::{Collected, Collector, Limits},
    mupdate::{
        command::{Command, Tagged},
        response::Response,
        session::{Access, Session},
    },
};

/// The target.
pub fn run(input: &[u8]) {
    let Ok(input) = <(&[u8], u8)>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let (bytes, bits) = input;
    let mut session = Session::new(bits & 1 != 0);
    session.access = [Access::None, Access::Read, Access::Write, Access::Write][usize::from(bits >> 1 & 3)];
    session.streaming = bits & 8 != 0;
    session.local = bits & 16 != 0;
    let mut collector = Collector::new(Limits { line: 512, skip: 4096 }, 600, 2000);
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(collected)) = collector.next(&mut buffer) {
        let Collected::Command(frame) = collected else { continue };
        let _ = Response::parse(&frame);
        let (_, admitted) = session.admit(Tagged::parse(&frame));
        match admitted {
            Ok(Command::Write { expect, .. }) => {
                assert!(session.access == Access::Write && !session.streaming);
                if let Some(expect) = expect.and_then(|text| Expect::parse(&text)) {
                    assert_eq!(Expect::parse(&expect.to_string()), Some(expect));
                }
            }
            Ok(Command::Cordon { .. }) => assert!(session.access == Access::Write && !session.streaming),
            Ok(Command::Tool(_)) => assert!(session.local),
            Ok(Command::Update { .. } | Command::Resume { .. }) => {
                assert!(session.access != Access::None && !session.streaming);
                session.streaming = true;
            }
            Ok(Command::Compress { .. }) => session.compressed = true,
            Ok(Command::Starttls) => {
                assert!(session.access == Access::None && !session.encrypted);
                session.encrypted = true;
            }
            _ => {}
        }
    }
}
