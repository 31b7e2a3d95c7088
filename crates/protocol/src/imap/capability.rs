//! The one table of capabilities: what each word is, when it is announced, and who must be able to do it.
//!
//! The order is Cyrus's: IMAP4rev1, IMAP4rev2, the registered words, then the private ones. A word stands here only where every command
//! and response of it is served; a frontend announces what all its backends can, since no session may be promised what the next
//! mailbox cannot keep.

use std::fmt::Display;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Capability {
    /// One that ends in `=` is completed by its values ([`Facts`]).
    pub word: &'static str,
    pub when: When,
    /// Whether our store serves it.
    pub store: Store,
    pub frontend: Frontend,
    /// What must be so besides.
    pub needs: Option<Need>,
}

/// The states of a session in which a word is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    BeforeLogin,
    AfterLogin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Serves,
    Lacks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend {
    /// By itself, whatever the backends are.
    Serves,
    /// Where all backends do.
    Carries,
    /// The same, and while no backend is known too: ours and Cyrus's from 3.6 on serve it alike.
    CarriesCommon,
    /// Only stores have it.
    Lacks,
}

/// What a word depends on beside the node: the connection, the user, an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    StartTls,
    Mechanisms,
    NoPlaintext,
    LiteralPlus,
    LiteralMinus,
    AppendLimit,
    NotCompressed,
    Idle,
    Referrals,
    Unauthenticate,
    /// 8-bit characters in headers are taken as they are.
    EightBit,
    /// The session is a proxy's.
    Proxy,
    /// `xfer_from_cyrus`, and the session is an administrator's of the whole node.
    Replication,
    Master,
}

/// Who announces.
#[derive(Clone, Copy)]
pub enum Node<'n> {
    Store,
    /// Whether all backends that are known announce a word; none of it while none is known.
    Frontend(&'n dyn Fn(&str) -> Option<bool>),
}

/// When the words are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    #[default]
    Greeting,
    /// The client asks before it has logged in. It hears what there will be afterwards too, since cyradm asks but once, at that
    /// time; but nothing that depends on who logs in, or that is better not known then (MAILBOX-REFERRALS).
    Asked,
    LoggedIn,
}

/// What the words depend on.
#[derive(Debug, Default)]
pub struct Facts<'f> {
    pub moment: Moment,
    /// STARTTLS would be done.
    pub starttls: bool,
    /// SASL's names.
    pub mechanisms: Vec<&'static str>,
    /// LOGIN would be refused.
    pub no_plaintext: bool,
    /// `literalminus`
    pub literal_minus: bool,
    /// Bytes of the largest message, if it is told.
    pub append_limit: Option<u64>,
    pub compressed: bool,
    pub idle: bool,
    pub referrals: bool,
    pub unauthenticate: bool,
    /// Neither `reject8bit` nor `munge8bit`.
    pub eight_bit: bool,
    pub proxy: bool,
    /// Whoever is logged in may send mailboxes.
    pub replication: bool,
    /// `mupdate_server`
    pub master: Option<&'f str>,
    /// `suppress_capabilities`. IMAP4rev1 and IMAP4rev2 cannot be hidden.
    pub suppressed: &'f [String],
}

/// The words that a node announces, in their order.
pub fn announced(node: Node<'_>, facts: &Facts<'_>) -> Vec<String> {
    // IMAP4rev2 has the search result variable in it (RFC 9051 section 6.4.4.1).
    let is_whole = |row: &&Capability| row.word != IMAP4REV2 || serves(node, "SEARCHRES");
    let rows = TABLE.iter().filter(|row| row.is_due(facts.moment) && row.is_served(node)).filter(is_whole);
    let words = rows.flat_map(|row| row.words(facts));
    words.filter(|word| word == IMAP4REV1 || word == IMAP4REV2 || !facts.suppressed.contains(word)).collect()
}

fn serves(node: Node<'_>, word: &str) -> bool {
    TABLE.iter().any(|row| row.word == word && row.is_served(node))
}

/// Whether our store serves a word, told or not.
pub fn store_serves(word: &str) -> bool {
    TABLE.iter().any(|row| row.word == word && row.store == Store::Serves)
}

impl Capability {
    fn is_due(&self, moment: Moment) -> bool {
        match self.when {
            When::Always => true,
            When::BeforeLogin => moment != Moment::LoggedIn,
            When::AfterLogin => match moment {
                Moment::Greeting => false,
                Moment::Asked => self.needs.is_none_or(Need::is_same_for_all),
                Moment::LoggedIn => true,
            },
        }
    }

