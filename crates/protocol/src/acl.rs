//! Access control lists (RFC 4314), in the form in which the mailboxes database and MUPDATE carry them:
//! `identifier TAB rights TAB identifier TAB rights TAB`, in the order of insertion. An identifier that begins with
//! `-` is negative: its rights are taken away after all positive matches are united.

use std::{fmt, ops};

use crate::userid;

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Rights(u32);

impl Rights {
    pub const NONE: Rights = Rights(0);
    /// `l`: the mailbox is visible to LIST and LSUB.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, FETCH, SEARCH, COPY from it.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: \Seen is kept.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags other than \Seen and \Deleted may be set.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND, COPY into it.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail may be delivered to it.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: mailboxes may be created below it.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: the mailbox may be deleted or renamed.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: \Deleted may be set.
    pub const DELETE_MESSAGES: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: the list may be changed.
    pub const ADMIN: Rights = Rights(1 << 12);
    /// `n`: annotations may be written (RFC 5257).
    pub const ANNOTATE: Rights = Rights(1 << 13);
    /// All that RFC 4314 and RFC 5257 define.
    pub const ALL: Rights = Rights(
        Self::LOOKUP.0
            | Self::READ.0
            | Self::SEEN.0
            | Self::WRITE.0
            | Self::INSERT.0
            | Self::POST.0
            | Self::CREATE.0
            | Self::DELETE_MAILBOX.0
            | Self::DELETE_MESSAGES.0
            | Self::EXPUNGE.0
            | Self::ADMIN.0
            | Self::ANNOTATE.0,
    );

    /// Reads rights as letters. The legacy letters `c` and `d` of RFC 2086 stand for their members where none of
    /// them is present: `c` for `k` (and `x` where `deleteright` is `c`), `d` for `t` and `e` (and `x` where it is `d`).
    pub fn parse(letters: &str, deleteright: char) -> Result<Rights, UnknownRight> {
        let (mut rights, mut create, mut delete) = (Rights::NONE, false, false);
        for letter in letters.chars() {
            match letter {
                'c' => create = true,
                'd' => delete = true,
                _ => {
                    let (_, right) =
                        LETTERS.iter().find(|(l, _)| *l == letter).ok_or(UnknownRight(letter))?;
                    rights = rights | *right;
                }
            }
        }
        let with_x = |members: Rights, legacy: char| {
            if deleteright == legacy { members | Rights::DELETE_MAILBOX } else { members }
        };
        let c = with_x(Rights::CREATE, 'c');
        let d = with_x(Rights::DELETE_MESSAGES | Rights::EXPUNGE, 'd');
        let explicit = rights;
        if create && !explicit.intersects(c) {
            rights = rights | c;
        }
        if delete && !explicit.intersects(d) {
            rights = rights | d;
        }
        Ok(rights)
    }

    pub fn contains(self, all: Rights) -> bool {
        self.0 & all.0 == all.0
    }

    pub fn intersects(self, any: Rights) -> bool {
        self.0 & any.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl ops::BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl ops::BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl ops::Sub for Rights {
    type Output = Rights;
    fn sub(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }
}

/// How a node reads rights and grants them: `implicit_owner_rights` and `deleteright` of imapd.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granting {
    implicit: Rights,
    deleteright: char,
}

impl Granting {
    /// From the options' texts. Letters that are no rights grant nothing.
    pub fn new(implicit_owner_rights: &str, deleteright: &str) -> Granting {
        let deleteright = deleteright.chars().next().unwrap_or('c');
        let implicit = Rights::parse(implicit_owner_rights, deleteright).unwrap_or_default();
        Granting { implicit, deleteright }
    }

    /// Letters as a client or an operator writes them.
    pub fn read(self, letters: &str) -> Result<Rights, UnknownRight> {
        Rights::parse(letters, self.deleteright)
    }

    /// What an owner always has.
    pub fn implicit(self) -> Rights {
        self.implicit
    }

