//! The answer of somebody who is away, and what is never answered. RFC 5230, RFC 3834.

use mime::{Address, Fields, header_text, message_ids};

use super::text::{self, field, one_line, raw_field, same_address, without_detail};
use super::{ACTION, Stamp};

/// A message, and whom it is for.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The header of the message.
    pub header: &'a [u8],
    /// The envelope's sender, without brackets.
    pub sender: &'a str,
    /// The addresses at which the user gets mail: the envelope's recipient as it came, then what the script adds.
    pub mine: &'a [String],
}

/// Why a message gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    #[error("it has no sender")]
    NoSender,
    #[error("the sender is a program")]
    Program,
    #[error("the user has sent it")]
    Own,
    #[error("it came through a list")]
    List,
    #[error("it was sent automatically")]
    Automatic,
    #[error("it asks for no answer")]
    Unwanted,
    #[error("it is bulk mail")]
    Bulk,
    #[error("it is not addressed to the user")]
    NotToMe,
}

/// What the answer says.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// `:from`, as the script has it.
    pub from: Option<&'a str>,
    /// `:subject`
    pub subject: Option<&'a str>,
    pub reason: &'a str,
    /// `:mime`: the reason is a MIME entity, header and body.
    pub mime: bool,
}

/// The user's address to which the message was sent; or why it gets no answer.
pub fn addressee(incoming: &Incoming<'_>) -> Result<String, Silence> {
    let sender = incoming.sender;
    if sender.is_empty() || sender == "<>" {
        return Err(Silence::NoSender);
    }
    if is_program(sender) {
        return Err(Silence::Program);
    }
    if incoming.mine.iter().any(|mine| is_mine(sender, mine)) {
        return Err(Silence::Own);
    }
    for one in Fields::new(incoming.header) {
        if let Some(silence) = forbids(&one) {
            return Err(silence);
        }
    }
    named(incoming).ok_or(Silence::NotToMe)
}

/// The answer, whole. `me`: as [`addressee`] gives it.
pub fn message(incoming: &Incoming<'_>, me: &str, answer: &Answer<'_>, stamp: Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    raw_field(&mut out, ACTION, "vacation");
    raw_field(&mut out, "Message-ID", &format!("<{}>", stamp.message_id));
    raw_field(&mut out, "Date", stamp.date);
    let from =
        answer.from.and_then(text::address).map_or_else(|| format!("<{}>", one_line(me)), |from| from.0);
    out.extend_from_slice(format!("From: {from}\r\n").as_bytes());
    raw_field(&mut out, "To", &format!("<{}>", one_line(incoming.sender)));
    field(&mut out, "Subject", &subject(incoming, answer));
    reply_fields(&mut out, incoming.header);
    raw_field(&mut out, "Auto-Submitted", "auto-replied (vacation)");
    // Exchange neither answers it nor counts it.
    raw_field(&mut out, "X-Auto-Response-Suppress", "All");
    raw_field(&mut out, "MIME-Version", "1.0");
    match answer.mime {
        true => entity(&mut out, answer.reason),
        false => {
            let (encoding, body) = text::body(answer.reason);
            raw_field(&mut out, "Content-Type", "text/plain; charset=utf-8");
            raw_field(&mut out, "Content-Transfer-Encoding", encoding);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&body);
        }
    }
    out
}

/// What makes two answers the same, so that one sender gets one in the script's interval.
pub fn key(sender: &str, handle: Option<&str>, answer: &Answer<'_>) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut key = vec![b"vacation".to_vec(), text(&sender.to_lowercase())];
    match handle {
        Some(handle) => key.extend([b"handle".to_vec(), text(handle)]),
        None => key.extend([
            text(answer.from.unwrap_or_default()),
            text(answer.subject.unwrap_or_default()),
            vec![u8::from(answer.mime)],
            text(answer.reason),
        ]),
    }
    key
}

/// Whether a field says that nobody must answer.
fn forbids(one: &mime::Field<'_>) -> Option<Silence> {
    let value = || String::from_utf8_lossy(&one.unfolded()).trim().to_ascii_lowercase();
    let name = std::str::from_utf8(one.name).ok()?.to_ascii_lowercase();
    match name.as_str() {
        "list-id" | "list-help" | "list-subscribe" | "list-unsubscribe" | "list-post" | "list-owner"
        | "list-archive" => Some(Silence::List),
        "auto-submitted" => (first_word(&value()) != "no").then_some(Silence::Automatic),
        "x-ignorevacation" => (value() != "no").then_some(Silence::Unwanted),
        "x-auto-response-suppress" => {
            let asks = value().split(',').any(|word| matches!(word.trim(), "all" | "oof" | "autoreply"));
            asks.then_some(Silence::Unwanted)
        }
        "precedence" => matches!(value().as_str(), "junk" | "bulk" | "list").then_some(Silence::Bulk),
        "return-path" => (value() == "<>").then_some(Silence::NoSender),
        _ => None,
    }
}

