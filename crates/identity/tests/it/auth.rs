//! Exchanges between our client and our server.

use std::sync::Arc;
use std::time::Duration;

use identity::auth::client::Credentials;
use identity::auth::{Authenticator, Failure, Login, Pace, Settings, Step, Step64};
use identity::passwords::PasswordDb;
use transport::peer::{Channel, Peer};
use transport::tls::TlsInfo;

fn clear() -> Channel {
    let any = "192.0.2.7:143".parse().unwrap();
    Channel::new(Peer::Tcp { remote: any, local: any })
}

fn tls() -> Channel {
    let info = TlsInfo { channel_binding: Some(vec![7; 32]), ..TlsInfo::default() };
    Channel { tls: Some(Arc::new(info)), ..clear() }
}

fn settings() -> Settings {
    Settings {
        admins: vec!["cyrus".into()],
        proxyservers: vec!["proxy".into()],
        failed_pause: Duration::ZERO,
        unix_groups: false,
        ..Settings::default()
    }
}

fn server(settings: Settings) -> (Authenticator, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let passwords = PasswordDb::new(dir.path().join("passwords"));
    for (user, password) in [("fred", "secret"), ("proxy", "pr0xy"), ("a,b=c", "odd")] {
        passwords.set(user, password).unwrap();
    }
    (Authenticator::new(settings, passwords, Pace::default()), dir)
}

fn credentials(authname: &str, authzid: Option<&str>, password: &str) -> Credentials {
    Credentials {
        authname: authname.into(),
        authzid: authzid.map(Into::into),
        password: Some(password.into()),
        allowed: Vec::new(),
        only_self: false,
        target: None,
    }
}

/// Plays an exchange to its end; with and without an initial response.
async fn play(
    auth: &Authenticator,
    credentials: &Credentials,
    mechanism: &'static str,
    channel: &Channel,
    with_initial: bool,
) -> Result<Login, Failure> {
    let mut server = auth.start(mechanism, channel)?;
    let mut client = credentials.start(mechanism, channel).unwrap();
    let initial = client.initial().unwrap().unwrap();
    let mut step = if with_initial {
        server.step(Some(&initial)).await
    } else {
        match server.step(None).await {
            Step::Challenge(empty) => assert!(empty.is_empty()),
            other => panic!("{other:?}"),
        }
        server.step(Some(&initial)).await
    };
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                // A server's proof that fails ends the exchange on the client's side too.
                let answer =
                    client.step(&challenge).map_err(|error| Failure::Malformed(error.to_string()))?;
                server.step(Some(&answer)).await
            }
            Step::Done(login) => {
                client.succeeded(None).unwrap();
                return Ok(login);
            }
            Step::Failed(failure) => return Err(failure),
        };
    }
}

#[tokio::test]
async fn every_mechanism_logs_in_as_oneself_and_as_another() {
    let mech_list = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"];
    let listed = Settings { mech_list: mech_list.map(Into::into).to_vec(), ..settings() };
    let (auth, _dir) = server(listed);
    assert_eq!(auth.mechanisms(&tls()), mech_list);
    for mechanism in mech_list {
        let mut fred = credentials("fred", None, "secret");
        let mut proxy = credentials("proxy", Some("fred"), "pr0xy");
        fred.allowed = vec![mechanism.into()];
        proxy.allowed = vec![mechanism.into()];
        for initial in [true, false] {
            let login = play(&auth, &fred, mechanism, &tls(), initial).await.unwrap();
            assert_eq!((login.authid.as_str(), login.userid.as_str()), ("fred", "fred"), "{mechanism}");
            let login = play(&auth, &proxy, mechanism, &tls(), initial).await.unwrap();
            assert_eq!((login.authid.as_str(), login.userid.as_str()), ("proxy", "fred"), "{mechanism}");
            assert_eq!(login.mechanism, mechanism);
        }
    }
}

#[tokio::test]
async fn nobody_in_particular_may_log_in_only_where_that_is_allowed() {
    let (auth, _dir) = server(Settings { anonymous: true, ..settings() });
    let login = auth.login("Anonymous", b"me@example.org", &clear()).await.unwrap();
    assert_eq!((login.userid.as_str(), login.admin), ("anonymous", false));
    let (auth, _dir) = server(Settings { anonymous: true, tls_required: true, ..settings() });
    assert!(auth.login("anonymous", b"", &clear()).await.is_err());
    assert!(auth.login("anonymous", b"", &tls()).await.is_ok());
    let auth = server(Settings { anonymous: true, admins: vec!["anonymous".into()], ..settings() }).0;
    assert!(!auth.login("anonymous", b"", &clear()).await.unwrap().admin);
    let (auth, _dir) = server(Settings { admins: vec!["anonymous".into()], ..settings() });
    assert_eq!(auth.login("anonymous", b"", &tls()).await, Err(Failure::BadCredentials));
}

