//! A `mailto` URI, as a notification is sent to it: RFC 6068, and RFC 5436 for what of it counts.
//!
//! ```text
//! mailtoURI = "mailto:" [ to ] [ "?" hfield *( "&" hfield ) ]
//! ```

use crate::base::redirect::mail_address;
use crate::limits;
use crate::message::Address;

/// What a `mailto` URI says. Nothing of it holds a control character but the line ends of the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailto {
    /// local@domain, of the path and of `to`, `cc` and `bcc`.
    pub recipients: Vec<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    /// Other fields of the header. Which of them are safe is the sender's to know; those of the envelope and of the way of a message
    /// are not here.
    pub headers: Vec<(String, String)>,
}

impl Mailto {
    /// An error says what is wrong with it.
    pub fn parse(uri: &str) -> Result<Mailto, String> {
        let is_scheme = |scheme: &&str| scheme.eq_ignore_ascii_case("mailto:");
        let rest = uri.get(..7).filter(is_scheme).and_then(|_| uri.get(7..));
        let rest = rest.ok_or("only mailto: is known")?;
        if let Some(odd) = rest.chars().find(|char| !is_uri(*char)) {
            return Err(format!("{odd:?} cannot stand in a URI"));
        }
        let (to, fields) = rest.split_once('?').map_or((rest, None), |(to, fields)| (to, Some(fields)));
        let mut read = Mailto::default();
        for address in to.split(',').filter(|address| !address.is_empty()) {
            read.recipient(&decoded(address)?)?;
        }
        let fields = fields.into_iter().flat_map(|fields| fields.split('&'));
        // A field without a name is passed over, and one without a value is empty, as with other servers.
        for field in fields.filter(|field| !field.is_empty() && !field.starts_with('=')) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            read.field(&decoded(name)?, &decoded(value)?)?;
        }
        Ok(read)
    }

    fn recipient(&mut self, address: &str) -> Result<(), String> {
        let address = mail_address(address).ok_or_else(|| format!("{address:?} is no address"))?;
        if !self.recipients.contains(&address) {
            self.recipients.push(address);
        }
        match self.recipients.len() > limits::REDIRECTS {
            true => Err(format!("more than {} recipients", limits::REDIRECTS)),
            false => Ok(()),
        }
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name_ok = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !name_ok {
            return Err(format!("{name:?} is no name of a field"));
        }
        let lower = name.to_ascii_lowercase();
        if lower != "body" && value.chars().any(char::is_control) {
            return Err(format!("{name} has control characters"));
        }
        match lower.as_str() {
            "to" | "cc" | "bcc" => {
                let list = Address::list(value);
                if list.is_empty() {
                    return Err(format!("{value:?} is no address"));
                }
                list.iter().try_for_each(|address| self.recipient(address.all()))?;
            }
            "subject" => self.subject = Some(value.to_owned()),
            "body" => self.body = Some(value.to_owned()),
            // RFC 5436 section 2.7: the URI does not say whom a notification is from, or how it came here.
            "from" | "sender" | "received" | "return-path" | "auto-submitted" | "date" | "message-id" => {}
            _ => self.headers.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}

fn is_uri(char: char) -> bool {
    char.is_ascii_alphanumeric() || "%-._~!$'()*+,;:@/?&=[]".contains(char)
}

fn decoded(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(format!("{text:?} has a % without two hexadecimal digits"));
        };
        bytes.push((high * 16 + low) as u8);
        rest = tail.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mailto_uri_says_is_read_as_rfc_6068_has_it() {
        let read = Mailto::parse(
            "MAILTO:gorby%25kremvax@example.com,b@c?to=Joe%20%3Cd@e%3E,b@c&Subject=caf%C3%A9&BODY=a%0D%0Ab&\
             X-Priority=1&From=evil@x",
        );
        let expected = Mailto {
            recipients: ["gorby%kremvax@example.com", "b@c", "d@e"].map(str::to_owned).to_vec(),
            subject: Some("café".to_owned()),
            body: Some("a\r\nb".to_owned()),
            headers: vec![("X-Priority".to_owned(), "1".to_owned())],
        };
        assert_eq!(read, Ok(expected));
        assert_eq!(Mailto::parse("mailto:"), Ok(Mailto::default()));
    }

    #[test]
    fn what_is_no_mailto_uri_is_refused() {
        for uri in [
            "",
            "mailt",
            "http://a",
            "mailto:nobody",
            "mailto:a@b@c",
            "mailto:a@b c",
            "mailto:a@b%",
            "mailto:a@b?subject=%0D%0ABcc:%20x@y",
            "mailto:a%0A@b",
            "mailto:a@b?subject=%ff",
            "mailto:ä@b",
            "mailto:a@b?to=",
            "mailto:a@b#f",
        ] {
            assert!(Mailto::parse(uri).is_err(), "{uri}");
        }
    }
}
