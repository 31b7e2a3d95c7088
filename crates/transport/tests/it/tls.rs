//! Handshakes, reload, channel binding, certificates of clients, compression.

use std::fs;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use transport::peer::Peer;
use transport::stream::Stream;
use transport::tls::{ClientCertificates, ClientOptions, ClientTls, ServerOptions, ServerTls};
use transport::wire::{Bounds, Wire};

use crate::certificates::Authority;

async fn pair() -> (Stream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (Stream::tcp(client.unwrap()).unwrap(), Stream::tcp(server.unwrap().0).unwrap())
}

async fn shake(
    client: &ClientTls,
    server: &ServerTls,
    host: &str,
) -> (io::Result<Stream>, io::Result<Stream>) {
    let (mut near, mut far) = pair().await;
    let near = async {
        near.connect_tls(client, host).await?;
        near.write_all(b"x").await?;
        let mut byte = [0];
        near.read_exact(&mut byte).await?;
        Ok(near)
    };
    let far = async {
        far.start_tls(server).await?;
        let mut byte = [0];
        far.read_exact(&mut byte).await?;
        far.write_all(&byte).await?;
        far.flush().await?;
        Ok(far)
    };
    tokio::join!(near, far)
}

fn trusting(authority: &Authority) -> ClientOptions {
    ClientOptions { server_ca_file: Some(authority.ca()), ..ClientOptions::default() }
}

fn serving(authority: &Authority, name: &str) -> ServerOptions {
    let (cert, key) = authority.issue(name, name);
    ServerOptions { certificates: vec![cert], keys: vec![key], ..ServerOptions::default() }
}

#[tokio::test]
async fn both_sides_agree_on_the_channel_binding() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let server = ServerTls::new(&serving(&authority, "be1.example.org")).unwrap();
    let client = ClientTls::new(&trusting(&authority)).unwrap();
    assert!(client.verifies());
    let (near, far) = shake(&client, &server, "be1.example.org").await;
    let (near, far) = (near.unwrap(), far.unwrap());
    let binding = near.tls().unwrap().channel_binding.clone().unwrap();
    assert_eq!(binding.len(), 32);
    assert_eq!(Some(binding), far.tls().unwrap().channel_binding);
    assert_eq!(far.tls().unwrap().version, "TLSv1.3");
    assert_eq!(far.tls().unwrap().client_cn, None);
}

#[tokio::test]
async fn a_wrong_name_or_an_unknown_authority_is_refused_when_verifying() {
    let dir = tempfile::tempdir().unwrap();
    let other_dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let other = Authority::new(other_dir.path());
    let server = ServerTls::new(&serving(&authority, "be1.example.org")).unwrap();
    let client = ClientTls::new(&trusting(&authority)).unwrap();
    assert!(shake(&client, &server, "be2.example.org").await.0.is_err());
    let stranger = ClientTls::new(&trusting(&other)).unwrap();
    assert!(shake(&stranger, &server, "be1.example.org").await.0.is_err());
    let careless = ClientTls::new(&ClientOptions::default()).unwrap();
    assert!(!careless.verifies());
    assert!(shake(&careless, &server, "whatever").await.0.is_ok());
}

#[tokio::test]
async fn reload_serves_the_new_certificate_while_open_connections_live() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let options = serving(&authority, "old.example.org");
    let server = ServerTls::new(&options).unwrap();
    let client = ClientTls::new(&trusting(&authority)).unwrap();
    let (near, far) = shake(&client, &server, "old.example.org").await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());

    // The same files with a new certificate in them, as a renewal does it.
    let (cert, key) = authority.issue("new", "new.example.org");
    fs::copy(cert, &options.certificates[0]).unwrap();
    fs::copy(key, &options.keys[0]).unwrap();
    server.reload(&options).unwrap();
    assert!(shake(&client, &server, "new.example.org").await.1.is_ok());
    assert!(shake(&client, &server, "old.example.org").await.0.is_err());
    near.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");

    // A broken file keeps the one before.
    fs::write(&options.certificates[0], "no certificate").unwrap();
    let error = server.reload(&options).unwrap_err();
    assert!(error.to_string().contains("old.example.org.pem"), "{error}");
    assert!(shake(&client, &server, "new.example.org").await.1.is_ok());
}

