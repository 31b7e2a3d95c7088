//! A notification by mail: `notify "mailto:…"`. RFC 5435, RFC 5436, RFC 6068.
//!
//! What RFC 5436 section 2.7 leaves open is as Pigeonhole has it: the Subject is the URI's, else `:message`, else it names the
//! message's own; the body is the URI's, else a sentence.

use mime::{Fields, header_text};

use super::text::{self, field, one_line, raw_field};
use super::{ACTION, Stamp};
use crate::limits::{NOTIFIED, URI};

/// A mailto URI, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailto {
    /// To and Cc, each once, in their order.
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    /// Fields that may be set.
    pub fields: Vec<(String, String)>,
}

/// Why a URI is no method of notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    #[error("only mailto: is a method of notification here")]
    Method,
    #[error("the URI is too long")]
    Long,
    #[error("the URI has a character that must be written as %")]
    Character,
    #[error("an address of the URI is none")]
    Address,
    #[error("the URI has no address")]
    NoAddress,
    #[error("the URI has too many addresses")]
    Many,
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

impl Mailto {
    pub fn parse(uri: &str) -> Result<Mailto, BadUri> {
        if uri.len() > URI {
            return Err(BadUri::Long);
        }
        let scheme = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
        let rest = scheme.and_then(|_| uri.get(7..)).ok_or(BadUri::Method)?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(BadUri::Character);
        }
        // There is no fragment in a mailto URI.
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut mailto = Mailto::default();
        addresses(&mut mailto.to, path)?;
        for one in query.split('&').filter(|one| !one.is_empty()) {
            let (name, value) = one.split_once('=').ok_or(BadUri::Character)?;
            mailto.set(&decoded(name)?, value)?;
        }
        match mailto.to.len() + mailto.cc.len() + mailto.bcc.len() {
            0 => Err(BadUri::NoAddress),
            many if many > NOTIFIED => Err(BadUri::Many),
            _ => Ok(mailto),
        }
    }

    /// All addresses, each once.
    pub fn recipients(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for one in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !all.iter().any(|before| text::same_address(before, one)) {
                all.push(one.clone());
            }
        }
        all
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadUri> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "to" => addresses(&mut self.to, value)?,
            "cc" => addresses(&mut self.cc, value)?,
            "bcc" => addresses(&mut self.bcc, value)?,
            "subject" => self.subject = Some(decoded(value)?),
            "body" => self.body = Some(decoded(value)?),
            // RFC 5436 section 2.3 and RFC 6068 section 4: what says where a mail is from, what is in it and how it came.
            "from" | "sender" | "reply-to" | "date" | "message-id" | "auto-submitted" | "received"
            | "return-path" | "mime-version" | "importance" | "x-priority" | "precedence" => {}
            _ if lower.starts_with("resent-") || lower.starts_with("content-") => {}
            _ if lower.starts_with("x-sieve") || lower.starts_with("list-") => {}
            _ if is_field_name(name) => self.fields.push((name.to_owned(), decoded(value)?)),
            _ => return Err(BadUri::Character),
        }
        Ok(())
    }
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
pub fn message(mailto: &Mailto, notice: &Notice<'_>, stamp: Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let owner = one_line(notice.owner);
    raw_field(&mut out, ACTION, "notify");
    raw_field(&mut out, "Message-ID", &format!("<{}>", stamp.message_id));
    raw_field(&mut out, "Date", stamp.date);
    let from = notice.from.and_then(text::address).map_or_else(|| format!("<{owner}>"), |from| from.0);
    out.extend_from_slice(format!("From: {from}\r\n").as_bytes());
    for (name, list) in [("To", &mailto.to), ("Cc", &mailto.cc)] {
        if !list.is_empty() {
            let list: Vec<String> = list.iter().map(|one| format!("<{one}>")).collect();
            out.extend_from_slice(format!("{name}: {}\r\n", list.join(",\r\n ")).as_bytes());
        }
    }
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
    for (name, value) in &mailto.fields {
        field(&mut out, name, value);
    }
    raw_field(&mut out, "MIME-Version", "1.0");
    let (encoding, body) = text::body(&mailto.body.clone().unwrap_or_else(|| body(notice)));
    raw_field(&mut out, "Content-Type", "text/plain; charset=utf-8");
    raw_field(&mut out, "Content-Transfer-Encoding", encoding);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}

