//! What one user does never reaches another's session: tags, connections, literals, cut responses.

use super::world::{Backend, World};

fn full(command: &str) -> String {
    match command.split([' ', '\r']).next().unwrap_or_default() {
        "APPEND" => "$ NO [OVERQUOTA] full\r\n".to_owned(),
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] selected\r\n".to_owned(),
        "SEARCH" | "SORT" | "UID" => {
            "* OK [INPROGRESS (\"$\" 1 2)] on it\r\n* ESEARCH (TAG \"$\") UID COUNT 3\r\n$ OK searched\r\n"
                .to_owned()
        }
        "FETCH" => "* 1 FETCH (BODY[] {32}\r\na OK done\r\nt OK planted\r\nv1 OK x\r\n)\r\n$ OK fetched\r\n"
            .to_owned(),
        _ => "$ OK done\r\n".to_owned(),
    }
}

#[tokio::test]
async fn a_client_may_use_any_tag_and_gets_the_answer_to_its_own_command() {
    let backend = Backend::start(full).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    for tag in ["PROXY0", "PROXY1", "A01", "C01", "U01", "Q01", "M0"] {
        let mut fred = world.fred().await;
        fred.send(&format!("{tag} APPEND INBOX {{1+}}\r\nx\r\n")).await;
        let answer = fred.until(tag).await;
        assert_eq!(answer, [format!("{tag} NO [OVERQUOTA] full")]);
    }
}

#[tokio::test]
async fn the_clients_tag_stands_wherever_a_response_quotes_it() {
    let backend = Backend::start(full).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    fred.ok("SELECT INBOX").await;
    for command in
        ["SEARCH RETURN (COUNT) ALL", "UID SEARCH RETURN (COUNT) ALL", "SORT RETURN (COUNT) (DATE) UTF-8 ALL"]
    {
        fred.send(&format!("x-1/e {command}\r\n")).await;
        let lines = fred.until("x-1/e").await;
        assert_eq!(
            lines,
            [
                "* OK [INPROGRESS (\"x-1/e\" 1 2)] on it",
                "* ESEARCH (TAG \"x-1/e\") UID COUNT 3",
                "x-1/e OK searched"
            ],
            "{command}"
        );
    }
    assert!(
        !backend.heard().iter().any(|command| command.contains("x-1")),
        "a backend never sees a client's tag"
    );
    // A code cannot hold every tag.
    fred.send("x]1 SEARCH RETURN (COUNT) ALL\r\n").await;
    let lines = fred.until("x]1").await;
    let expected =
        ["* OK [INPROGRESS (NIL 1 2)] on it", "* ESEARCH (TAG \"x]1\") UID COUNT 3", "x]1 OK searched"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_connection_to_a_backend_ends_with_the_session_that_it_served() {
    let backend = Backend::start(full).await;
    let world = World::new(&[&backend], &[("user.fred", 0), ("user.cyrus", 0)], "").await;
    for (user, end) in [
        ("fred", "z LOGOUT\r\n"),
        ("cyrus", ""),
        ("fred", "z FETCH 1 (BODY[])\r\nz FETCH 1 (BODY[])\r\n"),
        ("cyrus", "z APPEND INBOX {100+}\r\nthis is cut off"),
        ("fred", "z NOOP\r\n"),
    ] {
        let mut client = world.client().await;
        client.ok(&format!("LOGIN {user} pw")).await;
        client.ok("SELECT INBOX").await;
        client.send(end).await;
    }
    let logins = || backend.heard().iter().filter(|command| command.starts_with("AUTHENTICATE")).count();
    assert_eq!(logins(), 5);
    assert!(!backend.has_heard("UNAUTHENTICATE"));
}

#[tokio::test]
async fn clients_that_go_away_in_the_middle_of_answers_plant_nothing() {
    let backend = Backend::start(full).await;
    let world = World::new(&[&backend], &[("user.fred", 0), ("user.cyrus", 0)], "").await;
    for _ in 0..100 {
        let mut fred = world.fred().await;
        fred.ok("SELECT INBOX").await;
        fred.send("a FETCH 1 (BODY[])\r\nv1 FETCH 1 (BODY[])\r\n").await;
        drop(fred);
        let mut other = world.client().await;
        other.ok("LOGIN cyrus pw").await;
        other.send("v1 STATUS INBOX (MESSAGES)\r\n").await;
        assert_eq!(other.until("v1").await, ["v1 OK done"]);
    }
}

#[tokio::test]
async fn a_backend_that_dies_within_a_response_ends_the_session_without_an_answer_in_its_literal() {
    fn cut(command: &str) -> String {
        match command.starts_with("GETQUOTAROOT") {
            true => "* QUOTAROOT INBOX {100}\r\nhalf\r\n".to_owned(),
            false => full(command),
        }
    }
    let backend = Backend::start(cut).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    fred.send("a GETQUOTAROOT INBOX\r\n").await;
    assert_eq!(fred.line().await, "* QUOTAROOT INBOX {100}");
    assert_eq!(fred.line().await, "half");
    backend.die();
    let rest = fred.until("a").await;
    assert_eq!(rest.last().unwrap(), "(closed)");
    assert!(rest.iter().any(|line| line.starts_with("* BYE ")), "{rest:?}");
}

#[tokio::test]
async fn a_bare_cr_of_a_backend_is_no_line_end_for_the_client() {
    fn sly(command: &str) -> String {
        match command.starts_with("STATUS") {
            true => "* OK tired\ra OK planted\r\n$ OK done\ra OK planted\r\n".to_owned(),
            false => full(command),
        }
    }
    let backend = Backend::start(sly).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    fred.send("b STATUS INBOX (MESSAGES)\r\n").await;
    assert_eq!(fred.until("b").await, ["* OK tired a OK planted", "b OK done a OK planted"]);
}

#[tokio::test]
async fn a_backend_that_answers_what_was_not_asked_is_left() {
    fn confused(command: &str) -> String {
        match command.starts_with("STATUS") {
            true => "PROXY0 OK done\r\n$ OK done\r\n".to_owned(),
            false => full(command),
        }
    }
    let backend = Backend::start(confused).await;
    let world = World::new(&[&backend], &[("user.fred", 0)], "").await;
    let mut fred = world.fred().await;
    let answer = fred.ask("STATUS INBOX (MESSAGES)").await;
    assert!(answer.last().unwrap().starts_with("t NO [UNAVAILABLE]"), "{answer:?}");
}