    /// What an ACL gives to `who`, whose mailbox it is or is not.
    pub fn rights(self, acl: &Acl, who: Who<'_>, owner: bool) -> Rights {
        if owner { acl.owner_rights(who) | self.implicit } else { acl.rights(who) }
    }

    /// LISTRIGHTS, as far as it stands behind the identifier: what that one always has, and what can be given besides
    /// (RFC 4314 section 3.7; the letters of RFC 2086 among them, section 2.1.1). Anybody may post to an INBOX.
    pub fn listed(self, owner: bool, inbox: bool) -> String {
        let always = match owner {
            true => self.implicit,
            false if inbox => Rights::POST,
            false => Rights::NONE,
        };
        let always = always.to_string();
        let rest = "lrswipkxtecdan0123456789".chars().filter(|letter| !always.contains(*letter));
        let rest: String = rest.flat_map(|letter| [' ', letter]).collect();
        if always.is_empty() { format!("\"\"{rest}") } else { always + &rest }
    }
}

/// Letters in Cyrus's order, `lrswipkxtecdan0-9`, with the legacy `c` and `d` added for old clients.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, right) in LETTERS {
            let shown = match letter {
                'c' => self.intersects(Rights::CREATE | Rights::DELETE_MAILBOX),
                'd' => self.intersects(Rights::DELETE_MESSAGES | Rights::EXPUNGE),
                _ => self.contains(right),
            };
            if shown {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The {0} right is not supported")]
pub struct UnknownRight(pub char);

/// Stands among the groups of a user whose groups cannot be looked up: the user may be in any. No group has such a name.
pub const UNKNOWN_GROUPS: &str = "*";

/// Who asks: a user and the groups that hold the user (`group:staff` is given as `staff`; see [`UNKNOWN_GROUPS`]).
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub userid: &'a str,
    pub groups: &'a [String],
}

impl Who<'_> {
    /// Whether an identifier (without the `-` of a negative one) means this user.
    fn is(&self, identifier: &str) -> bool {
        identifier == self.userid
            || identifier == "anyone"
            || identifier
                .strip_prefix("group:")
                .is_some_and(|group| group != UNKNOWN_GROUPS && self.groups.iter().any(|g| g == group))
    }

    /// Whether an entry of an ACL takes rights from a group that may hold this user.
    fn may_be_denied(&self, identifier: &str) -> bool {
        identifier.starts_with("-group:") && self.groups.iter().any(|group| group == UNKNOWN_GROUPS)
    }
}

/// Whether an entry may be made for an identifier: a user's name, `anyone`, `anonymous` or a group's (`group:staff`), each
/// also negative (`-fred`).
pub fn check_identifier(identifier: &str) -> Result<(), BadIdentifier> {
    let name = identifier.strip_prefix('-').unwrap_or(identifier);
    let name = name.strip_prefix("group:").unwrap_or(name);
    if name.len() > userid::LONGEST {
        return Err(BadIdentifier::TooLong);
    }
    if userid::is_valid(name) { Ok(()) } else { Err(BadIdentifier::Unfit) }
}

/// Why no entry is made for an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentifier {
    #[error("identifier is too long")]
    TooLong,
    #[error("invalid identifier")]
    Unfit,
}

/// An access control list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acl {
    entries: Vec<(String, Rights)>,
}

impl Acl {
    /// Reads the stored form. What is not well formed at its end is dropped, as Cyrus does: a damaged list grants
    /// less, never more.
    pub fn parse(text: &str) -> Acl {
        let mut entries = Vec::new();
        let mut fields = text.split('\t');
        while let (Some(identifier), Some(letters)) = (fields.next(), fields.next()) {
            if identifier.is_empty() {
                break;
            }
            let known: String = letters.chars().filter(|c| LETTERS.iter().any(|(l, _)| l == c)).collect();
            let rights = Rights::parse(&known, 'c').unwrap_or_default();
            entries.push((identifier.to_owned(), rights));
        }
        Acl { entries }
    }

