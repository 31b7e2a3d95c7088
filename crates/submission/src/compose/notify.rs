//! A notification by mail: `notify "mailto:…"`. RFC 5435, RFC 5436.
//!
//! What RFC 5436 section 2.7 leaves open is as Pigeonhole has it: the Subject is the URI's, else `:message`, else it names the
//! message's own; the body is the URI's, else a sentence.

use mime::{Fields, header_text};

use super::text::{self, field, one_line, raw_field};
use super::{ACTION, Stamp};

/// What a `mailto` URI says, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Mailto<'a> {
    /// Addresses, each once.
    pub recipients: &'a [String],
    pub subject: Option<&'a str>,
    pub body: Option<&'a str>,
    /// Other fields that it has for the header; those that must not be set are left out.
    pub fields: &'a [(String, String)],
}

/// What is to be told, of what.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The header of the message that came.
    pub header: &'a [u8],
    /// The envelope's sender of that message, without brackets.
    pub sender: &'a str,
    /// The user's address.
    pub owner: &'a str,
    /// `:from`
    pub from: Option<&'a str>,
    /// `:message`
    pub message: Option<&'a str>,
    /// `:importance`, 1 to 3.
    pub importance: u8,
}

/// Whether a message causes no notification, since it may be one, or an answer to one (RFC 5436, section 2.7).
pub fn is_automatic(header: &[u8]) -> bool {
    Fields::first(header, "Auto-Submitted").is_some_and(|one| {
        let value = String::from_utf8_lossy(&one.unfolded()).to_ascii_lowercase();
        value.split([' ', '\t', ';', '(']).next().unwrap_or_default() != "no"
    })
}

/// The envelope's sender of a notification: none where the message had none, so that nothing goes round.
pub fn sender(notice: &Notice<'_>) -> String {
    match (notice.sender.is_empty(), notice.from.and_then(text::address)) {
        (true, _) => String::new(),
        (false, Some((_, bare))) => bare,
        (false, None) => notice.owner.to_owned(),
    }
}

/// The notification, whole.
pub fn message(mailto: &Mailto<'_>, notice: &Notice<'_>, stamp: Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let owner = one_line(notice.owner);
    raw_field(&mut out, ACTION, "notify");
    raw_field(&mut out, "Message-ID", &format!("<{}>", stamp.message_id));
    raw_field(&mut out, "Date", stamp.date);
    let from = notice.from.and_then(text::address).map_or_else(|| format!("<{owner}>"), |from| from.0);
    out.extend_from_slice(format!("From: {from}\r\n").as_bytes());
    let to: Vec<String> = mailto.recipients.iter().map(|one| format!("<{}>", one_line(one))).collect();
    out.extend_from_slice(format!("To: {}\r\n", to.join(",\r\n ")).as_bytes());
    field(&mut out, "Subject", &subject(mailto, notice));
    let (number, word) = match notice.importance {
        1 => ("1 (Highest)", "high"),
        3 => ("5 (Lowest)", "low"),
        _ => ("3 (Normal)", "normal"),
    };
    raw_field(&mut out, "X-Priority", number);
    raw_field(&mut out, "Importance", word);
    let quoted = owner.replace('\\', "\\\\").replace('"', "\\\"");
    raw_field(&mut out, "Auto-Submitted", &format!("auto-notified; owner-email=\"{quoted}\""));
    for (name, value) in mailto.fields.iter().filter(|(name, _)| is_settable(name)) {
        field(&mut out, name, value);
    }
    raw_field(&mut out, "MIME-Version", "1.0");
    let (encoding, body) = text::body(&mailto.body.map_or_else(|| body(notice), str::to_owned));
    raw_field(&mut out, "Content-Type", "text/plain; charset=utf-8");
    raw_field(&mut out, "Content-Transfer-Encoding", encoding);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}

fn subject(mailto: &Mailto<'_>, notice: &Notice<'_>) -> String {
    if let Some(subject) = mailto.subject.or(notice.message) {
        return subject.to_owned();
    }
    match Fields::first(notice.header, "Subject").map(|one| header_text(one.value)) {
        Some(subject) => format!("Notification: {subject}"),
        None => "Notification: (no subject)".to_owned(),
    }
}

fn body(notice: &Notice<'_>) -> String {
    let mut out = "Notification of new message.\r\n".to_owned();
    let shown = [("From", "From"), ("Subject", "Subject")];
    for (name, label) in shown {
        if let Some(one) = Fields::first(notice.header, name) {
            out.push_str(&format!("{label}: {}\r\n", one_line(&header_text(one.value))));
        }
    }
    out
}

