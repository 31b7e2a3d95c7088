//! The proxy between a client and a live backend: real sockets, real logins on both sides.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use identity::auth::client::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use world::{Client, PATIENCE, plain, world};

#[tokio::test]
async fn a_user_is_connected_through_to_the_backend() {
    let world = world(true, PROXIED).await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    assert_eq!(client.say("LISTSCRIPTS").await, "\"fred for proxy\"");
    assert_eq!(client.line().await, "OK");
    assert_eq!(client.say("FROG").await, "NO \"Expected a command. Got something else.\"");
    assert_eq!(client.say("LOGOUT").await, "OK \"Logout Complete\"");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn what_is_pipelined_behind_the_login_reaches_the_backend() {
    let world = world(true, PROXIED).await;
    let mut client = Client::of(&world).await;
    let login = format!(
        "AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{}\r\n",
        plain("fred", "secret").len(),
        plain("fred", "secret")
    );
    client.send(&format!("{login}NOOP \"a\"\r\n")).await;
    assert_eq!((client.line().await, client.line().await), ("OK".into(), "OK (TAG \"a\") \"Done\"".into()));
}

#[tokio::test]
async fn by_default_a_client_is_referred_with_the_first_command_that_needs_scripts() {
    let world = world(true, "").await;
    let referral = "BYE (REFERRAL \"sieve://be\") \"Try Remote.\"";
    for command in [
        "CAPABILITY",
        "LISTSCRIPTS",
        "GETSCRIPT \"a\"",
        "PUTSCRIPT \"a\" {7+}\r\nkeep;\r\n",
        "SETACTIVE \"\"",
        "DELETESCRIPT \"a\"",
        "RENAMESCRIPT \"a\" \"b\"",
        "HAVESPACE \"a\" 5",
    ] {
        let mut client = Client::of(&world).await;
        assert_eq!(client.log_in("fred", "secret").await, "OK");
        assert_eq!(client.say("NOOP").await, "OK \"Done\"");
        assert_eq!(client.say("CHECKSCRIPT \"keep;\"").await, "OK");
        assert_eq!(client.say(command).await, referral, "{command}");
        assert_eq!(client.line().await, "");
    }
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    assert_eq!(client.say("UNAUTHENTICATE").await, "OK");
    assert_eq!(client.say("LISTSCRIPTS").await, "NO \"Authenticate first\"");
    assert_eq!(client.say("LOGOUT").await, "OK \"Logout Complete\"");
}

#[tokio::test]
async fn refusals_are_told_and_the_session_goes_on() {
    let world = world(true, PROXIED).await;
    // A wrong password, one who is nobody, and one without an INBOX are told the same.
    for user in ["fred", "nobody"] {
        assert_eq!(Client::of(&world).await.log_in(user, "wrong").await, "NO \"Authentication Error\"");
    }
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("ghost", "secret").await, "NO \"Authentication Error\"");
    assert_eq!(client.log_in("taken", "secret").await, "NO (TRYLATER) \"Mailbox is being moved\"");
    let down = "NO (TRYLATER) \"Server(s) unavailable to complete operation\"";
    assert_eq!(client.log_in("lost", "secret").await, down);
    assert_eq!(client.say("LISTSCRIPTS").await, "NO \"Authenticate first\"");
    // The backend has its own mind.
    assert_eq!(client.log_in("busy", "secret").await, "NO \"busy is not let in\"");
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    assert_eq!(client.say("LISTSCRIPTS").await, "\"fred for proxy\"");
}

/// Whoever has the password right is not told that it is wrong because a backend does not know them any longer.
#[tokio::test]
async fn a_user_whom_the_backend_does_not_know_is_asked_to_come_later() {
    let world = world(true, PROXIED).await;
    let answer = Client::of(&world).await.log_in("gone", "secret").await;
    assert_eq!(answer, "NO (TRYLATER) \"Authentication to backend server failed\"");
}

