//! The parsers that the nom grammars replace, as oracle: both must read every frame alike.

mod acl;
mod admin;
mod copy;
mod cursor;
mod dispatch;
mod fetch;
mod list;
mod mailbox;
mod metadata;
mod node;
mod quota;
mod search;
mod select;
mod session;
mod status;
mod store;
mod words;

use cursor::Cursor;

use super::command::append::{Append, Message, Next, Step};
use super::command::title;
use super::{Bad, Command, Limits, ParseError, TAG_MAX, Tag, is_tag_byte};

pub fn command(frame: &[u8], limits: Limits) -> Result<Command, Bad> {
    let mut cursor = Cursor::new(crate::frame::trim_line(frame), limits);
    let tag = tag(&mut cursor)?;
    let name = dispatch::name(&mut cursor).map_err(|error| Bad::new(&tag, error, ""))?;
    match dispatch::parse(&name, &mut cursor) {
        Ok(body) => Ok(Command { tag, body }),
        Err(error) => Err(Bad::new(&tag, error, &title(&name))),
    }
}
pub fn append_step(text: &[u8], limits: Limits) -> Result<Step, Bad> {
    let mut cursor = Cursor::new(crate::frame::trim_line(text), limits);
    let tag = tag(&mut cursor)?;
    let mut title = "Append".to_owned();
    let parsed = (|| {
        let name = dispatch::name(&mut cursor)?;
        title = super::command::title(&name);
        let mailbox = mailbox::one(&mut cursor)?;
        if name == "LOCALAPPEND" {
            // The mailbox selected at the frontend: it matters for relative URLs of CATENATE alone.
            mailbox::one(&mut cursor)?;
        }
        cursor.space()?;
        Ok((mailbox, message(&mut cursor)?))
    })();
    match parsed {
        Ok((mailbox, message)) => Ok(Step::Message(Append { tag, mailbox, message })),
        Err(ParseError::Incomplete) => Ok(Step::Argument),
        Err(error) => Err(Bad::new(&tag, error, &title)),
    }
}
pub fn append_next(text: &[u8], limits: Limits) -> Result<Next, ParseError> {
    let mut cursor = Cursor::new(crate::frame::trim_line(text), limits);
    if cursor.space().is_err() {
        return cursor.end().map(|()| Next::End);
    }
    message(&mut cursor).map(Next::Message)
}
fn message(cursor: &mut Cursor<'_>) -> Result<Message, ParseError> {
    let mut message = Message::default();
    if cursor.peek() == Some(b'(') {
        message.flags = words::flag_list(cursor)?;
        cursor.space()?;
    }
    if cursor.peek() == Some(b'"') {
        message.date = Some(words::date_time(cursor)?);
        cursor.space()?;
    }
    if cursor.clone().atom().is_ok_and(|word| word.eq_ignore_ascii_case("CATENATE")) {
        return Err(ParseError::Text("CATENATE is not supported"));
    }
    message.binary = cursor.eat(b'~');
    match cursor.literal() {
        Err(ParseError::Incomplete) if cursor.at_end() => Ok(message),
        // An empty literal is whole already, but nothing may stand behind its header.
        _ => Err(ParseError::Invalid("message literal")),
    }
}
fn tag(cursor: &mut Cursor<'_>) -> Result<Tag, Bad> {
    let none = |text: &str| Bad { tag: None, text: text.to_owned(), foreign: false };
    let word = cursor.take_while(is_tag_byte);
    if word.is_empty() || word.len() > TAG_MAX {
        return Err(none("Invalid tag"));
    }
    let tag = Tag(String::from_utf8_lossy(word).into_owned());
    match cursor.peek() {
        Some(b' ') => {
            cursor.space().map_err(|_| none("Invalid tag"))?;
            Ok(tag)
        }
        None => Err(Bad { tag: Some(tag), text: "Null command".to_owned(), foreign: false }),
        Some(_) => Err(none("Invalid tag")),
    }
}

mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{self, Collected, Collector};

    /// Each command, in each of its forms.
    const SEEDS: &[&str] = &[
        "CAPABILITY",
        "NOOP ",
        "LOGOUT",
        "STARTTLS",
        "UNAUTHENTICATE",
        "NAMESPACE",
        "IDLE",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "login fred \"pass \\\"word\"",
        "LOGIN {4}\r\nfred {4+}\r\npass",
        "AUTHENTICATE PLAIN",
        "authenticate plain AGZyZWQAcGFzcw==",
        "AUTHENTICATE EXTERNAL =",
        "ID NIL",
        "ID (\"name\" \"imaplib\" \"version\" NIL)",
        "ID (\"name\" {3}\r\nabc)",
        "ENABLE CONDSTORE X-FOO",
        "COMPRESS DEFLATE",
        "SELECT \"INBOX\" (CONDSTORE)",
        "EXAMINE INBOX ()",
        "SELECT {5+}\r\nINBOX",
        "CREATE foo",
        "CREATE foo be1!default",
        "CREATE foo part",
        "CREATE foo be1!",
        "CREATE foo (USE (\\Sent \\Drafts) PARTITION p2 SERVER s MAILBOXID (x) TYPE email)",
        "CREATE f (MAILBOXID x)",
        "DELETE foo",
        "LOCALDELETE foo",
        "LOCALCREATE foo p",
        "RENAME a \"b c\" be2!",
        "XRENAME a b",
        "LIST \"\" *",
        "LIST \"\" \"\"",
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"a/%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
        "LIST (RECURSIVEMATCH) \"\" %",
        "LIST (REMOTE SPECIAL-USE) a (b {1}\r\nc) RETURN (SUBSCRIBED SPECIAL-USE MYRIGHTS)",
        "XLIST \"\" %",
        "RLIST \"\" *",
        "LSUB \"\" *",
        "RLSUB a b",
        "STATUS INBOX (MESSAGES UIDNEXT SIZE HIGHESTMODSEQ MAILBOXID DELETED RECENT UIDVALIDITY)",
        "SUBSCRIBE MAILBOX foo",
        "UNSUBSCRIBE foo",
        "SETACL foo fred +lrs",
        "SETACL foo fred -lrs",
        "SETACL foo fred lrs",
        "DELETEACL foo -fred",
        "GETACL f",
        "MYRIGHTS f",
        "LISTRIGHTS foo anyone",
        "GETQUOTA \"\"",
        "GETQUOTAROOT f",
        "SETQUOTA \"\" (STORAGE 512 MESSAGE -1)",
        "GETMETADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\")",
        "GETMETADATA (DEPTH 1) INBOX /shared/comment",
        "GETMETADATA INBOX (DEPTH infinity) (/shared/comment)",
        "GETMETADATA INBOX (DEPTH infinity)",
        "GETMETADATA (MAXSIZE 10) x (/a /b)",
        "GETANNOTATION \"\" \"/vendor/cmu/cyrus-imapd/freespace\" \"value.shared\"",
        "GETANNOTATION a (b c) (d)",
        "MUPDATEPUSH x",
        "XFER user/fred be2 default",
        "XFER user/fred be2",
        "XCLIENT ADDR=192.0.2.1 SESSION=x TLS=yes",
        "XKICK \"fred\"",
        "FETCH 1:* (FLAGS UID)",
        "FETCH 1 ALL",
        "FETCH 1 full",
        "UID FETCH 1,5:7 BODY.PEEK[HEADER.FIELDS (From \"To\")]<0.100> (CHANGEDSINCE 12)",
        "FETCH 2:4,* (BODY[1.2.MIME] BODY[TEXT] BODY[HEADER.FIELDS.NOT ({1}\r\nX)] BINARY.PEEK[1] BINARY.SIZE[1.2] RFC822.SIZE)",
        "FETCH 1 (ENVELOPE BODYSTRUCTURE INTERNALDATE MODSEQ EMAILID THREADID SAVEDATE RFC822 RFC822.HEADER RFC822.TEXT RFC822.PEEK BODY BODY[])",
        "UID FETCH 1 BINARY[HEADER]",
        "STORE 1 +FLAGS.SILENT (\\Seen $Junk)",
        "UID STORE 1:* (UNCHANGEDSINCE 5) FLAGS \\Seen \\Deleted",
        "STORE 1 -FLAGS (\\Recent \\Draft)",
        "STORE 1 FLAGS ()",
        "STORE 1 FLAGS a b",
        "SEARCH UNSEEN",
        "UID SEARCH RETURN (ALL) CHARSET UTF-8 SUBJECT x",
        "SEARCH RETURN () ALL",
        "SEARCH RETURN (MIN MAX COUNT) OR (SEEN 1:3) NOT FROM \"bob\" LARGER 10",
        "SEARCH KEYWORD a UNKEYWORD b UID 1:4 BEFORE 1-Feb-1994 ON \"1-Feb-1994\" SINCE 31-feb-2000 SENTON 1-Jan-2001",
        "SEARCH OLDER 5 YOUNGER 0 SMALLER 7 MODSEQ 8 MODSEQ \"/flags/x\" all 9",
        "SEARCH HEADER x {2}\r\nyz BODY a TEXT b EMAILID c THREADID d SAVEDON 1-Mar-2020 SAVEDATESUPPORTED NEW OLD RECENT",
        "SEARCH ((1 2) (3)) NOT NOT NOT ALL",
        "UID COPY 1:5 \"Other\"",
        "COPY 1 x",
        "MOVE 1 Trash",
        "XMOVE 1 T",
        "EXPUNGE",
        "UID EXPUNGE 3:4",
        "UID NOOP",
        "UID SORT x",
        "SORT x",
        "FOO",
        "",
        "APPEND INBOX (\\Seen $X) \"17-Jul-1996 02:44:25 -0700\" {3+}\r\nabc",
        "APPEND x ~{2}\r\nab",
        "LOCALAPPEND {5+}\r\nINBOX \"\" () {3+}\r\nabc (\\Seen) {2}\r\nab",
        "APPEND x (\\Foo) {1}\r\na",
        "APPEND x \" 1-Jan-1970 00:00:00 +0000\" {0+}\r\n",
        "APPEND x CATENATE (TEXT {1}\r\na)",
        "append x",
    ];

    const TOKENS: &[&str] = &[
        " ",
        "  ",
        "(",
        ")",
        "\"",
        "\\",
        "{3}",
        "{2+}\r\n",
        "*",
        "%",
        "[",
        "]",
        "<",
        ">",
        ".",
        ",",
        ":",
        "0",
        "1",
        "4294967296",
        "18446744073709551616",
        "NIL",
        "\r\n",
        "\n",
        "\0",
        "\u{e9}",
        "+",
        "-",
        "=",
        "~",
        "ALL",
        "NOT ",
        "OR ",
        "UID ",
        "RETURN ",
        "a",
        "b c",
        "MAILBOX ",
        "\\Recent",
        "CHARSET ",
        "()",
        "(a)",
        "\"x y\"",
        "-Feb-",
        "{1}\r\n\r",
    ];

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4, any::<u8>());
        let changes = prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(change, 1..4)];
        let tag = prop::sample::select(vec!["a1", "a", "a1", "a1", "", "+", "x]"]);
        (tag, prop::sample::select(SEEDS), changes).prop_map(|(tag, seed, changes)| {
            let mut bytes = format!("{tag} {seed}\r\n").into_bytes();
            for (at, which, how, byte) in changes {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    2 => drop(bytes.splice(at..at, which.get(TOKENS).bytes())),
                    _ => {
                        let end = (at + which.index(9)).min(bytes.len());
                        let run = bytes[at..end].to_vec();
                        drop(bytes.splice(at..at, run));
                    }
                }
                if bytes.is_empty() {
                    bytes.push(b'\n');
                }
            }
            bytes.extend_from_slice(b"\r\n");
            bytes
        })
    }

    fn same(limits: Limits, frame: &[u8]) {
        assert_eq!(Command::parse(frame, limits), command(frame, limits), "{}", frame.escape_ascii());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40_000))]
        #[test]
        fn both_read_every_frame_alike(line in line(), small in any::<bool>()) {
            let limits = if small { Limits { word: 8, quoted: 6 } } else { Limits::default() };
            let mut collector = Collector::new(frame::Limits::default(), 1000, 10_000);
            let mut buffer = BytesMut::from(&line[..]);
            while let Ok(Some(collected)) = collector.next(&mut buffer) {
                if let Collected::Command(frame) = collected {
                    same(limits, &frame);
                }
            }
            // APPEND is read up to each literal's header, and between messages.
            let mut framer = frame::Framer::new(frame::Limits::default());
            let (mut buffer, mut held) = (BytesMut::from(&line[..]), Vec::new());
            while let Ok(Some(piece)) = framer.next(&mut buffer) {
                match piece {
                    frame::Piece::Header { text, .. } => {
                        held.extend_from_slice(&text);
                        if Append::begins(&held) {
                        prop_assert_eq!(Append::step(&held, limits), append_step(&held, limits), "{}", held.escape_ascii());
                        }
                        prop_assert_eq!(Next::parse(&text, limits), append_next(&text, limits), "{}", text.escape_ascii());
                    }
                    frame::Piece::Line(text) => {
                        prop_assert_eq!(Next::parse(&text, limits), append_next(&text, limits), "{}", text.escape_ascii());
                        held.clear();
                    }
                    frame::Piece::Data { bytes, .. } => held.extend_from_slice(&bytes),
                    frame::Piece::Overlong { .. } => {}
                }
            }
        }
    }
}