/// What a URI may not set: where a mail is from, what is in it, how it came, and what says that a program wrote it (RFC 5436 section
/// 2.3, RFC 6068 section 4).
fn is_settable(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ours = [
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "received",
        "return-path",
        "mime-version",
        "importance",
        "x-priority",
        "precedence",
    ];
    let begins = ["resent-", "content-", "x-sieve", "list-", "arc-", "dkim-"];
    is_field_name(name)
        && !ours.contains(&lower.as_str())
        && !begins.iter().any(|start| lower.starts_with(start))
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 70 && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMP: Stamp<'static> =
        Stamp { date: "Mon, 30 Nov 2026 18:00:00 +0000", message_id: "1@be1.example.org" };

    fn mailto<'a>(recipients: &'a [String], fields: &'a [(String, String)]) -> Mailto<'a> {
        Mailto { recipients, subject: None, body: None, fields }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn notice<'a>(header: &'a str, message: Option<&'a str>, from: Option<&'a str>) -> Notice<'a> {
        Notice {
            header: header.as_bytes(),
            sender: "anna@a.org",
            owner: "fred@e.org",
            from,
            message,
            importance: 1,
        }
    }

    #[test]
    fn a_notification_says_that_a_program_wrote_it_and_for_whom() {
        let header = "From: Anna <anna@a.org>\r\nSubject: h\u{e9}\r\n\r\n";
        let (to, fields) =
            (["f@phone".to_owned()], [pair("X-Tag", "1"), pair("Received", "x"), pair("a b", "c")]);
        let mailto = mailto(&to, &fields);
        let text = String::from_utf8(message(&mailto, &notice(header, None, None), STAMP)).unwrap();
        assert_eq!(
            text,
            "X-Sieve-Action: notify\r\nMessage-ID: <1@be1.example.org>\r\nDate: Mon, 30 Nov 2026 18:00:00 +0000\r\n\
             From: <fred@e.org>\r\nTo: <f@phone>\r\nSubject: =?UTF-8?B?Tm90aWZpY2F0aW9uOiBow6k=?=\r\n\
             X-Priority: 1 (Highest)\r\nImportance: high\r\nAuto-Submitted: auto-notified; owner-email=\"fred@e.org\"\r\n\
             X-Tag: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             Notification of new message.\r\nFrom: Anna <anna@a.org>\r\nSubject: hé\r\n"
        );
        let said = notice(header, Some("You have mail"), Some("Fred <me@e.org>"));
        let text = String::from_utf8(message(&mailto, &said, STAMP)).unwrap();
        assert!(
            text.contains("\r\nSubject: You have mail\r\n")
                && text.contains("\r\nFrom: \"Fred\" <me@e.org>\r\n")
        );
        assert_eq!(sender(&said), "me@e.org");
        assert_eq!(sender(&Notice { sender: "", ..said }), "");
        assert_eq!(sender(&notice(header, None, None)), "fred@e.org");
    }

    #[test]
    fn a_notification_of_a_notification_is_not_sent() {
        assert!(is_automatic(b"Auto-Submitted: auto-notified; owner-email=x\r\n"));
        assert!(is_automatic(b"auto-submitted: auto-replied\r\n"));
        assert!(!is_automatic(b"Auto-Submitted: no\r\n"));
        assert!(!is_automatic(b"Subject: x\r\n"));
    }

    proptest! {
        #[test]
        fn no_uri_brings_a_line_of_its_own(name in "[A-Za-z:\r\n -]{1,9}", value in "[a-z\r\n:@ä]{0,60}") {
            let (to, fields) = (["a@b".to_owned()], [(name, value.clone())]);
            let wanted = Mailto { subject: Some(&value), ..mailto(&to, &fields) };
            let text = message(&wanted, &notice("\r\n", None, None), STAMP);
            let header = String::from_utf8(text).unwrap();
            let header = header.split("\r\n\r\n").next().unwrap().to_owned() + "\r\n";
            let names: Vec<_> = Fields::new(header.as_bytes()).map(|f| f.name.to_vec()).collect();
            let extra = usize::from(is_settable(&fields[0].0));
            prop_assert_eq!(names.len(), 12 + extra, "{}", header);
        }
    }
}
