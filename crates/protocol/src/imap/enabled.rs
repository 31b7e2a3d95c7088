//! What a session has turned on: ENABLE (RFC 5161), and CONDSTORE by the commands that ask for modification sequences
//! (RFC 7162 section 3.1).

use std::fmt;

/// An extension that changes what a server says of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// RFC 9051.
    Imap4Rev2,
    Condstore,
    Qresync,
    UidOnly,
    /// RFC 6855.
    Utf8Accept,
}

impl Extension {
    /// In the order in which Cyrus lists them.
    pub const ALL: [Extension; 5] = [
        Extension::Imap4Rev2,
        Extension::Condstore,
        Extension::Qresync,
        Extension::UidOnly,
        Extension::Utf8Accept,
    ];

    /// As a capability, and in ENABLE.
    pub fn word(self) -> &'static str {
        match self {
            Extension::Imap4Rev2 => "IMAP4rev2",
            Extension::Condstore => "CONDSTORE",
            Extension::Qresync => "QRESYNC",
            Extension::UidOnly => "UIDONLY",
            Extension::Utf8Accept => "UTF8=ACCEPT",
        }
    }

    /// What comes on with it (RFC 7162 section 3.2.3).
    fn brings(self) -> Option<Extension> {
        match self {
            Extension::Qresync => Some(Extension::Condstore),
            Extension::Imap4Rev2 | Extension::Condstore | Extension::UidOnly | Extension::Utf8Accept => None,
        }
    }

    fn bit(self) -> u8 {
        match self {
            Extension::Condstore => 1,
            Extension::Qresync => 1 << 1,
            Extension::UidOnly => 1 << 2,
            Extension::Imap4Rev2 => 1 << 3,
            Extension::Utf8Accept => 1 << 4,
        }
    }
}

/// How a session is told of things, and what it may say. What is false is as in RFC 3501.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// Messages go by `VANISHED uids`, not by `n EXPUNGE`.
    pub vanished: bool,
    /// Flags that change come with MODSEQ, after a silent STORE too. (UID always comes with them.)
    pub modseq: bool,
    /// Messages are told of by `uid UIDFETCH`, and no command may name a number.
    pub uid_only: bool,
    /// SELECT and UID FETCH may ask for what vanished.
    pub resync: bool,
    /// Names of mailboxes are UTF-8, not modified UTF-7.
    pub utf8_names: bool,
    /// SEARCH without RETURN is answered by ESEARCH, too.
    pub esearch: bool,
    /// SELECT and what gives a mailbox its name say in a LIST line what it is called.
    pub lists: bool,
    /// Messages may have UTF-8 in their headers; all text is UTF-8, so that SEARCH takes no CHARSET.
    pub utf8: bool,
}

/// What each extension changes: one row each, and what is on is all of their rows together.
const MATRIX: [(Extension, Manner); 5] = [
    (Extension::Imap4Rev2, Manner { utf8_names: true, esearch: true, lists: true, ..AS_BEFORE }),
    (Extension::Condstore, Manner { modseq: true, ..AS_BEFORE }),
    (Extension::Qresync, Manner { vanished: true, modseq: true, resync: true, ..AS_BEFORE }),
    (Extension::UidOnly, Manner { vanished: true, uid_only: true, ..AS_BEFORE }),
    (Extension::Utf8Accept, Manner { utf8_names: true, utf8: true, ..AS_BEFORE }),
];

const AS_BEFORE: Manner = Manner {
    vanished: false,
    modseq: false,
    uid_only: false,
    resync: false,
    utf8_names: false,
    esearch: false,
    lists: false,
    utf8: false,
};

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enabled(u8);

impl Enabled {
    pub fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How the session is told of things.
    pub fn manner(self) -> Manner {
        let on = MATRIX.iter().filter(|(extension, _)| self.has(*extension)).map(|(_, manner)| manner);
        on.fold(AS_BEFORE, |all, one| Manner {
            vanished: all.vanished || one.vanished,
            modseq: all.modseq || one.modseq,
            uid_only: all.uid_only || one.uid_only,
            resync: all.resync || one.resync,
            utf8_names: all.utf8_names || one.utf8_names,
            esearch: all.esearch || one.esearch,
            lists: all.lists || one.lists,
            utf8: all.utf8 || one.utf8,
        })
    }

    /// ENABLE: turns on what `wanted` (upper case) names and `can` serves, and gives what was not on before. Unknown words are
    /// passed over.
    pub fn enable(&mut self, wanted: &[String], can: impl Fn(Extension) -> bool) -> Enabled {
        let mut new = Enabled::default();
        let named =
            |extension: &Extension| wanted.iter().any(|word| word.eq_ignore_ascii_case(extension.word()));
        for extension in Extension::ALL.into_iter().filter(named).filter(|extension| can(*extension)) {
            new.0 |= extension.bit() | extension.brings().map_or(0, Extension::bit);
        }
        new.0 &= !self.0;
        self.0 |= new.0;
        new
    }

    /// Turns on what a command implies. True if it was not on before.
    pub fn imply(&mut self, extension: Extension) -> bool {
        let on = self.has(extension);
        self.0 |= extension.bit();
        !on
    }

