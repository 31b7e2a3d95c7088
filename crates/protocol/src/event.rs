//! What can happen to mailboxes, as NOTIFY names it (RFC 5465 section 5).

use std::fmt;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    MessageNew,
    MessageExpunge,
    FlagChange,
    AnnotationChange,
    MailboxName,
    SubscriptionChange,
    MailboxMetadataChange,
    ServerMetadataChange,
}

impl Event {
    pub const ALL: [Event; 8] = [
        Event::MessageNew,
        Event::MessageExpunge,
        Event::FlagChange,
        Event::AnnotationChange,
        Event::MailboxName,
        Event::SubscriptionChange,
        Event::MailboxMetadataChange,
        Event::ServerMetadataChange,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Event::MessageNew => "MessageNew",
            Event::MessageExpunge => "MessageExpunge",
            Event::FlagChange => "FlagChange",
            Event::AnnotationChange => "AnnotationChange",
            Event::MailboxName => "MailboxName",
            Event::SubscriptionChange => "SubscriptionChange",
            Event::MailboxMetadataChange => "MailboxMetadataChange",
            Event::ServerMetadataChange => "ServerMetadataChange",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events(pub(crate) u8);

impl Events {
    pub const NONE: Events = Events(0);
    /// Messages come or go.
    pub const COUNTS: Events = Events(Event::MessageNew.bit() | Event::MessageExpunge.bit());
    /// Messages change.
    pub const CHANGES: Events = Events(Event::FlagChange.bit() | Event::AnnotationChange.bit());
    /// All that happens to messages.
    pub const MESSAGES: Events = Events(Events::COUNTS.0 | Events::CHANGES.0);

    pub const fn of(event: Event) -> Events {
        Events(event.bit())
    }

    pub const fn has(self, event: Event) -> bool {
        self.0 & event.bit() != 0
    }

    pub const fn with(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }

    /// Those that are in both.
    pub const fn common(self, other: Events) -> Events {
        Events(self.0 & other.0)
    }

    pub const fn without(self, other: Events) -> Events {
        Events(self.0 & !other.0)
    }

    pub const fn intersects(self, other: Events) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// As a command has them: `(MessageNew MessageExpunge)`, `NONE`.
impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("NONE");
        }
        let words: Vec<&str> =
            Event::ALL.into_iter().filter(|event| self.has(*event)).map(Event::word).collect();
        write!(f, "({})", words.join(" "))
    }
}
