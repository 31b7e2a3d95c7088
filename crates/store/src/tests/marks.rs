//! What is remembered for scripts.

use super::{super::*, *};

fn about(text: &str) -> [&[u8]; 2] {
    [b"vacation", text.as_bytes()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_outlives_a_crash_and_is_its_users_alone() {
    let bench = Bench::new("");
    let store = bench.open().await;
    store.mark("fred", &about("ann"), 1000).await.unwrap();
    let crashed = bench.crashed();
    drop(store);
    for bench in [bench, crashed] {
        let store = bench.open().await;
        assert!(store.is_marked("fred", &about("ann")).unwrap());
        for (user, other) in [("fred", "bob"), ("wilma", "ann"), ("fre", "dann"), ("fred@a", "ann")] {
            assert!(!store.is_marked(user, &about(other)).unwrap(), "{user} {other}");
        }
        assert!(!store.is_marked("fred", &[b"vacationann"]).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_ends_and_cyr_expire_takes_it_away() {
    let bench = Bench::new("");
    let store = bench.open().await;
    for (who, seconds) in [("ann", 0), ("bob", 1000), ("cid", 1000)] {
        store.mark("fred", &about(who), seconds).await.unwrap();
    }
    assert!(!store.is_marked("fred", &about("ann")).unwrap(), "it ended at once");
    store.mark("fred", &about("cid"), 0).await.unwrap();
    let ages = Ages { delivered: Some(86_400), ..Ages::default() };
    assert_eq!(store.expire(&ages).await.unwrap().marks, 2);
    assert!(store.is_marked("fred", &about("bob")).unwrap());
    assert_eq!(store.expire(&ages).await.unwrap().marks, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_inherits_no_marks_of_somebody_of_the_same_name() {
    let bench = Bench::new("delete_mode: immediate");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    store.mark("fred", &about("ann"), 1000).await.unwrap();
    store.mark("wilma", &about("ann"), 1000).await.unwrap();
    store.delete(&Actor::admin("cyrus"), &name("user.fred"), false).await.unwrap();
    create(&store, "user.fred").await;
    assert!(!store.is_marked("fred", &about("ann")).unwrap());
    assert!(store.is_marked("wilma", &about("ann")).unwrap());
}
