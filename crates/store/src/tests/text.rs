//! The index of texts: what it proves is true, whatever became of its files.

use std::{cell::Cell, collections::BTreeSet, fs, path::PathBuf};

use mime::searched;

use super::{super::*, *};
use crate::{
    limits::{TEXT_LEAST, TEXT_SEGMENT},
    text::{DIR, build::Care, desk::Step},
};

/// Whatever little is missing or gone.
const ALL: Care = Care { least: 1, worn: usize::MAX };

/// A mailbox with messages of which each has some of these words, and a word of its own.
struct Words {
    bench: Bench,
    store: Store,
    inbox: Arc<Mailbox>,
    /// By UID, from 1.
    words: Vec<Vec<&'static str>>,
}

const WORDS: [&str; 8] =
    ["Xylophon", "Grüße", "Ångström", "тест", "テスト", "straße 7", "a b c", "=?utf-8?q?=C3=84nne?="];

impl Words {
    async fn new(messages: usize, extra: &str) -> Words {
        let bench = Bench::new(extra);
        let store = bench.open().await;
        create(&store, "user.fred").await;
        let inbox = store.mailbox(&name("user.fred")).await.unwrap();
        let mut words = Words { bench, store, inbox, words: Vec::new() };
        words.more(messages).await;
        words
    }

    async fn more(&mut self, messages: usize) {
        let from = self.words.len();
        let made: Vec<Vec<&str>> = (from..from + messages)
            .map(|n| {
                WORDS
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| n.wrapping_mul(2_654_435_761) >> (at + 7) & 3 == 0)
                    .map(|(_, w)| *w)
                    .collect()
            })
            .collect();
        for run in made.iter().zip(from..).collect::<Vec<_>>().chunks(500) {
            let run = run.iter().map(|(words, n)| worded(*n, words)).collect();
            self.inbox.append(run).await.unwrap();
        }
        self.words.extend(made);
    }

    fn dir(&self) -> PathBuf {
        self.inbox.dir().join(DIR)
    }

    fn index(&self, care: Care) {
        index(&self.inbox, care);
    }

    fn files(&self) -> BTreeSet<String> {
        let items = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        items.map(|item| item.file_name().into_string().unwrap()).collect()
    }

    /// What was written of texts, in bytes.
    fn bytes(&self) -> u64 {
        let items = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        items.map(|item| item.metadata().unwrap().len()).sum()
    }

    /// Asks for each word in each message. How many messages were proven to be without the words that they lack: none of those
    /// that have one may be among them.
    fn proven(&self) -> usize {
        let texts: Vec<String> =
            WORDS.iter().map(|word| searched(&mime::field_text(word.as_bytes()))).collect();
        let sought = texts.iter().map(|text| Sought::new(text).unwrap()).collect();
        let mut lacking = self.inbox.lacking(sought);
        let mut proven = 0;
        for record in self.inbox.view().records().iter() {
            let message = self.inbox.read_blocking(record.uid, 0..u64::MAX).unwrap();
            let structure = mime::Structure::parse(&message);
            let mut all = structure.body_texts(&message);
            all.push(structure.header_lines(&message));
            let all: Vec<String> = all.iter().map(|text| searched(text)).collect();
            for (which, text) in texts.iter().enumerate() {
                let has = all.iter().any(|all| all.contains(text));
                let lacks = lacking.proves(record, which);
                assert!(!(has && lacks), "{} is in {}", WORDS[which], record.uid);
                proven += usize::from(lacks);
            }
        }
        proven
    }

    /// How many words are missing in messages.
    fn lacks(&self) -> usize {
        let here = self.inbox.view();
        let words = |record: &Record| self.words.get(record.uid as usize - 1).map_or(0, Vec::len);
        here.records().iter().map(|record| WORDS.len() - words(record)).sum()
    }

    /// Whether the index proves all that there is to prove.
    fn is_complete(&self) -> bool {
        // Chance may have another text in a slot.
        self.proven() * 100 >= self.lacks() * 99
    }
}

fn index(mailbox: &Arc<Mailbox>, care: Care) {
    while mailbox.index_some(care, &|| false).unwrap() == Step::More {}
}

