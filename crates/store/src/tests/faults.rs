//! A sync that fails, a disk that is full.

use std::sync::atomic::Ordering;

use super::{super::*, *};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_accepted_and_reading_goes_on_until_reopened() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    bench.faults.sync.store(true, Ordering::Relaxed);
    assert!(matches!(append(&inbox, "two").await, Err(StoreError::Poisoned(_))));
    assert!(matches!(append(&inbox, "three").await, Err(StoreError::Poisoned(_))));
    assert_eq!(inbox.view().exists(), 1);
    assert!(inbox.message(1).await.is_ok());
    // The daemon begins afresh when the disk works again.
    assert!(!store.failed().await.damaged);
    let crashed = bench.crashed();
    let store = crashed.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    // What was not acknowledged may be there or not; what was, is.
    assert!(inbox.view().exists() >= 1);
    append(&inbox, "four").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_takes_them_again_when_there_is_room() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    bench.faults.full.store(true, Ordering::Relaxed);
    let tries = (0..20).map(|n| {
        let inbox = inbox.clone();
        tokio::spawn(async move { append(&inbox, &format!("t{n}")).await })
    });
    for tried in tries.collect::<Vec<_>>() {
        let result = tried.await.unwrap();
        assert!(matches!(result, Err(StoreError::NoSpace | StoreError::Busy)), "{result:?}");
    }
    bench.faults.full.store(false, Ordering::Relaxed);
    let uid = append(&inbox, "two").await.unwrap();
    assert!(uid > 1);
    assert_eq!(inbox.view().exists(), 2);
    let crashed = bench.crashed();
    let store = crashed.open().await;
    let back = store.mailbox(&name("user.fred")).await.unwrap();
    assert!(back.message(uid).await.unwrap().ends_with(b"Hello two\r\n"));
    assert_eq!(back.view().exists(), 2);
}

/// Needs root, for a file system of 8 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_full_refuses_before_the_master_is_asked() {
    let bench = Bench::with_master();
    let spool = bench.dir.path().join("spool");
    std::fs::create_dir_all(&spool).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(&spool)
        .output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        test_host::skip("a small tmpfs cannot be mounted here (root is needed)");
        return;
    }
    let _unmount = Unmount(spool.clone());
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    std::fs::write(spool.join("ballast"), vec![0; 7 << 20]).unwrap();
    let master = bench.master.clone().unwrap();
    master.take_log();
    let refused = store.create(&admin(), &name("user.jane"), Create::default()).await;
    assert!(matches!(refused, Err(StoreError::NoSpace)), "{refused:?}");
    assert!(matches!(store.stage(&name("user.fred"), Some(4000)).await, Err(StoreError::NoSpace)));
    assert_eq!(master.take_log(), Vec::<String>::new());
    assert!(inbox.message(1).await.is_ok());
    std::fs::remove_file(spool.join("ballast")).unwrap();
    create(&store, "user.jane").await;
    store.close().await;
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
