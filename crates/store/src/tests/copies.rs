//! Incoming copies: what differences make of them, and what a crash leaves of them.

use std::fs;

use proptest::{collection::vec, prelude::*};
use protocol::flag::Flag;
use sha1::Digest as _;

use super::{
    super::{annotations::Setting, moves::*, *},
    *,
};

/// The messages of a difference, as they are read from the source and taken in at the destination.
pub async fn carry(source: &Snapshot, to: &Store, difference: &Difference, held: &mut Round) {
    for record in difference.records.iter().chain(&difference.expunged) {
        if held.contains_key(&record.guid) {
            continue;
        }
        let Ok((mut file, size)) = source.open(record.uid) else { continue };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        let mut staging = to.arriving("default", size).await.unwrap();
        staging.write(&bytes).await.unwrap();
        held.insert(record.guid, staging.arrived(record.guid).await.unwrap());
    }
}

/// A copy of a mailbox, whole.
pub async fn copy(source: &Mailbox, to: &Store, id: &str) -> (Incoming, Snapshot) {
    let snapshot = source.snapshot();
    let incoming = to.incoming(id, "default", (**snapshot.header()).clone()).await.unwrap();
    let mut held = Round::new();
    let difference = snapshot.whole();
    carry(&snapshot, to, &difference, &mut held).await;
    incoming.apply(difference, &held).await.unwrap();
    (incoming, snapshot)
}

fn change(how: How, flag: Flag) -> FlagChange {
    FlagChange { how, flags: vec![flag], unchanged_since: None, may: FlagMask::ALL }
}

/// Something that happens to a mailbox.
#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Flag(u32, usize),
    Note(u32, u8),
    Annotate(u8),
    Acl(u8),
    Expunge(u32),
    /// Expunged messages are forgotten.
    Forget,
    FreeKeywords,
    Pop3,
    /// A round of the move; with a restart of the destination.
    Round(bool),
    /// The destination knows nothing of what the source thinks it has.
    Anew,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4usize).prop_map(Step::Append),
        4 => (1..12u32, 0..5usize).prop_map(|(uid, flag)| Step::Flag(uid, flag)),
        1 => (1..12u32, any::<u8>()).prop_map(|(uid, n)| Step::Note(uid, n)),
        1 => any::<u8>().prop_map(Step::Annotate),
        1 => any::<u8>().prop_map(Step::Acl),
        3 => (1..12u32).prop_map(Step::Expunge),
        1 => Just(Step::Forget),
        1 => Just(Step::FreeKeywords),
        1 => Just(Step::Pop3),
        4 => any::<bool>().prop_map(Step::Round),
        1 => Just(Step::Anew),
    ]
}

async fn happen(store: &Store, mailbox: &Arc<Mailbox>, step: &Step, count: &mut usize) {
    match step {
        Step::Append(many) => {
            *count += 1;
            // The same message twice at times.
            let all = (0..*many).map(|n| message(&format!("m{}", *count % 5 + n))).collect();
            drop(mailbox.append(all).await.unwrap());
        }
        Step::Flag(uid, flag) => {
            let words = ["work", "play", "$Junk"].map(|word| Flag::Keyword(word.into()));
            let flag = [Flag::Seen, Flag::Deleted].into_iter().chain(words).nth(*flag).unwrap();
            let how = if uid % 3 == 0 { How::Remove } else { How::Add };
            drop(mailbox.store(&[*uid], change(how, flag)).await.unwrap());
        }
        Step::Note(uid, n) => {
            let set = Setting { entry: "/comment".into(), user: "fred".into(), value: Some(vec![*n]) };
            let uid = *uid;
            let noted = mailbox.change(move |change| match change.view().get(uid).cloned() {
                Some(record) => {
                    let notes = annotations::with(&record.annotations, &[set])?;
                    change.annotate(uid, notes.map(|notes| (*notes).clone()).unwrap_or_default())
                }
                None => Ok(()),
            });
            noted.await.unwrap();
        }
        Step::Annotate(n) => {
            let value = (n % 3 > 0).then(|| vec![*n]);
            let set = Setting { entry: "/comment".into(), user: SHARED.into(), value };
            store.annotate(&name("user.fred"), vec![set], vec![(POP3_NEW_UIDL, n % 2 == 0)]).await.unwrap();
        }
        Step::Acl(n) => {
            let rights = AclChange::Set(protocol::acl::Rights::READ);
            store.set_acl(&admin(), &name("user.fred"), &format!("u{n}"), rights).await.unwrap();
        }
        Step::Expunge(uid) => drop(mailbox.remove(&[*uid, uid + 1]).await.unwrap()),
        Step::Forget => {
            let gone: Vec<u32> = mailbox.view().expunged.iter().map(|record| record.uid).collect();
            let forget = mailbox.change(move |change| {
                change.forget(&gone);
                Ok(())
            });
            forget.await.unwrap();
        }
        Step::FreeKeywords => {
            mailbox.change(|change| Ok(change.free_keywords())).await.unwrap();
        }
        Step::Pop3 => mailbox.pop3_login(i64::try_from(*count).unwrap()).await.unwrap(),
        Step::Round(_) | Step::Anew => {}
    }
}

