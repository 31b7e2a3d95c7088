//! A bare MUPDATE client: lines out, lines in.

use std::{
    fmt::Debug,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};

/// A connection, logged in.
pub struct Mupdate {
    input: BufReader<Box<dyn Duplex>>,
}

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

impl Mupdate {
    /// Over the network with PLAIN, in the clear.
    pub fn plain(address: SocketAddr, user: &str, password: &str) -> Mupdate {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a MUPDATE server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut client = Mupdate::begin(Box::new(stream));
        let initial = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        client.must(&format!("AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{initial}", initial.len()));
        client
    }

    /// Over the socket beside a list of ours.
    pub fn local(socket: &Path) -> Mupdate {
        let stream = UnixStream::connect(socket).expect("the daemon's socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Mupdate::begin(Box::new(stream))
    }

    fn begin(stream: Box<dyn Duplex>) -> Mupdate {
        let mut client = Mupdate { input: BufReader::new(stream) };
        while !client.line().starts_with("* OK") {}
        client
    }

    /// Says a command; the lines before its end, and the end without its tag.
    pub fn ask(&mut self, command: &str) -> (Vec<String>, String) {
        self.say(&format!("T {command}"));
        let mut lines = Vec::new();
        loop {
            let line = self.whole_line();
            let text = line.strip_prefix("T ").unwrap_or(&line);
            if ["OK", "NO", "BAD", "* BYE"].iter().any(|end| text.starts_with(end)) {
                return (lines, text.to_owned());
            }
            lines.push(text.to_owned());
        }
    }

    /// A command that is answered OK; the lines before that.
    pub fn must(&mut self, command: &str) -> Vec<String> {
        let (lines, end) = self.ask(command);
        assert!(end.starts_with("OK"), "{command}: {end}");
        lines
    }

    /// Everything in the server's order, each line with its strings in quotes.
    pub fn everything(&mut self) -> Vec<String> {
        self.must("LIST")
    }

    pub fn say(&mut self, line: &str) {
        let stream = self.input.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).and_then(|()| stream.flush()).expect("it listens");
    }

    /// A line with its literals put in quotes.
    pub fn whole_line(&mut self) -> String {
        let mut line = self.line();
        while let Some((before, size)) = line.strip_suffix("+}").and_then(|start| start.rsplit_once('{')) {
            let mut literal = vec![0; size.parse().expect("a literal's size")];
            self.input.read_exact(&mut literal).expect("a literal");
            line = format!("{before}\"{}\"{}", String::from_utf8_lossy(&literal), self.line());
        }
        line
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.input.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "the connection ended");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }
}

impl Debug for Mupdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mupdate")
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
