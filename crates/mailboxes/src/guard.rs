//! The mass-delete guard: a synchronisation that would empty a list is more often a wrong server, an empty database or
//! a wrong `servername` than what somebody wants. Such a plan is held until an operator accepts it.

use protocol::name::MailboxName;

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

const SMALL: usize = 100;
const PERCENT: usize = 20;
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_fifth_of_a_hundred_is_held() {
        let plan = |held, gone| Plan {
            held,
            removals: (0..gone).map(|n| MailboxName::parse(&format!("user.u{n}")).unwrap()).collect(),
        };
        assert!(plan(99, 99).is_safe());
        assert!(plan(100, 20).is_safe());
        assert!(!plan(100, 21).is_safe());
        assert_eq!(plan(100, 1).to_string(), "1 of 100 mailboxes would be removed: user.u0");
    }
}
