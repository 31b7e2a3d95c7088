//! Both sides of GSSAPI on the host's libraries, with a KDC.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use krb5::{Initiating, Library};
use test_host::kdc::{self, Kdc};

/// Runs the test inside a realm with a server's keytab and a client's.
fn inside(test: &str) -> bool {
    if kdc::inside().is_some() {
        return true;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(realm) = Kdc::start(&dir.path().join("realm")) else { return false };
    realm.user("alice");
    let (server, client) = (dir.path().join("server.keytab"), dir.path().join("client.keytab"));
    realm.keytab(&server, &["imap/be1.murder.test", "pop/pool.murder.test"]);
    realm.keytab(&dir.path().join("other.keytab"), &["imap/be2.murder.test"]);
    realm.client_keytab(&client, "alice");
    let cache = dir.path().join("cache");
    let variables: [(&str, &Path); 4] = [
        ("KRB5_CONFIG", &realm.config()),
        ("KRB5_KTNAME", &server),
        ("KRB5_CLIENT_KTNAME", &client),
        ("KRB5CCNAME", &cache),
    ];
    kdc::run_inside(test, dir.path(), &variables);
    false
}

fn towards(service: &str, host: &str) -> (Initiating, Vec<u8>) {
    let mut client = Library::get().unwrap().initiate(service, host).unwrap();
    let first = client.step(None).unwrap();
    assert!(!first.complete, "a client wants the server's proof");
    (client, first.token)
}

#[test]
fn a_client_is_taken_for_who_it_is_by_each_service_of_the_keytab() {
    if !inside("a_client_is_taken_for_who_it_is_by_each_service_of_the_keytab") {
        return;
    }
    let acceptor = Library::get().unwrap().acceptor(None).unwrap();
    for (service, host) in [("imap", "be1.murder.test"), ("pop", "pool.murder.test")] {
        let (mut client, token) = towards(service, host);
        let mut server = acceptor.begin();
        assert_eq!(server.peer(), None);
        let answer = server.step(&acceptor, &token).unwrap();
        assert!(answer.complete && !answer.token.is_empty());
        assert_eq!(server.peer(), Some("alice@MURDER.TEST"));
        assert!(client.step(Some(&answer.token)).unwrap().complete);
        assert_eq!(client.identity().unwrap(), "alice@MURDER.TEST");
        let mut wrapped = server.wrap(b"\x01\0\0\0").unwrap();
        assert_eq!(client.unwrap(&wrapped).unwrap(), b"\x01\0\0\0");
        *wrapped.last_mut().unwrap() ^= 1;
        assert!(client.unwrap(&wrapped).is_err());
        assert!(acceptor.begin().step(&acceptor, &token).is_err(), "a token that was seen before");
    }
}

#[test]
fn what_is_no_ticket_of_ours_is_refused_with_a_reason() {
    if !inside("what_is_no_ticket_of_ours_is_refused_with_a_reason") {
        return;
    }
    let library = Library::get().unwrap();
    let acceptor = library.acceptor(None).unwrap();
    let (_, foreign) = towards("imap", "be2.murder.test");
    let (_, mut token) = towards("imap", "be1.murder.test");
    let refused = |token: &[u8]| acceptor.begin().step(&acceptor, token).unwrap_err().to_string();
    assert!(refused(&foreign).contains("imap/be2.murder.test"), "{}", refused(&foreign));
    for hostile in
        [&b""[..], b"\x60", b"\x60\x84\xff\xff\xff\xff", &[0x60; 70_000], &token[..token.len() / 2]]
    {
        refused(hostile);
        assert!(library.greet(None, hostile).is_err());
    }
    let middle = token.len() / 2;
    token[middle] ^= 1;
    refused(&token);
    let mut server = acceptor.begin();
    assert!(
        server.wrap(b"x").is_err() && server.unwrap(b"x").is_err(),
        "nothing is protected before it begins"
    );
    let unknown = library.initiate("imap", "nobody.murder.test").unwrap().step(None).unwrap_err().to_string();
    assert!(unknown.contains("not found in Kerberos database"), "{unknown}");
}

#[test]
fn a_keytab_tells_its_keys_and_the_host_its_realm() {
    if !inside("a_keytab_tells_its_keys_and_the_host_its_realm") {
        return;
    }
    let library = Library::get().unwrap();
    assert_eq!(library.default_realm().unwrap(), "MURDER.TEST");
    assert!(library.default_keytab().unwrap().ends_with("server.keytab"));
    let mut keys: Vec<String> = library.keys(None).unwrap().into_iter().map(|key| key.principal).collect();
    keys.dedup();
    assert_eq!(keys, ["imap/be1.murder.test@MURDER.TEST", "pop/pool.murder.test@MURDER.TEST"]);
    let other = kdc::inside().unwrap().join("other.keytab").display().to_string();
    assert!(library.keys(Some(&other)).unwrap()[0].principal.starts_with("imap/be2"));
    assert!(library.acceptor(Some(&other)).is_ok());
    for absent in ["/nowhere/keytab", "FILE:/nowhere/keytab", "NOTHING:x"] {
        assert!(library.keys(Some(absent)).is_err() && library.acceptor(Some(absent)).is_err(), "{absent}");
    }
    assert!(library.has_identity());
}
