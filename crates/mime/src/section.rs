//! The section numbers of FETCH: RFC 3501 section 6.4.5.

use super::{Inner, Kind, Part, Span, Structure};

/// What of a part is asked for: `1.2` alone, `1.2.HEADER`, `1.2.TEXT`, `1.2.MIME`. HEADER.FIELDS is the header, of
/// which the caller picks fields ([`super::pick_fields`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Whole,
    Header,
    Text,
    Mime,
}

impl Structure {
    /// Where the section is, as a span of the message; none if there is no such section (FETCH then says NIL).
    pub fn locate(&self, path: &[u32], what: What) -> Option<Span> {
        if path.is_empty() {
            return match what {
                What::Whole => Some(Span { start: 0, len: self.size }),
                What::Header => Some(self.root.header),
                What::Text => Some(self.root.body),
                What::Mime => None,
            };
        }
        let part = self.part(path)?;
        match (what, &part.kind) {
            (What::Whole, _) => Some(part.body),
            (What::Mime, _) => Some(part.header),
            (What::Header, Kind::Message(inner)) => Some(inner.part.header),
            (What::Text, Kind::Message(inner)) => Some(inner.part.body),
            (What::Header | What::Text, _) => None,
        }
    }

    /// The part with these numbers. A message that is not multipart has one part, number 1: itself.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let mut at = &self.root;
        let mut is_message = true;
        for &number in path {
            if !is_message && let Kind::Message(inner) = &at.kind {
                (at, is_message) = (&inner.part, true);
            }
            at = match &at.kind {
                Kind::Multipart(parts) => parts.get(usize::try_from(number).ok()?.checked_sub(1)?)?,
                _ if is_message && number == 1 => at,
                _ => return None,
            };
            is_message = false;
        }
        Some(at)
    }

    /// The message that the part with these numbers holds, if it is message/rfc822.
    pub fn inner(&self, path: &[u32]) -> Option<&Inner> {
        match &self.part(path)?.kind {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }
    }
}
