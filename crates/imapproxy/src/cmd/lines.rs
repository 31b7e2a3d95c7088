//! What backends say with LIST and LSUB: their lines, and which special uses a user's mailboxes have.

use std::collections::{BTreeSet, HashMap};

use mailboxes::Entry;
use protocol::grammar::{self, argument, mailbox, nstring};
use protocol::imap::Refusal;
use protocol::imap::command::list::Kind;
use protocol::name::MailboxName;

use super::look::look_around;
use crate::grammar::{flag, untagged};
use crate::limits::{LINES_MAX, LIST_LINE, OWN_MAX, rows};
use crate::session::gather::Errand;
use crate::session::owners::Owners;
use crate::session::relay::Beside;
use crate::session::{Session, Stop};

/// A backend's LIST or LSUB line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    pub attributes: Vec<String>,
    pub name: String,
}

impl ListLine {
    /// `* LIST (attributes) "/" name …`
    pub fn parse(line: &[u8], kind: Kind) -> Option<ListLine> {
        let mut at = untagged(line, kind.name())?;
        let attributes = at.read(grammar::list(64, flag)).ok()?;
        at.read(argument(nstring)).ok()?;
        Some(ListLine { attributes, name: at.read(argument(mailbox)).ok()? })
    }
}

/// Asks a backend for LIST or LSUB lines; what else it says goes to the client if it is the selected one.
pub async fn ask_lines(
    s: &mut Session,
    server: &str,
    command: &str,
    kind: Kind,
) -> Result<Vec<ListLine>, Stop> {
    s.link(server).await?;
    let id = s.command(server, command)?;
    let selected = s.selected_server() == Some(server);
    let (mut lines, mut news, mut size) = (Vec::new(), Beside::default(), 0);
    let answer = s
        .collect(server, id, LIST_LINE, |line| match ListLine::parse(line, kind) {
            Some(parsed) => {
                size += line.len();
                match size < LINES_MAX {
                    true => lines.push(parsed),
                    false => rows::LINES_MAX
                        .met(format_args!("{server} lists more than is held: the rest is left out")),
                }
                true
            }
            None => !selected || news.hear(line),
        })
        .await?;
    s.client.put(news.into_bytes());
    if answer.is_ok() { Ok(lines) } else { Err(Stop::Relayed(answer)) }
}

/// Special uses belong to the user's own mailboxes: the backends of those are asked. One that is down is left out.
pub async fn special_uses(s: &mut Session) -> Result<HashMap<String, Vec<String>>, Stop> {
    special_uses_but(s, None).await
}

/// The same of all backends but one.
async fn special_uses_but(s: &mut Session, but: Option<&str>) -> Result<HashMap<String, Vec<String>>, Stop> {
    let mut uses = HashMap::new();
    let Some(inbox) = s.user()?.inbox.clone() else { return Ok(uses) };
    let servers = look_around(s, move |viewer, _| {
        let page = viewer.list.subtree(&inbox, None, OWN_MAX)?;
        let owner =
            |(name, entry): &(MailboxName, Entry)| Some((viewer.named(name)?, entry.server().to_owned()));
        Ok((
            page.entries.iter().map(|(_, entry)| entry.server().to_owned()).collect::<BTreeSet<String>>(),
            page.entries.iter().filter_map(owner).collect::<Owners>(),
        ))
    });
    let (servers, owners) = servers.await?;
    let servers = servers.into_iter().filter(|server| Some(server.as_str()) != but);
    let ask = |server: String| Errand::new(&server, vec![b"LIST (SPECIAL-USE) \"\" \"*\"".to_vec()]);
    let errands = servers.map(ask).collect();
    let mut size = 0;
    s.gather(errands, LIST_LINE, |_, server, line| {
        let Some(parsed) = ListLine::parse(line, Kind::List) else { return false };
        if !owners.has(server, &parsed.name) {
            return true;
        }
        let special = |word: &String| !is_plain(word);
        let words: Vec<String> = parsed.attributes.into_iter().filter(special).collect();
        size += line.len();
        if size >= LINES_MAX {
            rows::LINES_MAX.met("special uses of more mailboxes than are held are not shown");
        } else if !words.is_empty() {
            uses.insert(parsed.name, words);
        }
        true
    })
    .await?;
    Ok(uses)
}

/// Special uses are taken by one mailbox of a user's, and that may be on another backend than `server`, which knows its own.
pub async fn check_special_uses(
    s: &mut Session,
    server: &str,
    external: &str,
    uses: &[String],
) -> Result<(), Stop> {
    if uses.is_empty() {
        return Ok(());
    }
    let taken = special_uses_but(s, Some(server)).await?;
    let others = taken.iter().filter(|(name, _)| name.as_str() != external).flat_map(|(_, uses)| uses);
    for used in others {
        if uses.iter().any(|wanted| wanted.eq_ignore_ascii_case(used)) {
            return Err(Refusal::BadUse("Special use is taken by another mailbox".to_owned()).into());
        }
    }
    Ok(())
}

/// Whether an attribute is no special use.
pub fn is_plain(word: &str) -> bool {
    PLAIN.iter().any(|plain| word.eq_ignore_ascii_case(plain))
}

/// Attributes that are no special use.
const PLAIN: [&str; 8] = [
    "\\HasChildren",
    "\\HasNoChildren",
    "\\Noselect",
    "\\NonExistent",
    "\\Noinferiors",
    "\\Subscribed",
    "\\Marked",
    "\\Unmarked",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_lines_are_read() {
        let line =
            ListLine::parse(b"* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n", Kind::List).unwrap();
        assert_eq!((line.name.as_str(), line.attributes.len()), ("Sent Items", 2));
        let line = ListLine::parse(b"* LSUB () NIL {3}\r\na\"b\r\n", Kind::Lsub).unwrap();
        assert_eq!(line.name, "a\"b");
        assert_eq!(ListLine::parse(b"* LIST () \"/\" x\r\n", Kind::Lsub), None);
        assert_eq!(ListLine::parse(b"* 3 EXISTS\r\n", Kind::List), None);
    }
}
