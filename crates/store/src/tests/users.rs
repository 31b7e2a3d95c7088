//! New users.

use std::collections::BTreeSet;

use protocol::acl::{Rights, Who};

use super::{super::*, *};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_has_quota_and_folders_whenever_the_server_is_killed() {
    let options = "autocreate_quota: 1000\nautocreate_inbox_folders: Sent|Trash\nautocreate_subscribe_folders: Sent|Trash\n";
    let bench = Bench::new(options);
    let store = bench.open().await;
    let (states, kill) = bench.kills();
    store.inner.journal.watch(kill);
    assert!(store.autocreate("fred", &[], false).await.unwrap());
    store.close().await;
    let states = std::mem::take(&mut *states.lock().unwrap());
    assert!(states.len() >= 10, "{}", states.len());
    for (step, dir) in states {
        let killed = Bench { dir, extra: options.to_owned(), master: None, faults: Arc::default() };
        let store = killed.open().await;
        let inbox = store.list().get(&name("user.fred")).unwrap();
        let quota = store.quota(&name("user.fred")).await;
        assert_eq!(inbox.is_some(), quota.is_some(), "after {step}, before the login");
        assert!(store.autocreate("fred", &[], false).await.unwrap(), "{step}");
        let quota = store.quota(&name("user.fred")).await.expect(&step);
        assert_eq!((quota.limits.storage, quota.usage.mailbox), (Some(1000), 3), "{step}");
        let all = ["user.fred", "user.fred.Sent", "user.fred.Trash"].map(name);
        for name in &all {
            store.mailbox(name).await.expect(&step);
        }
        assert_eq!(
            store.user_log("fred").await.unwrap().state().subscriptions,
            BTreeSet::from(all),
            "{step}"
        );
        assert_eq!(store.inner.journal.pending().unwrap(), 0, "{step}");
        // A folder that the user removes is not made again.
        store.delete(&Actor::user("fred"), &name("user.fred.Trash"), true).await.unwrap();
        store.close().await;
        drop(store);
        let store = killed.open().await;
        assert!(store.autocreate("fred", &[], false).await.unwrap());
        assert!(store.list().get(&name("user.fred.Trash")).unwrap().is_none(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_groups_and_names_cannot_be_asked_for_no_inbox_is_made_and_a_denied_group_keeps_others_out() {
    let bench = Bench::new("auth_mech: pts\nautocreate_quota: 0\nautocreate_post: yes\n");
    let store = bench.open().await;
    for at_delivery in [false, true] {
        assert!(!store.autocreate("fred", &[], at_delivery).await.unwrap());
    }
    let unknown = ["*".to_owned()];
    let acl = "fred\tlrswipkxtecdan\tjane\tlrs\t-group:guests\tr\t";
    let may = |userid: &str, acl: &str| {
        store.rights(&name("user.fred"), acl, Who { userid, groups: &unknown }).to_string()
    };
    assert_eq!((may("fred", acl).as_str(), may("jane", acl).as_str()), ("lrswipkxtecdan", ""));
    assert_eq!(may("jane", "jane\tlrs\t-bob\tr\t"), "lrs");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_a_new_user_are_for_what_xlist_says() {
    let bench = Bench::new(
        "autocreate_quota: 0\nautocreate_inbox_folders: Spam|Sent Items|Other\nxlist-junk: Spam\nxlist-sent: Sent Items\nxlist-odd: Other\n",
    );
    let store = bench.open().await;
    assert!(store.autocreate("fred", &[], false).await.unwrap());
    let uses: Vec<_> = store.special_uses("fred").await.unwrap().into_iter().collect();
    assert_eq!(
        uses,
        [
            (name("user.fred.Sent Items"), vec!["\\Sent".to_owned()]),
            (name("user.fred.Spam"), vec!["\\Junk".to_owned()])
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_gets_another_name_and_domain_keeps_rights_subscriptions_and_what_was_read() {
    let options = "virtdomains: userid\ndefaultdomain: home.org\nallowusermoves: yes\n";
    let bench = Bench::new(options);
    let store = bench.open().await;
    for mailbox in ["a.org!user.fred", "a.org!user.fred.Sent", "a.org!user.bob", "user.fred"] {
        create(&store, mailbox).await;
    }
    let (fred, sent) = ("fred@a.org", name("a.org!user.fred.Sent"));
    let lookup = Rights::LOOKUP | Rights::READ;
    for (identifier, rights) in [("bob@a.org", lookup), ("-fred@a.org", Rights::POST), ("fred", Rights::READ)]
    {
        store.set_acl(&admin(), &sent, identifier, AclChange::Set(rights)).await.unwrap();
    }
    for mailbox in ["a.org!user.fred", "a.org!user.fred.Sent", "a.org!user.bob"] {
        store.subscribe(fred, &name(mailbox), true).await.unwrap();
    }
    let seen = Seen { recentuid: 3, lastchange: 9, uids: vec![(1, 3)] };
    store.set_seen(fred, "some-id", seen.clone()).await.unwrap();
    let moved = store.rename(&admin(), &name("a.org!user.fred"), &name("b.org!user.freddy"), None).await;
    assert_eq!(moved.unwrap().moved.len(), 2);

    let acl = |mailbox: &str| store.list().get(&name(mailbox)).unwrap().unwrap().acl.to_string();
    assert_eq!(acl("b.org!user.freddy"), "freddy@b.org\tlrswipkxtecdan\t");
    let kept = "bob@a.org\tlr\tfred\tr\tfreddy@b.org\tlrswipkxtecdan\t-freddy@b.org\tp\t";
    assert_eq!(acl("b.org!user.freddy.Sent"), kept);
    assert_eq!(acl("user.fred"), "fred\tlrswipkxtecdan\t");
    let state = store.user_state("freddy@b.org").await.unwrap();
    let subscribed = ["a.org!user.bob", "b.org!user.freddy", "b.org!user.freddy.Sent"].map(name);
    assert_eq!(state.subscriptions, BTreeSet::from(subscribed));
    assert_eq!(state.seen.get("some-id"), Some(&seen));
    assert!(store.user_state(fred).await.unwrap().subscriptions.is_empty());
    // A folder that comes to another user keeps who may do what.
    store
        .rename(&admin(), &name("b.org!user.freddy.Sent"), &name("a.org!user.bob.Sent"), None)
        .await
        .unwrap();
    assert_eq!(acl("a.org!user.bob.Sent"), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_subscribe_to_one_mailbox_more_copies_none_of_the_thousands_before() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let log = store.user_log("fred").await.unwrap();
    let subscribe = |n: u32| crate::userlog::Op::Subscribe(name(&format!("user.fred.m{n}")));
    log.apply_all((0..2000).map(subscribe).collect()).await.unwrap();
    let before = Arc::as_ptr(&log.state());
    for n in 2000..2010 {
        log.apply(subscribe(n)).await.unwrap();
        // Whoever looks meanwhile keeps what he saw.
        assert_eq!(log.state().subscriptions.len(), n as usize + 1);
    }
    assert_eq!(Arc::as_ptr(&log.state()), before);
    let seen = log.state();
    log.apply(crate::userlog::Op::Unsubscribe(name("user.fred.m7"))).await.unwrap();
    assert_eq!((seen.subscriptions.len(), log.state().subscriptions.len()), (2010, 2009));
    store.close().await;
    drop((log, store));
    let store = bench.open().await;
    assert_eq!(store.user_log("fred").await.unwrap().state().subscriptions.len(), 2009);
}