/// A frontend that is a Cyrus takes the login for over once the server has proved itself, and sends nothing more.
#[tokio::test]
async fn a_server_proves_itself_with_its_yes() {
    let world = world(true, PROXIED).await;
    let mut client = Client::to(&world.backend).await;
    let credentials = Credentials::proxy(&world.proxy.imapd(), "be", Some("fred"));
    let mut exchange = credentials.start("SCRAM-SHA-256", client.stream.channel()).unwrap();
    let initial = BASE64_STANDARD.encode(exchange.initial().unwrap().unwrap());
    assert!(client.say(&format!("AUTHENTICATE \"SCRAM-SHA-256\" \"{initial}\"")).await.starts_with('{'));
    let challenge = BASE64_STANDARD.decode(client.line().await).unwrap();
    let answer = BASE64_STANDARD.encode(exchange.step(&challenge).unwrap());
    let yes = client.say(&format!("\"{answer}\"")).await;
    let proof = yes.strip_prefix("OK (SASL \"").and_then(|rest| rest.strip_suffix("\")")).expect(&yes);
    exchange.step(&BASE64_STANDARD.decode(proof).unwrap()).unwrap();
    exchange.succeeded(None).unwrap();
    assert_eq!(client.say("LISTSCRIPTS").await, "\"fred for proxy\"");
}

#[tokio::test]
async fn before_the_list_is_complete_nobody_is_said_not_to_exist() {
    let world = world(false, PROXIED).await;
    let answer = Client::of(&world).await.log_in("ghost", "secret").await;
    assert_eq!(answer, "NO (TRYLATER) \"The mailbox list is not complete at the moment\"");
}

#[tokio::test]
async fn passwords_in_the_clear_are_refused_by_default() {
    let world = world(true, "sieve_allowplaintext: no\n").await;
    let answer = Client::of(&world).await.log_in("fred", "secret").await;
    assert_eq!(answer, "NO (ENCRYPT-NEEDED) \"AUTHENTICATE only available under a layer\"");
}

#[tokio::test]
async fn after_starttls_capabilities_come_unasked_and_what_was_said_in_the_clear_is_gone() {
    let world = world(true, &format!("sieve_allowplaintext: no\n{PROXIED}")).await;
    let mut client = Client::of(&world).await;
    assert!(client.announced.iter().any(|line| line == "\"STARTTLS\""), "{:?}", client.announced);
    assert!(!client.announced.iter().any(|line| line.contains("PLAIN ") || line.ends_with("PLAIN\"")));
    let announced = client.start_tls(&world).await;
    assert!(!announced.iter().any(|line| line == "\"STARTTLS\""), "{announced:?}");
    assert!(
        announced.iter().any(|line| line.starts_with("\"SASL\" ") && line.contains("PLAIN")),
        "{announced:?}"
    );
    assert_eq!(client.say("STARTTLS").await, "NO \"TLS already active\"");
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    assert_eq!(client.say("LISTSCRIPTS").await, "\"fred for proxy\"");
}

#[tokio::test]
async fn the_end_of_the_backend_ends_the_client() {
    let world = world(true, PROXIED).await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    world.backend.stop();
    let mut rest = Vec::new();
    timeout(PATIENCE, client.stream.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert!(String::from_utf8(rest).unwrap().starts_with("BYE (TRYLATER)"));
}

#[tokio::test]
async fn a_user_who_is_denied_hears_why_his_session_ends() {
    let world = world(true, PROXIED).await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "OK");
    let denial = identity::deny::Denial { services: "sieve".into(), message: "Ask the desk".into() };
    world.proxy.denied().deny("fred", denial).unwrap();
    assert_eq!(client.line().await, "BYE \"Ask the desk\"");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn who_does_not_log_in_within_three_minutes_is_sent_away_however_slowly_it_types() {
    let world = world(true, PROXIED).await;
    let mut client = Client::of(&world).await;
    // From here on time goes as fast as nothing happens.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(10));
    let mut heard = [0; 64];
    let read = loop {
        tokio::select! {
            biased;
            read = client.stream.read(&mut heard) => break read.unwrap(),
            _ = pace.tick() => client.stream.write_all(b"N").await.unwrap(),
        }
    };
    assert_eq!(&heard[..read], b"BYE \"Shutdown TCP timeout\"\r\n");
    // The time of the login began before that of the test.
    assert!((170..=195).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

const PROXIED: &str = "sieve_allowreferrals: no\n";