/// The word before a comment or parameter.
fn first_word(value: &str) -> &str {
    value.split([' ', '\t', ';', '(']).next().unwrap_or_default()
}

/// RFC 5230 section 4.6 and RFC 3834 section 2: addresses of programs and lists.
fn is_program(sender: &str) -> bool {
    let local = sender.rsplit_once('@').map_or(sender, |(local, _)| local).to_ascii_lowercase();
    local.starts_with("mailer-daemon")
        || local.starts_with("listserv")
        || local.starts_with("majordomo")
        || local.starts_with("owner-")
        || local.ends_with("-request")
        || local.ends_with("-owner")
}

/// An address is the user's, whatever detail either has.
fn is_mine(address: &str, mine: &str) -> bool {
    same_address(address, mine) || same_address(&without_detail(address), &without_detail(mine))
}

/// The first of the user's addresses that stands in a field of recipients, as it stands there.
fn named(incoming: &Incoming<'_>) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    let fields = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];
    for one in Fields::new(incoming.header).filter(|one| fields.iter().any(|name| one.is(name))) {
        for address in Address::parse_list(&one.unfolded()) {
            let (Some(local), Some(host)) = (&address.mailbox, &address.host) else { continue };
            let there = format!("{}@{}", String::from_utf8_lossy(local), String::from_utf8_lossy(host));
            let place = incoming.mine.iter().position(|mine| is_mine(&there, mine));
            if let Some(place) = place
                && found.as_ref().is_none_or(|(before, _)| place < *before)
            {
                found = Some((place, there));
            }
        }
    }
    found.map(|(_, address)| address)
}

fn subject(incoming: &Incoming<'_>, answer: &Answer<'_>) -> String {
    if let Some(subject) = answer.subject {
        return subject.to_owned();
    }
    let original = Fields::first(incoming.header, "Subject").map(|one| header_text(one.value));
    let original = original.and_then(|text| text.split(char::is_control).next().map(str::to_owned));
    match original.filter(|text| !text.trim().is_empty()) {
        Some(text) => format!("Auto: {}", text.trim()),
        None => "Automated reply".to_owned(),
    }
}

/// In-Reply-To and References (RFC 5322, section 3.6.4).
pub(super) fn reply_fields(out: &mut Vec<u8>, header: &[u8]) {
    let ids = |name: &str| {
        let value = Fields::first(header, name).map(|one| one.unfolded()).unwrap_or_default();
        let ids: Vec<String> = message_ids(&value).filter_map(|id| String::from_utf8(id).ok()).collect();
        ids
    };
    let Some(id) = ids("Message-ID").into_iter().next().filter(|id| id.len() <= ID) else { return };
    let mut references = ids("References");
    references.retain(|one| one.len() <= ID && *one != id);
    let many = references.len().saturating_sub(REFERENCES);
    references.drain(..many);
    references.push(id.clone());
    raw_field(out, "In-Reply-To", &format!("<{id}>"));
    let list: Vec<String> = references.iter().map(|id| format!("<{id}>")).collect();
    out.extend_from_slice(format!("References: {}\r\n", list.join("\r\n ")).as_bytes());
}

/// A MIME entity: of its header only what describes its content.
fn entity(out: &mut Vec<u8>, reason: &str) {
    let reason = text::with_crlf(reason.as_bytes());
    let mut header = 0;
    for one in Fields::new(&reason) {
        header += one.raw.len();
        let content = one.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        if content {
            out.extend_from_slice(one.raw);
        }
    }
    let rest = reason.get(header..).unwrap_or_default();
    // The blank line; an entity without body has none.
    if !rest.starts_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(rest);
}

