//! TLS, compression and mechanisms, between a client of ours and a server of ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use directory::client::{Client, Error};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::world::{Node, eventually, follows, imapd, name};

fn certificate(dir: &tempfile::TempDir, host: &str) -> (String, String) {
    signed(dir, rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap())
}

/// A client's, with this common name.
fn certificate_of(dir: &tempfile::TempDir, name: &str) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(vec![format!("{name}.example.org")]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    signed(dir, params)
}

fn signed(dir: &tempfile::TempDir, params: rcgen::CertificateParams) -> (String, String) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
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
    assert!(trouble.contains("TLS: handshake"), "{trouble}");
}

#[tokio::test]
async fn passwords_are_bound_to_the_channel_and_certificates_stand_for_passwords() {
    let (dir, client_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cert, key) = certificate(&dir, "127.0.0.1");
    let (client_cert, client_key) = certificate_of(&client_dir, "frontend");
    let mechanisms = "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN";
    let server = format!(
        "tls_server_cert: {cert}\ntls_server_key: {key}\nallowplaintext: no\ntls_required: yes\n\
         tls_client_ca_file: {client_cert}\nsasl_mech_list: {mechanisms}\n"
    );
    let master = Node::master(&server).await;
    let follows = follows(master.address);
    for mechanism in mechanisms.split(' ').skip(1) {
        let conf = format!("{follows}tls_server_ca_file: {cert}\nforce_sasl_client_mech: {mechanism}\n");
        let mut client =
            Client::connect(&imapd(&dir, &conf)).await.unwrap_or_else(|e| panic!("{mechanism}: {e}"));
        client.noop().await.unwrap();
    }
    let show =
        format!("tls_client_cert: {client_cert}\ntls_client_key: {client_key}\ntls_server_ca_file: {cert}\n");
    let without = follows.replace("mupdate_password: frontend\n", "");
    let mut client = Client::connect(&imapd(&dir, &format!("{without}{show}"))).await.unwrap();
    client.noop().await.unwrap();
    // Whom no authority vouches for has no name to show.
    let show = show.replace("tls_client_", "tls_no_");
    let error = Client::connect(&imapd(&dir, &format!("{without}{show}"))).await.err().unwrap();
    assert!(error.to_string().contains("no mechanism may be used"), "{error}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_clients_and_streams_go_on() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cert, key) = certificate(&old, "127.0.0.1");
    let master = Node::master(&format!("tls_server_cert: {cert}\ntls_server_key: {key}\n")).await;
    let slave = Node::slave(&master, &format!("tls_server_ca_file: {cert}\n")).await;
    slave.catches_up_with(&master).await;
    eventually(async || slave.status().await["upstream"]["live"].as_bool().filter(|live| *live)).await;
    let since = slave.status().await["upstream"]["since"].clone();

    let (new_cert, new_key) = certificate(&new, "127.0.0.1");
    let authority = format!("{}.pem", new_cert);
    std::fs::copy(&new_cert, &authority).unwrap();
    std::fs::copy(&new_key, &key).unwrap();
    std::fs::copy(&new_cert, &cert).unwrap();
    master.context.reload().unwrap();
    master.client().await.reserve(&name("user.a"), &crate::world::at("be1!p")).await.unwrap();
    slave.catches_up_with(&master).await;
    assert_eq!(slave.status().await["upstream"]["since"], since, "the stream was not cut");
    let conf = format!("{}tls_server_ca_file: {authority}\n", follows(master.address));
    Client::connect(&imapd(&new, &conf)).await.unwrap().noop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_must_offer_tls_and_does_not_is_refused() {
    let master = Node::master("").await;
    let dir = tempfile::tempdir().unwrap();
    let conf = follows(master.address).replace("\nmupdate_authname", "/tls\nmupdate_authname");
    let error = Client::connect(&imapd(&dir, &conf)).await.err().unwrap();
    assert!(error.to_string().contains("TLS required, not offered"), "{error}");
}

#[tokio::test]
async fn each_mechanism_logs_in() {
    let master = Node::master("").await;
    let dir = tempfile::tempdir().unwrap();
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let conf = format!("{}force_sasl_client_mech: {mechanism}\n", follows(master.address));
        let mut client = Client::connect(&imapd(&dir, &conf)).await.unwrap();
        client.noop().await.unwrap();
        client.logout().await;
    }
}

/// What a client of ours says first to a server with this banner; nothing, if it goes away. And why it failed.
async fn first_words(banner: &str, conf: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let banner = format!("{banner}* OK MUPDATE \"m.example.org\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\n")
        .replace('\n', "\r\n");
    let server = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(banner.as_bytes()).await.unwrap();
        let mut words = vec![0; 200];
        let read = peer.read(&mut words).await.unwrap();
        words.truncate(read);
        String::from_utf8_lossy(&words).lines().next().unwrap_or_default().to_owned()
    });
    let dir = tempfile::tempdir().unwrap();
    let error = Client::connect(&imapd(&dir, &format!("{}{conf}", follows(address)))).await.err().unwrap();
    (server.await.unwrap(), error.to_string())
}

