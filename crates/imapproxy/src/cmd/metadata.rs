//! GETMETADATA, SETMETADATA (RFC 5464) and GETANNOTATION, SETANNOTATION before them.
//!
//! Of a mailbox, its backend answers; of several, or of those that a pattern fits, the backends are asked side by side and the
//! answers come in the order of the list. `/shared/vendor/cmu/cyrus-imapd/server` is not asked of anybody: it is what this node's
//! list says. Of the server see [`super::server_metadata`].

use std::collections::{BTreeSet, HashMap};

use listing::Seen;
use protocol::acl::Rights;
use protocol::imap::command::metadata::{
    Depth, Entry, GetMetadata, Options, SetMetadata, Values, print_metadata,
};
use protocol::imap::refusal::may_annotate;
use protocol::imap::{Code, Refusal, Reply};
use upstream::wire::imap::Answer;

use super::Request;
use super::annotations::{SERVER, long_entries, merged, parse, question};
use super::look::look_around;
use crate::limits::{METADATA_ALL, METADATA_MAX, rows};
use crate::session::gather::Errand;
use crate::session::owners::Owners;
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
    let (owners, mut size) = (Owners::of(all), 0);
    let told = s.gather(errands, METADATA_MAX, |_, server, line| {
        let Some((mailbox, values)) = parse(line) else { return false };
        if !owners.has(server, &mailbox) {
            return true;
        }
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

/// Whether the entry that is made here is among those that are asked for.
fn means_server(entries: &[Entry], options: Options) -> bool {
    entries.iter().any(|entry| !entry.private && entry.means(SERVER, options.depth))
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
            super::lines::check_special_uses(s, located.server(), &set.mailbox, &uses).await?;
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
