//! GETMETADATA, SETMETADATA (RFC 5464) and GETANNOTATION, SETANNOTATION before them.
//!
//! Of a mailbox, its backend answers; of several, or of those that a pattern fits, the backends are asked side by side and the
//! answers come in the order of the list. `/shared/vendor/cmu/cyrus-imapd/server` is not asked of anybody: it is what this node's
//! list says. Of the server see [`super::server_metadata`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use listing::Seen;
use protocol::acl::Rights;
use protocol::imap::command::metadata::{
    Depth, Entry, GetMetadata, Options, SetMetadata, Values, print_metadata, response,
};
use protocol::imap::refusal::may_annotate;
use protocol::imap::{Code, Refusal, Reply};
use upstream::wire::imap::Answer;

use super::Request;
use super::list::look_around;
use crate::grammar::{put_astring, untagged};
use crate::limits::{METADATA_ALL, METADATA_MAX, rows};
use crate::session::gather::Errand;
use crate::session::{Done, Outcome, Session, Stop};

/// `GETMETADATA [options] mailboxes entries`
pub async fn get(s: &mut Session, request: &Request, get: GetMetadata) -> Outcome {
    s.hear_selected("").await?;
    let (mut longest, mut alone) = (None, None);
    for mailbox in &get.mailboxes {
        if mailbox.is_empty() {
            longest = longest.max(super::server_metadata::get(s, &get).await?);
        } else if mailbox.contains(['*', '%']) {
            let pattern = s.node.namespace.pattern("", mailbox);
            let fitting = look_around(s, move |viewer, budget| viewer.fitting(&pattern, budget)).await?;
            let readable = fitting.into_iter().filter(|seen| may_read(s, seen.rights).is_ok()).collect();
            longest = longest.max(of_all(s, &get, readable).await?);
        } else {
            let seen = seen(s, mailbox).await?;
            if get.mailboxes.len() == 1 && !means_server(&get.entries, get.options) {
                // Nothing to be added: it goes through as it comes.
                return Ok(s.forward(&seen.server, &request.head.tag, request.text()).await?.into());
            }
            may_read(s, seen.rights)?;
            let (told, answer) = of_one(s, &get, seen).await?;
            (longest, alone) = (longest.max(told), answer.or(alone));
        }
    }
    Ok(match (alone, longest) {
        (Some(refused), _) => Done::There(refused),
        (None, Some(bytes)) => Done::Here(Reply::completed().code(Code::LongEntries(bytes))),
        (None, None) => Done::completed(),
    })
}

/// The mailbox of a name, and what the user may do with it.
async fn seen(s: &Session, external: &str) -> Result<Seen, Stop> {
    let located = s.locate(external).await?;
    let rights = s.rights(&located.name, &located.entry.acl)?;
    let server = located.server().to_owned();
    Ok(Seen { name: located.name, external: external.to_owned(), rights, server })
}

/// Whether somebody with these rights may read annotations (RFC 5464 section 3.3).
pub fn may_read(s: &Session, rights: Rights) -> Result<(), Refusal> {
    may_annotate(rights, s.user.as_ref().is_some_and(|user| user.is_admin()))
}

/// One mailbox, whose backend's NO is the answer. Gives the size of the longest value that was left out.
async fn of_one(
    s: &mut Session,
    get: &GetMetadata,
    seen: Seen,
) -> Result<(Option<u64>, Option<Answer>), Stop> {
    let server = seen.server.clone();
    let gathered = gather(s, get, std::slice::from_ref(&seen)).await?;
    match gathered.down.contains(&server) {
        true => return Err(Refusal::ServerDown.into()),
        false => gathered.print(s, get, &seen),
    }
    Ok((gathered.longest, gathered.refused))
}

/// All of these, in their order.
async fn of_all(s: &mut Session, get: &GetMetadata, all: Vec<Seen>) -> Result<Option<u64>, Stop> {
    let gathered = gather(s, get, &all).await?;
    s.tell_missing(&gathered.down);
    for seen in all.iter().filter(|seen| !gathered.down.contains(&seen.server)) {
        gathered.print(s, get, seen);
        if !s.client.peer.has_room() {
            s.client.flush().await?;
        }
    }
    Ok(gathered.longest)
}

