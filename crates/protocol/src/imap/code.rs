//! Response codes as a proxy reads them: RFC 3501 section 7.1.

use nom::Parser;
use nom::sequence::delimited;

use super::command::adopt;
use super::reply::Code;
use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, run};

/// `code = "[" name [SP words] "]"`: the name as written, and what follows the blank behind it.
pub fn code(at: Cursor<'_>) -> Parsed<'_, (&str, Option<&str>)> {
    let (at, inside) = delimited(byte(b'['), run(|byte| byte != b']'), byte(b']')).parse(at)?;
    let code = str::from_utf8(inside).map_err(|_| ParseError::Invalid("response code"))?;
    Ok((at, code.split_once(' ').map_or((code, None), |(name, words)| (name, Some(words)))))
}

/// A code in a server's answer, as a proxy acts upon it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// RFC 4315: the UIDs as they were written.
    AppendUid { uidvalidity: u32, uids: String },
    /// RFC 7162.
    HighestModseq(u64),
    /// RFC 5464: bytes of the longest value that was left out.
    LongEntries(u64),
    /// RFC 5530: the user may not do that.
    NoPerm,
    /// RFC 5530: something is broken there.
    ServerBug,
    /// RFC 5530: something that is needed there is not to be had now.
    Unavailable,
    /// RFC 9586: the command names a message by its number.
    UidRequired,
    /// A backend of ours has given the mailbox away, to a server that it names, and has done nothing of the command.
    XMoved,
    /// A backend of ours has taken these UIDs away, as they were written; and its HIGHESTMODSEQ.
    XTaken { uids: String, modseq: Option<u64> },
    /// Any other, or one whose words are wrong.
    Other,
}

impl Heard {
    /// The code that a text begins with; none: it has none.
    pub fn read(text: &[u8]) -> Option<Heard> {
        let (name, words) = Cursor::new(text, Limits::NONE).read(code).ok()?;
        let words = words.unwrap_or_default();
        let heard = match name.to_ascii_uppercase().as_str() {
            "APPENDUID" => words.split_once(' ').and_then(|(uidvalidity, uids)| {
                Some(Heard::AppendUid { uidvalidity: uidvalidity.parse().ok()?, uids: uids.to_owned() })
            }),
            "HIGHESTMODSEQ" => words.parse().ok().map(Heard::HighestModseq),
            "METADATA" => words
                .strip_prefix("LONGENTRIES ")
                .and_then(|bytes| bytes.parse().ok())
                .map(Heard::LongEntries),
            "NOPERM" => Some(Heard::NoPerm),
            "SERVERBUG" => Some(Heard::ServerBug),
            "UNAVAILABLE" => Some(Heard::Unavailable),
            "UIDREQUIRED" => Some(Heard::UidRequired),
            "XMOVED" if !words.is_empty() => Some(Heard::XMoved),
            "XTAKEN" => words.rsplit_once(' ').map(|(uids, modseq)| Heard::XTaken {
                uids: uids.trim().to_owned(),
                modseq: modseq.parse().ok(),
            }),
            _ => None,
        };
        Some(heard.unwrap_or(Heard::Other))
    }
}

/// Where the selected mailbox has moved, as a backend of ours says to a frontend that goes after it (`* OK [XMOVED server part] …`): the
/// server, and a piece of the state, for XADOPT.
pub fn moved(line: &[u8]) -> Option<(String, adopt::Part)> {
    let (name, words) = Cursor::new(line.get(b"* OK ".len()..)?, Limits::NONE).read(code).ok()?;
    let (server, state) = words.filter(|_| name.eq_ignore_ascii_case("XMOVED"))?.split_once(' ')?;
    Some((server.to_owned(), adopt::Part::read(state)))
}

/// What follows `wanted` and the blank behind it, where a text begins with it.
pub fn without<'a>(text: &'a [u8], wanted: &Code) -> Option<&'a [u8]> {
    let mut at = Cursor::new(text, Limits::NONE);
    let (name, words) = at.read(code).ok()?;
    let found = words.map_or(name.to_owned(), |words| format!("{name} {words}"));
    found.eq_ignore_ascii_case(&wanted.to_string()).then(|| at.rest().strip_prefix(b" ").unwrap_or(at.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_name_and_perhaps_words() {
        let read = |text: &'static str| Cursor::new(text.as_bytes(), Limits::NONE).read(code);
        assert_eq!(read("[APPENDUID 38505 3955] done"), Ok(("APPENDUID", Some("38505 3955"))));
        assert_eq!(read("[TRYCREATE] no such mailbox"), Ok(("TRYCREATE", None)));
        assert_eq!(read("[CAPABILITY ]"), Ok(("CAPABILITY", Some(""))));
        for wrong in ["", "done [ALERT]", "[ALERT", "ALERT]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_code_is_known_however_it_is_written_and_one_with_wrong_words_is_any_other() {
        let read = |text: &str| Heard::read(text.as_bytes());
        let appended = Heard::AppendUid { uidvalidity: 38505, uids: "100:102".to_owned() };
        assert_eq!(read("[appenduid 38505 100:102] done"), Some(appended.clone()));
        let taken = |uids: &str, modseq| Some(Heard::XTaken { uids: uids.to_owned(), modseq });
        assert_eq!(read("[XTAKEN 3:5,9 77] taken"), taken("3:5,9", Some(77)));
        assert_eq!(read("[XTAKEN  77]"), taken("", Some(77)));
        assert_eq!(read("[XTAKEN 3 x]"), taken("3", None));
        assert_eq!(read("[METADATA LONGENTRIES 9]"), Some(Heard::LongEntries(9)));
        assert_eq!(read("[HIGHESTMODSEQ 8] x"), Some(Heard::HighestModseq(8)));
        assert_eq!(read("[UIDREQUIRED] x"), Some(Heard::UidRequired));
        for other in [
            "[ALERT]",
            "[APPENDUID]",
            "[APPENDUID x 1]",
            "[APPENDUID 4294967296 1]",
            "[XTAKEN]",
            "[XMOVED]",
            "[METADATA TOOMANY]",
        ] {
            assert_eq!(read(other), Some(Heard::Other), "{other}");
        }
        for none in ["", "done", "done [ALERT]", "[ALERT"] {
            assert_eq!(read(none), None, "{none}");
        }
        // What is printed is read.
        let code = Code::AppendUid { uidvalidity: 38505, uids: "100:102".to_owned() };
        assert_eq!(read(&format!("[{code}]")), Some(appended));
        assert_eq!(read(&format!("[{}]", Code::LongEntries(9))), Some(Heard::LongEntries(9)));
        assert_eq!(read(&format!("[{}]", Code::XTaken("3:5".to_owned(), 7))), taken("3:5", Some(7)));
        assert_eq!(read(&format!("[{}]", Code::XMoved("be2".to_owned()))), Some(Heard::XMoved));
        assert_eq!(read(&format!("[{}]", Code::UidRequired)), Some(Heard::UidRequired));
    }

    #[test]
    fn a_code_is_told_from_the_text_behind_it() {
        let kicked = |text: &'static str| without(text.as_bytes(), &Code::XKicked);
        assert_eq!(kicked("[XKICKED] Go away"), Some(&b"Go away"[..]));
        assert_eq!(kicked("[xkicked]"), Some(&b""[..]));
        for other in ["[XKICKED 1] x", "[ALERT] [XKICKED] x", "XKICKED", "[XKICKED", "[XKICKEDX] x"] {
            assert_eq!(kicked(other), None, "{other}");
        }
    }
}
