//! A database that a failing disk cut or changed: it is whole, or it says that it is not.
//!
//! Whoever meets the error acts on it: a replica is filled anew by its upstream, a backend's list is rebuilt from the
//! spool, a master does not start, and says how its list is brought back (`ctl_cyrusdb -r`).

use std::{fs, path::Path};

use mailboxes::{Change, Entry, Follow, List, ListId, Options, Position, Role};
use tempfile::TempDir;

use crate::{at, name, names};

const MAILBOXES: usize = 300;

/// A list of an owner's, closed properly; and its names in order.
async fn filled() -> (TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    for n in 0..MAILBOXES {
        let mailbox = name(&format!("user.u{n:04}"));
        let acl = format!("u{n:04}\tlrswipkxtecda\tanyone\tp\t");
        list.commit(vec![Change::activate(mailbox, at("be1.example.org!default"), acl)]).await.unwrap();
    }
    list.commit(vec![Change::delete(name("user.u0007"))]).await.unwrap();
    list.loaded().await;
    let names = names(&list);
    list.close().await.unwrap();
    (dir, names)
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to.join(file.file_name())),
            false => drop(fs::copy(file.path(), to.join(file.file_name())).unwrap()),
        }
    }
}

/// What becomes of the list after its `db` file was treated so. `None`: it said that it is damaged.
async fn opened(healthy: &Path, options: Options, harm: impl FnOnce(&mut Vec<u8>)) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    copy(healthy, dir.path());
    let db = dir.path().join("list.sled/db");
    let mut bytes = fs::read(&db).unwrap();
    harm(&mut bytes);
    fs::write(&db, bytes).unwrap();
    let list = match List::open_when_free(dir.path(), options) {
        Ok(list) => list,
        Err(error) => {
            assert!(error.is_corrupt(), "{error}");
            return None;
        }
    };
    let found = tokio::select! {
        () = list.loaded() => Some(names(&list)),
        failure = list.failed() => {
            assert!(failure.damaged, "{}", failure.why);
            // Nothing is acknowledged on top of what cannot be read.
            if options.role == Role::Owner {
                let change = vec![Change::activate(name("user.new"), at("be1!p"), "")];
                list.commit(change).await.unwrap_err();
            }
            None
        }
    };
    let _ = list.close().await;
    found
}

#[tokio::test]
async fn an_owners_list_whose_tail_is_cut_anywhere_is_whole_or_refused() {
    let (dir, wanted) = filled().await;
    let length = fs::metadata(dir.path().join("list.sled/db")).unwrap().len() as usize;
    let (mut whole, mut refused) = (0, 0);
    for part in 0..40 {
        let end = length * part / 40 + part;
        match opened(dir.path(), Options::owner(), |bytes| bytes.truncate(end)).await {
            Some(found) => {
                assert_eq!(found, wanted, "cut at {end} of {length}");
                whole += 1;
            }
            None => refused += 1,
        }
    }
    assert!(refused > 10, "{whole} whole, {refused} refused");
}

#[tokio::test]
async fn an_owners_list_with_a_flipped_bit_anywhere_is_whole_or_refused() {
    let (dir, wanted) = filled().await;
    let length = fs::metadata(dir.path().join("list.sled/db")).unwrap().len() as usize;
    let used =
        fs::read(dir.path().join("list.sled/db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    assert!(used < length);
    let mut refused = 0;
    for part in 0..60 {
        let at = used * part / 60 + part % 7;
        match opened(dir.path(), Options::owner(), |bytes| bytes[at] ^= 1 << (part % 8)).await {
            Some(found) => assert_eq!(found, wanted, "bit {} of byte {at}", part % 8),
            None => refused += 1,
        }
    }
    assert!(refused > 5, "{refused} refused");
}

#[tokio::test]
async fn a_damaged_replica_is_what_it_was_at_its_position_or_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let seqs: Vec<u64> = (1..=MAILBOXES as u64).collect();
    // Each life of it brings what it has to the disk.
    for life in seqs.chunks(10) {
        let list = List::open_when_free(dir.path(), Options::replica()).unwrap();
        list.loaded().await;
        for &seq in life {
            let entry =
                Entry::active(at("be1.example.org!default"), format!("u{seq}\tlrswipkxtecda\tanyone\tp\t"));
            let changes = vec![(name(&format!("user.u{seq:04}")), Some(entry))];
            let position = Some(Position { list: ListId(7), term: 1, seq });
            list.follow(Follow { changes, position, complete: true, whole: false }).await.unwrap();
        }
        list.close().await.unwrap();
    }
    let used =
        fs::read(dir.path().join("list.sled/db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    let mut opened = 0;
    for part in 0..60 {
        let harmed = tempfile::tempdir().unwrap();
        copy(dir.path(), harmed.path());
        let db = harmed.path().join("list.sled/db");
        let mut bytes = fs::read(&db).unwrap();
        let at = used * part / 60 + part % 7;
        match part % 2 == 0 {
            true => bytes.truncate(at),
            false => bytes[at] ^= 1 << (part % 8),
        }
        fs::write(&db, bytes).unwrap();
        let Ok(list) = List::open_when_free(harmed.path(), Options::replica()) else { continue };
        let whole = tokio::select! {
            () = list.loaded() => true,
            failure = list.failed() => !failure.damaged,
        };
        let position = list.position();
        // The stream goes on from there: what it does not have must come after.
        if whole && position.list == ListId(7) {
            let wanted: Vec<String> = (1..=position.seq).map(|seq| format!("user.u{seq:04}")).collect();
            assert_eq!(names(&list), wanted, "harmed at {at}, position {position}");
            opened += 1;
        }
        let _ = list.close().await;
    }
    assert!(opened > 5, "{opened} opened");
}

#[tokio::test]
async fn an_owners_list_whose_rows_tell_of_less_than_was_on_disk_is_refused() {
    let (dir, _) = filled().await;
    // The day before, as a restored file or a lost tail has it.
    let earlier = tempfile::tempdir().unwrap();
    copy(dir.path(), earlier.path());
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    list.commit(vec![Change::delete(name("user.u0001"))]).await.unwrap();
    list.close().await.unwrap();
    drop(list);
    fs::copy(dir.path().join("list.sled/witness"), earlier.path().join("list.sled/witness")).unwrap();
    let error = List::open_when_free(earlier.path(), Options::owner()).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert!(error.to_string().contains("on disk up to"), "{error}");
}

#[tokio::test]
async fn a_list_that_was_closed_has_an_empty_log_though_handles_to_it_live_on() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    for n in 0..20 {
        list.commit(vec![Change::activate(name(&format!("user.u{n:02}")), at("be1!p"), "")]).await.unwrap();
    }
    let read = |file: &str| fs::read(dir.path().join("list.sled").join(file)).unwrap();
    assert!(read("commits.0").starts_with(b"commits"));
    let handle = list.clone();
    list.close().await.unwrap();
    for file in ["commits.0", "commits.1"] {
        assert!(!read(file).starts_with(b"commits"), "{file} would be played back");
    }
    handle.commit(vec![Change::delete(name("user.u00"))]).await.unwrap_err();
    // Who still answers does so from what is there.
    assert_eq!(names(&handle).len(), 20);
}
