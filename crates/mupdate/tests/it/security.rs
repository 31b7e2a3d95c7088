//! TLS, compression and mechanisms, between a client of ours and a server of ours.

use mupdate::client::Client;

use crate::world::{Node, eventually, follows, imapd, name};

fn certificate(dir: &tempfile::TempDir, host: &str) -> (String, String) {
    let signed = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    (cert.display().to_string(), key.display().to_string())
}

#[tokio::test]
async fn a_slave_verifies_its_master_and_speaks_through_tls_and_deflate() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(&dir, "127.0.0.1");
    let master =
        Node::master(&format!("tls_server_cert: {cert}\ntls_server_key: {key}\nallowplaintext: no\n")).await;
    master.client().await.reserve(&name("user.a"), &crate::world::at("be1!p")).await.unwrap();
    let conf = format!("tls_server_ca_file: {cert}\nproxy_compress: yes\n");
    let slave = Node::slave(&master, &conf).await;
    slave.catches_up_with(&master).await;

    // Another authority vouches for another master: no login is tried, no password is sent.
    let other = tempfile::tempdir().unwrap();
    let (stranger, _) = certificate(&other, "127.0.0.1");
    let deceived = Node::slave(&master, &format!("tls_server_ca_file: {stranger}\n")).await;
    let trouble =
        eventually(async || deceived.status().await["upstream"]["trouble"].as_str().map(str::to_owned)).await;
    assert!(trouble.contains("TLS handshake"), "{trouble}");
}

#[tokio::test]
async fn a_server_that_must_offer_tls_and_does_not_is_refused() {
    let master = Node::master("").await;
    let dir = tempfile::tempdir().unwrap();
    let conf = follows(master.address).replace("\nmupdate_authname", "/tls\nmupdate_authname");
    let error = Client::connect(&imapd(&dir, &conf)).await.err().unwrap();
    assert!(error.to_string().contains("STARTTLS"), "{error}");
}

#[tokio::test]
async fn each_mechanism_logs_in() {
    let master = Node::master("").await;
    let dir = tempfile::tempdir().unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let conf = format!("{}force_sasl_client_mech: {mechanism}\n", follows(master.address));
        let mut client = Client::connect(&imapd(&dir, &conf)).await.unwrap();
        client.noop().await.unwrap();
        client.logout().await;
    }
}
