//! COPY and MOVE; REPLACE (see `append.rs`) ends as MOVE does. Within one backend it does them itself; between two, the messages are streamed from the one into
//! one APPEND (RFC 3502) on the other, which is all or nothing, and a MOVE takes them from the source only after that.
//!
//! 1. On the source: `UID FETCH set (UID FLAGS INTERNALDATE)`, and ANNOTATION where both know it: which messages, with what.
//! 2. On the target: `APPEND mailbox`, and for each message ` (flags) "date" {n+}` and its bytes, as they come from
//!    `UID FETCH uid (BODY.PEEK[])` on the source. Neither side is ever held in memory.
//! 3. COPYUID is made of the UIDs that were sent and the APPENDUID that comes back.
//! 4. MOVE: XTAKE on the source, which says which messages were taken; copies of those that somebody else took meanwhile are taken
//!    back, and so are all where the source refuses: a message is in one place or the other. Only a crash between 2 and 4 leaves
//!    both. On a source that is no backend of ours it is `UID STORE +FLAGS.SILENT (\Deleted)` and `UID EXPUNGE`.
//!
//! All of it names messages by UID, and reads UIDFETCH and VANISHED as well as FETCH and EXPUNGE: the client may have turned those on.

use protocol::acl::Rights;
use protocol::grammar::{argument, atom, byte, digits, keyword, list, parenthesis, quoted, space};
use protocol::imap::code::Heard;
use protocol::imap::command::annotate;
use protocol::imap::command::copy::Copy;
use protocol::imap::set::Ranges;
use protocol::imap::{Code, Cursor, Limits, Refusal, Reply, SequenceSet, Tag, UidSet};
use tracing::warn;
use upstream::wire::imap::Answer;

use super::Request;
use super::look::locate_target;
use crate::grammar::{flag, put_astring};
use crate::limits::{COPY_LINE, METADATA_MAX, MOVED, SURVEYED, rows};
use crate::session::relay::{Beside, To};
use crate::session::transfer::{Message, Transferred};
use crate::session::{Done, Located, Outcome, Selected, Session, Stop};

/// `COPY set mailbox`, `MOVE set mailbox` and their UID forms
pub async fn copy(s: &mut Session, request: &Request, copy: Copy) -> Outcome {
    let source = s.selected.clone().ok_or(Refusal::NothingSelected)?;
    if !copy.uid && s.enabled.manner().uid_only {
        return Err(Refusal::UidRequired.into());
    }
    let target = locate_target(s, &copy.mailbox).await?;
    if target.server() == source.server {
        return Ok(s.forward(&source.server, &request.head.tag, request.text()).await?.into());
    }
    if copy.moves {
        may_remove(s, &source).await?;
    }
    across(s, &request.head.tag, &copy, &source, &target).await
}

/// Whether the user may take messages out of the selected mailbox: known before anything is copied.
pub async fn may_remove(s: &Session, source: &Selected) -> Result<(), Stop> {
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
    let notes = carries_notes(s, source, target).await?;
    let messages = survey(s, source, copy, notes).await?;
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
    let transferred = s.transfer(&source.server, &server, id, &messages, tag).await?;
    let Transferred { answer, sent, unreadable, moved } = transferred;
    if let Some(moved) = moved {
        // Nothing is done: it begins anew where the mailbox is now.
        return Err(Stop::Relayed(moved));
    }
    let answer = match answer {
        Some(answer) if answer.is_ok() && !sent.is_empty() => answer,
        Some(answer) if !answer.is_ok() => return Ok(answer.into()),
        // Another session was faster, for all of them.
        None if sent.is_empty() && !unreadable => {
            return if copy.uid { Ok(Done::completed()) } else { Err(Refusal::Expunged.into()) };
        }
        _ => return Err(Refusal::CopyFailed.into()),
    };
    let code = copy_uid(&answer, &sent);
    let told = "Completed";
    if !copy.moves {
        return Ok(Done::Here(Reply { code, ..Reply::completed() }));
    }
    remove(s, tag, copy, source, Copied { server, answer, sent, code, told, must_go: !copy.uid }).await
}

/// Which annotations of the messages go along: both backends know them, and the user may set them at the target.
async fn carries_notes(s: &mut Session, source: &Selected, target: &Located) -> Result<Option<Kinds>, Stop> {
    let rights = s.rights(&target.name, &target.entry.acl)?;
    for server in [source.server.as_str(), target.server()] {
        if !s.link(server).await?.capabilities.has("ANNOTATE-EXPERIMENT-1") {
            return Ok(None);
        }
    }
    Ok(match (rights.contains(Rights::READ), rights.contains(Rights::ANNOTATE)) {
        (true, true) => Some("value.priv value.shared"),
        (true, false) => Some("value.priv"),
        (false, true) => Some("value.shared"),
        (false, false) => None,
    })
}

