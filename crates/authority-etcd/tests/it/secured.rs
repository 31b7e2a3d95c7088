//! An etcd that is asked with TLS alone, and lets in whoever has a certificate, and a password of a user who may do little.

use std::path::Path;

use authority_etcd::{Etcd, Settings, Trouble, admin::Admin};
use serde_json::json;

use crate::clauses::name;
use crate::cluster::Cluster;
use crate::masters::claim;
use crate::several;

/// A certificate that nobody else has signed, and its key.
fn certificate(directory: &Path, whose: &str) -> (String, String) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, whose);
    let (cert, key) = (directory.join(format!("{whose}.pem")), directory.join(format!("{whose}.key")));
    std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    (cert.display().to_string(), key.display().to_string())
}

struct Secured {
    cluster: Cluster,
    /// As they are to be.
    settings: Settings,
    /// An authority that has signed nobody here.
    stranger: String,
    _directory: tempfile::TempDir,
}

async fn secured() -> Option<Secured> {
    let directory = tempfile::tempdir().unwrap();
    let (ours, ours_key) = certificate(directory.path(), "etcd");
    let (cert, key) = certificate(directory.path(), "somebody");
    let (stranger, _) = certificate(directory.path(), "stranger");
    let trusted = directory.path().join("trusted.pem").display().to_string();
    let both = [&ours, &cert].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&trusted, both.concat()).unwrap();
    let port = test_host::port();
    let arguments =
        ["--cert-file", &ours, "--key-file", &ours_key, "--trusted-ca-file", &trusted, "--client-cert-auth"];
    let cluster = Cluster::secured(port, &arguments).await?;
    let settings = Settings {
        endpoints: vec![format!("https://127.0.0.1:{port}")],
        ca_file: Some(ours),
        cert_file: Some(cert),
        key_file: Some(key),
        user: Some(("master".into(), "secret".into())),
        ..cluster.settings("m1", "murder/", 120)
    };
    // From "murder/" to "murder0".
    let perm = json!({"permType": "READWRITE", "key": "bXVyZGVyLw==", "range_end": "bXVyZGVyMA=="});
    for (what, question) in [
        ("user/add", json!({"name": "root", "password": "root"})),
        ("role/add", json!({"name": "root"})),
        ("user/grant", json!({"user": "root", "role": "root"})),
        ("user/add", json!({"name": "master", "password": "secret"})),
        ("role/add", json!({"name": "murder"})),
        ("role/grant", json!({"name": "murder", "perm": perm})),
        ("user/grant", json!({"user": "master", "role": "murder"})),
        ("enable", json!({})),
    ] {
        cluster.ask(&format!("auth/{what}"), question).await;
    }
    Some(Secured { cluster, settings, stranger, _directory: directory })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_goes_on_by_tls_and_a_login_limited_to_its_prefix_also_after_etcd_has_forgotten_the_login() {
    let Some(mut rig) = secured().await else { return };
    Admin::new(&rig.settings).unwrap().create().await.unwrap();
    let etcd = Etcd::open(&rig.settings).await.unwrap();
    let list = several::list(etcd.clone()).await;
    let shown = list.clone();
    etcd.keep_house("m1:3905".into(), move || shown.position());
    list.commit(vec![claim("user.a", "be1!p")]).await.unwrap();
    list.barrier().await.unwrap();
    // Tokens are in the member's memory alone.
    rig.cluster.kill(0);
    rig.cluster.run(0);
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(100));
    let began = std::time::Instant::now();
    while list.commit(vec![claim("user.b", "be1!p")]).await.is_err() {
        assert!(began.elapsed().as_secs() < 20, "no change is taken any more");
        tries.tick().await;
    }
    list.barrier().await.unwrap();
    assert!(list.get(&name("user.b")).unwrap().is_some());
    let masters = Admin::new(&rig.settings).unwrap().masters().await.unwrap();
    assert_eq!(masters.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_told_by_name_what_of_its_way_to_etcd_is_wrong() {
    let Some(rig) = secured().await else { return };
    let open = async |change: &dyn Fn(&mut Settings)| {
        let mut settings = rig.settings.clone();
        change(&mut settings);
        match Admin::new(&settings) {
            Ok(admin) => admin.create().await.unwrap_err(),
            Err(trouble) => trouble,
        }
    };
    let refused = |trouble: Trouble, text: &str| {
        assert!(matches!(&trouble, Trouble::Refused(why) if why.contains(text)), "{trouble:?}");
    };
    refused(open(&|s| s.user = Some(("master".into(), "wrong".into()))).await, "authentication failed");
    refused(open(&|s| s.user = None).await, "permission denied");
    refused(open(&|s| s.prefix = "other/".into()).await, "permission denied");
    for trouble in [
        open(&|s| s.ca_file = Some(rig.stranger.clone())).await,
        open(&|s| (s.cert_file, s.key_file) = (None, None)).await,
    ] {
        assert!(matches!(trouble, Trouble::Unreachable(_)), "{trouble:?}");
    }
    let trouble = open(&|s| s.ca_file = Some("/nowhere/ca.pem".into())).await;
    assert!(trouble.to_string().contains("etcd_ca_file: /nowhere/ca.pem"), "{trouble}");
}
