//! What a server answers before the end of a command: an untagged line, `* MAILBOX %(…)`.

use crate::grammar::{Cursor, Keyword, Parsed, argument, atom};
use crate::name::MailboxName;

use super::dlist::{self, Writer};
use super::moving::{Have, State};
use super::user::{HeldScript, MailboxAnnotation, Quota, Seen, name};
use super::{Guid, Mailbox, Peer, push};

/// An untagged answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Mailbox(Box<Mailbox>),
    Quota(Quota),
    /// Of the user that was asked for.
    Subscriptions(Vec<MailboxName>),
    Seen(Seen),
    Annotation(MailboxAnnotation),
    Script(HeldScript),
    /// To RESERVE: messages that are to be sent.
    Missing(Vec<Guid>),
    /// To CAPABILITIES.
    Enabled(Vec<String>),
    /// To XBEGIN.
    Have(Vec<Have>),
    State(State),
    /// Anything else: to be passed over.
    Other,
}

impl Told {
    /// Reads what stands behind `* `, with its literals in place.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Told> {
        let (at, word) = atom(at)?;
        let names = |at| dlist_of(at, name);
        match Keyword::of(word.as_bytes()).as_bytes() {
            b"MAILBOX" => argument(Mailbox::parse)(at).map(|(at, one)| (at, Told::Mailbox(Box::new(one)))),
            b"QUOTA" => argument(Quota::parse)(at).map(|(at, quota)| (at, Told::Quota(quota))),
            b"LSUB" => argument(names)(at).map(|(at, names)| (at, Told::Subscriptions(names))),
            b"SEEN" => argument(Seen::parse)(at).map(|(at, seen)| (at, Told::Seen(seen))),
            b"ANNOTATION" => {
                argument(MailboxAnnotation::parse)(at).map(|(at, note)| (at, Told::Annotation(note)))
            }
            b"SIEVE" => argument(HeldScript::parse)(at).map(|(at, script)| (at, Told::Script(script))),
            b"MISSING" => {
                argument(|at| dlist_of(at, Guid::parse))(at).map(|(at, guids)| (at, Told::Missing(guids)))
            }
            b"ENABLED" => {
                argument(|at| dlist_of(at, dlist::string))(at).map(|(at, words)| (at, Told::Enabled(words)))
            }
            b"XHAVE" => argument(|at| dlist_of(at, Have::parse))(at).map(|(at, have)| (at, Told::Have(have))),
            b"XSTATE" => argument(State::parse)(at).map(|(at, state)| (at, Told::State(state))),
            _ => Ok((at.with(&[]), Told::Other)),
        }
    }

    /// Prints the line with `* ` and its line end.
    pub fn write(&self, peer: Peer, out: &mut Vec<u8>) {
        out.push(b'*');
        let mut out = Writer::response(out);
        match self {
            Told::Mailbox(mailbox) => mailbox.write(out.key("MAILBOX"), peer),
            Told::Quota(quota) => quota.write(out.key("QUOTA")),
            Told::Subscriptions(names) => {
                out.key("LSUB").list(|out| names.iter().for_each(|name| out.text(name.as_str())));
            }
            Told::Seen(seen) => seen.write(out.key("SEEN")),
            Told::Annotation(note) => note.write(out.key("ANNOTATION")),
            Told::Script(script) => script.write(out.key("SIEVE")),
            Told::Missing(guids) => {
                out.key("MISSING").list(|out| guids.iter().for_each(|guid| out.text(guid.to_string())));
            }
            Told::Enabled(words) => {
                out.key("ENABLED").list(|out| words.iter().for_each(|word| out.text(word)));
            }
            Told::Have(have) => out.key("XHAVE").list(|out| have.iter().for_each(|have| have.write(out))),
            Told::State(state) => state.write(out.key("XSTATE")),
            Told::Other => out.key("OTHER").nil(),
        }
        out.end();
    }
}

fn dlist_of<'a, T>(at: Cursor<'a>, mut value: impl FnMut(Cursor<'a>) -> Parsed<'a, T>) -> Parsed<'a, Vec<T>> {
    let mut values = Vec::new();
    let (at, ()) = dlist::list(at, |at| push(at, &mut value, &mut values))?;
    Ok((at, values))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;
    use crate::sync::mailbox::tests::mailbox;
    use crate::sync::moving::{Digest, Phase};

    fn told() -> impl Strategy<Value = Told> {
        let guids = proptest::collection::vec(any::<[u8; 20]>().prop_map(Guid), 0..4);
        let have = (mailbox(), any::<(u32, u64)>(), any::<[u8; 32]>()).prop_map(
            |(mailbox, (last_uid, highestmodseq), digest)| Have {
                uniqueid: mailbox.uniqueid,
                last_uid,
                highestmodseq,
                digest: Digest(digest),
            },
        );
        prop_oneof![
            mailbox().prop_map(|mailbox| Told::Mailbox(Box::new(mailbox))),
            proptest::collection::vec(mailbox().prop_map(|mailbox| mailbox.name), 0..3)
                .prop_map(Told::Subscriptions),
            guids.prop_map(Told::Missing),
            proptest::collection::vec("[A-Z-]{1,9}", 0..3).prop_map(Told::Enabled),
            ("[a-zé ]{1,9}", any::<(i64, [u8; 20], bool)>()).prop_map(
                |(file, (last_update, guid, active))| {
                    Told::Script(HeldScript { file, last_update, guid: Guid(guid), active })
                }
            ),
            proptest::collection::vec(have, 0..3).prop_map(Told::Have),
            mailbox().prop_map(|mailbox| Told::State(State { id: mailbox.uniqueid, phase: Phase::Prepared })),
        ]
    }

    fn read(line: &[u8]) -> Option<Told> {
        let mut at = Cursor::new(crate::frame::trim_line(line.strip_prefix(b"* ")?), Limits::NONE);
        at.read(Told::parse).ok().filter(|_| at.at_end())
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        assert_eq!(read(b"* FROG %(FILENAME x ISACTIVE 1)\r\n"), Some(Told::Other));
        assert_eq!(read(b"* MISSING ()\r\n"), Some(Told::Missing(vec![])));
        assert_eq!(read(b"* MISSING (x)\r\n"), None);
    }

    proptest! {
        #[test]
        fn an_answer_that_is_printed_is_read_back(told in told()) {
            let mut out = Vec::new();
            told.write(Peer::Ours, &mut out);
            prop_assert_eq!(read(&out), Some(told));
        }
    }
}