/// Attributes of annotations.
type Kinds = &'static str;

/// The messages of the set, with their flags and dates.
pub async fn survey(
    s: &mut Session,
    source: &Selected,
    copy: &Copy,
    notes: Option<Kinds>,
) -> Result<Vec<Message>, Stop> {
    let uid = if copy.uid { "UID " } else { "" };
    let (more, max) = match notes {
        Some(kinds) => (format!(" ANNOTATION (/* ({kinds}))"), METADATA_MAX),
        None => (String::new(), COPY_LINE),
    };
    let id = s.command(&source.server, format!("{uid}FETCH {} (UID FLAGS INTERNALDATE{more})", copy.set))?;
    let (mut messages, mut news, mut size) = (Vec::new(), Beside::default(), 0);
    let answer = s
        .collect(&source.server, id, max, |line| match parse_fetch(line) {
            Some(message) => {
                size += line.len();
                messages.push(message);
                if size > SURVEYED {
                    rows::SURVEYED
                        .met("a backend says more of the messages of a COPY than is held: it is left");
                }
                size <= SURVEYED
            }
            None => news.hear(line),
        })
        .await?;
    s.client.put(news.into_bytes());
    if !answer.is_ok() {
        return Err(Stop::Relayed(answer));
    }
    messages.sort_by_key(|message| message.uid);
    messages.dedup_by_key(|message| message.uid);
    Ok(messages)
}

/// `* n FETCH (…)` or `* uid UIDFETCH (…)` with UID, FLAGS and INTERNALDATE, in any order; `None` for anything else.
fn parse_fetch(line: &[u8]) -> Option<Message> {
    let mut at = Cursor::new(protocol::frame::trim_line(line), Limits::default());
    at.read(byte(b'*')).ok()?;
    let number = std::str::from_utf8(at.read(argument(digits)).ok()?).ok()?.parse().ok();
    let by_uid = at.read(argument(keyword("UIDFETCH"))).is_ok();
    if !by_uid {
        at.read(argument(keyword("FETCH"))).ok()?;
    }
    at.read(argument(parenthesis(b'('))).ok()?;
    let (mut uid, mut flags, mut date) = (number.filter(|_| by_uid), None, None);
    let mut notes = Vec::new();
    loop {
        let key = at.read(atom).ok()?.to_ascii_uppercase();
        at.read(space).ok()?;
        match key.as_str() {
            "UID" => uid = std::str::from_utf8(at.read(digits).ok()?).ok()?.parse().ok(),
            "FLAGS" => flags = Some(flag_list(&mut at)?),
            "INTERNALDATE" => date = Some(String::from_utf8(at.read(quoted).ok()?.into_owned()).ok()?),
            "ANNOTATION" => notes = at.read(annotate::fetched).ok()?,
            "MODSEQ" => drop(at.read(list(1, digits)).ok()?),
            _ => return None,
        }
        if at.read(byte(b')')).is_ok() {
            break;
        }
        at.read(space).ok()?;
    }
    Some(Message { uid: uid?, flags: flags?, date: date?, notes })
}

/// The flags, but for `\Recent`, which nobody can set.
fn flag_list(at: &mut Cursor<'_>) -> Option<String> {
    let mut flags = at.read(list(1024, flag)).ok()?;
    flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    Some(flags.join(" "))
}

/// Which messages are where, if the target says which UIDs it gave.
fn copy_uid(answer: &Answer, sent: &[u32]) -> Option<Code> {
    let Some(Heard::AppendUid { uidvalidity, uids: to }) = answer.code() else { return None };
    ranges(&to).filter(|to| to.named() == sent.len())?;
    let from: UidSet = sent.iter().copied().collect();
    Some(Code::CopyUid { uidvalidity, from: from.to_string(), to })
}

/// What a MOVE has copied, or a REPLACE has put in a message's place.
pub struct Copied {
    /// Where to.
    pub server: String,
    /// The target's answer to the APPEND.
    pub answer: Answer,
    /// UIDs at the source.
    pub sent: Vec<u32>,
    /// What the client is told before the originals go.
    pub code: Option<Code>,
    pub told: &'static str,
    /// It is an error if all of them are gone already.
    pub must_go: bool,
}

