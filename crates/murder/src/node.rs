//! This node, as a command of the operator finds it: its imapd.conf, and its daemons behind their sockets.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use config::cyrus::Listen;
use config::imapd::Imapd;
use config::ports::Ports;
use directory::client::Client;

/// Loads imapd.conf, becomes the owner of configdirectory where it is root, and does something with it in a runtime. 78 for a
/// wrong configuration.
pub fn with_node(path: &Path, ask: impl AsyncFnOnce(Imapd) -> ExitCode) -> ExitCode {
    let imapd = match Imapd::load(path, "murder") {
        Ok(imapd) => imapd,
        Err(problems) => {
            service::complain!("{problems}");
            return ExitCode::from(config::EX_CONFIG);
        }
    };
    if let Err(error) = files::become_owner(Path::new(&imapd.configdirectory)) {
        service::complain!("murder: {error}");
        return ExitCode::FAILURE;
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(ask(imapd)),
        Err(error) => {
            service::complain!("murder: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The master's list, with the right to change it: its own socket on its host, a login elsewhere.
pub async fn master(imapd: &Imapd) -> Result<Client, String> {
    let client = match imapd.mupdate_server {
        Some(_) => Client::connect(imapd).await,
        None => Client::local(&imapd.program_directory("mupdate").join("socket")).await,
    };
    client.map_err(|error| match imapd.mupdate_server {
        Some(_) => error.to_string(),
        None => format!("{error} (mupdate_server is not set: this would be the MUPDATE master, running)"),
    })
}

/// For how many seconds this node has wanted no new clients (`murder drain`); none if it takes them.
pub fn draining(imapd: &Imapd) -> Option<u64> {
    let since = std::fs::metadata(Path::new(&imapd.configdirectory).join(DRAIN)).ok()?.modified().ok()?;
    Some(since.elapsed().map_or(0, |ago| ago.as_secs()))
}

/// The programs of this node that have a directory of their own, with its path.
pub fn programs(imapd: &Imapd) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(Path::new(&imapd.configdirectory).join("murder")).into_iter().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    found.sort();
    found
}

/// Asks each running daemon of this node; those that do not run are left out, those that do not answer are told.
pub fn ask_daemons(imapd: &Imapd, method: &str, path: &str, body: &str) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for (program, directory) in programs(imapd) {
        match request(&directory.join("metrics.sock"), method, path, body) {
            Ok(answer) => answers.push((program, answer)),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => service::complain!("murder: {program} does not answer: {error}"),
        }
    }
    answers
}

/// Has the daemons of this node close what they keep for a user's next session, as far as they can be asked: it waits for a minute
/// at most.
pub fn release(imapd: &Imapd, user: &str) {
    for (_, directory) in programs(imapd) {
        let _ = request(&directory.join("metrics.sock"), "POST", "/release", user);
    }
}

/// One request to a daemon's own socket: the body of its answer.
fn request(socket: &Path, method: &str, path: &str, body: &str) -> io::Result<String> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    request_over(stream, method, path, body)
}

fn request_over(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> io::Result<String> {
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    match head.starts_with("HTTP/1.1 200") {
        true => Ok(body.to_owned()),
        false => Err(io::Error::other(body.trim().to_owned())),
    }
}

/// The services that this node's `master` has given up, where `status_listen` lets one ask it; none where nothing answers there.
pub fn given_up(imapd: &Imapd) -> Vec<String> {
    let Some(board) = imapd.status_listen.as_deref().and_then(|address| board(address).ok()) else {
        return Vec::new();
    };
    let processes = board["processes"].as_array().into_iter().flatten();
    let disabled = processes.filter(|process| process["state"] == "disabled");
    disabled.filter_map(|process| process["name"].as_str().map(str::to_owned)).collect()
}

/// What `master` shows on its status page.
fn board(address: &str) -> io::Result<serde_json::Value> {
    let Ok(Listen::Inet { host, port }) = Listen::parse(address) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let port = Ports::read().find(&port, "tcp").ok_or(io::ErrorKind::InvalidInput)?;
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let mut last = io::ErrorKind::NotFound.into();
    let found = match (host.as_str(), port).to_socket_addrs() {
        Ok(found) => found.collect(),
        // As master listens there, whether or not the host's files know the name.
        Err(_) if host == "localhost" => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        Err(error) => return Err(error),
    };
    for address in found {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                let text = request_over(stream, "GET", "/status.json", "")?;
                return serde_json::from_str(&text).map_err(io::Error::other);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The other servers that this node knows of: those in its lists and the master's, and those of `serverlist`.
pub async fn other_servers(imapd: &Imapd) -> BTreeSet<String> {
    let mut servers: BTreeSet<String> = imapd.serverlist.iter().cloned().collect();
    if imapd.mupdate_server.is_some() {
        let asked = async { Client::connect(imapd).await?.status().await };
        if let Ok(Ok(status)) = tokio::time::timeout(PATIENCE, asked).await {
            servers.extend(status["servers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    for (_, directory) in programs(imapd).into_iter().filter(|(_, path)| path.join("list.sled").is_dir()) {
        let asked = async { Client::local(&directory.join("socket")).await?.status().await };
        if let Ok(Ok(status)) = tokio::time::timeout(PATIENCE, asked).await {
            servers.extend(status["servers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    servers.remove(&imapd.servername);
    servers
}

/// What says that the node wants no new clients, below configdirectory.
pub const DRAIN: &str = "msg/drain";
/// How long a daemon of this node may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_master_has_given_up_is_read_off_its_status_page() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let page = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = io::BufReader::new(stream);
            let mut request = String::new();
            stream.read_line(&mut request).unwrap();
            let board =
                r#"{"processes":[{"name":"imap","state":"disabled"},{"name":"lmtp","state":"ready"}]}"#;
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{board}").unwrap();
            // The request is read to its end, so that the answer is not cut off by a reset.
            let mut rest = String::new();
            while stream.read_line(&mut rest).unwrap() > 2 {
                rest.clear();
            }
            request
        });
        let text = format!("configdirectory: /nowhere\nstatus_listen: {address}\n");
        let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "murder").unwrap();
        assert_eq!(given_up(&imapd), ["imap"]);
        assert!(page.join().unwrap().starts_with("GET /status.json "));
        let without = Imapd::parse(Path::new("/nowhere/imapd.conf"), "configdirectory: /nowhere\n", "murder");
        assert!(given_up(&without.unwrap()).is_empty());
    }
}