    fn is_served(&self, node: Node<'_>) -> bool {
        match (node, self.frontend) {
            (Node::Store, _) => self.store == Store::Serves,
            (Node::Frontend(_), Frontend::Serves) => true,
            (Node::Frontend(_), Frontend::Lacks) => false,
            (Node::Frontend(all_have), Frontend::Carries) => all_have(self.word).unwrap_or(false),
            (Node::Frontend(all_have), Frontend::CarriesCommon) => all_have(self.word).unwrap_or(true),
        }
    }

    /// The word with its values, where what it needs is there.
    fn words(&self, facts: &Facts<'_>) -> Vec<String> {
        let once = |holds: bool| if holds { vec![self.word.to_owned()] } else { Vec::new() };
        let with = |value: &dyn Display| format!("{}{value}", self.word);
        let Some(need) = self.needs else { return once(true) };
        match need {
            Need::StartTls => once(facts.starttls),
            Need::Mechanisms => facts.mechanisms.iter().map(|mechanism| with(mechanism)).collect(),
            Need::NoPlaintext => once(facts.no_plaintext),
            Need::LiteralPlus => once(!facts.literal_minus),
            Need::LiteralMinus => once(facts.literal_minus),
            Need::AppendLimit => facts.append_limit.iter().map(|limit| with(limit)).collect(),
            Need::NotCompressed => once(!facts.compressed),
            Need::Idle => once(facts.idle),
            Need::Referrals => once(facts.referrals),
            Need::Unauthenticate => once(facts.unauthenticate),
            Need::EightBit => once(facts.eight_bit),
            Need::Proxy => once(facts.proxy),
            Need::Replication => once(facts.replication),
            Need::Master => facts.master.iter().map(|server| with(&format!("mupdate://{server}/"))).collect(),
        }
    }
}

impl Need {
    /// Whether it is known before login what will be so after it.
    fn is_same_for_all(self) -> bool {
        match self {
            Need::Idle | Need::EightBit => true,
            Need::StartTls
            | Need::Mechanisms
            | Need::NoPlaintext
            | Need::LiteralPlus
            | Need::LiteralMinus
            | Need::AppendLimit
            | Need::NotCompressed
            | Need::Referrals
            | Need::Unauthenticate
            | Need::Proxy
            | Need::Replication
            | Need::Master => false,
        }
    }
}

/// Served by every node.
const fn both(word: &'static str, when: When, needs: Option<Need>) -> Capability {
    Capability { word, when, store: Store::Serves, frontend: Frontend::Serves, needs }
}

/// Served by our store, and by Cyrus's from 3.6 on; carried by a frontend.
const fn common(word: &'static str) -> Capability {
    let frontend = Frontend::CarriesCommon;
    Capability { word, when: When::AfterLogin, store: Store::Serves, frontend, needs: None }
}

/// The same, where some of Cyrus's versions lack it.
const fn stores(word: &'static str) -> Capability {
    Capability { frontend: Frontend::Carries, ..common(word) }
}

/// Not served by our store, but carried by a frontend whose backends are others.
const fn others(word: &'static str) -> Capability {
    Capability { store: Store::Lacks, ..stores(word) }
}

const IMAP4REV1: &str = "IMAP4rev1";
const IMAP4REV2: &str = "IMAP4rev2";

use When::{AfterLogin, Always, BeforeLogin};