/// What the backends said, by the names that the user has for mailboxes.
#[derive(Debug, Default)]
pub struct Gathered {
    values: HashMap<String, Values>,
    pub longest: Option<u64>,
    /// Servers that could not be asked.
    pub down: BTreeSet<String>,
    refused: Option<Answer>,
}

/// Asks the backends of these mailboxes for what is not known here.
pub async fn gather(s: &mut Session, get: &GetMetadata, all: &[Seen]) -> Result<Gathered, Stop> {
    let mut gathered = Gathered::default();
    let is_server = |entry: &&Entry| get.options.depth == Depth::Zero && **entry == Entry::shared(SERVER);
    let entries: Vec<&Entry> = get.entries.iter().filter(|entry| !is_server(entry)).collect();
    if entries.is_empty() {
        return Ok(gathered);
    }
    let asked = |seen: &Seen| question(&seen.external, &entries, get.options);
    let errands = Errand::by_server(all.iter().map(|seen| (seen.server.as_str(), asked(seen))));
    let mut size = 0;
    let told = s.gather(errands, METADATA_MAX, |_, _, line| {
        let Some((mailbox, values)) = parse(line) else { return false };
        size += line.len();
        if size < METADATA_ALL {
            gathered.values.entry(mailbox).or_default().extend(values);
        }
        true
    });
    let told = told.await?;
    if size >= METADATA_ALL {
        rows::METADATA_ALL.met("more annotations than can be shown at once: the command is refused");
        return Err(Refusal::Limit("More annotations than can be shown at once".into()).into());
    }
    for told in told.0 {
        match told.answers {
            Some(answers) => answers.into_iter().for_each(|answer| gathered.heard(answer)),
            None => drop(gathered.down.insert(told.server)),
        }
    }
    Ok(gathered)
}

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

impl Gathered {
    fn heard(&mut self, answer: Answer) {
        self.longest = self.longest.max(long_entries(&answer));
        if !answer.is_ok() {
            self.refused = Some(answer);
        }
    }

    /// The line of a mailbox, if there is anything to be said.
    pub fn print(&self, s: &mut Session, get: &GetMetadata, seen: &Seen) {
        let mut out = Vec::new();
        self.write(&mut out, get, seen);
        s.client.put(out);
    }

    pub fn write(&self, out: &mut Vec<u8>, get: &GetMetadata, seen: &Seen) {
        let of_backend = self.values.get(&seen.external).map_or(&[][..], Vec::as_slice);
        let own = [(Entry::shared(SERVER), seen.server.as_bytes().to_vec())];
        let values = merged(get, of_backend, &own);
        if !values.is_empty() {
            print_metadata(out, &seen.external, &values);
        }
    }
}

/// The longest value that a backend has left out, by its code `METADATA LONGENTRIES`.
pub fn long_entries(answer: &Answer) -> Option<u64> {
    answer.code("METADATA")?.strip_prefix("LONGENTRIES ")?.parse().ok()
}

/// Whether the entry that is made here is among those that are asked for.
fn means_server(entries: &[Entry], options: Options) -> bool {
    entries.iter().any(|entry| !entry.private && entry.means(SERVER, options.depth))
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

/// `SETMETADATA mailbox (entry value …)`
pub async fn set(s: &mut Session, request: &Request, set: SetMetadata) -> Outcome {
    if set.mailbox.is_empty() {
        return super::server_metadata::set(s, set.values).await;
    }
    let located = s.locate(&set.mailbox).await?;
    for (entry, value) in &set.values {
        if let (true, "/specialuse", Some(uses)) = (entry.private, entry.name.as_str(), value) {
            let uses = String::from_utf8_lossy(uses).into_owned();
            let uses: Vec<String> = uses.split_whitespace().map(str::to_owned).collect();
            super::list::check_special_uses(s, located.server(), &set.mailbox, &uses).await?;
        }
    }
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// `GETANNOTATION mailbox …`, `SETANNOTATION mailbox …`
pub async fn annotation(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    if !s.listener.imapd().annotation_enable_legacy_commands || mailbox.is_empty() {
        return Err(Refusal::Denied.into());
    }
    let located = s.locate(mailbox).await?;
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// `XWARMUP mailbox (items)`: of the mailbox's backend, whichever is selected.
pub async fn warm_up(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    let located = s.locate(mailbox).await?;
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// A server's name for itself is that of the list.
pub const SERVER: &str = "/vendor/cmu/cyrus-imapd/server";

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::grammar::{Cursor, Limits};

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
