//! Logins with Kerberos tickets, of a realm that the test starts.

use std::path::Path;
use std::sync::Arc;

use config::imapd::Imapd;
use identity::auth::{Authenticator, Exchange, Failure, Login, Pace, Settings, Step};
use identity::passwords::PasswordDb;
use krb5::{Initiating, Library};
use protocol::gssapi::{Choice, Offer};
use protocol::spoken::Protocol;
use test_host::kdc::{self, Kdc};
use transport::peer::{Channel, Peer};
use transport::tls::TlsInfo;

/// Runs a test inside a realm, as its user `name`.
fn inside(test: &str, name: &str) -> bool {
    if kdc::inside().is_some() {
        return true;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(realm) = Kdc::start(&dir.path().join("realm")) else { return false };
    let test = format!("kerberos::{test}");
    let client = dir.path().join("client.keytab");
    realm.user(name);
    realm.client_keytab(&client, name);
    realm.keytab(&dir.path().join("server.keytab"), &["imap/be1.murder.test", "imap/imap.pool.murder.test"]);
    realm.keytab(&dir.path().join("other.keytab"), &["imap/be2.murder.test"]);
    let cache = dir.path().join("cache");
    let variables: [(&str, &Path); 3] =
        [("KRB5_CONFIG", &realm.config()), ("KRB5_CLIENT_KTNAME", &client), ("KRB5CCNAME", &cache)];
    kdc::run_inside(&test, dir.path(), &variables);
    false
}

fn clear() -> Channel {
    let any = "192.0.2.7:143".parse().unwrap();
    Channel::new(Peer::Tcp { remote: any, local: any })
}

fn imapd(lines: &str) -> Imapd {
    let dir = kdc::inside().unwrap();
    let text = format!(
        "configdirectory: /v\nsasl_keytab: {}\nunix_group_enable: no\nfailedloginpause: 0\n{lines}",
        dir.join("server.keytab").display()
    );
    Imapd::parse(Path::new("imapd.conf"), &text, "imap").unwrap()
}

fn server(lines: &str) -> Authenticator {
    let passwords = PasswordDb::new(kdc::inside().unwrap().join("passwords"));
    Authenticator::new(Settings::of(&imapd(lines), Protocol::Imap), passwords, Pace::default())
}

/// Up to the server's offer, with an initial response or without one.
async fn up_to_the_offer(
    auth: &Authenticator,
    host: &str,
    with_initial: bool,
) -> Result<(Exchange, Initiating), Failure> {
    let mut server = auth.start("gssapi", &clear())?;
    let mut client = Library::get().unwrap().initiate("imap", host).unwrap();
    let token = client.step(None).unwrap().token;
    if !with_initial {
        assert!(challenge(server.step(None).await)?.is_empty());
    }
    let answer = challenge(server.step(Some(&token)).await)?;
    assert!(client.step(Some(&answer)).unwrap().complete);
    let offer = challenge(server.step(Some(b"")).await)?;
    assert_eq!(Offer::parse(&client.unwrap(&offer).unwrap()), Ok(Offer::BARE), "no layer is offered");
    Ok((server, client))
}

fn challenge(step: Step) -> Result<Vec<u8>, Failure> {
    match step {
        Step::Challenge(challenge) => Ok(challenge),
        Step::Failed(failure) => Err(failure),
        Step::Done(login) => panic!("{login:?}"),
    }
}

async fn log_in(auth: &Authenticator, host: &str, authzid: Option<&str>) -> Result<Login, Failure> {
    let (mut server, mut client) = up_to_the_offer(auth, host, authzid.is_none()).await?;
    let choice = client.wrap(&Choice::bare(authzid).octets()).unwrap();
    match server.step(Some(&choice)).await {
        Step::Done(login) => Ok(login),
        Step::Failed(failure) => Err(failure),
        Step::Challenge(more) => panic!("{more:?}"),
    }
}

#[test]
fn a_ticket_for_any_name_of_this_server_logs_in_and_acts_for_whom_it_may() {
    if !inside("a_ticket_for_any_name_of_this_server_logs_in_and_acts_for_whom_it_may", "mailproxy") {
        return;
    }
    run(async {
        let auth = server("proxyservers: mailproxy\nadmins: cyrus\n");
        assert_eq!(auth.mechanisms(&clear())[0], "GSSAPI");
        for host in ["be1.murder.test", "imap.pool.murder.test"] {
            for (authzid, userid) in
                [(None, "mailproxy"), (Some("alice"), "alice"), (Some("mailproxy@MURDER.TEST"), "mailproxy")]
            {
                let login = log_in(&auth, host, authzid).await.unwrap();
                assert_eq!((login.authid.as_str(), login.userid.as_str()), ("mailproxy", userid));
                assert_eq!((login.proxy, login.mechanism.as_str()), (true, "GSSAPI"));
            }
        }
        assert!(log_in(&auth, "be1.murder.test", Some("cyrus")).await.unwrap().proxy_admin);
        let stranger = server("");
        assert!(log_in(&stranger, "be1.murder.test", None).await.is_ok());
        let refused = log_in(&stranger, "be1.murder.test", Some("alice")).await.unwrap_err();
        assert!(matches!(refused, Failure::NotAuthorized { .. }), "{refused:?}");
        let foreign = server("gssapi_realms: ELSEWHERE.TEST\n");
        let refused = log_in(&foreign, "be1.murder.test", None).await.unwrap_err().to_string();
        assert!(refused.contains("mailproxy@MURDER.TEST is nobody here"), "{refused}");
        let listed = server("gssapi_realms: ELSEWHERE.TEST\nloginrealms: MURDER.TEST\n");
        assert_eq!(log_in(&listed, "be1.murder.test", None).await.unwrap().userid, "mailproxy@murder.test");
    });
}

#[test]
fn whoever_does_not_keep_to_the_order_is_refused() {
    if !inside("whoever_does_not_keep_to_the_order_is_refused", "alice") {
        return;
    }
    run(async {
        let auth = server("");
        for hostile in [&b""[..], b"\x60", b"alice", &[0x60; 70_000]] {
            let mut server = auth.start("GSSAPI", &clear()).unwrap();
            assert!(challenge(server.step(Some(hostile)).await).is_err());
            assert!(challenge(server.step(Some(b"")).await).is_err(), "it is over");
        }
        let elsewhere = log_in(&auth, "be2.murder.test", None).await.unwrap_err();
        assert!(matches!(elsewhere, Failure::BadTicket(_)), "{elsewhere:?}");
        for choice in
            [&b"\x02\0\x10\0"[..], b"\x00\0\0\0", b"\x01", b"", b"\x01\0\0\0alice\0", b"\x01\0\0\0\xff"]
        {
            let (mut server, mut client) = up_to_the_offer(&auth, "be1.murder.test", true).await.unwrap();
            let choice = client.wrap(choice).unwrap();
            assert!(matches!(challenge(server.step(Some(&choice)).await), Err(Failure::Malformed(_))));
        }
        let (mut server, _) = up_to_the_offer(&auth, "be1.murder.test", true).await.unwrap();
        let bare = challenge(server.step(Some(b"\x01\0\0\0alice")).await).unwrap_err();
        assert!(matches!(bare, Failure::BadTicket(_)), "{bare:?}");
    });
}

#[test]
fn tickets_are_taken_only_where_there_is_a_keytab_and_no_layer_is_demanded() {
    if !inside("tickets_are_taken_only_where_there_is_a_keytab_and_no_layer_is_demanded", "alice") {
        return;
    }
    let offers = |lines: &str, channel: &Channel| {
        let offered = Settings::of(&imapd(lines), Protocol::Imap);
        let auth = Authenticator::new(offered, PasswordDb::new("/nowhere"), Pace::default());
        auth.mechanisms(channel).contains(&"GSSAPI")
    };
    let tls = Channel { tls: Some(Arc::new(TlsInfo::default())), ..clear() };
    assert!(offers("", &clear()) && offers("", &tls) && offers("sasl_mech_list: plain gssapi\n", &clear()));
    assert!(!offers("sasl_mech_list: PLAIN\n", &tls));
    for demand in ["sasl_minimum_layer: 1\n", "sasl_minimum_layer: 56\n", "tls_required: yes\n"] {
        assert!(!offers(demand, &clear()) && offers(demand, &tls), "{demand}");
    }
    let absent = "configdirectory: /v\nsasl_keytab: /nowhere/krb5.keytab\nsasl_mech_list: GSSAPI\n";
    let absent = Imapd::parse(Path::new("imapd.conf"), absent, "imap").unwrap();
    assert!(Settings::of(&absent, Protocol::Imap).tickets.is_none());
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work);
}
