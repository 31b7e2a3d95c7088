//! Up to the end of the login, with every line shown.

use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use identity::auth::client::Credentials;
use identity::demand::{self, Rule, Seen};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::{Duration, timeout},
};
use transport::stream::Stream;
use transport::tls::{ClientOptions, ClientTls};

use super::Cli;

pub(super) struct Tester<'a> {
    cli: &'a Cli,
    stream: Stream,
    input: BytesMut,
    host: String,
    mechanisms: Vec<String>,
    starttls: bool,
    compress: bool,
}

impl<'a> Tester<'a> {
    pub async fn connect(cli: &'a Cli) -> Result<Tester<'a>, String> {
        let host = cli.host.clone().unwrap_or_else(|| {
            service::complain!("WARNING: no hostname supplied, assuming localhost\n");
            "localhost".into()
        });
        let socket = cli.socket.as_ref().or(cli.socket_background.as_ref());
        let connecting = async {
            match socket {
                Some(path) => Stream::unix(UnixStream::connect(path).await?),
                None => {
                    let port = port(&cli.port).ok_or_else(|| std::io::Error::other("unknown port"))?;
                    Stream::tcp(TcpStream::connect((host.as_str(), port)).await?)
                }
            }
        };
        let connected = timeout(PATIENCE, connecting).await.map_err(|_| "connect: timed out".to_owned())?;
        let stream = connected.map_err(|e| format!("connect: {e}"))?;
        let input = BytesMut::new();
        let mut tester =
            Tester { cli, stream, input, host, mechanisms: Vec::new(), starttls: false, compress: false };
        tester.banner().await?;
        Ok(tester)
    }

    pub fn into_stream(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    /// STARTTLS and AUTHENTICATE as asked for. A refused login is told, and the talk goes on.
    pub async fn log_in(&mut self) -> Result<(), String> {
        if let Some(key) = &self.cli.tls {
            self.start_tls(key.into()).await?;
        }
        let credentials = self.credentials()?;
        let rule = Rule::by_hand(self.cli.mechanism.as_deref().is_some_and(demand::is_plain));
        let (chosen, withheld) = {
            let offered: Vec<&str> = self.mechanisms.iter().map(String::as_str).collect();
            let seen =
                Seen { starttls: self.starttls, mechanisms: &offered, preauth: false, cyrus_master: false };
            let channel = self.stream.channel();
            (rule.choose(&credentials, seen, channel), rule.withholds(&credentials, seen, channel))
        };
        match chosen {
            Some(mechanism) => self.authenticate(&credentials, mechanism).await?,
            None if withheld => {
                service::say!(
                    "Authentication failed. the password is not sent without TLS (-t \"\", or -m PLAIN)"
                );
            }
            None => service::say!("Authentication failed. no mechanism available"),
        }
        let strength = self.stream.tls().map_or(0, |_| 256);
        service::say!("Security strength factor: {strength}");
        if self.cli.compress {
            self.start_compression().await?;
        }
        Ok(())
    }

    async fn banner(&mut self) -> Result<(), String> {
        self.mechanisms.clear();
        self.starttls = false;
        loop {
            let line = self.server_line().await?;
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("* AUTH") {
                self.mechanisms =
                    line.split_whitespace().skip(2).map(|m| m.trim_matches('"').to_owned()).collect();
            }
            self.starttls |= upper.starts_with("* STARTTLS");
            self.compress |= upper.starts_with("* COMPRESS \"DEFLATE\"");
            if upper.starts_with("* OK") {
                return Ok(());
            }
            if upper.starts_with("* BYE") {
                return Err(line);
            }
        }
    }

    fn credentials(&self) -> Result<Credentials, String> {
        let user = std::env::var("USER").unwrap_or_default();
        let authname = self.cli.authname.clone().or_else(|| self.cli.username.clone()).unwrap_or(user);
        let authname = match &self.cli.realm {
            Some(realm) if !authname.contains('@') => format!("{authname}@{realm}"),
            _ => authname,
        };
        let external = self.cli.mechanism.as_deref().is_some_and(|m| m.eq_ignore_ascii_case("EXTERNAL"));
        let password = match &self.cli.password {
            Some(password) => Some(password.clone()),
            None if external => None,
            None => {
                let asked = rpassword::prompt_password("Please enter your password: ");
                Some(asked.map_err(|e| format!("password: {e}"))?)
            }
        };
        let authzid = self.cli.username.clone().filter(|name| *name != authname);
        let allowed = self.cli.mechanism.iter().cloned().collect();
        Ok(Credentials { authname, authzid, password, allowed, only_self: true, target: None })
    }

    async fn start_tls(&mut self, key: PathBuf) -> Result<(), String> {
        if !self.starttls {
            return Err("STARTTLS not supported by the server!".into());
        }
        self.client_line("S01 STARTTLS").await?;
        let answer = self.server_line().await?;
        if !answer.to_ascii_uppercase().starts_with("S01 OK") {
            return Err(answer);
        }
        let certificate = (!key.as_os_str().is_empty()).then(|| (key.clone(), key));
        let options = ClientOptions { certificate, ..ClientOptions::default() };
        let tls = ClientTls::new(&options).map_err(|e| e.to_string())?;
        let shaken = timeout(PATIENCE, self.stream.connect_tls(&tls, &self.host)).await;
        shaken.map_err(|_| "TLS: timed out".to_owned())?.map_err(|e| format!("TLS: {e}"))?;
        if self.cli.verbose {
            service::say!("TLS connection established: {:?}", self.stream.tls());
        }
        self.banner().await
    }

    async fn authenticate(
        &mut self,
        credentials: &Credentials,
        mechanism: &'static str,
    ) -> Result<(), String> {
        let mut exchange = credentials.start(mechanism, self.stream.channel()).map_err(|e| e.to_string())?;
        let mut first = exchange.initial().map_err(|e| e.to_string())?;
        let mut command = format!("A01 AUTHENTICATE \"{mechanism}\"");
        if let Some(initial) = first.take_if(|_| !self.cli.no_initial) {
            let initial = BASE64_STANDARD.encode(initial);
            command.push_str(&format!(" {{{}+}}\r\n{initial}", initial.len()));
        }
        self.client_line(&command).await?;
        loop {
            let line = self.server_line().await?;
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("A01 OK") {
                service::say!("Authenticated.");
                return Ok(());
            }
            if upper.starts_with("A01 ") {
                service::say!("Authentication failed. generic failure");
                return Ok(());
            }
            let challenge = BASE64_STANDARD.decode(line.trim()).map_err(|e| e.to_string())?;
            let answer = match first.take() {
                Some(initial) => initial,
                None => exchange.step(&challenge).map_err(|e| e.to_string())?,
            };
            self.client_line(&BASE64_STANDARD.encode(answer)).await?;
        }
    }

    async fn start_compression(&mut self) -> Result<(), String> {
        if !self.compress {
            return Err("COMPRESS not supported by the server!".into());
        }
        self.client_line("Z01 COMPRESS \"DEFLATE\"").await?;
        let answer = self.server_line().await?;
        if !answer.to_ascii_uppercase().starts_with("Z01 OK") {
            return Err(answer);
        }
        let ahead = std::mem::take(&mut self.input);
        self.stream.compress_after(ahead).map_err(|e| e.to_string())
    }

    async fn client_line(&mut self, line: &str) -> Result<(), String> {
        service::say!("C: {line}");
        let sent = self.stream.write_all(format!("{line}\r\n").as_bytes()).await;
        sent.and(self.stream.flush().await).map_err(|e| e.to_string())
    }

    async fn server_line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.input.iter().position(|&b| b == b'\n') {
                let line = self.input.split_to(end + 1);
                let line = String::from_utf8_lossy(protocol::frame::trim_line(&line)).into_owned();
                service::say!("S: {line}");
                return Ok(line);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
            if read.map_err(|_| "timed out".to_owned())?.map_err(|e| e.to_string())? == 0 {
                return Err("connection closed".into());
            }
        }
    }
}

/// A number, or a name that this program knows without /etc/services.
fn port(text: &str) -> Option<u16> {
    if text == "mupdate" { Some(3905) } else { text.parse().ok() }
}

const PATIENCE: Duration = Duration::from_secs(30);
