//! The mass-delete guard: a synchronisation that would empty a list is more often a wrong server, an empty database or
//! a wrong `servername` than what somebody wants. Such a plan is held until an operator accepts it.
//!
//! A list that replaces another one, a master's that lost everything say, is told by its backends what they have: until
//! each has done so, what it lacks proves nothing. There it also counts what a single server would lose ([`Loss`]),
//! however small the list is.

use protocol::name::MailboxName;

use crate::limits::{PERCENT, SHOWN, SMALL};

/// What a synchronisation would remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Entries held before.
    pub held: usize,
    pub removals: Vec<MailboxName>,
}

impl Plan {
    /// Whether it may be done without asking: at most 20 of 100 entries go, or the list is smaller than 100.
    pub fn is_safe(&self) -> bool {
        self.held < SMALL || self.removals.len().saturating_mul(100) <= self.held.saturating_mul(PERCENT)
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} mailboxes would be removed", self.removals.len(), self.held)?;
        for (at, name) in self.removals.iter().take(SHOWN).enumerate() {
            write!(f, "{} {name}", if at == 0 { ":" } else { "," })?;
        }
        if self.removals.len() > SHOWN { f.write_str(", …") } else { Ok(()) }
    }
}

/// What one server would lose of its mailboxes, by a list that replaces another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub server: String,
    /// Entries of the server held before.
    pub held: usize,
    pub removed: usize,
}

impl Loss {
    /// Whether it may be done without asking: at least half of them stay.
    pub fn is_safe(&self) -> bool {
        self.removed.saturating_mul(2) <= self.held
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} would lose {} of its {}", self.server, self.removed, self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_fifth_of_a_hundred_is_held_and_more_than_half_of_one_server() {
        let plan = |held, gone| Plan {
            held,
            removals: (0..gone).map(|n| MailboxName::parse(&format!("user.u{n}")).unwrap()).collect(),
        };
        assert!(plan(99, 99).is_safe());
        assert!(plan(100, 20).is_safe());
        assert!(!plan(100, 21).is_safe());
        let loss = |held, removed| Loss { server: "be1".into(), held, removed };
        assert!(loss(2, 1).is_safe());
        assert!(!loss(1, 1).is_safe());
        assert!(!loss(9, 5).is_safe());
        assert_eq!(plan(100, 1).to_string(), "1 of 100 mailboxes would be removed: user.u0");
    }
}