#[tokio::test]
async fn a_clients_certificate_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let mut options = serving(&authority, "be1.example.org");
    options.client_ca_file = Some(authority.ca());
    options.client_certificates = ClientCertificates::Require;
    let server = ServerTls::new(&options).unwrap();
    let with = ClientOptions { certificate: Some(authority.issue("proxy", "proxy")), ..trusting(&authority) };
    let (_, far) = shake(&ClientTls::new(&with).unwrap(), &server, "be1.example.org").await;
    let far = far.unwrap();
    let tls = far.tls().unwrap();
    assert!(tls.client_certificate);
    assert_eq!(tls.client_cn.as_deref(), Some("proxy"));
    assert_eq!(tls.client_alt_names, ["proxy"]);
    let without = ClientTls::new(&trusting(&authority)).unwrap();
    assert!(shake(&without, &server, "be1.example.org").await.1.is_err());
    options.client_certificates = ClientCertificates::Optional;
    server.reload(&options).unwrap();
    assert!(shake(&without, &server, "be1.example.org").await.1.is_ok());
}

#[tokio::test]
async fn mismatched_keys_and_counts_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let mut options = serving(&authority, "a.example.org");
    let (second, second_key) = authority.issue("b", "b.example.org");
    options.certificates.push(second);
    assert!(ServerTls::new(&options).unwrap_err().to_string().contains("2 certificates for 1"));
    options.keys.insert(0, second_key);
    assert!(ServerTls::new(&options).unwrap_err().to_string().contains("do not fit"));
}

#[tokio::test]
async fn plaintext_pipelined_behind_starttls_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let server_tls = ServerTls::new(&serving(&authority, "be1.example.org")).unwrap();
    let client_tls = ClientTls::new(&trusting(&authority)).unwrap();
    let (mut near, far) = pair().await;
    let mut far = Wire::new(far, Bounds::default());
    near.write_all(b"STARTTLS\r\nINJECTED\r\n").await.unwrap();
    while far.input().len() < 20 {
        far.fill(Duration::from_secs(5)).await.unwrap();
    }
    far.output().extend_from_slice(b"OK\r\n");
    let near = async {
        let mut ok = [0; 4];
        near.read_exact(&mut ok).await.unwrap();
        near.connect_tls(&client_tls, "be1.example.org").await.unwrap();
        near.write_all(b"CLEAN\r\n").await.unwrap();
        near.flush().await.unwrap();
        near
    };
    let (shaken, _near) = tokio::join!(far.start_tls(&server_tls), near);
    shaken.unwrap();
    far.fill(Duration::from_secs(5)).await.unwrap();
    assert_eq!(&far.input()[..], b"CLEAN\r\n");
}

#[tokio::test]
async fn compression_passes_a_flush_at_once_and_large_data_whole() {
    let any = "127.0.0.1:1".parse().unwrap();
    let peer = Peer::Tcp { remote: any, local: any };
    let (a, b) = tokio::io::duplex(4096);
    let (mut near, mut far) = (Stream::memory(a, peer.clone()), Stream::memory(b, peer));
    near.compress().unwrap();
    far.compress().unwrap();
    assert!(near.compress().is_err());
    near.write_all(b"a NOOP\r\n").await.unwrap();
    near.flush().await.unwrap();
    let mut line = [0; 8];
    far.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"a NOOP\r\n");
    let large: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let sending = async {
        near.write_all(&large).await.unwrap();
        near.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, read) = tokio::join!(sending, far.read_to_end(&mut heard));
    read.unwrap();
    assert!(heard == large);
}

