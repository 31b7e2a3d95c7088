//! What an article must be that is posted or transferred, and what is added to its header (RFC 5536, RFC 5537).
//!
//! | field | a posted article | a transferred one |
//! | --- | --- | --- |
//! | From, Subject | must be there (Cyrus takes articles without) | must be there |
//! | Newsgroups, or Control | must be there | must be there |
//! | Message-ID | made where it lacks | must be the one that was announced |
//! | Date | added where it lacks | added where it lacks |
//! | Path | `server!user`; what is there gets `server!` in front | the same |
//! | Xref | removed: it is made when the article is read | removed |
//!
//! A control message goes to `control.<type>` in place of its newsgroups; nothing is done about what it says.

use super::refused::Refused;
use super::words::{GroupName, MessageId};

/// The header of an article, as it came.
#[derive(Debug, Clone)]
pub struct Head {
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    /// In lower case.
    name: String,
    /// All of its lines, with their ends.
    whole: Vec<u8>,
    /// Behind the colon; folded as it came.
    value: Vec<u8>,
}

/// How an article comes.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    Posted,
    Transferred(&'a MessageId),
}

/// What is known of an article whose header is as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// None: it is to be made.
    pub id: Option<MessageId>,
    /// Where it goes, each once, in its order. What is no name of a group is left out.
    pub groups: Vec<GroupName>,
    pub is_control: bool,
}

/// What is added to a header.
#[derive(Debug, Clone, Default)]
pub struct Making<'a> {
    pub servername: &'a str,
    /// Who has posted it.
    pub userid: &'a str,
    /// For an article without one.
    pub message_id: Option<&'a MessageId>,
    /// For an article without one: RFC 5322's.
    pub date: &'a str,
    /// `newspostuser`: the addresses of its groups.
    pub addresses: &'a [String],
    /// `newsaddheaders: to`
    pub to: bool,
    /// `newsaddheaders: replyto`
    pub reply_to: bool,
}

impl Head {
    /// Bytes of the header at the beginning of a message whose lines end with CRLF, with the blank line; none: its end is not there.
    pub fn length(message: &[u8]) -> Option<usize> {
        if message.starts_with(b"\r\n") {
            return Some(2);
        }
        message.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
    }

    /// Reads a whole header.
    pub fn parse(header: &[u8]) -> Result<Head, Refused> {
        let mut fields: Vec<Field> = Vec::new();
        for line in header.split_inclusive(|&b| b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            if matches!(line.first(), Some(b' ' | b'\t')) {
                let field = fields.last_mut().ok_or(Refused::BadHeader)?;
                field.whole.extend_from_slice(line);
                field.value.extend_from_slice(line);
                continue;
            }
            let colon = line.iter().position(|&b| b == b':').ok_or(Refused::BadHeader)?;
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii_end();
            if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                return Err(Refused::BadHeader);
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let value = value.get(1..).unwrap_or_default().to_vec();
            fields.push(Field { name, whole: line.to_vec(), value });
        }
        Ok(Head { fields })
    }

    /// Whether it is as it must be, and where the article goes.
    pub fn check(&self, expected: Expected<'_>) -> Result<Article, Refused> {
        for name in ONCE {
            if self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count() > 1 {
                return Err(Refused::Doubled(name));
            }
        }
        let id = match self.value("message-id") {
            Some(text) => Some(MessageId::parse(&text).ok_or(Refused::BadMessageId)?),
            None => None,
        };
        match (expected, &id) {
            (Expected::Transferred(_), None) => return Err(Refused::NoMessageId),
            (Expected::Transferred(wanted), Some(id)) if id != wanted => return Err(Refused::OtherMessageId),
            (Expected::Transferred(_) | Expected::Posted, _) => {}
        }
        let control = self.value("control");
        let groups = match &control {
            Some(control) => {
                let kind = control.split_ascii_whitespace().next().unwrap_or_default();
                vec![GroupName::parse(&format!("control.{kind}")).ok_or(Refused::NoSuchGroup)?]
            }
            None => self.newsgroups()?,
        };
        for (name, lacks) in [("from", Refused::NoFrom), ("subject", Refused::NoSubject)] {
            self.value(name).ok_or(lacks)?;
        }
        Ok(Article { id, groups, is_control: control.is_some() })
    }

