//! File literals: messages on their way to the other side's staging directory.

use crate::grammar::{self, Cursor, Parsed, byte, number64};

use super::{Guid, dlist};

/// The header of a file literal: a message on its way to the other side's staging directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where the message is to lie.
    pub partition: String,
    /// SHA-1 of the bytes.
    pub guid: Guid,
    /// Bytes that follow the header's line end.
    pub size: u64,
}

impl File {
    /// `"%{" partition SP guid SP size "}"`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, File> {
        let Some(rest) = at.rest().strip_prefix(b"%{") else { return Err(at.no("file literal")) };
        let (at, partition) = dlist::string(at.with(rest))?;
        let (at, guid) = Guid::parse(grammar::space(at)?.0)?;
        let (at, size) = number64(grammar::space(at)?.0)?;
        let (at, ()) = byte(b'}')(at)?;
        Ok((at, File { partition, guid, size }))
    }

    /// The file literal whose header is the end of a line of text (with its line end or without).
    pub fn at_end(line: &[u8]) -> Option<File> {
        let line = crate::frame::trim_line(line);
        // Looked for where it can be, so that a long line is not read through.
        let tail = line.get(line.len().saturating_sub(FILE_HEADER_MAX)..)?;
        let start = tail.windows(2).rposition(|two| two == b"%{")?;
        let mut at = Cursor::new(tail.get(start..)?, grammar::Limits::NONE);
        let file = at.read(File::parse).ok()?;
        at.at_end().then_some(file)
    }

    /// Prints the header with its line end, behind which the bytes go.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"%{");
        dlist::put_text(out, self.partition.as_bytes(), true);
        out.extend_from_slice(format!(" {} {}}}\r\n", self.guid, self.size).as_bytes());
    }
}

/// Bytes of the longest header of a file literal: the name of a partition, 40 of a GUID, 20 of a number, and what stands between.
const FILE_HEADER_MAX: usize = 1024 + 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_literal_is_found_where_a_line_ends() {
        let guid = "0123456789abcdef0123456789ABCDEF01234567";
        let line = format!("S2 SYNCAPPLY MESSAGE (%{{default {guid} 532}}\r\n");
        let file = File::at_end(line.as_bytes()).unwrap();
        assert_eq!((file.partition.as_str(), file.size), ("default", 532));
        assert_eq!(file.guid.to_string(), guid.to_ascii_lowercase());
        let mut out = Vec::new();
        file.write(&mut out);
        assert_eq!(out, format!("%{{default {} 532}}\r\n", guid.to_ascii_lowercase()).as_bytes());
        for not in [
            format!("%{{default {guid} 532}} \r\n"),
            format!("%{{default {guid} 532\r\n"),
            format!("%{{default {guid} -1}}\r\n"),
            format!("%{{default {guid} 99999999999999999999999}}\r\n"),
            format!("%{{ {guid} 5}}\r\n"),
            "%{default 0123 5}\r\n".to_owned(),
            format!("{{default {guid} 532}}\r\n"),
            "%{\r\n".to_owned(),
            "%".to_owned(),
        ] {
            assert_eq!(File::at_end(not.as_bytes()), None, "{not}");
        }
    }
}