/// What a stream that compresses writes for a text; `ends`: and no more than that, ever.
async fn deflated(text: &[u8], ends: bool) -> Vec<u8> {
    let any = "127.0.0.1:1".parse().unwrap();
    let (a, mut raw) = tokio::io::duplex(4096);
    let mut near = Stream::memory(a, Peer::Tcp { remote: any, local: any });
    near.compress().unwrap();
    near.write_all(text).await.unwrap();
    if ends {
        near.shutdown().await.unwrap()
    } else {
        near.flush().await.unwrap()
    }
    drop(near);
    let mut bytes = Vec::new();
    raw.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn compression_ends_where_the_peer_has_flushed_wherever_its_bytes_are_cut() {
    let any = "127.0.0.1:1".parse().unwrap();
    let (line, plain) = (b"a UNAUTHENTICATE\r\n", b"b LOGIN fred secret\r\n");
    let bytes = deflated(line, false).await;
    for cut in 1..=bytes.len() {
        let (b, mut pipe) = tokio::io::duplex(4096);
        let mut far = Stream::memory(b, Peer::Tcp { remote: any, local: any });
        far.compress().unwrap();
        let mut heard = [0; 18];
        let (first, rest) = bytes.split_at(cut);
        pipe.write_all(first).await.unwrap();
        let reading = async { far.read_exact(&mut heard).await.map(drop) };
        let sending = async {
            tokio::task::yield_now().await;
            pipe.write_all(rest).await
        };
        let (read, sent) = tokio::join!(reading, sending);
        read.unwrap();
        sent.unwrap();
        assert_eq!(&heard, line);
        far.read_flush().await.unwrap();
        assert_eq!(&far.decompress()[..], b"", "cut at {cut}");
        pipe.write_all(plain).await.unwrap();
        let mut heard = [0; 21];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, plain, "cut at {cut}");
    }
    // One that has ended the stream, with what follows behind it at once.
    let (b, mut pipe) = tokio::io::duplex(4096);
    let mut far = Stream::memory(b, Peer::Tcp { remote: any, local: any });
    far.compress().unwrap();
    pipe.write_all(&[&deflated(line, true).await[..], plain].concat()).await.unwrap();
    let mut heard = [0; 18];
    far.read_exact(&mut heard).await.unwrap();
    far.read_flush().await.unwrap();
    assert_eq!(&far.decompress()[..], plain);
    // One that has compressed more.
    let (b, mut pipe) = tokio::io::duplex(4096);
    let mut far = Stream::memory(b, Peer::Tcp { remote: any, local: any });
    far.compress().unwrap();
    pipe.write_all(&deflated(&[&line[..], plain].concat(), false).await).await.unwrap();
    far.read_exact(&mut heard).await.unwrap();
    far.read_flush().await.unwrap_err();
}

#[tokio::test]
async fn a_large_message_passes_tls_whole_and_what_follows_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let server = ServerTls::new(&serving(&authority, "be1.example.org")).unwrap();
    let client = ClientTls::new(&trusting(&authority)).unwrap();
    let (near, far) = shake(&client, &server, "be1.example.org").await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for step in [16_384, 1000, 1 << 20] {
        let sending = async {
            for two in large.chunks(200_000) {
                let (one, other) = two.split_at(two.len() / 3);
                // Both at once, as far as they go.
                let slices = [io::IoSlice::new(one), io::IoSlice::new(other)];
                let written = far.write_vectored(&slices).await.unwrap();
                far.write_all(&two[written..]).await.unwrap();
            }
            far.flush().await.unwrap();
        };
        let reading = async {
            let (mut heard, mut piece) = (Vec::new(), vec![0; step]);
            while heard.len() < large.len() {
                let read = near.read(&mut piece).await.unwrap();
                assert_ne!(read, 0);
                heard.extend_from_slice(&piece[..read]);
            }
            heard
        };
        let (_, heard) = tokio::join!(sending, reading);
        assert!(heard == large, "read {step} at a time");
        near.write_all(b"a NOOP\r\n").await.unwrap();
        near.flush().await.unwrap();
        let mut line = [0; 8];
        far.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"a NOOP\r\n");
    }
}

#[tokio::test]
async fn two_sides_that_both_write_before_they_read_do_not_block_each_other() {
    let any = "127.0.0.1:1".parse().unwrap();
    let peer = Peer::Tcp { remote: any, local: any };
    let (a, b) = tokio::io::duplex(1024);
    let mut near = Wire::new(Stream::memory(a, peer.clone()), Bounds::default());
    let mut far = Wire::new(Stream::memory(b, peer), Bounds::default());
    near.output().extend_from_slice(&[1; 100_000]);
    far.output().extend_from_slice(&[2; 100_000]);
    let exchange = async |wire: &mut Wire| {
        wire.flush().await.unwrap();
        while wire.input().len() < 100_000 {
            wire.fill(Duration::from_secs(10)).await.unwrap();
        }
    };
    tokio::join!(exchange(&mut near), exchange(&mut far));
}

#[tokio::test]
async fn authorities_that_cannot_be_read_matter_only_where_certificates_are_required() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let mut options = serving(&authority, "be1.example.org");
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    options.client_ca_dir = Some(empty);
    options.client_certificates = ClientCertificates::Optional;
    let server = ServerTls::new(&options).unwrap();
    let client = ClientTls::new(&trusting(&authority)).unwrap();
    assert!(shake(&client, &server, "be1.example.org").await.1.is_ok());
    options.client_certificates = ClientCertificates::Require;
    assert!(
        ServerTls::new(&options).is_err_and(|why| why.to_string().contains("holds no usable CA certificate"))
    );
}
