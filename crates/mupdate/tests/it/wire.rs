//! What peers see, line by line.

use std::time::Instant;

use tokio::net::{TcpStream, UnixStream};

use crate::{
    transcript::{BANNER, Player},
    world::{Node, at, eventually, name},
};

pub async fn local(node: &Node) -> Player<UnixStream> {
    let mut player = Player::new(UnixStream::connect(node.socket()).await.unwrap());
    player.play(BANNER).await;
    player
}

pub async fn network(node: &Node) -> Player<TcpStream> {
    let mut player = Player::new(TcpStream::connect(node.address).await.unwrap());
    player.play(BANNER).await;
    player
}

/// `\0user\0user` in base64.
pub const CYRUS: &str = "AGN5cnVzAGN5cnVz";
const NOBODY: &str = "AG5vYm9keQBub2JvZHk=";
const READER: &str = "AHJlYWRlcgByZWFkZXI=";

#[tokio::test]
async fn the_life_of_a_mailbox() {
    let master = Node::master("").await;
    local(&master)
        .await
        .play(
            r#"
            C: X0 FIND "user.fred"
            S: X0 OK "Search completed"
            C: X1 RESERVE "user.fred" "be1!default"
            S: X1 OK "done"
            C: X2 FIND "user.fred"
            S: X2 RESERVE "user.fred" "be1!default"
            S: X2 OK "Search completed"
            C: X3 RESERVE "user.fred" "be2!default"
            S: X3 NO "mailbox already exists"
            C: X4 DEACTIVATE "user.fred" "be1!default"
            S: X4 NO "mailbox not currently active"
            C: X5 ACTIVATE {9+}
            C: user.fred {11+}
            C: be1!default {9+}
            C: fred	lrs	
            S: X5 OK "done"
            C: X6 LIST "be1!"
            S: X6 MAILBOX "user.fred" "be1!default" "fred\tlrs\t"
            S: X6 OK "list complete"
            C: X7 LIST "be2!"
            S: X7 OK "list complete"
            C: X8 DEACTIVATE "user.fred" "be1!default"
            S: X8 OK "done"
            C: X9 DELETE "user.fred"
            S: X9 OK "done"
            C: X10 DELETE "user.fred"
            S: X10 NO "mailbox doesn't exist"
            C: X11 DEACTIVATE "user.fred" "be1!default"
            S: X11 NO "mailbox doesn't exist"
            C: Q01 LOGOUT
            S: Q01 OK "bye-bye"
            S closes
            "#,
        )
        .await;
}

#[tokio::test]
async fn literals_are_as_long_as_configured() {
    let master = Node::master("maxliteral: 10\nmaxword: 10\nmaxquoted: 10\n").await;
    local(&master)
        .await
        .play(
            r#"
            C: X0 FIND {9+}
            C: user.fred
            S: X0 OK "Search completed"
            C: X1 FIND {11+}
            C: user.wilma1
            S: * BYE "literal of 11 bytes too long"
            S closes
            "#,
        )
        .await;
}

#[tokio::test]
async fn literals_of_both_kinds_and_broken_commands() {
    let master = Node::master("").await;
    let mut client = local(&master).await;
    client
        .play(
            r#"
            C: X0 FIND {6}
            S: + go ahead
            C: user.a
            S: X0 OK "Search completed"
            C: X1 FIND user.a
            S: X1 BAD "Extra arguments"
            C: X2
            S: * BAD "Need command"
            C: X3 XYZZY "a" {3+}
            C: a b
            S: X3 BAD "Unrecognized command"
            C: X4 FIND "a" "b"
            S: X4 BAD "Extra arguments"
            C: X5 RESERVE "a" "b!c!d"
            S: X5 BAD "Badly formed arguments"
            C: X6 NOOP
            S: X6 OK "Noop done"
            C: X7 FIND {200000+}
            "#,
        )
        .await;
    client.say(&[b'x'; 200_000]).await;
    client.play("C: \n S: * BYE \"literal of 200000 bytes too long\"\n S closes").await;
    // Nobody else was hurt.
    local(&master).await.play("C: X0 NOOP\n S: X0 OK \"Noop done\"").await;
}