async fn rounds(steps: Vec<Step>, mode: &str) {
    let (from, mut to) = (Bench::new(&format!("expunge_mode: {mode}\n")), Bench::new(""));
    let source = from.open().await;
    let id = create(&source, "user.fred").await;
    let mailbox = source.mailbox(&name("user.fred")).await.unwrap();
    let mut store = to.open().await;
    let (mut incoming, mut earlier) = copy(&mailbox, &store, "m1").await;
    store.keep_round(&[&incoming]).await.unwrap();
    let mut count = 0;
    for step in steps.iter().chain([&Step::Round(true), &Step::Round(false)]) {
        happen(&source, &mailbox, step, &mut count).await;
        let whole = matches!(step, Step::Anew);
        let Step::Round(restart) = step.clone() else {
            if !whole {
                continue;
            }
            (incoming, earlier) = {
                let now = mailbox.snapshot();
                let (difference, mut held) = (now.whole(), Round::new());
                carry(&now, &store, &difference, &mut held).await;
                incoming.apply(difference, &held).await.unwrap();
                (incoming, now)
            };
            assert_eq!(incoming.digest().await.unwrap(), earlier.digest());
            continue;
        };
        let now = mailbox.snapshot();
        let (difference, mut held) = (now.since(&earlier), Round::new());
        carry(&now, &store, &difference, &mut held).await;
        incoming.apply(difference, &held).await.unwrap();
        drop(held);
        store.keep_round(&[&incoming]).await.unwrap();
        assert_eq!(incoming.digest().await.unwrap(), now.digest_after(&earlier));
        assert_eq!(now.digest(), mailbox.snapshot().digest(), "as counted anew");
        earlier = now;
        if restart {
            drop((incoming, store));
            to = to.crashed();
            store = to.open().await;
            assert!(store.list().get(&name("user.fred")).unwrap().is_none());
            incoming = store.resume_incoming("m1", "default", &id).await.unwrap().unwrap();
            assert_eq!(incoming.digest().await.unwrap(), earlier.digest());
        }
    }
    store.adopt(&name("user.fred"), vec![incoming]).await.unwrap();
    let item = Item { name: name("user.fred"), uniqueid: id, partition: "default".into() };
    store.finish_adoption(&name("user.fred"), &[item]).await.unwrap();
    let here = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!(here.snapshot().digest(), mailbox.snapshot().digest());
    for record in mailbox.view().records().iter() {
        assert_eq!(here.message(record.uid).await.unwrap(), mailbox.message(record.uid).await.unwrap());
        let structure = |mailbox: &Arc<Mailbox>| mailbox.structure_blocking(record.uid).unwrap();
        assert_eq!(structure(&here).envelope.subject, structure(&mailbox).envelope.subject);
    }
    assert_eq!(here.view().bytes(), mailbox.view().bytes());
    assert_eq!(Usage::of(&here.view()), Usage::of(&mailbox.view()));
    let next = here.view().uidnext();
    assert_eq!(append(&here, "next").await.unwrap(), next);
    assert_eq!(fs::read_dir(to.dir.path().join("spool/stage.")).map_or(0, Iterator::count), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_copy_that_gets_the_differences_has_the_digest_of_the_source_whatever_happens_there(
        steps in vec(step(), 0..30),
        mode in prop_oneof![Just("delayed"), Just("semidelayed"), Just("immediate")],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(rounds(steps, mode));
    }
}

#[tokio::test]
async fn a_message_that_comes_and_goes_before_the_round_is_kept_is_no_file_that_is_missed() {
    use Step::{Anew, Append, Expunge, Forget, Round};
    // Few files, which are synced one by one, and more of them.
    for messages in [6, 20] {
        rounds(vec![Append(messages), Anew, Expunge(1), Forget, Round(true)], "delayed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_tells_of_every_single_difference() {
    let bench = Bench::new("expunge_mode: delayed\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let mailbox = store.mailbox(&name("user.fred")).await.unwrap();
    let mut known = std::collections::BTreeSet::from([mailbox.snapshot().digest().to_string()]);
    let mut count = 0;
    let steps = [
        Step::Append(2),
        Step::Append(1),
        Step::Flag(1, 0),
        Step::Flag(1, 2),
        Step::Note(1, 1),
        Step::Note(1, 2),
        Step::Annotate(1),
        Step::Acl(1),
        Step::Expunge(2),
        Step::Forget,
        Step::Pop3,
    ];
    for step in steps {
        happen(&store, &mailbox, &step, &mut count).await;
        let digest = mailbox.snapshot().digest();
        assert!(known.insert(digest.to_string()), "{step:?}");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    }
    mailbox.claim_recent();
    assert!(known.insert(mailbox.snapshot().digest().to_string()), "\\Recent");
    assert_eq!(Digest::parse("00"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_source_says_is_refused_and_changes_nothing() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    let id = create(&source, "user.fred").await;
    let mailbox = source.mailbox(&name("user.fred")).await.unwrap();
    append(&mailbox, "one").await.unwrap();
    let snapshot = mailbox.snapshot();
    let header = |uniqueid: &str| Header { uniqueid: uniqueid.into(), ..(**snapshot.header()).clone() };
    for bad in ["", "../../etc", "a/b", ".", "a\0b", "é", &"a".repeat(65)] {
        assert!(
            matches!(store.incoming("m", "default", header(bad)).await, Err(StoreError::BadName)),
            "{bad}"
        );
    }
    assert!(matches!(store.incoming("m", "nowhere", header("a")).await, Err(StoreError::BadPartition)));
    let bad_name = Header { name: "user.\0".into(), ..header("a") };
    let refused = store.incoming("m", "default", bad_name).await;
    assert!(matches!(refused, Err(StoreError::BadName | StoreError::NoMailbox)));
    assert!(store.incoming("m", "default", header("z")).await.is_ok());
    // Longer than was announced, and another message than was announced.
    let mut staging = store.arriving("default", 3).await.unwrap();
    assert!(matches!(staging.write(b"long").await, Err(StoreError::TooLarge(3))));
    let mut staging = store.arriving("default", 3).await.unwrap();
    staging.write(b"abc").await.unwrap();
    assert!(matches!(staging.arrived([7; 20]).await, Err(StoreError::Damaged { .. })));
    // A record without its message, one of UID 0, and a header of another mailbox.
    let incoming = store.incoming("m", "default", header(&id)).await.unwrap();
    assert!(matches!(store.incoming("m", "default", header(&id)).await, Err(StoreError::Busy)));
    let before = incoming.digest().await.unwrap();
    let refused = incoming.apply(snapshot.whole(), &Round::new()).await;
    assert!(matches!(refused, Err(StoreError::NoMessage)));
    let mut held = Round::new();
    carry(&snapshot, &store, &snapshot.whole(), &mut held).await;
    let mut zero = snapshot.whole();
    zero.records[0].uid = 0;
    assert!(matches!(incoming.apply(zero, &held).await, Err(StoreError::Damaged { .. })));
    let run = |first, last, modseq| Some(vec![Run { first, last, modseq, time: 0 }]);
    for tombstones in [run(0, 3, 1), run(4, 3, 1), run(3, 4, u64::MAX)] {
        let bad = Difference { tombstones, ..snapshot.whole() };
        assert!(matches!(incoming.apply(bad, &held).await, Err(StoreError::Damaged { .. })));
    }
    let numbers = Numbers { highestmodseq: u64::MAX, ..snapshot.numbers() };
    let bad = Difference { numbers, ..snapshot.whole() };
    assert!(matches!(incoming.apply(bad, &held).await, Err(StoreError::Damaged { .. })));
    let bad = Difference { keywords: Some(vec!["k".into(); 129]), ..snapshot.whole() };
    assert!(matches!(incoming.apply(bad, &held).await, Err(StoreError::TooManyKeywords)));
    let bad = Header { foldermodseq: u64::MAX, ..header(&id) };
    let bad = Difference { header: Some(Arc::new(bad)), ..snapshot.whole() };
    assert!(matches!(incoming.apply(bad, &held).await, Err(StoreError::BadName)));
    let other = Difference { header: Some(Arc::new(header("b"))), ..snapshot.whole() };
    assert!(matches!(incoming.apply(other, &held).await, Err(StoreError::BadName)));
    assert_eq!(incoming.digest().await.unwrap(), before);
    incoming.apply(snapshot.whole(), &held).await.unwrap();
    store.forget_incoming(incoming).await.unwrap();
    assert!(store.resume_incoming("m", "default", &id).await.unwrap().is_none());
    // A mailbox that is this server's is no copy.
    assert!(matches!(source.incoming("m", "default", header(&id)).await, Err(StoreError::Exists)));
    assert!(matches!(source.resume_incoming("m", "default", &id).await, Err(StoreError::Exists)));
    append(&mailbox, "two").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_and_one_that_two_mailboxes_have_come_without_a_second_copy() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    create(&source, "user.fred").await;
    create(&source, "user.fred.a").await;
    let text = format!("Subject: large\r\n\r\n{}", "x".repeat(200_000));
    let guid: [u8; 20] = sha1::Sha1::digest(&text).into();
    let mut large = message("x");
    large.staged = Arc::new(Staged::in_memory(text.clone().into()));
    for mailbox in ["user.fred", "user.fred.a"] {
        source.mailbox(&name(mailbox)).await.unwrap().append(vec![large.clone()]).await.unwrap();
    }
    let (inbox, folder) = (
        source.mailbox(&name("user.fred")).await.unwrap(),
        source.mailbox(&name("user.fred.a")).await.unwrap(),
    );
    let (first, _) = copy(&inbox, &store, "m1").await;
    // The message is lent by the copy that has it.
    let held = Round::from([(guid, first.message(1).unwrap())]);
    let snapshot = folder.snapshot();
    let second = store.incoming("m1", "default", (**snapshot.header()).clone()).await.unwrap();
    second.apply(snapshot.whole(), &held).await.unwrap();
    drop(held);
    store.adopt(&name("user.fred"), vec![first, second]).await.unwrap();
    for mailbox in ["user.fred", "user.fred.a"] {
        let mailbox = store.mailbox(&name(mailbox)).await.unwrap();
        assert_eq!(mailbox.message(1).await.unwrap(), text.as_bytes());
        let file = fs::metadata(mailbox.dir().join("1.")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&file), 2);
    }
    assert_eq!(fs::read_dir(to.dir.path().join("spool/stage.")).unwrap().count(), 0);
}