#[tokio::test]
async fn a_cyrus_master_is_spared_starttls_where_a_password_can_be_proven_without() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, _) = certificate(&dir, "127.0.0.1");
    let verifying = format!("tls_server_ca_file: {ca}\n");
    let plain_only = "* AUTH \"PLAIN\"\n* STARTTLS\n";
    let all = "* AUTH \"PLAIN\" \"SCRAM-SHA-256\"\n* STARTTLS\n";
    let starttls = "S01 STARTTLS";
    let table = [
        // Its mupdate would die of TLS; SCRAM does without.
        (all, verifying.clone(), "A01 AUTHENTICATE {13+}"),
        (&*format!("{all}* MURDER \"RESUME\"\n"), verifying.clone(), starttls),
        // A password is not told to whoever may be in the middle.
        (plain_only, verifying.clone(), starttls),
        (plain_only, "allowplaintext: no\n".into(), starttls),
        (plain_only, String::new(), "A01 AUTHENTICATE {5+}"),
        ("* AUTH \"PLAIN\"\n", "allowplaintext: no\n".into(), ""),
        // The banner of somebody in the middle: nothing is said.
        ("* AUTH \"PLAIN\"\n", verifying.clone(), ""),
        ("* AUTH \"PLAIN\" \"SCRAM-SHA-256\"\n* MURDER \"RESUME\"\n", verifying.clone(), ""),
        // By name, one way or the other.
        (all, format!("{verifying}mupdate_tls: yes\n"), starttls),
        ("* AUTH \"PLAIN\" \"SCRAM-SHA-256\"\n", "mupdate_tls: yes\n".into(), ""),
        ("* AUTH \"PLAIN\"\n", format!("{verifying}mupdate_tls: no\n"), "A01 AUTHENTICATE {5+}"),
    ];
    for (banner, conf, expected) in table {
        let (said, why) = first_words(banner, &conf).await;
        assert_eq!(said, expected, "{banner} {conf}: {why}");
        let refused = expected.is_empty() && !conf.contains("allowplaintext");
        assert_eq!(refused, why.contains("not used (set mupdate_tls: no to allow it)"), "{why}");
    }
}

#[tokio::test]
async fn a_slave_with_a_realm_logs_in_by_its_name_alone() {
    let master = Node::master("").await;
    master.client().await.reserve(&name("user.a"), &crate::world::at("be1!p")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let conf = follows(master.address);
        let realm = format!(
            "{conf}mupdate_realm: nodes.example\nforce_sasl_client_mech: {mechanism}\nallowplaintext: yes\n"
        );
        let mut client = Client::connect(&imapd(&dir, &realm)).await.unwrap();
        assert_eq!(client.list(None).await.unwrap().len(), 1);
    }
}

/// A MUPDATE server that offers three mechanisms and takes no login; it counts the attempts.
async fn takes_no_login() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            let mut peer = BufReader::new(peer);
            let banner = "* AUTH \"SCRAM-SHA-256\" \"SCRAM-SHA-1\" \"PLAIN\"\r\n\
                          * OK MUPDATE \"m.example.org\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";
            peer.get_mut().write_all(banner.as_bytes()).await.unwrap();
            let mut line = String::new();
            while peer.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(usize::from(line.contains("AUTHENTICATE")), Ordering::Relaxed);
                // Its words come as literals, each announced at the end of a line.
                if !line.ends_with("+}\r\n") {
                    let _ = peer.get_mut().write_all(b"A01 NO \"authentication failed\"\r\n").await;
                }
                line.clear();
            }
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_wrong_password_for_the_master_is_tried_once_and_called_so() {
    let (address, count) = takes_no_login().await;
    let dir = tempfile::tempdir().unwrap();
    let wrong = imapd(&dir, &follows(address));
    for _ in 0..3 {
        let error = Client::connect(&wrong).await.err().unwrap();
        assert!(matches!(error, Error::WrongPassword { .. }), "{error:?}");
        let said = format!("MUPDATE server {address}: wrong password for our login as frontend: ");
        assert!(error.to_string().starts_with(&said), "{error}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let another =
        imapd(&dir, &follows(address).replace("mupdate_password: frontend", "mupdate_password: other"));
    Client::connect(&another).await.err().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 2, "another password is tried at once");
}