/// All of them.
pub const TABLE: &[Capability] = &[
    both(IMAP4REV1, Always, None),
    Capability { when: Always, ..stores(IMAP4REV2) },
    common("ACL"),
    stores("ANNOTATE-EXPERIMENT-1"),
    both("APPENDLIMIT=", AfterLogin, Some(Need::AppendLimit)),
    both("AUTH=", BeforeLogin, Some(Need::Mechanisms)),
    common("BINARY"),
    stores("CATENATE"),
    both("CHILDREN", AfterLogin, None),
    both("COMPRESS=DEFLATE", AfterLogin, Some(Need::NotCompressed)),
    common("CONDSTORE"),
    common("CREATE-SPECIAL-USE"),
    both("ENABLE", Always, None),
    common("ESEARCH"),
    stores("ESORT"),
    both("ID", Always, None),
    both("IDLE", AfterLogin, Some(Need::Idle)),
    stores("INPROGRESS"),
    both("LIST-EXTENDED", AfterLogin, None),
    stores("LIST-METADATA"),
    both("LIST-MYRIGHTS", AfterLogin, None),
    common("LIST-STATUS"),
    both("LITERAL+", Always, Some(Need::LiteralPlus)),
    both("LITERAL-", Always, Some(Need::LiteralMinus)),
    both("LOGINDISABLED", BeforeLogin, Some(Need::NoPlaintext)),
    Capability { store: Store::Lacks, ..both("MAILBOX-REFERRALS", AfterLogin, Some(Need::Referrals)) },
    stores("METADATA"),
    common("MOVE"),
    common("MULTIAPPEND"),
    stores("MULTISEARCH"),
    both("NAMESPACE", AfterLogin, None),
    stores("NOTIFY"),
    common("OBJECTID"),
    stores("PARTIAL"),
    stores("PREVIEW"),
    stores("QRESYNC"),
    common("QUOTA"),
    stores("QUOTA=RES-STORAGE"),
    stores("QUOTA=RES-MESSAGE"),
    stores("QUOTA=RES-ANNOTATION-STORAGE"),
    stores("QUOTA=RES-MAILBOX"),
    stores("QUOTASET"),
    stores("REPLACE"),
    common("RIGHTS=kxten"),
    both("SASL-IR", BeforeLogin, None),
    common("SAVEDATE"),
    stores("SEARCH=FUZZY"),
    stores("SEARCHRES"),
    stores("SORT"),
    stores("SORT=DISPLAY"),
    common("SPECIAL-USE"),
    both("STARTTLS", BeforeLogin, Some(Need::StartTls)),
    common("STATUS=SIZE"),
    stores("THREAD=ORDEREDSUBJECT"),
    stores("THREAD=REFERENCES"),
    stores("UIDBATCHES"),
    stores("UIDONLY"),
    common("UIDPLUS"),
    both("UNAUTHENTICATE", AfterLogin, Some(Need::Unauthenticate)),
    common("UNSELECT"),
    stores("URL-PARTIAL"),
    Capability { needs: Some(Need::EightBit), ..stores("UTF8=ACCEPT") },
    common("WITHIN"),
    others("DIGEST=SHA1"),
    both("MUPDATE=", Always, Some(Need::Master)),
    stores("SORT=MODSEQ"),
    stores("SORT=UID"),
    stores("THREAD=REFS"),
    others("X-CREATEDMODSEQ"),
    Capability { frontend: Frontend::Lacks, ..both("X-REPLICATION", AfterLogin, Some(Need::Replication)) },
    Capability { frontend: Frontend::Lacks, ..both("XCLIENT", AfterLogin, Some(Need::Proxy)) },
    Capability { frontend: Frontend::Lacks, ..both("XCLIENT=PARKED", AfterLogin, Some(Need::Proxy)) },
    both("XLIST", AfterLogin, None),
    Capability { frontend: Frontend::Lacks, ..both("XTAKE", AfterLogin, Some(Need::Proxy)) },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(moment: Moment) -> Facts<'static> {
        let mechanisms = vec!["PLAIN", "SCRAM-SHA-256"];
        Facts { moment, mechanisms, append_limit: Some(100), idle: true, referrals: true, ..Facts::default() }
    }

    fn words(node: Node<'_>, facts: &Facts<'_>) -> String {
        announced(node, facts).join(" ")
    }

    /// Cyrus 3.12's table, as far as ours goes, with ours between the private ones.
    const CYRUS: &str = "IMAP4rev1 IMAP4rev2 ACL ANNOTATE-EXPERIMENT-1 APPENDLIMIT= AUTH= BINARY CATENATE CHILDREN COMPRESS=DEFLATE CONDSTORE \
         CREATE-SPECIAL-USE ENABLE ESEARCH ESORT ID IDLE INPROGRESS LIST-EXTENDED LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+ \
         LITERAL- LOGINDISABLED MAILBOX-REFERRALS METADATA MOVE MULTIAPPEND MULTISEARCH NAMESPACE NOTIFY OBJECTID PARTIAL PREVIEW QRESYNC \
         QUOTA QUOTA=RES-STORAGE \
         QUOTA=RES-MESSAGE QUOTA=RES-ANNOTATION-STORAGE QUOTA=RES-MAILBOX QUOTASET REPLACE RIGHTS=kxten SASL-IR SAVEDATE SEARCH=FUZZY \
         SEARCHRES SORT SORT=DISPLAY SPECIAL-USE STARTTLS STATUS=SIZE THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDBATCHES UIDONLY \
         UIDPLUS UNAUTHENTICATE UNSELECT URL-PARTIAL UTF8=ACCEPT WITHIN DIGEST=SHA1 MUPDATE= SORT=MODSEQ SORT=UID THREAD=REFS X-CREATEDMODSEQ \
         X-REPLICATION XCLIENT XCLIENT=PARKED XLIST XTAKE";

    #[test]
    fn the_words_stand_in_the_order_of_cyrus() {
        let ours: Vec<&str> = TABLE.iter().map(|row| row.word).collect();
        assert_eq!(ours.join(" "), CYRUS.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn a_frontend_of_our_stores_announces_what_they_do() {
        let store = announced(Node::Store, &facts(Moment::LoggedIn));
        let all_have = |word: &str| Some(store.iter().any(|served| served == word));
        let mut frontend = announced(Node::Frontend(&all_have), &facts(Moment::LoggedIn));
        frontend.retain(|word| word != "MAILBOX-REFERRALS");
        assert_eq!(frontend, store);
    }

    #[test]
    fn a_word_that_one_backend_lacks_is_hidden_and_one_that_is_not_known_of_is_not_promised() {
        let told = |all_have: &dyn Fn(&str) -> Option<bool>| {
            words(Node::Frontend(all_have), &facts(Moment::LoggedIn))
        };
        assert!(!told(&|word| Some(word != "MOVE")).contains(" MOVE"));
        let unknown = told(&|_| None);
        assert!(
            unknown.contains(" MOVE ") && !unknown.contains(" METADATA ") && !unknown.contains("XCLIENT")
        );
    }

    #[test]
    fn each_moment_has_its_words() {
        let before = Facts { starttls: true, master: Some("m1"), ..facts(Moment::Greeting) };
        assert_eq!(
            words(Node::Store, &before).replace(" IMAP4rev2 ", " "),
            "IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256 ENABLE ID LITERAL+ SASL-IR STARTTLS MUPDATE=mupdate://m1/"
        );
        let asked = words(Node::Frontend(&|_| None), &facts(Moment::Asked));
        assert!(asked.contains(" IDLE ") && asked.contains(" ACL ") && asked.contains(" SASL-IR "));
        for later in ["MAILBOX-REFERRALS", "COMPRESS", "APPENDLIMIT", "UNAUTHENTICATE"] {
            assert!(!asked.contains(later), "{later}");
        }
        let after = words(Node::Store, &Facts { compressed: true, proxy: true, ..facts(Moment::LoggedIn) });
        let after = after.replace(" IMAP4rev2 ", " ");
        assert!(
            after.starts_with("IMAP4rev1 ACL ANNOTATE-EXPERIMENT-1 APPENDLIMIT=100 BINARY ")
                && after.ends_with(" XCLIENT XCLIENT=PARKED XLIST XTAKE")
        );
        assert!(!after.contains("COMPRESS") && !after.contains("AUTH=") && !after.contains("SASL-IR"));
    }

    #[test]
    fn imap4rev2_is_announced_with_all_that_is_in_it() {
        for has in [true, false] {
            let all_have = |word: &str| Some(has || word != "SEARCHRES");
            let told = words(Node::Frontend(&all_have), &facts(Moment::LoggedIn));
            assert_eq!(told.contains(" IMAP4rev2 "), has, "{told}");
        }
        let store = words(Node::Store, &facts(Moment::LoggedIn));
        assert_eq!(store.contains(" IMAP4rev2 "), store.contains(" SEARCHRES "));
        for part in [
            "BINARY",
            "ENABLE",
            "ESEARCH",
            "IDLE",
            "LIST-EXTENDED",
            "LIST-STATUS",
            "LITERAL+",
            "MOVE",
            "NAMESPACE",
        ]
        .into_iter()
        .chain(["SASL-IR", "SPECIAL-USE", "STATUS=SIZE", "UIDPLUS", "UNSELECT"])
        {
            assert!(store_serves(part), "{part}");
        }
    }

    #[test]
    fn an_operator_hides_what_is_named_and_nothing_else() {
        let suppressed = ["ID", "IMAP4rev1", "LITERAL"].map(str::to_owned);
        let mut facts = facts(Moment::LoggedIn);
        let all = announced(Node::Store, &facts);
        facts.suppressed = &suppressed;
        let shown = announced(Node::Store, &facts);
        let hidden: Vec<&String> = all.iter().filter(|word| !shown.contains(word)).collect();
        assert_eq!(hidden, ["ID"]);
    }
}