/// Message-ids of the thread that an answer names.
const REFERENCES: usize = 20;
const ID: usize = 900;

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp<'static> =
        Stamp { date: "Mon, 30 Nov 2026 18:00:00 +0000", message_id: "1@be1.example.org" };

    fn judged(header: &str, sender: &str, mine: &[&str]) -> Result<String, Silence> {
        let mine: Vec<String> = mine.iter().map(|&one| one.to_owned()).collect();
        addressee(&Incoming { header: header.as_bytes(), sender, mine: &mine })
    }

    #[test]
    fn mail_that_a_program_or_a_list_has_sent_gets_no_answer() {
        let fred = ["fred@example.org"];
        let to = "To: fred@example.org\r\n";
        assert_eq!(judged(to, "anna@a.org", &fred), Ok("fred@example.org".into()));
        for field in [
            "List-Id: <x>",
            "List-Help: x",
            "List-Subscribe: x",
            "List-Unsubscribe: x",
            "List-Post: x",
            "List-Owner: x",
            "List-Archive: x",
        ] {
            assert_eq!(
                judged(&format!("{to}{field}\r\n"), "anna@a.org", &fred),
                Err(Silence::List),
                "{field}"
            );
        }
        for (field, expected) in [
            ("Auto-Submitted: auto-generated", Err(Silence::Automatic)),
            ("Auto-Submitted: auto-replied (vacation)", Err(Silence::Automatic)),
            ("Auto-Submitted: no", Ok("fred@example.org".to_owned())),
            ("Auto-Submitted: No (by hand)", Ok("fred@example.org".to_owned())),
            ("X-IgnoreVacation: yes", Err(Silence::Unwanted)),
            ("X-IgnoreVacation: no", Ok("fred@example.org".to_owned())),
            ("X-Auto-Response-Suppress: DR, OOF", Err(Silence::Unwanted)),
            ("X-Auto-Response-Suppress: All", Err(Silence::Unwanted)),
            ("X-Auto-Response-Suppress: RN", Ok("fred@example.org".to_owned())),
            ("Precedence: bulk", Err(Silence::Bulk)),
            ("Precedence: Junk", Err(Silence::Bulk)),
            ("Precedence: list", Err(Silence::Bulk)),
            ("Precedence: first-class", Ok("fred@example.org".to_owned())),
            ("Return-Path: <>", Err(Silence::NoSender)),
        ] {
            assert_eq!(judged(&format!("{to}{field}\r\n"), "anna@a.org", &fred), expected, "{field}");
        }
        for sender in [
            "MAILER-DAEMON@a.org",
            "mailer-daemon",
            "LISTSERV@a.org",
            "majordomo@a.org",
            "owner-x@a.org",
            "x-request@a.org",
            "x-owner@a.org",
        ] {
            assert_eq!(judged(to, sender, &fred), Err(Silence::Program), "{sender}");
        }
        assert_eq!(judged(to, "", &fred), Err(Silence::NoSender));
    }

    #[test]
    fn only_mail_that_names_the_user_is_answered_and_the_user_never() {
        let mine = ["fred+lists@example.org", "f.red@example.org"];
        assert_eq!(
            judged("Cc: x@y,\r\n Fred <FRED@Example.org>\r\n", "a@b", &mine),
            Ok("FRED@Example.org".into())
        );
        assert_eq!(judged("Resent-To: f.red@example.org\r\n", "a@b", &mine), Ok("f.red@example.org".into()));
        assert_eq!(judged("To: list@example.org\r\n", "a@b", &mine), Err(Silence::NotToMe));
        assert_eq!(judged("", "a@b", &mine), Err(Silence::NotToMe));
        // The first of the user's addresses goes first, wherever it stands.
        let both = "To: f.red@example.org\r\nCc: fred@example.org\r\n";
        assert_eq!(judged(both, "a@b", &mine), Ok("fred@example.org".into()));
        for own in ["fred@example.org", "FRED+x@example.org", "F.Red@example.org"] {
            assert_eq!(judged(both, own, &mine), Err(Silence::Own), "{own}");
        }
    }

    fn answered(header: &str, answer: &Answer<'_>) -> String {
        let mine = ["fred@example.org".to_owned()];
        let incoming = Incoming { header: header.as_bytes(), sender: "anna@a.org", mine: &mine };
        String::from_utf8(message(&incoming, "fred@example.org", answer, STAMP)).unwrap()
    }

    #[test]
    fn the_answer_says_to_what_it_answers_and_that_a_program_wrote_it() {
        let answer = Answer { from: None, subject: None, reason: "Ich bin in Köln.\nBis dann", mime: false };
        let header =
            "Message-ID: <m@a>\r\nReferences: <r1@a> <r2@a>\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n lo\r\n\r\n";
        assert_eq!(
            answered(header, &answer),
            "X-Sieve-Action: vacation\r\nMessage-ID: <1@be1.example.org>\r\nDate: Mon, 30 Nov 2026 18:00:00 +0000\r\n\
             From: <fred@example.org>\r\nTo: <anna@a.org>\r\nSubject: =?UTF-8?B?QXV0bzogaMOpIGxv?=\r\nIn-Reply-To: <m@a>\r\n\
             References: <r1@a>\r\n <r2@a>\r\n <m@a>\r\nAuto-Submitted: auto-replied (vacation)\r\n\
             X-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\nIch bin in Köln.\r\nBis dann\r\n"
        );
        assert!(answered("\r\n", &answer).contains("\r\nSubject: Automated reply\r\n"));
        assert!(!answered("\r\n", &answer).contains("In-Reply-To"));
    }

    #[test]
    fn a_script_names_sender_and_subject_and_brings_no_field_of_its_own() {
        let reason = "Bcc: x@y\r\nContent-Type: text/html\r\nTo: z@y\r\n\r\n<b>away</b>";
        let answer =
            Answer { from: Some("Fred <f@e>"), subject: Some("away\r\nBcc: x@y"), reason, mime: true };
        let text = answered("Subject: x\r\n\r\n", &answer);
        assert!(text.contains("\r\nFrom: \"Fred\" <f@e>\r\n"), "{text}");
        assert!(text.contains("\r\nSubject: away  Bcc: x@y\r\n"), "{text}");
        assert!(
            text.ends_with("MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<b>away</b>\r\n"),
            "{text}"
        );
        assert!(!text.contains("\r\nBcc:") && !text.contains("z@y"), "{text}");
    }
}
