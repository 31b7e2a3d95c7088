//! A report to the sender that a message was refused: a disposition notification. RFC 5429 section 2.1.1, RFC 8098.

use mime::Fields;

use super::text::{self, one_line, raw_field};
use super::vacation::reply_fields;
use super::{ACTION, Stamp};

/// What the report is about.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// The message as it came.
    pub message: &'a [u8],
    /// The envelope's sender, not empty.
    pub sender: &'a str,
    /// The envelope's recipient, as it came.
    pub recipient: &'a str,
    pub reason: &'a str,
    /// `postmaster`, with a domain.
    pub postmaster: &'a str,
    /// Of this server, for Reporting-UA.
    pub servername: &'a str,
}

/// The report, whole.
pub fn message(refused: &Refused<'_>, stamp: Stamp<'_>) -> Vec<u8> {
    let boundary = boundary(refused, stamp);
    let recipient = one_line(refused.recipient);
    let mut out = Vec::new();
    raw_field(&mut out, ACTION, "reject");
    raw_field(&mut out, "Message-ID", &format!("<{}>", stamp.message_id));
    raw_field(&mut out, "Date", stamp.date);
    raw_field(&mut out, "From", &format!("Mail Sieve Subsystem <{}>", one_line(refused.postmaster)));
    raw_field(&mut out, "To", &format!("<{}>", one_line(refused.sender)));
    raw_field(&mut out, "Subject", "Automatically rejected mail");
    reply_fields(&mut out, refused.message);
    raw_field(&mut out, "Auto-Submitted", "auto-replied (rejected)");
    raw_field(&mut out, "MIME-Version", "1.0");
    let kind = format!("multipart/report; report-type=disposition-notification; boundary=\"{boundary}\"");
    raw_field(&mut out, "Content-Type", &kind);
    out.extend_from_slice(b"\r\nThis is a MIME-encapsulated message\r\n\r\n");
    part(&mut out, &boundary, &words(refused));
    part(&mut out, &boundary, &disposition(refused, &recipient));
    out.extend_from_slice(format!("--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n").as_bytes());
    out.extend_from_slice(refused.message);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// For people.
fn words(refused: &Refused<'_>) -> Vec<u8> {
    let text = format!(
        "Your message was automatically rejected by Sieve, a mail filtering language.\r\n\r\n\
         The following reason was given:\r\n{}",
        refused.reason
    );
    let (encoding, body) = text::body(&text);
    let mut out = Vec::new();
    raw_field(&mut out, "Content-Type", "text/plain; charset=utf-8");
    raw_field(&mut out, "Content-Transfer-Encoding", encoding);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}

/// For programs.
fn disposition(refused: &Refused<'_>, recipient: &str) -> Vec<u8> {
    let kind = if recipient.is_ascii() { "rfc822" } else { "utf-8" };
    let mut out = Vec::new();
    raw_field(&mut out, "Content-Type", "message/disposition-notification");
    out.extend_from_slice(b"\r\n");
    raw_field(&mut out, "Reporting-UA", &format!("{}; Murder", one_line(refused.servername)));
    if let Some(original) = Fields::first(refused.message, "Original-Recipient") {
        raw_field(&mut out, "Original-Recipient", &String::from_utf8_lossy(&original.unfolded()));
    }
    raw_field(&mut out, "Final-Recipient", &format!("{kind}; {recipient}"));
    if let Some(id) = Fields::first(refused.message, "Message-ID") {
        raw_field(&mut out, "Original-Message-ID", &String::from_utf8_lossy(&id.unfolded()));
    }
    raw_field(&mut out, "Disposition", "automatic-action/MDN-sent-automatically; deleted");
    out
}

fn part(out: &mut Vec<u8>, boundary: &str, part: &[u8]) {
    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// A line that nothing in the report begins with: the Message-ID is nobody's before it is made.
fn boundary(refused: &Refused<'_>, stamp: Stamp<'_>) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let id: String = stamp.message_id.chars().map(clean).take(50).collect();
    let mut number = 0_u32;
    loop {
        let boundary = format!("=_{id}_{number}");
        let line = boundary.as_bytes();
        let taken = |text: &[u8]| text.windows(line.len()).any(|window| window == line);
        if !taken(refused.message) && !taken(refused.reason.as_bytes()) {
            return boundary;
        }
        number = number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_learns_which_message_was_refused_by_whom_and_why() {
        let refused = Refused {
            message: b"Message-ID: <m@a>\r\nSubject: x\r\n\r\nhello\r\n",
            sender: "anna@a.org",
            recipient: "fred+x@example.org",
            reason: "No.\nNever: né",
            postmaster: "postmaster@be1.example.org",
            servername: "be1.example.org",
        };
        let stamp = Stamp { date: "Mon, 30 Nov 2026 18:00:00 +0000", message_id: "1@be1.example.org" };
        let text = String::from_utf8(message(&refused, stamp)).unwrap();
        assert_eq!(
            text,
            "X-Sieve-Action: reject\r\nMessage-ID: <1@be1.example.org>\r\nDate: Mon, 30 Nov 2026 18:00:00 +0000\r\n\
             From: Mail Sieve Subsystem <postmaster@be1.example.org>\r\nTo: <anna@a.org>\r\n\
             Subject: Automatically rejected mail\r\nIn-Reply-To: <m@a>\r\nReferences: <m@a>\r\n\
             Auto-Submitted: auto-replied (rejected)\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=disposition-notification; boundary=\"=_1_be1.example.org_0\"\r\n\r\n\
             This is a MIME-encapsulated message\r\n\r\n\
             --=_1_be1.example.org_0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             Your message was automatically rejected by Sieve, a mail filtering language.\r\n\r\n\
             The following reason was given:\r\nNo.\r\nNever: né\r\n\r\n\
             --=_1_be1.example.org_0\r\nContent-Type: message/disposition-notification\r\n\r\n\
             Reporting-UA: be1.example.org; Murder\r\nFinal-Recipient: rfc822; fred+x@example.org\r\n\
             Original-Message-ID: <m@a>\r\nDisposition: automatic-action/MDN-sent-automatically; deleted\r\n\r\n\
             --=_1_be1.example.org_0\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m@a>\r\nSubject: x\r\n\r\nhello\r\n\r\n\
             --=_1_be1.example.org_0--\r\n"
        );
        let hostile = Refused { reason: "--=_1_be1.example.org_0", ..refused };
        let text = String::from_utf8(message(&hostile, stamp)).unwrap();
        assert!(text.contains("boundary=\"=_1_be1.example.org_1\""), "{text}");
    }
}
