//! COPY and MOVE. Within one backend it does them itself; between two, the messages are streamed from the one into
//! one APPEND (RFC 3502) on the other, which is all or nothing, and a MOVE takes them from the source only after that.
//!
//! 1. On the source: `UID FETCH set (UID FLAGS INTERNALDATE)`: which messages, with what.
//! 2. On the target: `APPEND mailbox`, and for each message ` (flags) "date" {n+}` and its bytes, as they come from
//!    `UID FETCH uid (BODY.PEEK[])` on the source. Neither side is ever held in memory.
//! 3. COPYUID is made of the UIDs that were sent and the APPENDUID that comes back.
//! 4. MOVE: `UID STORE +FLAGS.SILENT (\Deleted)` and `UID EXPUNGE` on the source. If the source refuses, the copies
//!    are taken back: a message is in one place or the other. Only a crash between 2 and 4 leaves both.

use protocol::acl::Rights;
use protocol::grammar::{argument, atom, byte, digits, keyword, list, parenthesis, quoted, space};
use protocol::imap::command::copy::Copy;
use protocol::imap::{Code, Cursor, Limits, Refusal, Reply, Tag, UidSet};
use tracing::warn;
use upstream::wire::imap::Answer;

use super::Request;
use crate::grammar::{flag, put_astring};
use crate::limits::COPY_LINE;
use crate::session::relay::To;
use crate::session::transfer::Message;
use crate::session::{Done, Located, Outcome, Selected, Session, Stop};

/// `COPY set mailbox`, `MOVE set mailbox` and their UID forms
pub async fn copy(s: &mut Session, request: &Request, copy: Copy) -> Outcome {
    let source = s.selected.clone().ok_or(Refusal::NothingSelected)?;
    let target = match s.locate(&copy.mailbox).await {
        Err(Stop::Refused(refusal)) => return Err(refusal.of_target().into()),
        other => other?,
    };
    if target.server() == source.server {
        return Ok(s.forward(&source.server, &request.head.tag, request.text()).await?.into());
    }
    if copy.moves {
        may_remove(s, &source).await?;
    }
    across(s, &request.head.tag, &copy, &source, &target).await
}

/// Whether the user may take messages out of the selected mailbox: known before anything is copied.
async fn may_remove(s: &Session, source: &Selected) -> Result<(), Stop> {
    let entry = s.locate_name(source.name.clone()).await?.entry;
    let rights = s.rights(&source.name, &entry.acl)?;
    let needed = Rights::DELETE_MESSAGES | Rights::EXPUNGE;
    if source.read_only {
        return Err(Refusal::ReadOnly.into());
    }
    if !(rights.contains(needed) || s.user()?.login.admin) {
        return Err(Refusal::Denied.into());
    }
    Ok(())
}

async fn across(s: &mut Session, tag: &Tag, copy: &Copy, source: &Selected, target: &Located) -> Outcome {
    let messages = survey(s, source, copy).await?;
    if messages.is_empty() {
        // UIDs may name nothing, and so may what was saved (RFC 5182 section 2.1).
        return match copy.uid || copy.set.is_saved() {
            true => Ok(Done::completed()),
            false => Err(Refusal::NoMessages.into()),
        };
    }
    let server = target.server().to_owned();
    let link = s.link(&server).await?;
    if messages.len() > 1 && !link.capabilities.has("MULTIAPPEND") {
        return Err(Refusal::OneAtATime.into());
    }
    let mut command = b"APPEND ".to_vec();
    put_astring(&mut command, copy.mailbox.as_bytes());
    let id = s.up(&server, |link| {
        let id = link.begin(None)?;
        link.send(&command)?;
        Ok(id)
    })?;
    let (answer, sent) = s.transfer(&source.server, &server, id, &messages, tag).await?;
    let answer = match answer {
        Some(answer) if answer.is_ok() && !sent.is_empty() => answer,
        Some(answer) if !answer.is_ok() => return Ok(answer.into()),
        _ => return Err(Refusal::CopyFailed.into()),
    };
    let code = copy_uid(&answer, &sent);
    if !copy.moves {
        return Ok(Done::Here(Reply { code, ..Reply::completed() }));
    }
    remove(s, copy, source, Copied { server, answer, sent, code }).await
}

/// The messages of the set, with their flags and dates.
async fn survey(s: &mut Session, source: &Selected, copy: &Copy) -> Result<Vec<Message>, Stop> {
    let uid = if copy.uid { "UID " } else { "" };
    let id = s.command(&source.server, format!("{uid}FETCH {} (UID FLAGS INTERNALDATE)", copy.set))?;
    let (mut messages, mut news) = (Vec::new(), Vec::new());
    let answer = s
        .collect(&source.server, id, COPY_LINE, |line| match parse_fetch(line) {
            Some(message) => messages.push(message),
            None => news.extend_from_slice(line),
        })
        .await?;
    s.client.put(news);
    if !answer.is_ok() {
        return Err(Stop::Relayed(answer));
    }
    messages.sort_by_key(|message| message.uid);
    messages.dedup_by_key(|message| message.uid);
    Ok(messages)
}

