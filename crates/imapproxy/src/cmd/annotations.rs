//! Asking backends for annotations, and what becomes of their answers.

use std::collections::{BTreeMap, BTreeSet};

use protocol::imap::code::Heard;
use protocol::imap::command::metadata::{Depth, Entry, GetMetadata, Options, Values, response};
use upstream::wire::imap::Answer;

use crate::grammar::{put_astring, untagged};

/// `GETMETADATA [(options)] mailbox (entries)`
pub fn question(mailbox: &str, entries: &[&Entry], options: Options) -> Vec<u8> {
    let mut words = Vec::new();
    if let Some(size) = options.max_size {
        words.push(format!("MAXSIZE {size}"));
    }
    match options.depth {
        Depth::Zero => {}
        Depth::One => words.push("DEPTH 1".to_owned()),
        Depth::Infinity => words.push("DEPTH infinity".to_owned()),
    }
    let mut out = b"GETMETADATA ".to_vec();
    if !words.is_empty() {
        out.extend_from_slice(format!("({}) ", words.join(" ")).as_bytes());
    }
    put_astring(&mut out, mailbox.as_bytes());
    let entries: Vec<String> =
        entries.iter().map(|entry| protocol::imap::print::quoted(&entry.to_string())).collect();
    out.extend_from_slice(format!(" ({})", entries.join(" ")).as_bytes());
    out
}

/// A `* METADATA` response of a backend's.
pub fn parse(line: &[u8]) -> Option<(String, Values)> {
    untagged(line, "METADATA")?.read(response).ok()
}

/// The longest value that a backend has left out, by its code `METADATA LONGENTRIES`.
pub fn long_entries(answer: &Answer) -> Option<u64> {
    match answer.code()? {
        Heard::LongEntries(bytes) => Some(bytes),
        _ => None,
    }
}

/// What is asked for, of what a backend said and of what is known here, which counts more; in the order in which one backend would
/// have told all of it.
pub fn merged(
    get: &GetMetadata,
    of_backend: &[(Entry, Option<Vec<u8>>)],
    own: &[(Entry, Vec<u8>)],
) -> Values {
    let mut all: BTreeMap<&Entry, Option<&Vec<u8>>> =
        of_backend.iter().map(|(entry, value)| (entry, value.as_ref())).collect();
    let fits = |value: &&(Entry, Vec<u8>)| {
        get.options.max_size.is_none_or(|most| value.1.len() as u64 <= u64::from(most))
    };
    all.extend(own.iter().filter(fits).map(|(entry, value)| (entry, Some(value))));
    let (mut values, mut told) = (Values::new(), BTreeSet::new());
    for asked in &get.entries {
        if !asked.is_wide(get.options.depth) {
            if let Some(value) = all.get(asked)
                && told.insert(asked)
            {
                values.push((asked.clone(), value.cloned()));
            }
            continue;
        }
        for (entry, value) in &all {
            let meant = entry.private == asked.private && asked.means(&entry.name, get.options.depth);
            if meant && value.is_some() && told.insert(entry) {
                values.push(((*entry).clone(), value.cloned()));
            }
        }
    }
    values
}

/// A server's name for itself is that of the list.
pub const SERVER: &str = "/vendor/cmu/cyrus-imapd/server";

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::grammar::{Cursor, Limits};
    use protocol::imap::command::metadata::print_metadata;

    fn get(text: &str) -> GetMetadata {
        let text = text.as_bytes();
        Cursor::new(text, Limits::default()).read(protocol::imap::command::metadata::get).unwrap()
    }

    #[test]
    fn what_is_made_here_stands_where_a_backend_would_have_told_it() {
        let said = parse(b"* METADATA \"a b\" (\"/shared/comment\" {1}\r\nx \"/shared/vendor/cmu/cyrus-imapd/size\" \"3\" /shared/nothing NIL)\r\n");
        let (mailbox, said) = said.unwrap();
        assert_eq!(mailbox, "a b");
        let own = [(Entry::shared(SERVER), b"be1".to_vec())];
        let told = |asked: &str| {
            let mut out = Vec::new();
            print_metadata(&mut out, "m", &merged(&get(asked), &said, &own));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            told(" m (/shared/vendor/cmu/cyrus-imapd/server /shared/nothing /shared/comment)"),
            "* METADATA m (\"/shared/vendor/cmu/cyrus-imapd/server\" \"be1\" \"/shared/nothing\" NIL \"/shared/comment\" \"x\")\r\n"
        );
        assert_eq!(
            told(" m \"/shared/*\""),
            "* METADATA m (\"/shared/comment\" \"x\" \"/shared/vendor/cmu/cyrus-imapd/server\" \"be1\" \
             \"/shared/vendor/cmu/cyrus-imapd/size\" \"3\")\r\n"
        );
        assert_eq!(told(" (MAXSIZE 2) m /shared/vendor/cmu/cyrus-imapd/server"), "* METADATA m ()\r\n");
    }

    #[test]
    fn a_question_has_all_that_was_asked() {
        let get = get(" INBOX (MAXSIZE 9 DEPTH 1) (/shared/comment \"/private/*\")");
        let entries: Vec<&Entry> = get.entries.iter().collect();
        let text = String::from_utf8(question("a b", &entries, get.options)).unwrap();
        assert_eq!(text, "GETMETADATA (MAXSIZE 9 DEPTH 1) \"a b\" (\"/shared/comment\" \"/private/*\")");
        let answer = Answer::new("OK [METADATA LONGENTRIES 77] Completed");
        assert_eq!(long_entries(&answer), Some(77));
    }
}