    /// The header as it is stored, with its blank line.
    pub fn completed(&self, making: &Making<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let server = making.servername;
        let path = match self.value("path") {
            Some(path) => format!("Path: {server}!{path}\r\n"),
            None => format!("Path: {server}!{}\r\n", making.userid),
        };
        out.extend_from_slice(path.as_bytes());
        let (to, reply_to) =
            (making.to && !making.addresses.is_empty(), making.reply_to && !making.addresses.is_empty());
        for field in &self.fields {
            match field.name.as_str() {
                "path" | "xref" => {}
                "to" if to => {}
                "reply-to" if reply_to => {}
                _ => out.extend_from_slice(&field.whole),
            }
        }
        if let (None, Some(id)) = (self.value("message-id"), making.message_id) {
            out.extend_from_slice(format!("Message-ID: {id}\r\n").as_bytes());
        }
        if self.value("date").is_none() {
            out.extend_from_slice(format!("Date: {}\r\n", making.date).as_bytes());
        }
        if to {
            add(&mut out, "To", self.value("to"), making.addresses);
        }
        if reply_to {
            add(
                &mut out,
                "Reply-To",
                self.value("reply-to").or_else(|| self.value("from")),
                making.addresses,
            );
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn newsgroups(&self) -> Result<Vec<GroupName>, Refused> {
        let text = self.value("newsgroups").ok_or(Refused::NoNewsgroups)?;
        let mut groups: Vec<GroupName> = Vec::new();
        for group in text.split([',', ' ', '\t']).filter_map(GroupName::parse) {
            if groups.contains(&group) {
                continue;
            }
            if groups.len() == GROUPS {
                return Err(Refused::TooManyGroups);
            }
            groups.push(group);
        }
        Ok(groups)
    }

    /// The text of a field, unfolded; none: it is not there, or empty.
    fn value(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        let text = String::from_utf8_lossy(&field.value).replace(['\r', '\n'], "");
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A field of addresses: those that were there, then the groups', a line each.
fn add(out: &mut Vec<u8>, name: &str, there: Option<String>, addresses: &[String]) {
    let all: Vec<&str> =
        there.iter().map(String::as_str).chain(addresses.iter().map(String::as_str)).collect();
    out.extend_from_slice(format!("{name}: {}\r\n", all.join(",\r\n\t")).as_bytes());
}

/// Fields that an article has once: what they say must be one thing.
const ONCE: [&str; 8] = ["Message-ID", "Newsgroups", "Control", "From", "Subject", "Date", "Path", "Xref"];
/// Groups of an article.
pub const GROUPS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "From: f@x\r\nNewsgroups: a.b, c.d\r\n,a.b\r\nSubject: s\r\n\r\n";

    fn check(header: &str) -> Result<Article, Refused> {
        Head::parse(header.as_bytes())?.check(Expected::Posted)
    }

    fn completed(header: &str, making: &Making<'_>) -> String {
        String::from_utf8(Head::parse(header.as_bytes()).unwrap().completed(making)).unwrap()
    }

    #[test]
    fn an_article_goes_to_each_of_its_groups_once() {
        let header = GOOD.replace("\r\n,a.b", ",\r\n a.b, x*");
        let groups = check(&header).unwrap().groups;
        assert_eq!(groups.iter().map(GroupName::as_str).collect::<Vec<_>>(), ["a.b", "c.d"]);
    }

    #[test]
    fn what_an_article_must_have_is_asked_for() {
        let without = |field: &str| {
            let lines = "From: f@x\r\nNewsgroups: a\r\nSubject: s\r\n".split_inclusive('\n');
            check(&lines.filter(|line| !line.starts_with(field)).collect::<String>())
        };
        assert_eq!(without("From"), Err(Refused::NoFrom));
        assert_eq!(without("Subject"), Err(Refused::NoSubject));
        assert_eq!(without("Newsgroups"), Err(Refused::NoNewsgroups));
        assert_eq!(
            check("From: a\r\nFrom: b\r\nNewsgroups: a\r\nSubject: s\r\n"),
            Err(Refused::Doubled("From"))
        );
        assert_eq!(
            check("From: a\r\nSubject: s\r\nNewsgroups: a\r\nMessage-ID: x\r\n"),
            Err(Refused::BadMessageId)
        );
        assert_eq!(check("no field\r\n"), Err(Refused::BadHeader));
        assert_eq!(check(" x: y\r\n"), Err(Refused::BadHeader));
        let many: Vec<String> = (0..=GROUPS).map(|n| format!("g{n}")).collect();
        assert_eq!(
            check(&format!("From: a\r\nSubject: s\r\nNewsgroups: {}\r\n", many.join(","))),
            Err(Refused::TooManyGroups)
        );
    }

    #[test]
    fn a_transferred_article_is_the_one_that_was_announced() {
        let head =
            Head::parse(b"From: f\r\nNewsgroups: a\r\nSubject: s\r\nMessage-ID: <a@b>\r\n\r\n").unwrap();
        let other = MessageId::parse("<c@d>").unwrap();
        assert_eq!(head.check(Expected::Transferred(&other)), Err(Refused::OtherMessageId));
        let same = MessageId::parse("<a@b>").unwrap();
        assert!(head.check(Expected::Transferred(&same)).is_ok());
        let without = Head::parse(b"From: f\r\nNewsgroups: a\r\nSubject: s\r\n\r\n").unwrap();
        assert_eq!(without.check(Expected::Transferred(&same)), Err(Refused::NoMessageId));
    }

    #[test]
    fn a_control_message_goes_to_the_group_of_its_kind() {
        let article = check("From: f\r\nSubject: s\r\nNewsgroups: a\r\nControl: cancel <x@y>\r\n").unwrap();
        assert_eq!((article.groups[0].as_str(), article.groups.len()), ("control.cancel", 1));
    }

    #[test]
    fn what_lacks_is_added_and_xref_is_removed() {
        let id = MessageId::parse("<n@be1>").unwrap();
        let making = Making {
            servername: "be1",
            userid: "fred",
            message_id: Some(&id),
            date: "today",
            ..Making::default()
        };
        let header = completed("From: f\r\nXref: x a:1\r\nSubject: s\r\n\r\n", &making);
        assert_eq!(
            header,
            "Path: be1!fred\r\nFrom: f\r\nSubject: s\r\nMessage-ID: <n@be1>\r\nDate: today\r\n\r\n"
        );
        let header = completed("path: fe1!fred\r\nDate: d\r\nMessage-ID: <a@b>\r\n\r\n", &making);
        assert_eq!(header, "Path: be1!fe1!fred\r\nDate: d\r\nMessage-ID: <a@b>\r\n\r\n");
    }

    #[test]
    fn groups_addresses_join_those_that_are_there() {
        let addresses = ["post+a@be1".to_owned(), "post+b@be1".to_owned()];
        let making = Making {
            servername: "be1",
            userid: "u",
            date: "d",
            addresses: &addresses,
            to: true,
            reply_to: true,
            ..Making::default()
        };
        let header = completed("From: f\r\nTo: x\r\nDate: d\r\n\r\n", &making);
        let expected = "Path: be1!u\r\nFrom: f\r\nDate: d\r\nTo: x,\r\n\tpost+a@be1,\r\n\tpost+b@be1\r\nReply-To: f,\r\n\tpost+a@be1,\r\n\tpost+b@be1\r\n\r\n";
        assert_eq!(header, expected);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(head) = Head::parse(&bytes) {
                let _ = head.check(Expected::Posted);
                let completed = head.completed(&Making::default());
                prop_assert!(completed.ends_with(b"\r\n"));
            }
        }

        #[test]
        fn a_header_that_was_completed_needs_nothing_more(subject in "[a-z ]{1,20}x", path in "[a-z!]{1,10}") {
            let header = format!("From: f\r\nSubject: {subject}\r\nPath: {path}\r\nNewsgroups: a\r\nDate: d\r\nMessage-ID: <a@b>\r\n\r\n");
            let making = Making { servername: "s", ..Making::default() };
            let once = completed(&header, &making);
            prop_assert_eq!(check(&once), check(&header));
            prop_assert_eq!(completed(&once, &making), once.replace("Path: s!", "Path: s!s!"));
        }
    }
}