#[tokio::test]
async fn wrong_passwords_unknown_users_and_unallowed_identities_are_refused() {
    let (auth, _dir) = server(settings());
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"] {
        let refused = async |authname, authzid, password| {
            play(&auth, &credentials(authname, authzid, password), mechanism, &tls(), true).await.unwrap_err()
        };
        assert_eq!(refused("fred", None, "wrong").await, Failure::BadCredentials, "{mechanism}");
        assert_eq!(refused("nobody", None, "secret").await, Failure::BadCredentials, "{mechanism}");
        assert!(matches!(refused("fred", Some("jim"), "secret").await, Failure::NotAuthorized { .. }));
        assert!(matches!(refused("fred", Some("cyrus"), "secret").await, Failure::NotAuthorized { .. }));
    }
}

#[tokio::test]
async fn a_proxied_admin_is_a_proxy_admin_only() {
    let (auth, _dir) = server(settings());
    let login =
        play(&auth, &credentials("proxy", Some("cyrus"), "pr0xy"), "PLAIN", &tls(), true).await.unwrap();
    assert!(login.proxy_admin && !login.admin && login.is_any_admin());
}

#[tokio::test]
async fn names_that_scram_escapes_are_found() {
    let (auth, _dir) = server(settings());
    let odd = credentials("a,b=c", None, "odd");
    assert_eq!(play(&auth, &odd, "SCRAM-SHA-256", &clear(), true).await.unwrap().userid, "a,b=c");
}

#[tokio::test]
async fn an_unknown_user_looks_like_a_known_one_in_scram() {
    let (auth, _dir) = server(settings());
    let first_answer = async |user: &str| {
        let mut exchange = auth.start("scram-sha-256", &clear()).unwrap();
        match exchange.step(Some(format!("n,,n={user},r=abc").as_bytes())).await {
            Step::Challenge(challenge) => {
                let text = String::from_utf8(challenge).unwrap();
                text.split(',').skip(1).map(str::to_owned).collect::<Vec<_>>().join(",")
            }
            other => panic!("{other:?}"),
        }
    };
    let (unknown, again, known) =
        (first_answer("nobody").await, first_answer("nobody").await, first_answer("fred").await);
    assert_eq!(unknown, again);
    assert_eq!(unknown.len(), known.len());
    assert!(unknown.ends_with("i=10000"), "{unknown}");
}

#[tokio::test]
async fn plaintext_needs_tls() {
    let (auth, _dir) = server(settings());
    assert!(!auth.allows_plaintext(&clear()));
    assert_eq!(auth.login("fred", b"secret", &clear()).await, Err(Failure::PlaintextRefused));
    assert!(matches!(auth.start("PLAIN", &clear()), Err(Failure::PlaintextRefused)));
    assert!(matches!(auth.start("ANONYMOUS", &tls()), Err(Failure::NoMechanism(_))));
    assert_eq!(auth.login("Fred", b"secret", &tls()).await.unwrap().userid, "fred");
    assert_eq!(auth.login("fred", b"Secret", &tls()).await, Err(Failure::BadCredentials));
    // Twice: the second comes from the cache of verified passwords, and must not verify others.
    assert!(auth.login("fred", b"secret", &tls()).await.is_ok());
    assert_eq!(auth.login("proxy", b"secret", &tls()).await, Err(Failure::BadCredentials));
}

#[tokio::test]
async fn login_mechanism_works_with_and_without_initial_response() {
    let (auth, _dir) = server(settings());
    for initial in [None, Some(&b"ZnJlZA=="[..])] {
        let mut exchange = auth.start("LOGIN", &tls()).unwrap();
        let mut step = exchange.step64(initial).await;
        if initial.is_none() {
            assert!(matches!(&step, Step64::Challenge(prompt) if prompt == "VXNlcm5hbWU6"), "{step:?}");
            step = exchange.step64(Some(b"ZnJlZA==")).await;
        }
        assert!(matches!(&step, Step64::Challenge(prompt) if prompt == "UGFzc3dvcmQ6"), "{step:?}");
        let step = exchange.step64(Some(b"c2VjcmV0")).await;
        assert!(matches!(&step, Step64::Done(login) if login.userid == "fred"), "{step:?}");
    }
}