    /// Identifiers with their rights, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Rights)> {
        self.entries.iter().map(|(identifier, rights)| (identifier.as_str(), *rights))
    }

    /// The rights of one identifier's own entry.
    pub fn get(&self, identifier: &str) -> Option<Rights> {
        self.entries.iter().find(|(i, _)| i == identifier).map(|(_, rights)| *rights)
    }

    /// Sets an identifier's rights; none removes its entry.
    pub fn set(&mut self, identifier: &str, rights: Rights) {
        if rights.is_empty() {
            self.entries.retain(|(i, _)| i != identifier);
        } else if let Some(entry) = self.entries.iter_mut().find(|(i, _)| i == identifier) {
            entry.1 = rights;
        } else {
            self.entries.push((identifier.to_owned(), rights));
        }
    }

    /// What the list grants to who is not the mailbox's owner: all positive matches united, less all negative ones. Whose groups
    /// are not known gets nothing from a list that denies any group: the user may be in it.
    pub fn rights(&self, who: Who<'_>) -> Rights {
        if self.entries.iter().any(|(identifier, _)| who.may_be_denied(identifier)) {
            return Rights::NONE;
        }
        self.owner_rights(who)
    }

    /// What the list grants to the mailbox's owner, without the implicit rights.
    fn owner_rights(&self, who: Who<'_>) -> Rights {
        let (mut granted, mut denied) = (Rights::NONE, Rights::NONE);
        for (identifier, rights) in &self.entries {
            match identifier.strip_prefix('-') {
                Some(negative) if who.is(negative) => denied = denied | *rights,
                None if who.is(identifier) => granted = granted | *rights,
                _ => {}
            }
        }
        granted - denied
    }
}

/// The stored form.
impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|(identifier, rights)| write!(f, "{identifier}\t{rights}\t"))
    }
}

