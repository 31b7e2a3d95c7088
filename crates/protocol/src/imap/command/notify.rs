//! NOTIFY (RFC 5465): what a client wants to hear of without asking, and of which mailboxes.

use super::fetch::{self, Item};
use super::multisearch::{Source, source};
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, atom, byte, keyword, parenthesis, run, space,
};
use crate::imap::{Refusal, print};

pub use crate::event::{Event, Events};

/// `NOTIFY SP ("NONE" / "SET" [SP "STATUS"] SP group *(SP group))`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    None,
    Set(Set),
}

/// What takes the place of all that was asked for before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set {
    /// How the mailboxes are now is told at once.
    pub status: bool,
    /// What of the selected mailbox; none: nothing without being asked.
    pub selected: Option<Selected>,
    /// Of which other mailboxes. Several groups may name one: their events add up.
    pub groups: Vec<Group>,
    /// An event that is not known, or that is none of the selected mailbox's: nothing is changed then.
    pub bad_event: bool,
}

/// `"(" ("SELECTED" / "SELECTED-DELAYED") SP events ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Messages go only when a command allows it.
    pub delayed: bool,
    pub events: Events,
    /// What is told of a new message at once.
    pub fetch: Vec<Item>,
    /// The same as the client wrote it, without the parentheses.
    pub fetch_text: Vec<u8>,
}

/// `"(" source SP events ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub source: Source,
    pub events: Events,
}

impl Set {
    /// Why it cannot be done, if so.
    pub fn refusal(&self) -> Option<Refusal> {
        self.bad_event.then_some(Refusal::BadEvent)
    }

    /// The events of all groups.
    pub fn events(&self) -> Events {
        self.groups.iter().fold(Events::NONE, |all, group| all.with(group.events))
    }

    /// As a command, without tag and line end.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.status { b"NOTIFY SET STATUS" } else { b"NOTIFY SET" });
        if let Some(selected) = &self.selected {
            let filter = if selected.delayed { "SELECTED-DELAYED" } else { "SELECTED" };
            out.extend_from_slice(format!(" ({filter} ").as_bytes());
            let mut events = selected.events.to_string();
            if !selected.fetch_text.is_empty() && events.starts_with("(MessageNew") {
                let rest = events.split_off("(MessageNew".len());
                out.extend_from_slice(events.as_bytes());
                out.extend_from_slice(b" (");
                out.extend_from_slice(&selected.fetch_text);
                out.push(b')');
                events = rest;
            }
            out.extend_from_slice(format!("{events})").as_bytes());
        }
        for group in &self.groups {
            out.extend_from_slice(b" (");
            print_source(out, &group.source);
            out.extend_from_slice(format!(" {})", group.events).as_bytes());
        }
    }
}

fn print_source(out: &mut Vec<u8>, source: &Source) {
    let (word, names): (&str, &[String]) = match source {
        Source::Selected => ("SELECTED", &[]),
        Source::Inboxes => ("INBOXES", &[]),
        Source::Personal => ("PERSONAL", &[]),
        Source::Subscribed => ("SUBSCRIBED", &[]),
        Source::Subtree(names) => ("SUBTREE", names),
        Source::SubtreeOne(names) => ("SUBTREE-ONE", names),
        Source::Mailboxes(names) => ("MAILBOXES", names),
    };
    out.extend_from_slice(word.as_bytes());
    for (at, name) in names.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b" (" } else { b" " });
        print::mailbox(out, name);
    }
    if !names.is_empty() {
        out.push(b')');
    }
}