#[tokio::test]
async fn nonsense_ends_an_exchange_without_harm() {
    let (auth, _dir) = server(settings());
    let nonsense: &[&[u8]] = &[
        b"",
        b"\0",
        b"\0\0\0",
        b"\0fred\0",
        b"\xff\0\xff\0\xff",
        b"n,,",
        b"n,,n=,r=",
        b"p=x,,n=f,r=1",
        b"a\0b\0c\0d",
    ];
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"] {
        for message in nonsense {
            let mut exchange = auth.start(mechanism, &tls()).unwrap();
            for _ in 0..4 {
                assert!(
                    !matches!(exchange.step(Some(message)).await, Step::Done(_)),
                    "{mechanism} {message:?}"
                );
            }
        }
    }
    let mut exchange = auth.start("PLAIN", &tls()).unwrap();
    assert!(matches!(exchange.step64(Some(b"*")).await, Step64::Failed(Failure::Cancelled)));
    let mut exchange = auth.start("PLAIN", &tls()).unwrap();
    assert!(matches!(exchange.step64(Some(b"!!")).await, Step64::Failed(Failure::Malformed(_))));
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_cannot_pass_for_ours() {
    let (auth, _dir) = server(settings());
    let mut exchange = auth.start("SCRAM-SHA-256", &clear()).unwrap();
    let mut client = credentials("fred", None, "other").start("SCRAM-SHA-256", &clear()).unwrap();
    let first = client.initial().unwrap().unwrap();
    let Step::Challenge(challenge) = exchange.step(Some(&first)).await else { panic!() };
    client.step(&challenge).unwrap();
    // It says OK without a proof.
    assert!(client.succeeded(None).is_err());
}

#[tokio::test]
async fn the_client_takes_the_best_that_carries_another_identity() {
    let fred = credentials("fred", None, "secret");
    let offered = ["LOGIN", "plain", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "GSSAPI"];
    assert_eq!(fred.choose(offered, &tls()), Some("SCRAM-SHA-256"));
    assert_eq!(fred.choose(["LOGIN", "PLAIN"], &clear()), Some("PLAIN"));
    assert_eq!(fred.choose(["LOGIN"], &clear()), None);
    let only = Credentials { allowed: vec!["plain".into(), "digest-md5".into()], ..fred.clone() };
    assert_eq!(only.choose(offered, &tls()), Some("PLAIN"));
    let login = Credentials { allowed: vec!["LOGIN".into()], ..fred.clone() };
    assert_eq!(login.choose(["LOGIN"], &clear()), None, "it would drop whom we act for");
    let oneself = Credentials { only_self: true, ..login };
    assert_eq!(oneself.choose(["LOGIN"], &clear()), Some("LOGIN"));
    let bound = Credentials { allowed: vec!["SCRAM-SHA-256-PLUS".into()], ..fred };
    assert_eq!(bound.choose(offered, &tls()), Some("SCRAM-SHA-256-PLUS"));
    assert_eq!(bound.choose(offered, &clear()), None);
}

/// A saslauthd that accepts `letmein` from anybody, so many times.
fn saslauthd(path: &std::path::Path, answers: usize) {
    use std::io::{Read, Write};
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for _ in 0..answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut fields = Vec::new();
            for _ in 0..4 {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut field = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut field).unwrap();
                fields.push(field);
            }
            let answer: &[u8] = if fields[1] == b"letmein" { b"\0\x02OK" } else { b"\0\x02NO" };
            stream.write_all(answer).unwrap();
        }
    });
}

#[tokio::test]
async fn saslauthd_is_asked_and_its_passwords_move_over_if_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mux = dir.path().join("mux");
    saslauthd(&mux, 2);
    let asking = Settings { saslauthd: Some(mux), auto_transition: true, ..settings() };
    let (auth, _dir) = server(asking);
    assert_eq!(auth.login("jim", b"wrong", &tls()).await, Err(Failure::BadCredentials));
    assert_eq!(auth.login("jim", b"letmein", &tls()).await.unwrap().userid, "jim");
    // Two answers were given, so this one is from our own database, and by SCRAM.
    let jim = credentials("jim", None, "letmein");
    assert_eq!(play(&auth, &jim, "SCRAM-SHA-256", &clear(), true).await.unwrap().userid, "jim");
}

