//! Whether a message fulfils a search: RFC 3501 section 6.4.4.
//!
//! Keys are put into an order in which the cheap ones decide first: flags, numbers and dates of the index, then the
//! cached structure, then the message's header, then its text. All flags that must hold together are one comparison of
//! bits, and what is read of a message is decoded once, however many keys look into it. What is left, keys times text,
//! is bounded by the [`Budget`].
//!
//! [`scan`] goes through a mailbox, [`answer`] says what was found.

pub mod answer;
mod matching;
mod plan;
pub mod scan;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use protocol::imap::command::search::Key;
use protocol::imap::set::Ranges;
use work::aside::{Budget, Spent};

use matching::Reading;
use mime::{Cached, Structure};
use plan::Test;
use store::{Record, Sought, System};

/// A search, made ready for one state of a mailbox.
pub struct Criteria {
    test: Test,
    now: i64,
    /// Names of the header fields that are looked into, lower case.
    fields: HashSet<Vec<u8>>,
    /// The texts of which an index is to be asked, by the numbers that [`Source::lacks`] gets.
    pub sought: Vec<Sought>,
}

/// What a search is asked against.
pub struct Ground<'k> {
    /// That of the texts, empty for UTF-8.
    pub charset: &'k str,
    /// What `*` means.
    pub last_sequence: u32,
    pub last_uid: u32,
    /// Epoch seconds, for OLDER and YOUNGER.
    pub now: i64,
    /// What `$` means, as UIDs.
    pub saved: &'k Ranges,
    /// The bit of a keyword in the mailbox; none where no message has it.
    pub keyword: &'k dyn Fn(&str) -> Option<u128>,
}

/// What the index knows of a message.
pub struct Facts<'m> {
    pub sequence: u32,
    pub record: &'m Record,
    /// As the user has them.
    pub system: System,
    pub recent: bool,
    /// Who searches: annotations of others are not seen.
    pub user: &'m str,
}

/// What can be read of a message. Blocks. `None` where it cannot be read: it then fulfils nothing.
pub trait Source {
    /// Whether it is known for certain that the text of that number of [`Criteria::sought`] is nowhere in it.
    fn lacks(&mut self, which: usize) -> bool;
    /// What the cache keeps of it.
    fn cached(&mut self) -> Option<Cached>;
    fn structure(&mut self) -> Option<Arc<Structure>>;
    /// All of it, or its beginning as far as the header goes.
    fn bytes(&mut self, whole: bool) -> Option<Bytes>;
}

impl Criteria {
    pub fn new(key: Key, ground: &Ground<'_>) -> Criteria {
        let mut test = Test::of(key, ground);
        test.order();
        let mut fields = HashSet::new();
        test.fields(&mut fields);
        let mut sought = Vec::new();
        test.ask(&mut sought);
        Criteria { test, now: ground.now, fields, sought }
    }