pub fn parse(at: Cursor<'_>) -> Parsed<'_, Notify> {
    let (at, word) = argument(atom)(at)?;
    match Keyword::of(word.as_bytes()).as_bytes() {
        b"NONE" => Ok((at, Notify::None)),
        b"SET" => {
            let (at, set) = set(at)?;
            Ok((at, Notify::Set(set)))
        }
        _ => Err(ParseError::Invalid("argument").into()),
    }
}

fn set(at: Cursor<'_>) -> Parsed<'_, Set> {
    let mut set = Set::default();
    let (mut at, ()) = space(at)?;
    if let Ok((rest, ())) = keyword("STATUS")(at) {
        set.status = true;
        (at, _) = space(rest)?;
    }
    let mut left = GROUPS;
    loop {
        at = group(at, &mut set)?.0;
        left -= 1;
        if at.peek() != Some(b' ') {
            return Ok((at, set));
        }
        match space(at) {
            Ok((rest, ())) if left > 0 => at = rest,
            Ok(_) => return Err(ParseError::Invalid("list, too long,").into()),
            // Blanks at the end of the command.
            Err(_) => return Ok((at, set)),
        }
    }
}

/// `"(" filter SP events ")"`
fn group<'a>(at: Cursor<'a>, set: &mut Set) -> Parsed<'a, ()> {
    let (at, ()) = parenthesis(b'(')(at)?;
    let (rest, word) = atom(at).map_err(|_| WRONG)?;
    let delayed = match Keyword::of(word.as_bytes()).as_bytes() {
        b"SELECTED" => Some(false),
        b"SELECTED-DELAYED" => Some(true),
        _ => None,
    };
    let (at, source) = match delayed {
        Some(_) => (rest, Source::Selected),
        None => source(at).map_err(|error| match error {
            nom::Err::Error(ParseError::Invalid("search source")) => nom::Err::Error(WRONG),
            other => other,
        })?,
    };
    let (at, wanted) = argument(events)(at)?;
    let (at, ()) = byte(b')')(at).map_err(|_| ParseError::Invalid("event group"))?;
    let Wanted { events, fetch, fetch_text, unknown } = wanted;
    set.bad_event |= unknown;
    let Some(delayed) = delayed else {
        if !fetch.is_empty() {
            return Err(ParseError::Text("Fetch attributes are for the selected mailbox").into());
        }
        set.groups.push(Group { source, events });
        return Ok((at, ()));
    };
    if set.selected.is_some() {
        return Err(ParseError::Text("The selected mailbox has one event group").into());
    }
    set.bad_event |= !events.without(Events::MESSAGES).is_empty();
    set.selected = Some(Selected { delayed, events, fetch, fetch_text });
    Ok((at, ()))
}

#[derive(Default)]
struct Wanted {
    events: Events,
    fetch: Vec<Item>,
    fetch_text: Vec<u8>,
    /// There is an event of which nothing is known.
    unknown: bool,
}

/// `"NONE" / "(" event *(SP event) ")"`
fn events(at: Cursor<'_>) -> Parsed<'_, Wanted> {
    let mut wanted = Wanted::default();
    if let Ok((at, ())) = keyword("NONE")(at) {
        return Ok((at, wanted));
    }
    let (mut at, ()) = parenthesis(b'(')(at)?;
    for _ in 0..EVENTS {
        at = event(at, &mut wanted)?.0;
        if at.peek() == Some(b')') {
            at = byte(b')')(at)?.0;
            return match wanted.events {
                events if !is_whole(events) => Err(INCOMPLETE.into()),
                _ => Ok((at, wanted)),
            };
        }
        (at, _) = space(at).map_err(|_| ParseError::Invalid("event"))?;
    }
    Err(ParseError::Invalid("list, too long,").into())
}

/// RFC 5465 section 5: MessageNew and MessageExpunge come together, and the other two need both.
fn is_whole(events: Events) -> bool {
    let counts = events.common(Events::COUNTS);
    counts == Events::COUNTS || (counts.is_empty() && !events.intersects(Events::CHANGES))
}

/// `word [SP "(" fetch-att *(SP fetch-att) ")"]`, the latter behind MessageNew only.
fn event<'a>(at: Cursor<'a>, wanted: &mut Wanted) -> Parsed<'a, ()> {
    let (at, word) = run(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))(at)?;
    if word.is_empty() {
        return Err(ParseError::Invalid("event").into());
    }
    let known = Event::ALL.into_iter().find(|event| word.eq_ignore_ascii_case(event.word().as_bytes()));
    let Some(event) = known else {
        wanted.unknown = true;
        return Ok((at, ()));
    };
    wanted.events = wanted.events.with(Events::of(event));
    let follows = |at: Cursor<'_>| space(at).is_ok_and(|(rest, ())| rest.peek() == Some(b'('));
    if event != Event::MessageNew || !follows(at) {
        return Ok((at, ()));
    }
    let (start, ()) = space(at)?;
    let (end, items) = fetch::items(start)?;
    let length = start.rest().len() - end.rest().len();
    let text = start.rest().get(1..length.saturating_sub(1)).unwrap_or_default();
    (wanted.fetch, wanted.fetch_text) = (items, text.to_vec());
    Ok((end, ()))
}