#[tokio::test]
async fn who_may_log_in_and_what_that_allows() {
    let master = Node::master("mupdate_readers: reader\n").await;
    network(&master)
        .await
        .play(&format!(
            r#"
            C: X0 FIND "user.a"
            S: X0 BAD "Please login first"
            C: A01 AUTHENTICATE "PLAIN" "{NOBODY}"
            S: A01 NO "only admins may authenticate"
            C: A01 AUTHENTICATE "PLAIN" "AGN5cnVzAHdyb25n"
            S: A01 NO …
            C: A01 AUTHENTICATE "XYZZY"
            S: A01 NO …
            C: A01 AUTHENTICATE "PLAIN"
            S: 
            C: *
            S: A01 NO "Client canceled authentication"
            C: A01 AUTHENTICATE "PLAIN" =
            S: A01 NO …
            C: A01 AUTHENTICATE "PLAIN" {{16+}}
            C: {CYRUS}
            S: A01 OK "Authenticated"
            C: A01 AUTHENTICATE "PLAIN" "{CYRUS}"
            S: A01 BAD "already authenticated"
            C: X1 RESERVE "user.a" "be1!p"
            S: X1 OK "done"
            "#
        ))
        .await;
    network(&master)
        .await
        .play(&format!(
            r#"
            C: A01 AUTHENTICATE "PLAIN" "{READER}"
            S: A01 OK "Authenticated"
            C: X0 DELETE "user.a"
            S: X0 BAD "read-only session"
            C: X1 FIND "user.a"
            S: X1 RESERVE "user.a" "be1!p"
            S: X1 OK "Search completed"
            C: U01 UPDATE
            S: U01 RESERVE "user.a" "be1!p"
            S: U01 OK "streaming starts"
            C: X2 FIND "user.a"
            S: X2 BAD "not legal when streaming"
            C: N1 NOOP
            S: N1 OK "Noop done"
            "#
        ))
        .await;
}