const LETTERS: [(char, Rights); 24] = [
    ('l', Rights::LOOKUP),
    ('r', Rights::READ),
    ('s', Rights::SEEN),
    ('w', Rights::WRITE),
    ('i', Rights::INSERT),
    ('p', Rights::POST),
    ('k', Rights::CREATE),
    ('x', Rights::DELETE_MAILBOX),
    ('t', Rights::DELETE_MESSAGES),
    ('e', Rights::EXPUNGE),
    ('c', Rights(1 << 10)),
    ('d', Rights(1 << 11)),
    ('a', Rights::ADMIN),
    ('n', Rights::ANNOTATE),
    ('0', Rights(1 << 16)),
    ('1', Rights(1 << 17)),
    ('2', Rights(1 << 18)),
    ('3', Rights(1 << 19)),
    ('4', Rights(1 << 20)),
    ('5', Rights(1 << 21)),
    ('6', Rights(1 << 22)),
    ('7', Rights(1 << 23)),
    ('8', Rights(1 << 24)),
    ('9', Rights(1 << 25)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who<'a>(userid: &'a str, groups: &'a [String]) -> Who<'a> {
        Who { userid, groups }
    }

    #[test]
    fn legacy_letters_stand_for_their_members() {
        assert_eq!(Rights::ALL.to_string(), "lrswipkxtecdan");
        assert_eq!(Rights::parse("lrswipcda", 'c').unwrap().to_string(), "lrswipkxtecda");
        assert_eq!(Rights::parse("d", 'd').unwrap().to_string(), "xtecd");
        // a legacy letter beside one of its members adds nothing
        assert_eq!(Rights::parse("ktc", 'c').unwrap().to_string(), "ktcd");
        assert_eq!(Rights::parse("lz", 'c'), Err(UnknownRight('z')));
    }

    #[test]
    fn an_owner_has_what_one_always_has_and_no_other_does() {
        let granting = Granting::new("lkxan", "c");
        let acl = Acl::parse("fred\tlrs\t");
        let rights = |userid, owner| granting.rights(&acl, who(userid, &[]), owner).to_string();
        assert_eq!((rights("fred", true).as_str(), rights("fred", false).as_str()), ("lrskxcan", "lrs"));
        assert_eq!(rights("wilma", false), "");
        assert_eq!(granting.listed(false, true), "p l r s w i k x t e c d a n 0 1 2 3 4 5 6 7 8 9");
        assert!(granting.listed(true, true).starts_with("lkxcan r s "));
        assert!(granting.listed(false, false).starts_with("\"\" l r "));
    }

    #[test]
    fn the_right_to_delete_a_mailbox_comes_with_the_letter_that_deleteright_names() {
        assert_eq!(Granting::new("", "c").read("c").unwrap().to_string(), "kxc");
        assert_eq!(Granting::new("", "d").read("c").unwrap().to_string(), "kc");
        assert_eq!(Granting::new("", "").read("lz"), Err(UnknownRight('z')));
    }

    #[test]
    fn negative_rights_are_taken_away_last() {
        let acl = Acl::parse("-bob\ti\tanyone\tlrsi\tgroup:staff\tw\tbob\tp\t");
        let staff = ["staff".to_owned()];
        assert_eq!(acl.rights(who("bob", &[])).to_string(), "lrsp");
        assert_eq!(acl.rights(who("eve", &staff)).to_string(), "lrswi");
        assert_eq!(Acl::parse("anyone\tlrs\tbroken").rights(who("x", &[])).to_string(), "lrs");
    }

    #[test]
    fn whose_groups_are_not_known_gets_nothing_from_a_list_that_denies_a_group() {
        let unknown = [UNKNOWN_GROUPS.to_owned()];
        let acl = Acl::parse("anyone\tlrs\teve\tlrsw\t-group:guests\tr\t");
        assert!(acl.rights(who("eve", &unknown)).is_empty());
        assert_eq!(acl.owner_rights(who("eve", &unknown)).to_string(), "lrsw");
        let acl = Acl::parse("anyone\tlrs\t-eve\ts\tgroup:staff\tw\tgroup:*\tp\t");
        assert_eq!(acl.rights(who("eve", &unknown)).to_string(), "lr");
    }

    #[test]
    fn identifiers_are_names_that_somebody_can_have() {
        for good in [
            "fred",
            "-fred",
            "anyone",
            "-anonymous",
            "group:domain users",
            "-group:staff",
            "fred@example.org",
        ] {
            assert_eq!(check_identifier(good), Ok(()), "{good}");
        }
        for bad in ["", "-", "--fred", "group:", "a\tb", "a\nb", "a^b", "bob+x", "a/b", "a*"] {
            assert_eq!(check_identifier(bad), Err(BadIdentifier::Unfit), "{bad:?}");
        }
        let long = |prefix: &str, length| check_identifier(&format!("{prefix}{}", "x".repeat(length)));
        assert_eq!((long("-group:", 255), long("", 256)), (Ok(()), Err(BadIdentifier::TooLong)));
    }

    #[test]
    fn setting_keeps_the_order_and_nothing_removes() {
        let mut acl = Acl::parse("fred\tlrswipkxtecdan\tanyone\tp\t");
        acl.set("anyone", Rights::NONE);
        acl.set("bob", Rights::LOOKUP | Rights::READ);
        assert_eq!(acl.to_string(), "fred\tlrswipkxtecdan\tbob\tlr\t");
    }

    proptest! {
        #[test]
        fn the_stored_form_is_stable(ids in proptest::collection::vec("[a-z@-]{1,12}", 0..6), bits in any::<u32>()) {
            let mut acl = Acl::default();
            for id in &ids {
                acl.set(id, Rights(bits) & Rights::ALL);
            }
            let text = acl.to_string();
            prop_assert_eq!(Acl::parse(&text).to_string(), text);
        }

        #[test]
        fn any_text_parses(text in ".{0,80}") {
            let _ = Acl::parse(&text).rights(who("fred", &[]));
        }
    }
}