fn subject(mailto: &Mailto, notice: &Notice<'_>) -> String {
    if let Some(subject) = mailto.subject.as_deref().or(notice.message) {
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

fn addresses(list: &mut Vec<String>, text: &str) -> Result<(), BadUri> {
    for one in text.split(',').filter(|one| !one.is_empty()) {
        let one = decoded(one)?;
        let (_, bare) = text::address(&one).ok_or(BadUri::Address)?;
        if list.len() >= NOTIFIED {
            return Err(BadUri::Many);
        }
        if !list.iter().any(|before| text::same_address(before, &bare)) {
            list.push(bare);
        }
    }
    Ok(())
}

/// Text with its %XX decoded. A + is a +.
fn decoded(text: &str) -> Result<String, BadUri> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or(BadUri::Character)?, digit().ok_or(BadUri::Character)?);
                bytes.push((high * 16 + low) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| BadUri::Character)
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

    #[test]
    fn a_mailto_uri_says_who_is_told_and_little_else() {
        let read =
            Mailto::parse("mailto:a%2Bb@c,d@e?cc=f@g&to=A%2BB@c&subject=S%20t&body=x%0D%0Ay&X-Y=z&From=h@i")
                .unwrap();
        assert_eq!(read.recipients(), ["a+b@c", "d@e", "f@g"]);
        assert_eq!((read.to, read.cc), (vec!["a+b@c".into(), "d@e".into()], vec!["f@g".into()]));
        assert_eq!((read.subject.as_deref(), read.body.as_deref()), (Some("S t"), Some("x\r\ny")));
        assert_eq!(read.fields, [("X-Y".to_owned(), "z".to_owned())]);
        for (uri, expected) in [
            ("xmpp:a@b", BadUri::Method),
            ("mailto:", BadUri::NoAddress),
            ("mailto:?subject=x", BadUri::NoAddress),
            ("mailto:fred", BadUri::Address),
            ("mailto:a@b%0D%0ARCPT", BadUri::Address),
            ("mailto:a b@c", BadUri::Character),
            ("mailto:a@b?x", BadUri::Character),
            ("mailto:a@b?subject=%zz", BadUri::Character),
            ("mailto:a@b?subject=%ff", BadUri::Character),
        ] {
            assert_eq!(Mailto::parse(uri), Err(expected), "{uri}");
        }
        let many: Vec<String> = (0..=NOTIFIED).map(|n| format!("a{n}@b")).collect();
        assert_eq!(Mailto::parse(&format!("mailto:{}", many.join(","))), Err(BadUri::Many));
        assert_eq!(Mailto::parse(&format!("mailto:a@b?body={}", "x".repeat(URI))), Err(BadUri::Long));
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
        let mailto = Mailto::parse("mailto:f@phone?X-Tag=1").unwrap();
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
        fn no_uri_brings_a_line_of_its_own(uri in "mailto:[a-z@,?&=%0-9ADa\\-]{0,60}") {
            if let Ok(mailto) = Mailto::parse(&uri) {
                let text = message(&mailto, &notice("\r\n", None, None), STAMP);
                let header = String::from_utf8(text).unwrap();
                let header = header.split("\r\n\r\n").next().unwrap().to_owned() + "\r\n";
                let names: Vec<_> = Fields::new(header.as_bytes()).map(|f| f.name.to_vec()).collect();
                let extra = mailto.fields.len() + usize::from(!mailto.to.is_empty()) + usize::from(!mailto.cc.is_empty());
                prop_assert_eq!(names.len(), 11 + extra, "{}", header);
            }
        }
    }
}