fn worded(n: usize, words: &[&str]) -> NewMessage {
    let (header, body) = words.split_at(words.len() / 2);
    let body = body.join(", ").replace("=?utf-8?q?=C3=84nne?=", "Änne");
    let text = format!(
        "From: a@example.org\r\nSubject: {n} {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nNumber {n} of them. {body}\r\n",
        header.join(" "),
    );
    NewMessage { staged: Arc::new(Staged::in_memory(text.into())), ..message("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_a_word_is_never_proven_to_be_without_it_and_most_others_are() {
    let mut words = Words::new(300, "").await;
    assert_eq!(words.proven(), 0);
    words.index(ALL);
    assert!(words.is_complete());
    // What came later is not known, and is read.
    words.more(40).await;
    let before = words.proven();
    words.index(ALL);
    assert!(before < words.proven() && words.is_complete());
    assert_eq!(words.files().len(), 2);
    // Small ones become one, and the earlier ones go.
    words.more(400).await;
    words.index(ALL);
    assert!(words.is_complete());
    assert!(words.files().len() <= 2, "{:?}", words.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_shorter_than_three_bytes_are_looked_for_in_the_messages() {
    for (text, known) in [("", false), ("AB", false), ("ABC", true), ("ß", false), ("ßa", true), ("ト", true)]
    {
        assert_eq!(Sought::new(text).is_some(), known, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expunged_leaves_the_index_too() {
    let words = Words::new(300, "expunge_mode: immediate\n").await;
    words.index(ALL);
    let whole = words.bytes();
    words.inbox.remove(&(1..=200).collect::<Vec<_>>()).await.unwrap();
    words.index(Care::USUAL);
    assert!(words.is_complete());
    assert!(words.bytes() < whole * 2 / 3, "{} of {whole}", words.bytes());
    words.inbox.remove(&(201..=300).collect::<Vec<_>>()).await.unwrap();
    words.index(Care::USUAL);
    assert_eq!(words.files().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_message_that_is_expunged_leaves_the_index_with_the_next_expiry() {
    let words = Words::new(200, "").await;
    words.index(ALL);
    let (files, whole) = (words.files(), words.bytes());
    words.inbox.remove(&[7]).await.unwrap();
    // In the background nobody cares for one.
    words.index(Care::USUAL);
    assert_eq!((words.files(), words.bytes()), (files.clone(), whole));
    let ages = Ages { expunged: Some(0), ..Ages::default() };
    words.store.expire(&ages).await.unwrap();
    assert!(words.files().is_disjoint(&files) && words.bytes() < whole, "{} of {whole}", words.bytes());
    assert!(words.is_complete());
    // With nothing gone nothing is written.
    let files = words.files();
    words.store.expire(&ages).await.unwrap();
    assert_eq!(words.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_message_that_gets_the_uid_of_an_earlier_one_is_not_taken_for_it() {
    let words = Words::new(100, "expunge_mode: immediate\n").await;
    words.index(ALL);
    let Words { bench, store, inbox, .. } = words;
    // All that is known of UIDs is lost, and so are the last messages.
    inbox.remove(&(51..=100).collect::<Vec<_>>()).await.unwrap();
    let dir = inbox.dir().clone();
    drop(inbox);
    store.close().await;
    drop(store);
    fs::remove_file(dir.join(index::FILE)).unwrap();
    let header = Header::read(&dir).unwrap();
    rebuild::repair(&dir, &header).unwrap();
    let store = bench.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!(inbox.view().last_uid, 50);
    let uid = inbox.append(vec![worded(999, &["Rumpelstilzchen", "Xylophon"])]).await.unwrap().uids[0];
    assert_eq!(uid, 51);
    let sought = ["RUMPELSTILZCHEN", "XYLOPHON"].map(|text| Sought::new(text).unwrap());
    let proves = |which| {
        let view = inbox.view();
        inbox.lacking(sought.to_vec()).proves(view.get(51).unwrap(), which)
    };
    assert!(!proves(0) && !proves(1));
    index(&inbox, ALL);
    assert!(!proves(0) && !proves(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_cut_or_changed_anywhere_is_never_believed_and_is_made_anew() {
    let words = Words::new(40, "").await;
    words.index(ALL);
    let [file] = words.files().into_iter().collect::<Vec<_>>().try_into().unwrap();
    let path = words.dir().join(file);
    let good = fs::read(&path).unwrap();
    let complete = words.proven();
    let step = good.len() / 150 + 1;
    // All of the beginning, and places in all of it.
    for at in (0..200).chain((200..good.len()).step_by(step)) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        for bytes in [&bad[..], &good[..at]] {
            // Asserts that nothing false is proven. What is newer is not touched, all other damage is found.
            fs::write(&path, bytes).unwrap();
            let proven = words.proven();
            words.index(ALL);
            assert!(proven <= complete);
            let is_newer = fs::read(&path).is_ok_and(|now| now == bytes) && words.files().len() == 1;
            if !is_newer {
                assert_eq!(words.proven(), complete, "byte {at}");
            }
            words.files().iter().for_each(|file| fs::remove_file(words.dir().join(file)).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_later_version_is_left_alone_and_one_of_an_earlier_text_is_made_anew() {
    let words = Words::new(40, "").await;
    words.index(ALL);
    let path = words.dir().join("00000001");
    let good = fs::read(&path).unwrap();
    let form = |version: u32, form: u64| {
        let mut bytes = logfile::header(b"MURDERTX", version, form);
        bytes.extend_from_slice(&good[logfile::HEADER as usize..]);
        bytes
    };
    assert_eq!(form(1, mime::SEARCH_FORM), good);
    for later in [form(2, mime::SEARCH_FORM), form(1, mime::SEARCH_FORM + 1)] {
        fs::write(&path, &later).unwrap();
        assert_eq!(words.proven(), 0);
        words.index(ALL);
        assert_eq!((fs::read(&path).unwrap() == later, words.files().len()), (true, 1));
    }
    fs::write(&path, form(1, mime::SEARCH_FORM - 1)).unwrap();
    assert_eq!(words.proven(), 0);
    words.index(ALL);
    assert!(words.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_interrupted_at_any_step_is_right_and_goes_on() {
    let mut words = Words::new(60, "").await;
    words.index(ALL);
    words.more(50).await;
    let before = words.proven();
    // Asked before each message and each bucket: the first part, some of the second, and its end.
    for steps in (0..60).chain([200, 700, 1100, 1134]) {
        let left = Cell::new(steps as u32);
        let stop = || left.replace(left.get().saturating_sub(1)) == 0;
        while words.inbox.index_some(ALL, &stop).unwrap() == Step::More {}
        assert!(words.proven() >= before, "{steps}");
    }
    // As kill -9 leaves it: a file half written, and old ones beside the one that was made of them.
    let old: Vec<(PathBuf, Vec<u8>)> = words
        .files()
        .iter()
        .map(|file| words.dir().join(file))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    words.index(ALL);
    words.more(70).await;
    words.index(ALL);
    let whole = words.proven();
    for (path, bytes) in &old {
        fs::write(words.dir().join("new"), &bytes[..bytes.len() / 2]).unwrap();
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(words.proven(), whole);
        words.index(ALL);
        assert_eq!(words.proven(), whole);
    }
    assert!(words.is_complete());
    assert!(words.files().len() <= 2, "{:?}", words.files());
    // Another start finds the same.
    let crashed = words.bench.crashed();
    let store = crashed.open().await;
    words.inbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!(words.proven(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_and_searches_have_the_index_made_in_the_background() {
    let mut words = Words::new(TEXT_LEAST - 1, "").await;
    let desk = words.store.clone();
    let settle = || desk.inner.shared.texts.settle();
    settle();
    assert_eq!(words.files().len(), 0);
    words.more(1).await;
    settle();
    assert!(words.is_complete());
    // A search that has to read as many asks for it, too: here since the file is gone.
    words.files().iter().for_each(|file| fs::remove_file(words.dir().join(file)).unwrap());
    assert_eq!(words.proven(), 0);
    settle();
    assert!(words.is_complete());
    // A store that closes does not wait for it.
    words.more(2 * TEXT_LEAST).await;
    words.store.close().await;
    assert!(words.proven() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_there_is_no_index() {
    let words = Words::new(TEXT_LEAST, "search_engine: none\n").await;
    words.store.inner.shared.texts.settle();
    assert_eq!(words.proven(), 0);
    words.store.index_texts(&Which::default()).await.unwrap();
    assert_eq!((words.files().len(), words.proven()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_goes_where_the_mailbox_goes_and_ends_with_it() {
    let words = Words::new(80, "").await;
    let asked = words.store.index_texts(&Which::default()).await.unwrap();
    assert_eq!((asked.mailboxes, asked.failed.len(), words.files().len()), (1, 0, 1));
    assert!(words.is_complete());
    let Words { bench, store, inbox, words: made } = words;
    create(&store, "user.fred.sub").await;
    let sub = store.mailbox(&name("user.fred.sub")).await.unwrap();
    store.copy(&inbox, (1..=80).collect(), &sub, Along::all_of("fred"), false).await.unwrap();
    index(&sub, ALL);
    store.rename(&admin(), &name("user.fred.sub"), &name("user.fred.other"), None).await.unwrap();
    let sub = store.mailbox(&name("user.fred.other")).await.unwrap();
    let words = Words { bench, store, inbox: sub, words: made };
    assert!(words.is_complete());
    // On another partition, and after a reconstruction, it is made again.
    words
        .store
        .rename(&admin(), &name("user.fred.other"), &name("user.fred.other"), Some("second"))
        .await
        .unwrap();
    let sub = words.store.mailbox(&name("user.fred.other")).await.unwrap();
    let words = Words { inbox: sub, ..words };
    assert_eq!(words.proven(), 0);
    words.index(ALL);
    assert!(words.is_complete());
    words.store.reconstruct(&Which::default()).await.unwrap();
    let sub = words.store.mailbox(&name("user.fred.other")).await.unwrap();
    let words = Words { inbox: sub, ..words };
    assert_eq!(words.proven(), 0);
    words.index(ALL);
    let dir = words.inbox.dir().clone();
    words.store.delete(&admin(), &name("user.fred.other"), true).await.unwrap();
    assert!(!dir.exists());
    // Whoever still holds it makes nothing anew there.
    assert_eq!(words.inbox.index_some(ALL, &|| false).unwrap(), Step::Done);
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_holds_no_more_messages_than_it_may() {
    let mut words = Words::new(TEXT_SEGMENT + 10, "search_engine: none\n").await;
    words.words.clear();
    assert_eq!(words.inbox.index_some(ALL, &|| false).unwrap(), Step::More);
    assert_eq!(words.files().len(), 1);
    assert_eq!(words.inbox.index_some(ALL, &|| false).unwrap(), Step::More);
    assert_eq!(words.inbox.index_some(ALL, &|| false).unwrap(), Step::Done);
    assert_eq!(words.files().len(), 2);
}
