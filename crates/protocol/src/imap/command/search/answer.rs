//! What a search is answered with: RFC 3501 section 7.2.5, RFC 5256 (SORT), RFC 4731 (ESEARCH), RFC 6203 (RELEVANCY), RFC 7377
//! (MAILBOX), RFC 9394 (PARTIAL).

use super::Partial;
use crate::imap::{UidSet, print};

/// `* SEARCH *(SP number) [SP "(MODSEQ" SP modseq ")"]`
pub fn print_search(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>, modseq: Option<u64>) {
    print_numbers("SEARCH", out, numbers, modseq);
}

/// `* SORT *(SP number) [SP "(MODSEQ" SP modseq ")"]`
pub fn print_sort(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>, modseq: Option<u64>) {
    print_numbers("SORT", out, numbers, modseq);
}

fn print_numbers(word: &str, out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>, modseq: Option<u64>) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(word.as_bytes());
    for number in numbers {
        out.push(b' ');
        put_number(out, number);
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(format!(" (MODSEQ {modseq})").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What RFC 4731 answers a search with: each item where it was asked for and there is one. The order of the items is Cyrus's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ESearch<'t> {
    pub tag: &'t str,
    /// Of a search in several mailboxes (RFC 7377): the name as the client writes it, and its UIDVALIDITY.
    pub mailbox: Option<(&'t str, u32)>,
    /// The numbers are UIDs.
    pub uid: bool,
    pub count: Option<usize>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub all: Option<UidSet>,
    /// RFC 6203: 1 to 100, of each message that was found.
    pub relevancy: Option<Vec<u8>>,
    pub modseq: Option<u64>,
    /// RFC 9394: the page that was asked for, and what is on it.
    pub partial: Option<(Partial, UidSet)>,
}

impl ESearch<'_> {
    /// ```text
    /// * ESEARCH SP "(TAG" SP string [SP "MAILBOX" SP mailbox SP "UIDVALIDITY" SP number] ")" [SP "UID"] *(SP item SP value)
    /// ```
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("* ESEARCH (TAG \"{}\"", self.tag).as_bytes());
        if let Some((mailbox, uidvalidity)) = self.mailbox {
            out.extend_from_slice(b" MAILBOX ");
            print::astring(out, mailbox.as_bytes());
            out.extend_from_slice(format!(" UIDVALIDITY {uidvalidity}").as_bytes());
        }
        out.extend_from_slice(if self.uid { b") UID" } else { b")" });
        let mut item = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.extend_from_slice(format!(" {name} {value}").as_bytes());
            }
        };
        item("COUNT", self.count.map(|n| n.to_string()));
        item("MIN", self.min.map(|n| n.to_string()));
        item("MAX", self.max.map(|n| n.to_string()));
        item("ALL", self.all.as_ref().map(UidSet::to_string));
        item("RELEVANCY", self.relevancy.as_ref().map(|scores| scored(scores)));
        item("MODSEQ", self.modseq.map(|n| n.to_string()));
        item("PARTIAL", self.partial.as_ref().map(|(page, found)| format!("({page} {})", or_nil(found))));
        out.extend_from_slice(b"\r\n");
    }
}

fn scored(scores: &[u8]) -> String {
    let scores: Vec<String> = scores.iter().map(u8::to_string).collect();
    format!("({})", scores.join(" "))
}

fn or_nil(found: &UidSet) -> String {
    if found.is_empty() { "NIL".to_owned() } else { found.to_string() }
}

/// A number in digits. Answers have a hundred thousand of them.
pub fn put_number(out: &mut Vec<u8>, mut number: u32) {
    let (mut digits, mut at) = ([0; 10], 10);
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_items_stand_in_the_order_of_cyrus() {
        let mut out = Vec::new();
        let page = Partial::new(3, 1, true);
        ESearch {
            tag: "a",
            mailbox: Some(("b\"c", 7)),
            uid: true,
            count: Some(2),
            min: Some(4),
            max: Some(5),
            all: Some([4, 5].into_iter().collect()),
            relevancy: Some(vec![100, 50]),
            modseq: Some(9),
            partial: Some((page, UidSet::default())),
        }
        .print(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* ESEARCH (TAG \"a\" MAILBOX \"b\\\"c\" UIDVALIDITY 7) UID COUNT 2 MIN 4 MAX 5 ALL 4:5 RELEVANCY (100 50) MODSEQ 9 \
             PARTIAL (-3:-1 NIL)\r\n"
        );
        let mut none = Vec::new();
        ESearch { tag: "b", ..ESearch::default() }.print(&mut none);
        assert_eq!(none, b"* ESEARCH (TAG \"b\")\r\n");
    }

    proptest! {
        #[test]
        fn numbers_are_printed_in_digits(number: u32) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