#[tokio::test]
async fn an_absent_saslauthd_is_a_temporary_failure() {
    let asking = Settings { saslauthd: Some("/nonexistent/mux".into()), auxprop: false, ..settings() };
    let (auth, _dir) = server(asking);
    assert!(matches!(auth.login("jim", b"letmein", &tls()).await, Err(Failure::Temporary(_))));
}

#[tokio::test(start_paused = true)]
async fn guesses_by_any_mechanism_are_checked_one_after_the_other() {
    let slow = Settings { failed_pause: Duration::from_secs(3), ..settings() };
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let (auth, _dir) = server(slow.clone());
        let mut guesses = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let auth = auth.clone();
            let guess = async move {
                play(&auth, &credentials("fred", None, "wrong"), mechanism, &tls(), true).await
            };
            guesses.spawn(guess);
        }
        let outcomes = guesses.join_all().await;
        let unchecked =
            outcomes.iter().filter(|outcome| matches!(outcome, Err(Failure::Temporary(_)))).count();
        assert!(
            (55..60).contains(&unchecked),
            "{mechanism}: {unchecked} of 60 were not looked at in half a minute"
        );
        assert!(outcomes.iter().all(Result::is_err));
    }
}

/// A client's end and the server's.
async fn connected() -> (tokio::net::TcpStream, transport::stream::Stream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, transport::stream::Stream::tcp(listener.accept().await.unwrap().0).unwrap())
}

#[tokio::test]
async fn a_delayed_login_ends_when_the_client_hangs_up() {
    use tokio::io::AsyncWriteExt;
    let slow = Settings { failed_pause: Duration::from_secs(25), allowplaintext: true, ..settings() };
    let (auth, _dir) = server(slow);
    let (client, stream) = connected().await;
    assert_eq!(auth.login("fred", b"wrong", stream.channel()).await, Err(Failure::BadCredentials));
    drop(client);
    let (mut client, stream) = connected().await;
    // What it sent on ahead and nobody has read is no matter.
    client.write_all(b"a2 NOOP\r\n").await.unwrap();
    let channel = stream.channel().clone();
    let login = stream.attend(auth.login("fred", b"secret", &channel));
    let (outcome, ()) = tokio::join!(login, async { drop(client) });
    assert_eq!(outcome, Err(Failure::Cancelled));
}

#[tokio::test]
async fn a_certificate_says_who_one_is_by_its_common_name_and_by_nothing_else() {
    let shown = |cn: Option<&str>| {
        let info = TlsInfo {
            client_certificate: true,
            client_cn: cn.map(str::to_owned),
            client_alt_names: vec!["jane".into()],
            ..TlsInfo::default()
        };
        Channel { tls: Some(Arc::new(info)), ..clear() }
    };
    let login = async |settings: Settings, cn: Option<&str>| {
        let (auth, _dir) = server(settings);
        match auth.start("EXTERNAL", &shown(cn)).unwrap().step(Some(b"")).await {
            Step::Done(login) => Some(login.userid),
            Step::Failed(_) => None,
            Step::Challenge(_) => panic!(),
        }
    };
    assert_eq!(login(settings(), Some("fred")).await.as_deref(), Some("fred"));
    assert_eq!(login(settings(), None).await, None);
    let altname = Settings { external_altname: true, ..settings() };
    assert_eq!(login(altname.clone(), None).await.as_deref(), Some("jane"));
    assert_eq!(login(altname, Some("fred")).await.as_deref(), Some("fred"));
    // One for bob+x is not one for bob, though a login by password may name a folder so.
    let plus = Settings { plus_detail: true, ..settings() };
    assert_eq!(login(plus, Some("bob+x")).await, None);
}

#[tokio::test]
async fn a_name_with_the_internal_sign_for_a_dot_is_nobody() {
    let (auth, _dir) = server(Settings { alwaystrue: true, ..settings() });
    assert_eq!(auth.login("a.b", b"x", &tls()).await.unwrap().userid, "a.b");
    for name in ["a^b", "bob+x"] {
        assert_eq!(auth.login(name, b"x", &tls()).await, Err(Failure::BadCredentials), "{name}");
    }
    let plus = Settings { alwaystrue: true, plus_detail: true, ..settings() };
    let login = server(plus).0.login("bob+x", b"x", &tls()).await.unwrap();
    assert_eq!((login.userid.as_str(), login.detail.as_deref()), ("bob", Some("x")));
}