/// `* n FETCH (…)` with UID, FLAGS and INTERNALDATE, in any order; `None` for anything else.
fn parse_fetch(line: &[u8]) -> Option<Message> {
    let mut at = Cursor::new(protocol::frame::trim_line(line), Limits::default());
    at.read(byte(b'*')).ok()?;
    at.read(argument(digits)).ok()?;
    at.read(argument(keyword("FETCH"))).ok()?;
    at.read(argument(parenthesis(b'('))).ok()?;
    let (mut uid, mut flags, mut date) = (None, None, None);
    loop {
        let key = at.read(atom).ok()?.to_ascii_uppercase();
        at.read(space).ok()?;
        match key.as_str() {
            "UID" => uid = std::str::from_utf8(at.read(digits).ok()?).ok()?.parse().ok(),
            "FLAGS" => flags = Some(flag_list(&mut at)?),
            "INTERNALDATE" => date = Some(String::from_utf8(at.read(quoted).ok()?.into_owned()).ok()?),
            "MODSEQ" => drop(at.read(list(1, digits)).ok()?),
            _ => return None,
        }
        if at.read(byte(b')')).is_ok() {
            break;
        }
        at.read(space).ok()?;
    }
    Some(Message { uid: uid?, flags: flags?, date: date? })
}

/// The flags, but for `\Recent`, which nobody can set.
fn flag_list(at: &mut Cursor<'_>) -> Option<String> {
    let mut flags = at.read(list(1024, flag)).ok()?;
    flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    Some(flags.join(" "))
}

/// Which messages are where, if the target says which UIDs it gave.
fn copy_uid(answer: &Answer, sent: &[u32]) -> Option<Code> {
    let code = answer.code("APPENDUID")?;
    let (uidvalidity, uids) = code.split_once(' ')?;
    let from: UidSet = sent.iter().copied().collect();
    let uidvalidity = uidvalidity.parse().ok()?;
    Some(Code::CopyUid { uidvalidity, from: from.to_string(), to: uids.to_owned() })
}

/// What a MOVE has copied.
struct Copied {
    /// Where to.
    server: String,
    /// The target's answer to the APPEND.
    answer: Answer,
    /// UIDs at the source.
    sent: Vec<u32>,
    code: Option<Code>,
}

/// The second half of MOVE: the copies are safe, the originals go.
async fn remove(s: &mut Session, copy: &Copy, source: &Selected, copied: Copied) -> Outcome {
    let Copied { server, answer, sent, code } = copied;
    let uids: UidSet = sent.into_iter().collect();
    let marked =
        s.ask(&source.server, &format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"), To::Client).await?;
    if !marked.is_ok() {
        take_back(s, copy, &server, &answer).await?;
        return Err(Stop::Relayed(marked));
    }
    if let Some(code) = code {
        s.client.put(Reply::ok("Moved").code(code).line(None));
    }
    let gone = s.ask(&source.server, &format!("UID EXPUNGE {uids}"), To::Client).await?;
    if !gone.is_ok() {
        warn!("MOVE between backends: the source keeps its messages: {}", gone.text());
    }
    Ok(Done::completed())
}

/// Takes the copies out of the target again, so that the messages are in one place.
async fn take_back(s: &mut Session, copy: &Copy, target: &str, answer: &Answer) -> Result<(), Stop> {
    let Some(code) = answer.code("APPENDUID") else { return Ok(()) };
    let Some((_, uids)) = code.split_once(' ') else { return Ok(()) };
    let mut select = b"SELECT ".to_vec();
    put_astring(&mut select, copy.mailbox.as_bytes());
    for command in [
        select,
        format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)").into_bytes(),
        format!("UID EXPUNGE {uids}").into_bytes(),
        b"UNSELECT".to_vec(),
    ] {
        let answer = s.ask(target, command, To::Nobody).await?;
        if !answer.is_ok() {
            warn!("MOVE between backends: copies {uids} stay behind: {}", answer.text());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_response_is_read_in_any_order() {
        let line = b"* 3 FETCH (FLAGS (\\Seen \\Recent $Work) UID 17 INTERNALDATE \" 1-Jan-2026 10:00:00 +0000\")\r\n";
        let message = parse_fetch(line).unwrap();
        assert_eq!((message.uid, message.flags.as_str()), (17, "\\Seen $Work"));
        assert_eq!(message.date, " 1-Jan-2026 10:00:00 +0000");
        assert!(parse_fetch(b"* 3 FETCH (UID 1 FLAGS () INTERNALDATE \"x\" MODSEQ (5))\r\n").is_some());
        assert!(parse_fetch(b"* 3 FETCH (FLAGS (\\Seen))\r\n").is_none(), "news, not an answer");
        assert!(parse_fetch(b"* 3 EXISTS\r\n").is_none());
    }

    #[test]
    fn copyuid_names_source_and_destination() {
        let answer = Answer::new("OK [APPENDUID 38505 100:102] Completed");
        assert_eq!(copy_uid(&answer, &[3, 4, 9]).unwrap().to_string(), "COPYUID 38505 3:4,9 100:102");
        let answer = Answer::new("OK Completed");
        assert_eq!(copy_uid(&answer, &[3]), None);
    }
}