#[tokio::test]
async fn a_stream_sends_the_listing_in_key_order_and_then_each_change() {
    let master = Node::master("").await;
    let mut writer = local(&master).await;
    for (at, name) in ["user.a-b", "user.a.b", "user.a", "user.b"].into_iter().enumerate() {
        writer.play(&format!("C: X{at} ACTIVATE \"{name}\" \"be1!p\" \"\"\n S: X{at} OK \"done\"")).await;
    }
    let mut slave = local(&master).await;
    slave
        .play(
            r#"
            C: U01 UPDATE
            S: U01 MAILBOX "user.a" "be1!p" ""
            S: U01 MAILBOX "user.a.b" "be1!p" ""
            S: U01 MAILBOX "user.a-b" "be1!p" ""
            S: U01 MAILBOX "user.b" "be1!p" ""
            S: U01 OK "streaming starts"
            "#,
        )
        .await;
    writer.play("C: Y0 DELETE \"user.a\"\n S: Y0 OK \"done\"").await;
    writer.play("C: Y1 RESERVE \"user.c\" \"be2!p\"\n S: Y1 OK \"done\"").await;
    // The cure for Cyrus's merge: what it may have lost comes once more.
    slave
        .play(
            r#"
            S: U01 DELETE "user.a"
            S: U01 RESERVE "user.c" "be2!p"
            S: U01 MAILBOX "user.a-b" "be1!p" ""
            C: N1 NOOP
            S: N1 OK "Noop done"
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_master_that_stops_says_no_bye_within_a_listing() {
    let master = Node::master("").await;
    let mut writer = local(&master).await;
    let acl = "x".repeat(2000);
    let all: String =
        (0..2000).map(|n| format!("A{n} ACTIVATE \"user.p{n}\" \"be1!p\" \"{acl}\"\r\n")).collect();
    writer.say(all.as_bytes()).await;
    for n in 0..2000 {
        assert_eq!(writer.line().await, format!("A{n} OK \"done\""));
    }
    let (mut idle, mut slave) = (local(&master).await, local(&master).await);
    // It reads the beginning, so that the listing is under way, and then no more until the master has stopped.
    slave.play("C: U01 UPDATE\n S: U01 MAILBOX \"user.p0\" …").await;
    master.stop().await;
    idle.play("S: * BYE \"server shutting down\"\n S closes").await;
    // A Cyrus slave would take it for the list's end, and delete what was not listed.
    let rest = slave.rest().await;
    assert!(!rest.contains("BYE") && !rest.contains("U01 OK"), "{}", &rest[rest.len().saturating_sub(100)..]);
}

#[tokio::test]
async fn a_partial_stream_tells_of_what_leaves_its_servers() {
    let master = Node::master("").await;
    let mut writer = local(&master).await;
    writer.play("C: X0 ACTIVATE \"user.a\" \"be1!p\" \"\"\n S: X0 OK \"done\"").await;
    writer.play("C: X1 ACTIVATE \"user.b\" \"be2!p\" \"\"\n S: X1 OK \"done\"").await;
    let mut slave = local(&master).await;
    slave
        .play("C: U01 UPDATE \"be1\" \"be3\"\n S: U01 MAILBOX \"user.a\" \"be1!p\" \"\"\n S: U01 OK …")
        .await;
    writer.play("C: X2 ACTIVATE \"user.b\" \"be2!q\" \"\"\n S: X2 OK \"done\"").await;
    writer.play("C: X3 ACTIVATE \"user.a\" \"be2!p\" \"\"\n S: X3 OK \"done\"").await;
    writer.play("C: X4 DELETE \"user.a\"\n S: X4 OK \"done\"").await;
    writer.play("C: X5 ACTIVATE \"user.c\" \"be3!p\" \"\"\n S: X5 OK \"done\"").await;
    let first = slave.line().await;
    // Moved and deleted at once, or one after the other: both tell that it left.
    assert!(first == "U01 MAILBOX \"user.a\" \"be2!p\" \"\"" || first == "U01 DELETE \"user.a\"", "{first}");
    slave.play("S: U01 MAILBOX \"user.c\" \"be3!p\" \"\"").await;
}

#[tokio::test]
async fn a_change_right_after_a_kick_is_not_held_for_long() {
    let master = Node::master("").await;
    let mut slave = local(&master).await;
    slave.play("C: U01 UPDATE\n S: U01 OK \"streaming starts\"\n C: N0 NOOP\n S: N0 OK \"Noop done\"").await;
    let began = Instant::now();
    master.client().await.activate(&name("user.u00000"), &at("be1!default"), "anyone\tlrs\t").await.unwrap();
    slave.play("S: U01 MAILBOX \"user.u00000\" \"be1!default\" \"anyone\tlrs\t\"").await;
    assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());
}

#[tokio::test]
async fn expectations_are_checked_where_the_change_happens() {
    let master = Node::master("").await;
    local(&master)
        .await
        .play(
            r#"
            C: X0 ACTIVATE "user.a" "be1!p" "" "none"
            S: X0 OK "done"
            C: X1 ACTIVATE "user.a" "be2!p" "" "none"
            S: X1 NO "[CHANGED] mailbox is not in the expected state"
            C: X2 ACTIVATE "user.a" "be2!p" "" "active@be1"
            S: X2 OK "done"
            C: X3 DELETE "user.a" "active@be1"
            S: X3 NO "[CHANGED] mailbox is not in the expected state"
            C: X4 DELETE "user.a" "active@be2"
            S: X4 OK "done"
            C: X5 DELETE "user.a" "nonsense"
            S: X5 BAD "Badly formed arguments"
            "#,
        )
        .await;
}

#[tokio::test]
async fn who_resumes_hears_of_what_changed_and_nothing_else() {
    let master = Node::master("").await;
    let mut writer = master.client().await;
    for n in ["user.a", "user.b", "user.c", "user.d"] {
        writer.activate(&name(n), &at("be1!p"), "").await.unwrap();
    }
    let position = master.status().await["position"].clone();
    let list = position["list"].as_str().unwrap().to_owned();
    writer.delete(&name("user.b")).await.unwrap();
    writer.activate(&name("user.c"), &at("be2!p"), "").await.unwrap();
    writer.activate(&name("user.c"), &at("be3!p"), "").await.unwrap();
    let resumed = format!(
        r#"
        C: U01 RESUME "{list}:1:4"
        S: U01 DELETE "user.b"
        S: U01 MAILBOX "user.c" "be3!p" ""
        S: U01 POSITION "{list}:1:7"
        S: U01 POSITION "{list}:1:7"
        S: U01 OK "streaming starts"
        "#
    );
    local(&master).await.play(&resumed).await;
    // Of another list, of another term, of a future, of nothing: everything.
    let other = "0".repeat(32);
    for position in [format!("{other}:1:4"), format!("{list}:2:4"), format!("{list}:1:7000")] {
        let mut stream = local(&master).await;
        stream.play(&format!("C: U01 RESUME \"{position}\"\n S: U01 FULL")).await;
        for n in ["user.a", "user.c", "user.d"] {
            stream.play(&format!("S: U01 MAILBOX \"{n}\"…")).await;
        }
        stream.play("S: U01 POSITION …\n S: U01 OK \"streaming starts\"").await;
    }
    // Somebody knew of changes that this list never saw: it is another one from now on.
    assert_ne!(master.status().await["position"]["list"], list);
}

#[tokio::test]
async fn pipelined_writes_are_answered_in_order() {
    let master = Node::master("").await;
    let mut client = local(&master).await;
    let mut all = String::new();
    for n in 0..600 {
        all.push_str(&format!(
            "R{n} RESERVE \"user.p{n}\" \"be1!p\"\r\nA{n} ACTIVATE \"user.p{n}\" \"be1!p\" \"\"\r\n"
        ));
    }
    all.push_str("F FIND \"user.p599\"\r\n");
    client.say(all.as_bytes()).await;
    for n in 0..600 {
        client.play(&format!("S: R{n} OK \"done\"\n S: A{n} OK \"done\"")).await;
    }
    client.play("S: F MAILBOX \"user.p599\" \"be1!p\" \"\"\n S: F OK \"Search completed\"").await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let master = Node::master("mupdate_connections_max: 1\n").await;
    let mut first = network(&master).await;
    first.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
    Player::new(TcpStream::connect(master.address).await.unwrap())
        .play("S: * BYE \"Server Unable\"\n S closes")
        .await;
    drop(first);
    eventually(async || {
        let mut player = Player::new(TcpStream::connect(master.address).await.unwrap());
        player.line().await.starts_with("* AUTH").then_some(())
    })
    .await;
}

/// The sheet's table of RFC 3656's states, cell by cell, as the wire shows it: what FIND tells afterwards, or the refusal.
const STATES: &str = "\
    |            | none                 | R same                         | R other              | A same              | A other
    | RESERVE    | RESERVE new          | RESERVE new                    | NO mailbox already exists      | RESERVE new         | NO mailbox already exists
    | ACTIVATE   | MAILBOX new          | MAILBOX new                    | MAILBOX new          | MAILBOX new         | MAILBOX new
    | DEACTIVATE | NO mailbox doesn't exist | NO mailbox not currently active | NO mailbox not currently active | RESERVE new         | RESERVE new
    | DELETE     | NO mailbox doesn't exist | nothing                        | nothing              | nothing             | nothing";

#[tokio::test]
async fn every_cell_of_the_state_table_is_answered_and_told_to_streams() {
    let master = Node::master("").await;
    let mut writer = local(&master).await;
    let rows: Vec<Vec<&str>> =
        STATES.lines().map(|row| row.split('|').skip(1).map(str::trim).collect()).collect();
    let mut cells = 0;
    for row in &rows[1..] {
        for (column, cell) in rows[0].iter().zip(row).skip(1) {
            let name = format!("user.c{cells}");
            let place = if column.ends_with("same") { "new" } else { "old" };
            match column.chars().next() {
                Some('R') => writer.ok(&format!("RESERVE \"{name}\" \"be1!{place}\"")).await,
                Some('A') => writer.ok(&format!("ACTIVATE \"{name}\" \"be1!{place}\" \"old\tl\t\"")).await,
                _ => {}
            }
            let mut stream = local(&master).await;
            stream.play("C: U01 UPDATE").await;
            while !stream.line().await.starts_with("U01 OK") {}

            let command = match row[0] {
                "DELETE" => format!("DELETE \"{name}\""),
                "ACTIVATE" => format!("ACTIVATE \"{name}\" \"be1!new\" \"fred\tlrs\t\""),
                other => format!("{other} \"{name}\" \"be1!new\""),
            };
            let entry = match *cell {
                "RESERVE new" => format!("RESERVE \"{name}\" \"be1!new\""),
                "MAILBOX new" => format!("MAILBOX \"{name}\" \"be1!new\" \"fred\tlrs\t\""),
                "nothing" => format!("DELETE \"{name}\""),
                refusal => {
                    let text = refusal.strip_prefix("NO ").unwrap();
                    writer.play(&format!("C: X {command}\n S: X NO \"{text}\"")).await;
                    // A refusal is told to nobody: the next thing on the stream is what is asked for.
                    stream.play("C: N NOOP\n S: N OK \"Noop done\"").await;
                    cells += 1;
                    continue;
                }
            };
            writer.ok(&command).await;
            // Also where nothing changed, the streams are told.
            stream.play(&format!("S: U01 {entry}")).await;
            let found = if *cell == "nothing" { String::new() } else { format!("\n S: F {entry}") };
            writer.play(&format!("C: F FIND \"{name}\"{found}\n S: F OK \"Search completed\"")).await;
            cells += 1;
        }
    }
    assert_eq!(cells, 20);
}