/// `* METADATA SP mailbox SP entry *(SP entry)`: annotations that changed, without their values (RFC 5464 section 4.4.2).
pub fn print_annotated<'e>(out: &mut Vec<u8>, mailbox: &str, entries: impl IntoIterator<Item = &'e str>) {
    out.extend_from_slice(b"* METADATA ");
    match mailbox {
        "" => out.extend_from_slice(b"\"\""),
        mailbox => print::mailbox(out, mailbox),
    }
    for entry in entries {
        out.push(b' ');
        print::astring(out, entry.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

const WRONG: ParseError = ParseError::Invalid("mailbox filter");
const INCOMPLETE: ParseError = ParseError::Text("MessageNew and MessageExpunge come together, and first");
/// Groups of one NOTIFY.
pub const GROUPS: usize = 100;
/// Events of one group.
const EVENTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::end;
    use crate::imap::Limits;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Notify, ParseError> {
        let mut at = Cursor::new(text.as_bytes(), Limits::default());
        let notify = at.read(parse)?;
        at.read(end).map(|()| notify)
    }

    fn set(text: &str) -> Set {
        match read(text) {
            Ok(Notify::Set(set)) => set,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn printed(set: &Set) -> String {
        let mut out = Vec::new();
        set.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(read(" none"), Ok(Notify::None));
        let one = set(" set status (selected MessageNew) (subtree Lists MessageNew)"
            .replace("MessageNew", "NONE")
            .as_str());
        assert!(one.status && one.selected.is_some_and(|selected| selected.events.is_empty()));
        let text = " SET (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) \
                    (subtree Lists (MessageNew MessageExpunge)) (mailboxes (a \"b c\") (MailboxName))";
        let set = set(text);
        let selected = set.selected.clone().unwrap();
        assert!(!selected.delayed && selected.fetch.len() == 2 && selected.events == Events::COUNTS);
        assert_eq!(set.groups.len(), 2);
        assert_eq!(set.groups[1].source, Source::Mailboxes(vec!["a".to_owned(), "b c".to_owned()]));
        assert!(!set.bad_event && !set.status);
        assert_eq!(
            printed(&set),
            "NOTIFY SET (SELECTED (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) \
             (SUBTREE (Lists) (MessageNew MessageExpunge)) (MAILBOXES (a \"b c\") (MailboxName))"
        );
    }

    #[test]
    fn events_that_nobody_knows_or_that_no_open_mailbox_has_are_told_apart_from_nonsense() {
        for text in [
            " SET (personal (Foo))",
            " SET (selected (MailboxName))",
            " SET (selected (MessageNew MessageExpunge SubscriptionChange)) (personal NONE)",
        ] {
            assert_eq!(set(text).refusal(), Some(Refusal::BadEvent), "{text}");
        }
    }

    #[test]
    fn what_is_no_notify() {
        for text in [
            "",
            " SET",
            " SET STATUS",
            " GET",
            " SET ()",
            " SET (selected)",
            " SET (selected ())",
            " SET (selected (MessageNew))",
            " SET (personal (MessageExpunge))",
            " SET (personal (FlagChange))",
            " SET (personal (AnnotationChange MessageNew))",
            " SET (personal (MessageNew (UID) MessageExpunge))",
            " SET (selected (MessageNew () MessageExpunge))",
            " SET (selected NONE) (selected-delayed NONE)",
            " SET (selected NONE) (selected NONE)",
            " SET (mailboxes (MailboxName))",
            " SET (foo (MailboxName))",
            " SET (subtree)",
            " SET (personal (MailboxName)",
            " SET (personal (MailboxName))(inboxes NONE)",
            " SET personal (MailboxName)",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let many = format!(" SET{}", " (personal NONE)".repeat(GROUPS + 1));
        assert!(read(&many).is_err());
    }

    #[test]
    fn names_of_annotations_are_told_without_their_values() {
        let mut out = Vec::new();
        print_annotated(&mut out, "INBOX", ["/shared/comment", "/private/comment"]);
        print_annotated(&mut out, "", ["/shared/admin"]);
        let told = String::from_utf8(out).unwrap();
        assert_eq!(
            told,
            "* METADATA INBOX /shared/comment /private/comment\r\n* METADATA \"\" /shared/admin\r\n"
        );
    }

    fn events() -> impl Strategy<Value = Events> {
        any::<u8>().prop_map(Events).prop_filter("whole", |events| is_whole(*events))
    }

    fn sources() -> impl Strategy<Value = Source> {
        let names = || proptest::collection::vec("[a-zA-Z0-9 \"./\\\\]{1,9}", 1..4);
        prop_oneof![
            Just(Source::Inboxes),
            Just(Source::Personal),
            Just(Source::Subscribed),
            names().prop_map(Source::Subtree),
            names().prop_map(Source::SubtreeOne),
            names().prop_map(Source::Mailboxes),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            status in any::<bool>(),
            selected in proptest::option::of((any::<bool>(), events(), any::<bool>())),
            groups in proptest::collection::vec((sources(), events()), 1..5),
        ) {
            let selected = selected.map(|(delayed, events, fetch)| {
                let events = events.common(Events::MESSAGES);
                let fetch = fetch && events.has(Event::MessageNew);
                Selected {
                    delayed,
                    events,
                    fetch: if fetch { vec![Item::Uid, Item::Flags] } else { Vec::new() },
                    fetch_text: if fetch { b"UID FLAGS".to_vec() } else { Vec::new() },
                }
            });
            let groups = groups.into_iter().map(|(source, events)| Group { source, events }).collect();
            let set = Set { status, selected, groups, bad_event: false };
            let text = printed(&set);
            prop_assert_eq!(read(&text["NOTIFY".len()..]), Ok(Notify::Set(set)));
        }
    }
}
