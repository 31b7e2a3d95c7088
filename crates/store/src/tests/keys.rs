//! What SORT and THREAD need, from a cache of today and of earlier versions.

use std::{os::unix::fs::FileExt, sync::Arc};

use super::{super::*, *};

const BARE: &[u8] = include_bytes!("../../../mime/src/bare.cached");
/// What the first version kept of these is `BARE`: the structure does not say what it refers to.
const SMALL: &str = "Subject: x\r\nFrom: a@b\r\n\r\nhello\r\n";

async fn bench(count: usize) -> (Bench, Store, Arc<Mailbox>, Vec<Record>) {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let small = NewMessage { staged: Arc::new(Staged::in_memory(SMALL.into())), ..message("small") };
    inbox.append(vec![small; count]).await.unwrap();
    let records = inbox.view().records().iter().cloned().collect();
    (bench, store, inbox, records)
}

fn put(inbox: &Mailbox, record: &Record, payload: &[u8]) {
    let mut frame = Vec::new();
    codec::put_frame(&mut frame, u64::from(record.uid), payload);
    inbox.home().cache.write_all_at(&frame, record.cache).unwrap();
}

fn remove_messages(inbox: &Mailbox) {
    for record in inbox.view().records().iter() {
        std::fs::remove_file(inbox.dir().join(format!("{}.", record.uid))).unwrap();
    }
}

fn froms(inbox: &Mailbox, records: &[Record]) -> Vec<Option<String>> {
    let run = inbox.read_keys(records);
    run.iter()
        .map(|read| Some(String::from_utf8_lossy(read.as_ref().ok()?.sort_keys()?.from).into_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_the_first_version_cached_is_sorted_and_the_second_time_without_its_messages() {
    let (bench, store, inbox, records) = bench(300).await;
    for record in records.iter().step_by(2) {
        put(&inbox, record, BARE);
    }
    let a = || Some("A".to_owned());
    assert_eq!(froms(&inbox, &records), vec![a(); 300]);
    remove_messages(&inbox);
    assert_eq!(froms(&inbox, &records), vec![a(); 300]);
    assert_eq!(froms(&inbox, &records[7..8]), [a()]);
    // What FETCH shows comes along.
    let run = inbox.read_run(&records, Wanted { structure: Depth::Parts, bytes: Extent::Nothing });
    assert!(run.iter().all(|read| read.as_ref().unwrap().cached.as_ref().unwrap().is_printed()));
    // And after a start, with what was added after it.
    append(&inbox, "later").await.unwrap();
    drop((inbox, store));
    let store = bench.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let records: Vec<Record> = inbox.view().records().iter().cloned().collect();
    assert_eq!(records.len(), 301);
    assert!(froms(&inbox, &records).iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_took_of_a_completed_cache_is_read_from_the_message() {
    let (_bench, _store, inbox, records) = bench(3).await;
    records.iter().for_each(|record| put(&inbox, record, BARE));
    let before = inbox.home().cache.metadata().unwrap().len();
    let a = || Some("A".to_owned());
    assert_eq!(froms(&inbox, &records), vec![a(); 3]);
    for cut in [before + 20, before] {
        inbox.home().cache.set_len(cut).unwrap();
        assert_eq!(froms(&inbox, &records), vec![a(); 3], "{cut}");
        assert!(inbox.structure_blocking(2).is_ok());
    }
    // A change that comes then is cached as ever.
    append(&inbox, "later").await.unwrap();
    std::fs::remove_file(inbox.dir().join("4.")).unwrap();
    assert!(inbox.structure_blocking(4).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_not_completed_while_a_change_counts_on_its_end() {
    let (_bench, _store, inbox, records) = bench(2).await;
    put(&inbox, &records[0], BARE);
    let before = inbox.home().cache.metadata().unwrap().len();
    let turn = inbox.turn.clone().lock_owned().await;
    assert!(froms(&inbox, &records)[0].is_some());
    assert_eq!(inbox.home().cache.metadata().unwrap().len(), before);
    drop(turn);
    assert!(froms(&inbox, &records)[0].is_some());
    assert!(inbox.home().cache.metadata().unwrap().len() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_too_short_for_a_jump_leaves_its_neighbour_alone() {
    let (_bench, _store, inbox, records) = bench(2).await;
    put(&inbox, &records[0], b"\x02");
    let a = || Some("A".to_owned());
    assert_eq!(froms(&inbox, &records), vec![a(); 2]);
    let left = &inbox.read_keys(&records[..1])[0];
    assert!(left.as_ref().unwrap().structure().is_ok());
    std::fs::remove_file(inbox.dir().join("2.")).unwrap();
    assert_eq!(froms(&inbox, &records), vec![a(); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_an_earlier_version_did_not_keep_is_made_once() {
    let (_bench, _store, inbox, records) = bench(3).await;
    put(&inbox, &records[1], BARE);
    let read = |add: bool| {
        let mut run = inbox.read_run(&records, Wanted { structure: Depth::Shown, bytes: Extent::Nothing });
        if add {
            inbox.add_previews(&records, &mut run);
        }
        let shown =
            |read: Result<Read, StoreError>| read.unwrap().cached.unwrap().preview().map(<[u8]>::to_vec);
        run.into_iter().map(shown).collect::<Vec<_>>()
    };
    let hello = || Some(b"hello".to_vec());
    assert_eq!(read(false), [hello(), None, hello()]);
    assert_eq!(read(true), [hello(), hello(), hello()]);
    remove_messages(&inbox);
    assert_eq!(read(false), [hello(), hello(), hello()]);
    assert_eq!(froms(&inbox, &records[1..2]), [Some("A".to_owned())]);
}
