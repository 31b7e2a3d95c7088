//! What operators do about moves: the queue, words about moves, and what becomes of copies.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::master::eventually;
use super::moving::{Pair, answers, fill, lines, login};
use super::node::Node;

/// Says something about moves to a backend; what it answers.
async fn say(node: &Node, order: Value) -> String {
    let mut admin = login(node, "cyrus").await;
    let order = order.to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let told =
        answers(&mut admin, &format!("SETMETADATA \"\" (/shared/vendor/murder/moves \"{order}\")")).await;
    told.last().unwrap().trim_start_matches("x ").to_owned()
}

async fn ask(node: &Node, what: &str) -> Value {
    let mut admin = login(node, "cyrus").await;
    let told = answers(&mut admin, &format!("GETMETADATA \"\" (/shared/vendor/murder/moves{what})")).await;
    let body = told.get(1).and_then(|line| line.strip_suffix(')')).unwrap_or_else(|| panic!("{told:?}"));
    serde_json::from_str(body).unwrap()
}

/// All moves that a backend tells of; what only one side knows stands beside the rest.
async fn moves(node: &Node) -> Vec<Value> {
    let Value::Array(mut all) = ask(node, "/all").await else { panic!("no list") };
    for one in &mut all {
        let role = one["role"].take();
        one.as_object_mut().unwrap().extend(role.as_object().unwrap().clone());
    }
    all
}

/// The move of a root that a backend has, when it is as is wanted.
async fn when(node: &Node, root: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(async || moves(node).await.into_iter().find(|one| one["root"] == root && wanted(one))).await
}

fn order(id: &str, root: &str, wishes: Value) -> Value {
    json!({ "do": "move", "id": id, "root": root, "to": "be2", "wishes": wishes })
}