/// The second half of MOVE and of REPLACE: the copies are safe, the originals go. A server that is lost in the middle of that leaves
/// messages in both places, never in none; the client is told so before its session ends with the selected mailbox.
pub async fn remove(s: &mut Session, tag: &Tag, copy: &Copy, source: &Selected, copied: Copied) -> Outcome {
    let (code, told, target) = (copied.code.clone(), copied.told, copied.server.clone());
    let uids: UidSet = copied.sent.iter().copied().collect();
    match take_out(s, copy, source, copied).await {
        Err(Stop::Backend { server, why }) if server == source.server => {
            let (from, to) = (&source.name, &copy.mailbox);
            warn!(
                "backend {server}: {why}: messages {uids} of {from} were copied to {to} on {target}, and may still be in both"
            );
            if !s.client.is_torn() {
                if let Some(code) = code {
                    s.client.put(Reply::ok(told).code(code).line(None));
                }
                s.client.put(Refusal::HalfDone.reply().line(Some(tag)));
            }
            Err(Stop::lost())
        }
        Err(Stop::Backend { server, why }) if server == target => {
            let (from, to) = (&source.name, &copy.mailbox);
            warn!("backend {server}: {why}: of messages {uids} of {from} copies may stay in {to}");
            s.links.remove(&server);
            Err(Refusal::HalfUndone.into())
        }
        other => other,
    }
}

