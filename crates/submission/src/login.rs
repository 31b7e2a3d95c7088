//! From a connection to a server that takes our mail: TLS where it is offered, a login where we have one. RFC 3207, RFC 4954.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::imapd::Imapd;
use identity::auth::client::Credentials;
use tokio::time::timeout;
use transport::resolve::Server;
use transport::stream::Stream;
use transport::tls::ClientTls;

use crate::SendError;
use crate::dialog::Dialog;
use crate::limits::{CHALLENGES, CONNECT};

/// Connects to the server of `smtp_host` and logs in: afterwards MAIL may be sent.
pub(crate) async fn connect(imapd: &Imapd, server: &str, name: &str) -> Result<Dialog<Stream>, SendError> {
    let target = Server::parse(server);
    let failed = |error| SendError::Connect { server: server.to_owned(), error };
    let late = || SendError::Late { server: server.to_owned(), doing: "connect", bound: CONNECT };
    let connected = timeout(CONNECT, target.connect(imapd, "submission")).await;
    let mut stream = connected.map_err(|_| late())?.map_err(failed)?;
    if target.tls {
        secure(&mut stream, imapd, server, &target).await?;
    }
    let private = is_private(&stream);
    let mut dialog = Dialog::new(stream, server, private);
    dialog.open(name).await?;
    if !dialog.io.channel().is_encrypted() && dialog.offer("STARTTLS").is_some() {
        start_tls(&mut dialog, imapd, server, &target, name).await?;
    }
    if let Some(password) = &imapd.smtp_auth_password
        && let Some(authname) = &imapd.smtp_auth_authname
        && !target.noauth
    {
        let credentials = Credentials {
            authname: authname.clone(),
            authzid: None,
            password: Some(password.clone()),
            allowed: Vec::new(),
            only_self: true,
            target: None,
        };
        log_in(&mut dialog, &credentials).await?;
    }
    Ok(dialog)
}

async fn start_tls(
    dialog: &mut Dialog<Stream>,
    imapd: &Imapd,
    server: &str,
    target: &Server,
    name: &str,
) -> Result<(), SendError> {
    let answer = dialog.ask("STARTTLS", "STARTTLS").await?;
    if answer.code != 220 {
        return Err(SendError::refused(server, "STARTTLS", &answer));
    }
    if dialog.is_ahead() {
        // It was not protected: somebody wants it believed later.
        let text = "text before the TLS handshake".to_owned();
        return Err(SendError::Tls { server: server.to_owned(), text });
    }
    secure(&mut dialog.io, imapd, server, target).await?;
    dialog.private = is_private(&dialog.io);
    dialog.hello(name).await
}

async fn secure(stream: &mut Stream, imapd: &Imapd, server: &str, target: &Server) -> Result<(), SendError> {
    let failed = |text: String| SendError::Tls { server: server.to_owned(), text };
    let options = transport::settings::client_tls(imapd, server);
    let read = tokio::task::spawn_blocking(move || ClientTls::new(&options)).await;
    let tls = read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    match timeout(CONNECT, stream.connect_tls(&tls, target.host())).await {
        Ok(done) => done.map_err(|error| failed(error.to_string())),
        Err(_) => Err(SendError::Late { server: server.to_owned(), doing: "TLS", bound: CONNECT }),
    }
}

/// A password goes only where nobody listens; what proves it without showing it goes anywhere.
async fn log_in(dialog: &mut Dialog<Stream>, credentials: &Credentials) -> Result<(), SendError> {
    let server = dialog.server.clone();
    let failed = |text: String| SendError::Login { server: server.clone(), text };
    let offered: Vec<&str> = dialog.offer("AUTH").unwrap_or_default().split_ascii_whitespace().collect();
    let shows = |name: &str| name.eq_ignore_ascii_case("PLAIN") || name.eq_ignore_ascii_case("LOGIN");
    let usable = offered.iter().copied().filter(|name| dialog.private || !shows(name));
    let channel = dialog.io.channel().clone();
    let Some(mechanism) = credentials.choose(usable, &channel) else {
        let why = if dialog.private { "" } else { ", without TLS" };
        return Err(failed(format!(
            "none of the mechanisms that are offered{why} ({}) can be used",
            offered.join(" ")
        )));
    };
    let mut exchange = credentials.start(mechanism, &channel).map_err(|error| failed(error.to_string()))?;
    let line = match exchange.initial().map_err(|error| failed(error.to_string()))? {
        Some(first) if first.is_empty() => format!("AUTH {mechanism} ="),
        Some(first) => format!("AUTH {mechanism} {}", BASE64_STANDARD.encode(first)),
        None => format!("AUTH {mechanism}"),
    };
    let mut answer = dialog.ask(&line, "AUTH").await?;
    for _ in 0..CHALLENGES {
        let text = answer.lines.last().cloned().unwrap_or_default();
        match answer.code {
            235 => return exchange.succeeded(None).map_err(|error| failed(error.to_string())),
            334 => {}
            code => return Err(failed(format!("{code} {text} (see smtp_auth_authname)"))),
        }
        let challenge = BASE64_STANDARD.decode(text.trim()).map_err(|error| failed(error.to_string()))?;
        let stepped = exchange.step_aside(challenge).await.map_err(|error| failed(error.to_string()))?;
        exchange = stepped.0;
        answer = dialog.ask(&BASE64_STANDARD.encode(stepped.1), "AUTH").await?;
    }
    Err(failed("challenges without end".to_owned()))
}

fn is_private(stream: &Stream) -> bool {
    stream.channel().is_encrypted() || stream.peer().is_local()
}