fn spool(node: &Node, one: &Value) -> PathBuf {
    let id = one["items"][0]["uniqueid"].as_str().unwrap();
    node.dir.path().join("spool").join(&id[..2]).join(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_a_move_left_goes_when_its_time_is_over_and_the_mailbox_can_come_back() {
    let pair = Pair::with("move_keep: 0\n").await;
    fill(&pair.be1).await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.talk("C: a XFER user/fred be2\nS: * OK USER fred\nS: a OK Completed").await;
    let gone = when(&pair.be1, "user.fred", |one| !one["purged"].is_null()).await;
    assert!(gone["keep_until"].is_u64() && gone["ended"].is_u64(), "{gone}");
    assert!(!spool(&pair.be1, &gone).exists());
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a SELECT INBOX\nS: a NO [NONEXISTENT] Mailbox does not exist").await;
    eventually(async || {
        let mut admin = login(&pair.be2, "cyrus").await;
        let answer = answers(&mut admin, "XFER user/fred be1").await;
        answer.last().is_some_and(|last| last == "x OK Completed").then_some(())
    })
    .await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 3)\nS: a OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_removed_without_proof_that_the_other_server_has_the_mailbox() {
    let mut pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.talk("C: a XFER user/fred be2\nS: * OK USER fred\nS: a OK Completed\nC: b XFER user/wilma be2\nS: …\nS: b OK …").await;
    let one = when(&pair.be1, "user.fred", |one| one["followed"] == true).await;
    let other = when(&pair.be1, "user.wilma", |one| one["followed"] == true).await;
    let confirm = |one: &Value| json!({ "do": "confirm", "id": one["id"] });
    pair.be2.context.stop();
    eventually(async || {
        let said = say(&pair.be1, confirm(&one)).await;
        said.starts_with("NO be2: ").then_some(())
    })
    .await;
    assert!(spool(&pair.be1, &one).exists());
    pair.be2.restart(&lines("be2", &pair.cable, "")).await;
    pair.introduce().await;
    // Who is deleted there may have been so by a slip: the copy is the last one.
    let mut there = login(&pair.be2, "cyrus").await;
    there.talk("C: a DELETE user/wilma\nS: a OK …").await;
    let said = say(&pair.be1, confirm(&other)).await;
    assert!(said.starts_with("NO the MUPDATE master does not list user.wilma"), "{said}");
    assert!(spool(&pair.be1, &other).exists());
    assert_eq!(say(&pair.be1, json!({ "do": "discard", "id": other["id"] })).await, "OK Completed");
    assert_eq!(
        eventually(async || {
            let said = say(&pair.be1, confirm(&one)).await;
            // The breaker waits for a moment.
            (!said.starts_with("NO be2: ")).then_some(said)
        })
        .await,
        "OK Completed"
    );
    assert!(!spool(&pair.be1, &one).exists() && !spool(&pair.be1, &other).exists());
    let said = say(&pair.be1, confirm(&one)).await;
    assert_eq!(said, "NO of this move no copy is kept here");
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_wait_for_their_turn_and_one_that_is_stopped_lets_the_next_one_go() {
    let mut pair = Pair::with("move_parallel: 1\n").await;
    fill(&pair.be1).await;
    // A byte in a second: it never ends.
    assert_eq!(say(&pair.be1, order("aaa", "user.fred", json!({ "rate": 1 }))).await, "OK aaa");
    when(&pair.be1, "user.fred", |one| one["phase"] == "copying" && one["live"]["bytes"] != 0).await;
    let plan = json!({ "plan": "drain be1" });
    assert_eq!(say(&pair.be1, order("bbb", "user.wilma", plan)).await, "OK bbb");
    // Asked for once more, it is the same.
    assert_eq!(say(&pair.be1, order("ccc", "user.wilma", json!({}))).await, "OK bbb");
    let waits = when(&pair.be1, "user.wilma", |_| true).await;
    assert_eq!((&waits["phase"], &waits["live"]), (&json!("queued"), &Value::Null));
    assert_eq!(ask(&pair.be1, "/plans").await["drain be1"]["queued"], 1);
    // Who is at it can write.
    let mut fred = login(&pair.be1, "fred").await;
    fred.append("INBOX", "Subject: x\n\nx\n").await;
    assert_eq!(say(&pair.be1, json!({ "do": "stop", "id": "aaa" })).await, "OK Completed");
    when(&pair.be1, "user.wilma", |one| one["phase"] == "kept").await;
    assert_eq!(ask(&pair.be1, "/plans").await["drain be1"]["moved"], 1);
    let stopped = when(&pair.be1, "user.fred", |_| true).await;
    assert_eq!((&stopped["phase"], &stopped["waits"]), (&json!("queued"), &json!("stopped by an operator")));
    // A restart lets neither go on by itself.
    pair.be1.restart(&lines("be1", &pair.cable, "move_parallel: 1\n")).await;
    pair.introduce().await;
    let stopped = when(&pair.be1, "user.fred", |_| true).await;
    assert_eq!(stopped["phase"], "queued");
    assert_eq!(say(&pair.be1, json!({ "do": "resume", "id": "aaa" })).await, "OK Completed");
    when(&pair.be1, "user.fred", |one| one["phase"] == "copying").await;
    assert_eq!(say(&pair.be1, json!({ "do": "cancel", "id": "aaa" })).await, "OK Completed");
    when(&pair.be1, "user.fred", |one| one["phase"] == "aborted").await;
    when(&pair.be2, "user.fred", |one| one["phase"] == "aborted").await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 4)\nS: a OK …").await;
    assert!(pair.places().await.contains(&"user.fred be1!default".to_owned()));
    assert_eq!(
        say(&pair.be1, json!({ "do": "stop", "id": "bbb" })).await,
        "NO it goes on, and cannot be stopped any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_waits_for_its_hours_and_whoever_asks_for_it_by_xfer_joins_it() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minute = |hours: u64| (now / 60 + hours * 60) % 1440;
    let hours = json!({ "hours": { "from": minute(6), "until": minute(8) } });
    assert_eq!(say(&pair.be1, order("aaa", "user.fred", hours)).await, "OK aaa");
    let waits = when(&pair.be1, "user.fred", |one| !one["waits"].is_null()).await;
    assert_eq!((&waits["phase"], &waits["waits"]), (&json!("queued"), &json!("waits for its hours")));
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.send(b"x XFER user/fred be2\r\n").await;
    let refused = answers(&mut login(&pair.be1, "cyrus").await, "XFER user/fred be2 big").await;
    assert_eq!(refused.last().unwrap(), "x NO Mailbox is being moved to be2");
    assert_eq!(say(&pair.be1, json!({ "do": "cancel", "id": "aaa" })).await, "OK Completed");
    assert_eq!(admin.until("x ").await, "x NO cancelled by cyrus");
    // Two who ask at a time hear of one move.
    let (mut one, mut other) = (login(&pair.be1, "cyrus").await, login(&pair.be1, "cyrus").await);
    let both =
        tokio::join!(answers(&mut one, "XFER user/fred be2"), answers(&mut other, "XFER user/fred be2"));
    let ends = [both.0.last().unwrap().as_str(), both.1.last().unwrap().as_str()];
    // The later one may come when it is over.
    assert!(ends.contains(&"x OK Completed"), "{ends:?}");
    let began = moves(&pair.be1).await.into_iter().filter(|one| one["phase"] != "aborted").count();
    assert_eq!(began, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_goes_and_a_move_without_room_or_partition_does_not_begin() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let plan = |to: &str, partition: Value| json!({ "do": "plan", "root": "user.fred", "to": to, "partition": partition });
    let told = say(&pair.be1, plan("be2", Value::Null)).await;
    let told: Value = serde_json::from_str(told.strip_prefix("OK ").unwrap()).unwrap();
    assert_eq!((&told["mailboxes"], &told["messages"], &told["roots"]), (&json!(3), &json!(6), &json!(1)));
    assert!(
        told["bytes"].as_u64().unwrap() > 600_000 && told["free"].is_u64() && told["trouble"].is_null(),
        "{told}"
    );
    let told = say(&pair.be1, plan("be2", json!("fast"))).await;
    assert!(told.contains("be2 has no partition fast"), "{told}");
    let mut admin = login(&pair.be1, "cyrus").await;
    admin
        .talk("C: a XFER user/fred be2 fast\nS: * NO USER fred (be2 has no partition fast (it has big, default))\nS: a NO …")
        .await;
    let sizes = ask(&pair.be1, "/sizes").await;
    let roots: Vec<&str> =
        sizes.as_array().unwrap().iter().map(|size| size["root"].as_str().unwrap()).collect();
    assert_eq!(roots, ["user.fred", "user.wilma"]);
    assert_eq!(sizes[0]["mailboxes"], 3);
    let mut client = pair.master.client().await;
    let be2 = protocol::location::ServerName::parse("be2").unwrap();
    client.cordon(&be2, true).await.unwrap();
    let refused = answers(&mut admin, "XFER user/fred be2").await;
    assert_eq!(refused.last().unwrap(), "x NO be2 gets no mailboxes: murder uncordon be2");
    assert_eq!(moves(&pair.be1).await, Vec::<Value>::new());
    // Orders are an administrator's.
    let mut fred = login(&pair.be1, "fred").await;
    let told = answers(&mut fred, "SETMETADATA \"\" (/shared/vendor/murder/moves \"{}\")").await;
    assert_eq!(told, ["x NO [NOPERM] Permission denied"]);
    let told = answers(&mut admin, "SETMETADATA \"\" (/shared/vendor/murder/moves \"{}\")").await;
    assert!(told[0].starts_with("x NO not understood"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_mailbox_takes_those_below_it_along_where_that_is_wanted() {
    let pair = Pair::start().await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin
        .talk(
            "C: a CREATE lists\nS: a OK …\nC: b CREATE lists/a\nS: b OK …\nC: c CREATE listsonly\nS: c OK …",
        )
        .await;
    assert_eq!(say(&pair.be1, order("aaa", "lists", json!({ "tree": true }))).await, "OK aaa");
    eventually(async || {
        let places = pair.places().await;
        let there = ["lists be2!default", "lists.a be2!default", "listsonly be1!default"];
        there.iter().all(|place| places.contains(&(*place).to_owned())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_taken_back_when_the_server_that_had_the_mailbox_is_lost_and_not_before() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.talk("C: a XFER user/fred be2\nS: * OK USER fred\nS: a OK Completed").await;
    let one = when(&pair.be1, "user.fred", |one| one["followed"] == true).await;
    let restore = json!({ "do": "restore", "id": one["id"] });
    let said = say(&pair.be1, restore.clone()).await;
    assert!(said.starts_with("NO be2 answers, and has user.fred"), "{said}");
    pair.be2.context.stop();
    eventually(async || {
        let said = say(&pair.be1, restore.clone()).await;
        (said == "OK Completed").then_some(())
    })
    .await;
    let places = pair.places().await;
    assert!(places.contains(&"user.fred.Archive.2024 be1!default".to_owned()), "{places:?}");
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 3)\nS: a OK …").await;
    fred.append("INBOX", "Subject: x\n\nx\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_a_move_is_adopted_when_its_source_is_lost_and_not_before() {
    let mut pair = Pair::start().await;
    fill(&pair.be1).await;
    // It dies before it writes that it switches: all has come, and nobody has decided.
    pair.be1.trap.set(2, false);
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.send(b"x XFER user/fred be2\r\n").await;
    pair.be1.context.shutdown().cancelled().await;
    let one = when(&pair.be2, "user.fred", |one| one["phase"] == "prepared").await;
    let adopt = json!({ "do": "adopt", "id": one["id"] });
    eventually(async || (say(&pair.be2, adopt.clone()).await == "OK Completed").then_some(())).await;
    let mut fred = login(&pair.be2, "fred").await;
    fred.append("INBOX", "Subject: x\n\nx\n").await;
    eventually(async || {
        pair.places().await.contains(&"user.fred.Archive be2!default".to_owned()).then_some(())
    })
    .await;
    // It comes back after all, and hears of it.
    pair.be1.restart(&lines("be1", &pair.cable, "")).await;
    pair.introduce().await;
    when(&pair.be1, "user.fred", |one| one["phase"] == "kept").await;
    fred.talk("C: a STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 4)\nS: a OK …").await;
    let said = say(&pair.be2, adopt).await;
    assert!(said.starts_with("NO "), "{said}");
}