    /// What the message is worth (1 to 100, RFC 6203), if it is one of those that are searched for.
    pub fn fulfils(
        &self,
        facts: &Facts<'_>,
        source: &mut dyn Source,
        budget: &Budget,
    ) -> Result<Option<u8>, Spent> {
        let mut reading = Reading::new(source, &self.fields);
        let holds = self.test.holds(facts, &mut reading, self.now, budget)?;
        Ok(holds.then(|| reading.score()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::{Body, Command, Limits};
    use std::time::Duration;
    use store::Annotation;
    use work::aside::aside;

    const MESSAGE: &[u8] =
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@b\r\nSubject: Caf\xc3\xa9\r\n\
        Date: Mon, 23 Nov 2026 01:00:00 +0500\r\nX-Spam: no\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n";

    /// A message in memory: how often its structure and its bytes were asked for, and whether a cache has it.
    struct Memory(Arc<Structure>, usize, usize, bool);

    impl Source for Memory {
        fn lacks(&mut self, _: usize) -> bool {
            false
        }

        fn cached(&mut self) -> Option<Cached> {
            self.3.then(|| Cached::new(&self.0, MESSAGE))
        }

        fn structure(&mut self) -> Option<Arc<Structure>> {
            self.1 += 1;
            Some(self.0.clone())
        }

        fn bytes(&mut self, _: bool) -> Option<Bytes> {
            self.2 += 1;
            Some(Bytes::from_static(MESSAGE))
        }
    }

    fn annotations() -> Vec<Annotation> {
        let made = |(entry, user, value): (&str, &str, &[u8])| Annotation {
            entry: entry.into(),
            user: user.into(),
            value: value.into(),
        };
        let all: [(&str, &str, &[u8]); 4] = [
            ("/1/comment", "fred", b"first part"),
            ("/altsubject", "wilma", b"wilma's"),
            ("/comment", "", b"for All caf\xc3\xa9"),
            ("/empty", "", b""),
        ];
        all.map(made).to_vec()
    }

    fn criteria(text: &str) -> Criteria {
        let frame = format!("a SEARCH {text}");
        let Body::Search(search) = Command::parse(frame.as_bytes(), Limits::default()).unwrap().body else {
            panic!()
        };
        let keyword = |word: &str| word.eq_ignore_ascii_case("$x").then_some(4);
        let ground = Ground {
            charset: search.charset.as_deref().unwrap_or_default(),
            last_sequence: 9,
            last_uid: 90,
            now: 2_000_000_000,
            saved: &[30].into_iter().collect(),
            keyword: &keyword,
        };
        Criteria::new(search.key, &ground)
    }

    /// Whether the message fulfils it, and how often bytes were read.
    async fn search(text: &str) -> (bool, usize) {
        let (score, read) = scored(text).await;
        (score.is_some(), read)
    }

    async fn scored(text: &str) -> (Option<u8>, usize) {
        let criteria = criteria(text);
        let record = Record {
            uid: 30,
            modseq: 7,
            createdmodseq: 1,
            internaldate: 1_795_000_000,
            savedate: 1_795_000_000,
            last_updated: 0,
            size: 100,
            header_size: 0,
            guid: [0xab; 20],
            flags: System::SEEN,
            keywords: 4,
            cache: 0,
            annotations: Some(Arc::new(annotations())),
        };
        aside(Duration::ZERO, move |budget| {
            let facts =
                Facts { sequence: 3, record: &record, system: record.flags, recent: true, user: "fred" };
            let structure = Arc::new(Structure::parse(MESSAGE));
            // The same whether the cache has the fields or the header does.
            let mut bare = Memory(structure.clone(), 0, 0, false);
            let mut source = Memory(structure, 0, 0, true);
            let score = criteria.fulfils(&facts, &mut source, budget)?;
            assert_eq!(criteria.fulfils(&facts, &mut bare, budget)?, score);
            Ok((score, source.2))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn keys_hold_or_not() {
        for (text, expected) in [
            ("ALL", true),
            ("SEEN UNFLAGGED", true),
            ("NOT SEEN", false),
            ("KEYWORD $x", true),
            ("NEW", false),
            ("RECENT", true),
            ("1:3", true),
            ("*", false),
            ("UID 30", true),
            ("OR LARGER 100 SMALLER 101", true),
            ("MODSEQ 7", true),
            ("MODSEQ 8", false),
            ("FROM \"j\u{fc}rgen <j@example.org>\"", true),
            ("FROM J\u{dc}RGEN", true),
            ("SUBJECT caf\u{e9}", true),
            ("CHARSET ISO-8859-1 SUBJECT {4}\r\ncafe", true),
            ("CHARSET UTF-7 SUBJECT Caf+AOk-", true),
            ("FROM \"utf-8\"", false),
            ("SUBJECT \"caf\u{e9} to\"", false),
            ("TEXT \"caf\u{e9}\"", true),
            ("HEADER X-Spam \"\"", true),
            ("HEADER X-Spam yes", false),
            ("HEADER X-Other \"\"", false),
            ("BODY gr\u{fc}\u{df}e", true),
            ("BODY \"x-spam\"", false),
            ("TEXT \"x-spam\"", true),
            ("SENTON 23-Nov-2026", true),
            ("SENTBEFORE 23-Nov-2026", false),
            ("SINCE 1-Jan-2020 BEFORE 1-Jan-2040", true),
            ("YOUNGER 1000", false),
            ("OLDER 1000", true),
            ("EMAILID Mabababababababababababab", true),
            ("EMAILID Mabc", false),
            ("ANNOTATION /comment value \"ALL\"", true),
            ("ANNOTATION /comment value.shared all", true),
            ("ANNOTATION /comment value.priv all", false),
            ("NOT ANNOTATION /Comment value none", true),
            ("ANNOTATION /% value part", false),
            ("ANNOTATION /%/comment value part", true),
            ("ANNOTATION /* value.priv part", true),
            ("ANNOTATION /altsubject value wilma", false),
            ("ANNOTATION /altsubject value NIL", true),
            ("ANNOTATION /comment value NIL", false),
            ("ANNOTATION /comment value.priv NIL", true),
            ("ANNOTATION /comment value \"\"", false),
            ("ANNOTATION /empty value \"\"", true),
            ("CHARSET ISO-8859-1 ANNOTATION /comment value {5}\r\ncaf\u{e9}", false),
            ("OR SMALLER 1 ANNOTATION /comment value.shared {5}\r\ncaf\u{e9}", true),
            ("THREADID Tabc", false),
            ("NOT THREADID Tabc", true),
            ("UNKEYWORD $x", false),
            ("KEYWORD $none", false),
            ("UNKEYWORD $none", true),
            ("NOT (SEEN KEYWORD $x)", false),
            ("NOT (SEEN FLAGGED)", true),
            ("NOT (SEEN UNFLAGGED)", false),
            ("NOT NOT SEEN", true),
            ("SEEN UNSEEN", false),
            ("$ SEEN", true),
            ("UID $", true),
            ("NOT $", false),
            ("FUZZY SUBJECT cafe", true),
            ("SUBJECT cafe", true),
            ("FUZZY FROM \"jurgen <j@EXAMPLE.org>\"", true),
            ("FUZZY TEXT gruse", false),
            ("FUZZY BODY \"GRU\u{308}\u{df}E\"", true),
        ] {
            assert_eq!(search(text).await.0, expected, "{text}");
        }
    }

    #[tokio::test]
    async fn a_fuzzy_text_counts_most_in_the_header() {
        for (text, expected) in [
            ("FUZZY SUBJECT cafe", Some(100)),
            ("FUZZY BODY gru", Some(50)),
            ("FUZZY TEXT gru", Some(50)),
            ("FUZZY TEXT cafe", Some(100)),
            ("FUZZY BODY gru FUZZY SUBJECT cafe", Some(100)),
            ("BODY gr", Some(100)),
            ("FUZZY BODY none", None),
        ] {
            assert_eq!(scored(text).await.0, expected, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_cheap_decides_first() {
        assert_eq!(search("BODY xyz NOT SEEN").await, (false, 0));
        assert_eq!(search("OR BODY xyz SEEN").await, (true, 0));
    }

    #[tokio::test]
    async fn a_message_is_decoded_once_however_many_keys_look_into_it() {
        let keys: Vec<String> =
            (0..1000).map(|n| format!("NOT BODY none{n} NOT HEADER X-Spam none{n}")).collect();
        assert_eq!(search(&keys.join(" ")).await, (true, 2));
    }

    #[test]
    fn thousands_of_flags_are_one_test() {
        let Test::And(tests) = criteria("SEEN UNFLAGGED KEYWORD $x ".repeat(1600).trim_end()).test else {
            panic!()
        };
        assert_eq!(tests.len(), 1);
    }
}
