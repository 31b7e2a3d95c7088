//! Addresses as tests compare them.

/// An address without display name, comments and route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    all: Box<str>,
    /// Where the `@` stands; none: there is none.
    at: Option<usize>,
}

impl Address {
    /// Of `local@domain`, as an envelope has it.
    pub fn bare(all: impl Into<Box<str>>) -> Address {
        let all = all.into();
        let at = all.rfind('@');
        Address { all, at }
    }

    pub fn all(&self) -> &str {
        &self.all
    }

    pub fn local(&self) -> &str {
        self.all.get(..self.at.unwrap_or(self.all.len())).unwrap_or_default()
    }

    pub fn domain(&self) -> &str {
        self.at.and_then(|at| self.all.get(at + 1..)).unwrap_or_default()
    }
}