async fn take_out(s: &mut Session, copy: &Copy, source: &Selected, copied: Copied) -> Outcome {
    let takes = s.links.get_mut(&source.server).is_some_and(|link| link.capabilities.has("XTAKE"));
    if takes {
        return take(s, copy, source, copied).await;
    }
    let Copied { server, answer, sent, code, told, .. } = copied;
    let (uids, sent): (UidSet, usize) = (sent.iter().copied().collect(), sent.len());
    let marked =
        s.ask(&source.server, &format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"), To::Client).await?;
    if !marked.is_ok() {
        take_back(s, copy, &server, appended(&answer, sent)).await?;
        return Err(Stop::Relayed(marked));
    }
    if let Some(code) = code {
        s.client.put(Reply::ok(told).code(code).line(None));
    }
    let gone = s.ask(&source.server, &format!("UID EXPUNGE {uids}"), To::Client).await?;
    if !gone.is_ok() {
        warn!("MOVE between backends: the source keeps its messages: {}", gone.text());
    }
    let modseq = match gone.code() {
        Some(Heard::HighestModseq(modseq)) => Some(modseq),
        _ => None,
    };
    Ok(moved(s, modseq))
}

/// What is taken here was moved here. What another session was faster to take is taken out of the target again.
async fn take(s: &mut Session, copy: &Copy, source: &Selected, copied: Copied) -> Outcome {
    let Copied { server, answer, sent, code, told, must_go } = copied;
    let uids: UidSet = sent.iter().copied().collect();
    let (done, news) = ask_take(s, source, &uids).await?;
    let taken = done.code().filter(|_| done.is_ok());
    let Some(Heard::XTaken { uids: taken, modseq }) = taken else {
        s.client.put(news);
        take_back(s, copy, &server, appended(&answer, sent.len())).await?;
        return Err(Stop::Relayed(done));
    };
    let taken = match taken.is_empty() {
        true => Ranges::default(),
        false => ranges(&taken).ok_or(Refusal::CopyFailed)?,
    };
    let lost = |uid: &u32| !taken.contains(*uid);
    let (mut code, mut taken_back) = (code, Ok(()));
    if sent.iter().any(lost) {
        // As many as were sent, in their order.
        let copies = appended(&answer, sent.len());
        let copies: Vec<u32> = copies.into_iter().flat_map(|(first, last)| first..=last).collect();
        let pairs = || sent.iter().zip(&copies);
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs().partition(|(uid, _)| !lost(uid));
        let theirs: UidSet = theirs.into_iter().map(|(_, copy)| *copy).collect();
        taken_back = take_back(s, copy, &server, theirs.iter().collect()).await;
        code = code.filter(|_| !ours.is_empty()).map(|code| match code {
            Code::CopyUid { uidvalidity, .. } => Code::CopyUid {
                uidvalidity,
                from: ours.iter().map(|(uid, _)| **uid).collect::<UidSet>().to_string(),
                to: ours.iter().map(|(_, copy)| **copy).collect::<UidSet>().to_string(),
            },
            other => other,
        });
    }
    if let Some(code) = code {
        s.client.put(Reply::ok(told).code(code).line(None));
    }
    s.client.put(news);
    // What has gone has gone: the client had to hear of it first.
    taken_back?;
    if must_go && sent.iter().all(lost) {
        return Err(Refusal::Expunged.into());
    }
    Ok(moved(s, modseq))
}

/// XTAKE, and what comes beside its answer. Where the source's mailbox has moved meanwhile, whoever has it now is asked: UIDs are the same.
async fn ask_take(s: &mut Session, source: &Selected, uids: &UidSet) -> Result<(Answer, Vec<u8>), Stop> {
    let mut server = source.server.clone();
    for _ in 0..MOVED {
        let (id, mut news) = (s.command(&server, format!("XTAKE {uids}"))?, Beside::default());
        let done = s.collect(&server, id, COPY_LINE, |line| news.hear(line)).await?;
        if done.code() != Some(Heard::XMoved) || !s.follow_selected().await? {
            return Ok((done, news.into_bytes()));
        }
        s.client.put(news.into_bytes());
        server = s.selected_server().ok_or_else(Stop::lost)?.to_owned();
    }
    Err(Refusal::Moved.into())
}

/// The end of a MOVE, with the source's HIGHESTMODSEQ for who knows of it.
fn moved(s: &Session, modseq: Option<u64>) -> Done {
    let code = modseq.filter(|_| s.enabled.manner().modseq).map(Code::HighestModseq);
    Done::Here(Reply { code, ..Reply::completed() })
}

/// The UIDs that the target gave the copies. None where it does not name as many as were sent: others are not the copies, and must
/// neither be taken back nor held.
fn appended(answer: &Answer, sent: usize) -> Vec<(u32, u32)> {
    let Some(Heard::AppendUid { uids, .. }) = answer.code() else { return Vec::new() };
    let uids = ranges(&uids).filter(|uids| uids.named() == sent);
    uids.map_or_else(Vec::new, |uids| uids.iter().collect())
}

/// A set of UIDs as servers write it.
fn ranges(text: &str) -> Option<Ranges> {
    let set = Cursor::new(text.as_bytes(), Limits::NONE).read(SequenceSet::parse).ok()?;
    (!set.has_star()).then(|| set.resolve(0))
}

/// Takes the copies out of the target again, so that the messages are in one place.
async fn take_back(s: &mut Session, copy: &Copy, target: &str, copies: Vec<(u32, u32)>) -> Result<(), Stop> {
    let uids: UidSet = copies.into_iter().collect();
    if uids.is_empty() {
        return Ok(());
    }
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
        let noted = b"* 3 FETCH (UID 1 FLAGS () INTERNALDATE \"x\" ANNOTATION (/comment (value.priv NIL value.shared {1}\r\n\n)))\r\n";
        assert_eq!(parse_fetch(noted).unwrap().notes.len(), 1);
        assert!(parse_fetch(b"* 3 FETCH (UID 1 FLAGS () INTERNALDATE \"x\" MODSEQ (5))\r\n").is_some());
        assert!(parse_fetch(b"* 3 FETCH (FLAGS (\\Seen))\r\n").is_none(), "news, not an answer");
        let by_uid = parse_fetch(b"* 7 UIDFETCH (FLAGS () INTERNALDATE \"x\")\r\n").unwrap();
        assert_eq!(by_uid.uid, 7);
        assert!(parse_fetch(b"* 7 UIDFETCH (FLAGS ())\r\n").is_none());
        assert!(parse_fetch(b"* VANISHED 7\r\n").is_none());
        assert!(parse_fetch(b"* 3 EXISTS\r\n").is_none());
    }

    #[test]
    fn what_a_target_names_beyond_what_was_sent_are_not_the_copies() {
        let named = |uids: &str| appended(&Answer::new(format!("OK [APPENDUID 1 {uids}] done")), 3);
        assert_eq!(named("7:9"), [(7, 9)]);
        assert_eq!(named("7,9,12"), [(7, 7), (9, 9), (12, 12)]);
        for wrong in ["7", "7:10", "1:4294967295", "7:*", "x"] {
            assert_eq!(named(wrong), [], "{wrong}");
        }
    }

    #[test]
    fn copyuid_names_source_and_destination() {
        let answer = Answer::new("OK [APPENDUID 38505 100:102] Completed");
        assert_eq!(copy_uid(&answer, &[3, 4, 9]).unwrap().to_string(), "COPYUID 38505 3:4,9 100:102");
        let answer = Answer::new("OK Completed");
        assert_eq!(copy_uid(&answer, &[3]), None);
    }
}