    /// The ENABLE that turns the same on elsewhere, as far as it is `understood` there.
    pub fn command(self, understood: impl Fn(Extension) -> bool) -> Option<String> {
        let told = Extension::ALL.into_iter().filter(|extension| understood(*extension));
        let told = told.fold(Enabled::default(), |set, extension| Enabled(set.0 | extension.bit()));
        let told = Enabled(told.0 & self.0);
        (!told.is_empty()).then(|| format!("ENABLE{told}"))
    }

    /// `* ENABLED *(SP word)`: what ENABLE has turned on.
    pub fn print(self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("* ENABLED{self}\r\n").as_bytes());
    }
}

/// The words, each with a blank before it.
impl fmt::Display for Enabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = Extension::ALL.into_iter().filter(|extension| self.has(*extension));
        on.into_iter().try_for_each(|extension| write!(f, " {}", extension.word()))
    }
}

/// Whether a command turns CONDSTORE on, as far as that can be seen of one that is not parsed: `name` without `UID`, upper case,
/// `text` with its arguments. What stands between quotes is no argument of that kind.
pub fn implies_condstore(name: &str, text: &[u8]) -> bool {
    let words: &[&str] = match name {
        "SELECT" | "EXAMINE" => &["CONDSTORE"],
        "STATUS" => &["HIGHESTMODSEQ"],
        "FETCH" => &["MODSEQ", "CHANGEDSINCE"],
        "STORE" => &["UNCHANGEDSINCE"],
        "SEARCH" | "SORT" | "THREAD" => &["MODSEQ"],
        _ => return false,
    };
    let unquoted = text.split(|&b| b == b'"').step_by(2);
    let mut atoms = unquoted.flat_map(|run| run.split(|b| !b.is_ascii_alphabetic()));
    atoms.any(|atom| words.iter().any(|word| atom.eq_ignore_ascii_case(word.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enable(set: &mut Enabled, words: &str) -> String {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        set.enable(&words, |_| true).to_string()
    }

    #[test]
    fn enable_lists_what_it_turned_on_and_nothing_twice() {
        let mut set = Enabled::default();
        assert_eq!(enable(&mut set, "X-OTHER"), "");
        assert_eq!(enable(&mut set, "QRESYNC X-OTHER"), " CONDSTORE QRESYNC");
        assert_eq!(enable(&mut set, "CONDSTORE QRESYNC"), "");
        let mut set = Enabled::default();
        assert!(set.imply(Extension::Condstore) && !set.imply(Extension::Condstore));
        assert_eq!(enable(&mut set, "QRESYNC CONDSTORE"), " QRESYNC");
        let mut set = Enabled::default();
        assert!(set.enable(&["QRESYNC".to_owned()], |_| false).is_empty());
    }

    #[test]
    fn what_is_on_decides_how_a_session_is_told_of_things() {
        let manner = |words: &str| {
            let mut set = Enabled::default();
            enable(&mut set, words);
            let Manner { vanished, modseq, uid_only, resync, utf8_names, esearch, lists, utf8 } =
                set.manner();
            [vanished, modseq, uid_only, resync, utf8_names, esearch, lists, utf8].map(u8::from)
        };
        for (words, told) in [
            ("X", [0, 0, 0, 0, 0, 0, 0, 0]),
            ("CONDSTORE", [0, 1, 0, 0, 0, 0, 0, 0]),
            ("QRESYNC", [1, 1, 0, 1, 0, 0, 0, 0]),
            ("UIDONLY", [1, 0, 1, 0, 0, 0, 0, 0]),
            ("UIDONLY CONDSTORE", [1, 1, 1, 0, 0, 0, 0, 0]),
            ("uidonly qresync", [1, 1, 1, 1, 0, 0, 0, 0]),
            ("IMAP4rev2", [0, 0, 0, 0, 1, 1, 1, 0]),
            ("utf8=accept", [0, 0, 0, 0, 1, 0, 0, 1]),
            ("IMAP4REV2 QRESYNC", [1, 1, 0, 1, 1, 1, 1, 0]),
        ] {
            assert_eq!(manner(words), told, "{words}");
        }
    }

    #[test]
    fn another_server_is_told_what_it_understands() {
        let mut set = Enabled::default();
        assert_eq!(set.command(|_| true), None);
        enable(&mut set, "QRESYNC");
        assert_eq!(set.command(|_| true).as_deref(), Some("ENABLE CONDSTORE QRESYNC"));
        assert_eq!(
            set.command(|extension| extension != Extension::Qresync).as_deref(),
            Some("ENABLE CONDSTORE")
        );
    }

    #[test]
    fn commands_that_ask_for_modification_sequences_turn_them_on() {
        for (name, text, implied) in [
            ("SELECT", &b"SELECT INBOX (CONDSTORE)"[..], true),
            ("SELECT", b"SELECT \"CONDSTORE\"", false),
            ("STATUS", b"STATUS x (MESSAGES HIGHESTMODSEQ)", true),
            ("FETCH", b"UID FETCH 1:* (FLAGS) (changedsince 5)", true),
            ("FETCH", b"FETCH 1 (FLAGS)", false),
            ("STORE", b"STORE 1 (UNCHANGEDSINCE 5) FLAGS ()", true),
            ("SEARCH", b"SEARCH SUBJECT \"MODSEQ\"", false),
            ("SEARCH", b"SEARCH MODSEQ 5", true),
            ("NOOP", b"NOOP MODSEQ", false),
        ] {
            assert_eq!(implies_condstore(name, text), implied, "{}", text.escape_ascii());
        }
    }
}
