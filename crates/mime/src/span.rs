//! Bytes of a message: as they are, and where they lie in it.

/// Raw bytes of a header value, as they stand in the message without line ends; not always UTF-8.
pub type Raw = Box<[u8]>;

/// Bytes of a message: offset from its first byte, and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: clamp(start), len: clamp(end.saturating_sub(start)) }
    }

    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// The bytes of `message` that this span names; empty where the message is shorter than the one that was parsed.
    pub fn of<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        let end = (self.end() as usize).min(message.len());
        message.get(self.start as usize..end).unwrap_or_default()
    }
}
