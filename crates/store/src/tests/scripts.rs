//! Sieve scripts of users.

use protocol::script::ScriptName;

use super::{super::*, *};
use crate::script::UserScripts;

fn script_name(text: &str) -> ScriptName {
    ScriptName::parse(text).unwrap()
}

async fn put(store: &Store, user: &str, name: &str, content: &str) -> Result<(), ScriptError> {
    store.scripts(user).await.unwrap().put(script_name(name), content.as_bytes()).await
}

async fn activate(store: &Store, user: &str, name: &str) {
    store.scripts(user).await.unwrap().activate(Some(script_name(name))).await.unwrap();
}

/// Names with their contents, in order; the active one with a star.
fn shown(scripts: &UserScripts) -> Vec<String> {
    let star = |name: &ScriptName| if scripts.is_active(name) { "*" } else { "" };
    let one = |script: &Arc<Script>| {
        format!("{}{}={}", star(&script.name), script.name, String::from_utf8_lossy(&script.content))
    };
    scripts.iter().map(one).collect()
}

async fn all(store: &Store, user: &str) -> Vec<String> {
    shown(&store.scripts(user).await.unwrap().all())
}

async fn running(store: &Store, user: &str) -> Option<String> {
    store.active_script(user).await.unwrap().map(|script| script.name.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_script_outlives_a_crash_and_the_order_of_creation_stays() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    for name in ["z", "Ferien ☃", "a"] {
        put(&store, "fred", name, "keep;").await.unwrap();
    }
    activate(&store, "fred", "Ferien ☃").await;
    put(&store, "fred", "z", "discard;\0").await.unwrap();
    let crashed = bench.crashed();
    drop(store);
    for bench in [bench, crashed] {
        let store = bench.open().await;
        assert_eq!(
            running(&store, "fred").await.as_deref(),
            Some("Ferien ☃"),
            "before anybody asks for the others"
        );
        assert_eq!(all(&store, "fred").await, ["z=discard;\0", "*Ferien ☃=keep;", "a=keep;"]);
        let scripts = store.scripts("fred").await.unwrap();
        scripts.rename(script_name("Ferien ☃"), script_name("f")).await.unwrap();
        assert_eq!(running(&store, "fred").await.as_deref(), Some("f"));
        assert!(matches!(scripts.delete(script_name("f")).await, Err(ScriptError::Active)));
        scripts.activate(None).await.unwrap();
        assert_eq!(running(&store, "fred").await, None);
        scripts.delete(script_name("f")).await.unwrap();
        assert_eq!(all(&store, "fred").await, ["z=discard;\0", "a=keep;"]);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_replaced_counts_once_even_when_its_owner_has_too_many() {
    let bench = Bench::new("sieve_maxscripts: 2\nsieve_maxscriptsize: 1\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    put(&store, "fred", "a", "keep;").await.unwrap();
    put(&store, "fred", "b", "keep;").await.unwrap();
    assert!(matches!(put(&store, "fred", "c", "keep;").await, Err(ScriptError::TooMany(2))));
    put(&store, "fred", "b", "stop;").await.unwrap();
    let scripts = store.scripts("fred").await.unwrap();
    assert!(scripts.have_space(&script_name("a"), 1024).is_ok());
    assert!(matches!(scripts.have_space(&script_name("a"), 1025), Err(ScriptError::TooLarge(1024))));
    assert!(matches!(scripts.have_space(&script_name("c"), 1), Err(ScriptError::TooMany(2))));
    let lowered = Bench { extra: "sieve_maxscripts: 1\n".to_owned(), ..bench };
    store.reload(lowered.imapd());
    put(&store, "fred", "a", "discard;").await.unwrap();
    assert!(matches!(put(&store, "fred", "c", "keep;").await, Err(ScriptError::TooMany(1))));
    assert!(matches!(scripts.rename(script_name("a"), script_name("b")).await, Err(ScriptError::Exists)));
    assert!(matches!(scripts.rename(script_name("x"), script_name("y")).await, Err(ScriptError::Missing)));
    assert!(matches!(scripts.activate(Some(script_name("x"))).await, Err(ScriptError::Missing)));
    assert_eq!(all(&store, "fred").await, ["a=discard;", "b=stop;"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_of_one_user_cannot_store_more_scripts_than_allowed() {
    let bench = Bench::new("sieve_maxscripts: 3\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, "fred", &format!("s{n}"), "keep;").await.is_ok() })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += usize::from(task.await.unwrap());
    }
    assert_eq!((stored, all(&store, "fred").await.len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_does_not_inherit_the_rules_of_one_who_had_the_name() {
    for mode in ["immediate", "delayed"] {
        let bench = Bench::new(&format!("delete_mode: {mode}\n"));
        let store = bench.open().await;
        create(&store, "user.fred").await;
        put(&store, "fred", "spy", "redirect \"spy@example.org\";").await.unwrap();
        activate(&store, "fred", "spy").await;
        store.delete(&admin(), &name("user.fred"), false).await.unwrap();
        create(&store, "user.fred").await;
        assert_eq!(running(&store, "fred").await, None, "{mode}");
        assert!(all(&store, "fred").await.is_empty(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_follow_a_user_who_is_renamed() {
    let bench = Bench::new("allowusermoves: yes\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    put(&store, "fred", "rules", "keep;").await.unwrap();
    activate(&store, "fred", "rules").await;
    // Left by a former Wilma.
    put(&store, "wilma", "old", "discard;").await.unwrap();
    activate(&store, "wilma", "old").await;
    store.rename(&admin(), &name("user.fred"), &name("user.wilma"), None).await.unwrap();
    assert_eq!(all(&store, "wilma").await, ["*rules=keep;"]);
    assert_eq!(running(&store, "wilma").await.as_deref(), Some("rules"));
    assert_eq!((all(&store, "fred").await.len(), running(&store, "fred").await), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_go_with_a_move_and_replace_what_an_earlier_stay_left() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, destination) = (from.open().await, to.open().await);
    create(&source, "user.fred").await;
    for name in ["b", "a"] {
        put(&source, "fred", name, "keep;").await.unwrap();
    }
    activate(&source, "fred", "a").await;
    put(&destination, "fred", "left", "discard;").await.unwrap();
    activate(&destination, "fred", "left").await;
    let data = source.user_data(Some("fred"), &[]).await.unwrap();
    destination.take_user_data(&data).await.unwrap();
    let there = destination.user_data(Some("fred"), &[]).await.unwrap();
    assert_eq!(there.digest(), data.digest());
    assert_eq!(all(&destination, "fred").await, ["b=keep;", "*a=keep;"]);
    assert_eq!(running(&destination, "fred").await.as_deref(), Some("a"));
    for change in [
        store_ops("put", &destination).await,
        store_ops("activate", &destination).await,
        store_ops("delete", &destination).await,
    ] {
        assert_ne!(change, data.digest(), "two users' scripts that differ are not the same");
    }
}

async fn store_ops(what: &str, store: &Store) -> Digest {
    let scripts = store.scripts("fred").await.unwrap();
    match what {
        "put" => scripts.put(script_name("b"), *b"stop;").await.unwrap(),
        "activate" => scripts.activate(None).await.unwrap(),
        _ => scripts.delete(script_name("a")).await.unwrap(),
    }
    store.user_data(Some("fred"), &[]).await.unwrap().digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_finds_a_script_though_the_database_was_made_anew() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    put(&store, "fred", "a", "keep;").await.unwrap();
    activate(&store, "fred", "a").await;
    store.close().await;
    drop(store);
    std::fs::remove_dir_all(bench.imapd().program_directory("backend").join("store.sled")).unwrap();
    let store = bench.open().await;
    assert_eq!(running(&store, "fred").await.as_deref(), Some("a"));
    assert_eq!(running(&store, "nobody").await, None);
}
