//! ManageSieve on a backend's scripts.

use crate::node::{Client, Node};

/// A client past the greeting.
async fn connect(node: &Node) -> Client {
    let mut client = node.client("sieve").await;
    client
        .talk(
            r#"
            S: "IMPLEMENTATION" "Murder ManageSieve …"
            S: "VERSION" "1.0"
            S: "SASL" "…PLAIN…"
            S: "SIEVE" "…fileinto…"
            S: …
            S: OK
            "#,
        )
        .await;
    client
}

/// By SASL PLAIN, of `\0fred\0secret` and the like.
async fn login(node: &Node, plain: &str) -> Client {
    let mut client = connect(node).await;
    client.talk(&format!("C: AUTHENTICATE \"PLAIN\" \"{plain}\"\nS: OK")).await;
    client
}

const FRED: &str = "AGZyZWQAc2VjcmV0";
const WILMA: &str = "AHdpbG1hAHNlY3JldA==";
const PROXY_FOR_FRED: &str = "ZnJlZABwcm94eQBzZWNyZXQ=";
const ADMIN: &str = "AGN5cnVzAHNlY3JldA==";
const FRED_FOR_WILMA: &str = "d2lsbWEAZnJlZABzZWNyZXQ=";
const WRONG: &str = "AGZyZWQAd3Jvbmc=";
/// Who has a password and no INBOX.
const PROXY: &str = "AHByb3h5AHNlY3JldA==";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_stores_lists_activates_renames_reads_and_removes_scripts() {
    let mut node = Node::start().await;
    let mut fred = login(&node, FRED).await;
    fred.talk(
        r#"
        C: LISTSCRIPTS
        S: OK
        C: PUTSCRIPT "z" "keep;"
        S: OK
        C: HAVESPACE "Für Gäste" 100
        S: OK
        C: PUTSCRIPT "Für Gäste" {14+}
        C: # all
        C: keep;
        C:
        S: OK
        C: putscript {3+}
        C: a"b "discard;"
        S: OK
        C: SETACTIVE "Für Gäste"
        S: OK
        C: LISTSCRIPTS
        S: "z"
        S: "Für Gäste" ACTIVE
        S: "a\"b"
        S: OK
        C: GETSCRIPT "Für Gäste"
        S: {14}
        S: # all
        S: keep;
        S:
        S: OK
        C: RENAMESCRIPT "Für Gäste" "guests"
        S: OK
        C: DELETESCRIPT "guests"
        S: NO (ACTIVE) "Active script cannot be deleted"
        C: RENAMESCRIPT "guests" "z"
        S: NO (ALREADYEXISTS) "Script z already exists."
        C: RENAMESCRIPT "x" "y"
        S: NO (NONEXISTENT) "Script x does not exist"
        C: GETSCRIPT "x"
        S: NO (NONEXISTENT) "Script does not exist"
        C: SETACTIVE "x"
        S: NO (NONEXISTENT) "Script does not exist"
        C: DELETESCRIPT "x"
        S: NO (NONEXISTENT) "Script does not exist"
        C: PUTSCRIPT "../x" "keep;"
        S: NO "Invalid script name"
        C: NOOP
        S: OK "Done"
        C: NOOP "tag"
        S: OK (TAG "tag") "Done"
        C: CAPABILITY
        S: "IMPLEMENTATION" …
        S: …
        S: "OWNER" "fred"
        S: "UNAUTHENTICATE"
        S: OK
        "#,
    )
    .await;
    login(&node, WILMA)
        .await
        .talk("C: LISTSCRIPTS\nS: OK\nC: LOGOUT\nS: OK \"Logout Complete\"\nS: <end>")
        .await;
    node.restart("").await;
    let mut fred = login(&node, PROXY_FOR_FRED).await;
    fred.talk(
        r#"
        C: LISTSCRIPTS
        S: "z"
        S: "guests" ACTIVE
        S: "a\"b"
        S: OK
        C: SETACTIVE ""
        S: OK
        C: DELETESCRIPT "guests"
        S: OK
        C: UNAUTHENTICATE
        S: OK
        C: LISTSCRIPTS
        S: NO "Authenticate first"
        "#,
    )
    .await;
    fred.talk(&format!("C: AUTHENTICATE \"PLAIN\" \"{WILMA}\"\nS: OK\nC: LISTSCRIPTS\nS: OK")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_with_mistakes_is_refused_with_all_of_them_and_the_old_one_stays() {
    let node = Node::start().await;
    let mut fred = login(&node, FRED).await;
    fred.talk(
        r#"
        C: PUTSCRIPT "a" "keep;"
        S: OK
        C: PUTSCRIPT "a" {25+}
        C: keep;
        C: frob;
        C: stop "x";
        C:
        S: NO {…}
        S: line 2: …
        S: line 3: …
        S:
        C: CHECKSCRIPT "frob;"
        S: NO {…}
        S: line 1: …
        S:
        C: CHECKSCRIPT "keep;"
        S: OK
        C: GETSCRIPT "a"
        S: {5}
        S: keep;
        S: OK
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_who_has_an_account_and_nobody_reads_anothers_scripts() {
    let node = Node::start().await;
    login(&node, FRED).await.talk("C: PUTSCRIPT \"mine\" \"keep;\"\nS: OK").await;
    for plain in [WRONG, PROXY, FRED_FOR_WILMA] {
        let mut client = connect(&node).await;
        client
            .talk(&format!(
                "C: AUTHENTICATE \"PLAIN\" \"{plain}\"
                 S: NO \"Authentication Error\"
                 C: LISTSCRIPTS
                 S: NO \"Authenticate first\"
                 C: AUTHENTICATE \"PLAIN\"
                 S: {{0}}
                 S:
                 C: \"{WILMA}\"
                 S: OK
                 C: GETSCRIPT \"mine\"
                 S: NO (NONEXISTENT) \"Script does not exist\"
                 C: AUTHENTICATE \"PLAIN\" \"{FRED}\"
                 S: NO \"Already authenticated\""
            ))
            .await;
    }
    let mut client = connect(&node).await;
    client
        .talk(&format!(
            "C: AUTHENTICATE \"PLAIN\"
             S: {{0}}
             S:
             C: \"*\"
             S: NO \"Authentication cancelled\"
             C: AUTHENTICATE \"FROG\"
             S: NO \"SASL mechanism is not available\"
             C: AUTHENTICATE \"PLAIN\" \"{WRONG}\"
             S: BYE \"Authentication Error\"
             S: <end>"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_script_that_is_refused_are_never_run_as_commands() {
    let node = Node::with("sieve_maxscriptsize: 1\n").await;
    let hostile = "LISTSCRIPTS\r\nLOGOUT\r\n";
    let literal = format!("{{{}+}}\r\n{hostile}", hostile.len());
    // Before the login, with a bad name, after what is no command, and written as no client may.
    let mut stranger = connect(&node).await;
    for command in ["PUTSCRIPT \"a\"", "CHECKSCRIPT", "FROG", "AUTHENTICATE \"PLAIN\" \"x\""] {
        stranger.send(format!("{command} {literal}\r\nNOOP\r\n").as_bytes()).await;
        stranger.talk("S: NO …\nS: OK \"Done\"").await;
    }
    let mut fred = login(&node, FRED).await;
    for command in ["PUTSCRIPT \"a/b\"", "GETSCRIPT \"a\"", "FROG", "SETACTIVE", "PUTSCRIPT \"a\" \"keep;\""]
    {
        fred.send(format!("{command} {literal}\r\nNOOP\r\n").as_bytes()).await;
        fred.talk("S: NO …\nS: OK \"Done\"").await;
    }
    fred.send(format!("PUTSCRIPT \"a\" {{{}}}\r\n{hostile}\r\nNOOP\r\n", hostile.len()).as_bytes()).await;
    fred.talk("S: NO \"Wrong arguments: A literal is {number+}\"\nS: OK \"Done\"").await;
    // Larger than a script may be: skipped; much larger: the end, before it comes.
    let large = "LISTSCRIPTS\r\n".repeat(2000);
    fred.send(format!("PUTSCRIPT \"a\" {{{}+}}\r\n{large}\r\nNOOP\r\n", large.len()).as_bytes()).await;
    fred.talk("S: BYE (QUOTA/MAXSIZE) …\nS: <end>").await;
    let mut fred = login(&node, FRED).await;
    let large = "# a\r\n".repeat(300);
    fred.send(format!("PUTSCRIPT \"a\" {{{}+}}\r\n{large}\r\nNOOP\r\n", large.len()).as_bytes()).await;
    fred.talk(
        "S: NO (QUOTA/MAXSIZE) \"Script size is too large. Max script size is 1024 bytes\"\nS: OK \"Done\"",
    )
    .await;
    fred.send(b"CHECKSCRIPT {1000000000+}\r\n").await;
    fred.talk("S: BYE (QUOTA/MAXSIZE) …\nS: <end>").await;
    let mut fred = login(&node, FRED).await;
    fred.send(format!("NOOP \"{}\"\r\nNOOP\r\n", "x".repeat(17_000)).as_bytes()).await;
    fred.talk("S: BYE \"Line is too long\"\nS: <end>").await;
    let large = Node::start().await;
    let mut fred = login(&large, FRED).await;
    fred.send(format!("NOOP \"{}\"\r\nNOOP\r\n", "x".repeat(17_000)).as_bytes()).await;
    fred.talk("S: NO \"Line is too long\"\nS: OK \"Done\"").await;
    for _ in 1..20 {
        fred.talk("C: x\nS: NO …").await;
    }
    fred.talk("C: x\nS: BYE (TRYLATER) \"Too many errors\"\nS: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_by_their_codes_and_a_script_that_is_replaced_is_not_one_more() {
    let node = Node::with("sieve_maxscripts: 1\nsieve_maxscriptsize: 1\nsieve_extensions: fileinto\n").await;
    let mut fred = login(&node, FRED).await;
    fred.talk(
        r#"
        C: PUTSCRIPT "a" "keep;"
        S: OK
        C: HAVESPACE "a" 1024
        S: OK
        C: HAVESPACE "a" 1025
        S: NO (QUOTA/MAXSIZE) "Script size is too large. Max script size is 1024 bytes"
        C: HAVESPACE "b" 5
        S: NO (QUOTA/MAXSCRIPTS) "You are only allowed 1 scripts on this server"
        C: PUTSCRIPT "b" "keep;"
        S: NO (QUOTA/MAXSCRIPTS) "You are only allowed 1 scripts on this server"
        C: PUTSCRIPT "a" "stop;"
        S: OK
        C: CAPABILITY
        S: …
        S: "SIEVE" "fileinto"
        S: …
        S: OK
        C: CHECKSCRIPT "require \"variables\";"
        S: NO {…}
        S: line 1: …
        S:
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_without_an_inbox_installs_scripts_for_all_users() {
    let node = Node::start().await;
    login(&node, ADMIN).await.talk("C: PUTSCRIPT \"spam\" \"keep;\"\nS: OK").await;
    login(&node, FRED).await.talk("C: LISTSCRIPTS\nS: OK").await;
    login(&node, ADMIN).await.talk("C: LISTSCRIPTS\nS: \"spam\"\nS: OK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_its_user_is_removed() {
    let node = Node::start().await;
    let mut fred = login(&node, FRED).await;
    fred.talk("C: PUTSCRIPT \"a\" \"keep;\"\nS: OK").await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: d DELETE user/fred\nS: d OK …\nC: c CREATE user/fred\nS: c OK …").await;
    let mut other = login(&node, FRED).await;
    other.talk("C: LISTSCRIPTS\nS: OK").await;
    admin.talk("C: d DELETE user/fred\nS: d OK …").await;
    other.talk("C: PUTSCRIPT \"a\" \"keep;\"\nS: BYE (TRYLATER) \"Mailbox does not exist\"\nS: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_a_cyrus_sends_are_kept_and_the_active_one_must_compile() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            r#"
            C: a SYNCAPPLY SIEVE %(USERID fred FILENAME a.script LAST_UPDATE 7 CONTENT {5+}
            C: keep;)
            S: a OK success
            C: b SYNCAPPLY SIEVE %(USERID fred FILENAME a.bc LAST_UPDATE 7 CONTENT xyz)
            S: b OK success
            C: c SYNCAPPLY SIEVE %(USERID fred FILENAME "b c.script" LAST_UPDATE 8 CONTENT stop)
            S: c OK success
            C: d SYNCAPPLY ACTIVATE_SIEVE %(USERID fred FILENAME a.bc)
            S: d OK success
            C: e SYNCAPPLY ACTIVATE_SIEVE %(USERID fred FILENAME nothing.bc)
            S: e NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters
            C: f SYNCGET META fred
            S: …
            S: * SIEVE %(FILENAME a.script LAST_UPDATE 7 GUID … ISACTIVE 1)
            S: * SIEVE %(FILENAME "b c.script" LAST_UPDATE 8 GUID … ISACTIVE 0)
            S: f OK success
            C: g SYNCAPPLY UNSIEVE %(USERID fred FILENAME "b c.script")
            S: g OK success
            "#,
        )
        .await;
    login(&node, FRED).await.talk("C: LISTSCRIPTS\nS: \"a\" ACTIVE\nS: OK").await;
    admin.talk("C: h SYNCAPPLY UNACTIVATE_SIEVE %(USERID fred)\nS: h OK success").await;
    login(&node, FRED).await.talk("C: LISTSCRIPTS\nS: \"a\"\nS: OK").await;
}
