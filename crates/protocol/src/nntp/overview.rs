//! The overview of an article (RFC 3977 section 8.3): eight fields and the Xref, parted by tabs.

/// The fields in their order, as LIST OVERVIEW.FMT prints them. The two before the last are metadata: a client that has asked for
/// CAPABILITIES gets their new names.
pub fn format(metadata: bool) -> [&'static str; 8] {
    let (bytes, lines) = if metadata { (":bytes", ":lines") } else { ("Bytes:", "Lines:") };
    ["Subject:", "From:", "Date:", "Message-ID:", "References:", bytes, lines, "Xref:full"]
}

/// What is shown of one article.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overview<'a> {
    pub number: u32,
    pub subject: &'a [u8],
    pub from: &'a [u8],
    pub date: &'a [u8],
    pub message_id: &'a [u8],
    pub references: &'a [u8],
    pub bytes: u64,
    pub lines: u64,
    /// Behind `Xref: `; empty: none.
    pub xref: &'a [u8],
}

impl Overview<'_> {
    /// Appends the line with its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.number.to_string().as_bytes());
        for field in [self.subject, self.from, self.date, self.message_id, self.references] {
            out.push(b'\t');
            write_value(field, out);
        }
        out.extend_from_slice(format!("\t{}\t{}\t", self.bytes, self.lines).as_bytes());
        if !self.xref.is_empty() {
            out.extend_from_slice(b"Xref: ");
            write_value(self.xref, out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A field's value on one line: a line end goes, where it folds; each tab, stray CR or LF, and NUL is a blank (section 8.3.2).
pub fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    let mut rest = value.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' if rest.peek() == Some(&b'\n') => {}
            b'\n' if matches!(rest.peek(), Some(b' ' | b'\t')) => {}
            b'\t' | b'\r' | b'\n' | 0 => out.push(b' '),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_article_is_one_line() {
        let mut out = Vec::new();
        let overview = Overview {
            number: 3,
            subject: b"a\tb\r\n c",
            from: b"f@x",
            message_id: b"<a@b>",
            bytes: 10,
            lines: 2,
            xref: b"be1 comp.test:3",
            ..Overview::default()
        };
        overview.write(&mut out);
        assert_eq!(out, b"3\ta b c\tf@x\t\t<a@b>\t\t10\t2\tXref: be1 comp.test:3\r\n");
    }

    proptest! {
        #[test]
        fn whatever_a_field_holds_the_line_has_its_fields(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            Overview { subject: &value, references: &value, xref: &value, ..Overview::default() }.write(&mut out);
            prop_assert_eq!(out.iter().filter(|&&b| b == b'\t').count(), 8);
            prop_assert_eq!(out.iter().position(|&b| b == b'\n'), Some(out.len() - 1));
            prop_assert!(!out.contains(&0));
        }
    }
}
