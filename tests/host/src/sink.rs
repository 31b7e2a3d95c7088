//! A mail server that keeps what it is given: by TCP, or as the program `sendmail -bs`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A mail that came, with the commands that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// MAIL and RCPT, as they came.
    pub commands: Vec<String>,
    /// The message, lines ended with LF.
    pub message: String,
}

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// What EHLO announces.
    pub offers: Vec<String>,
    /// Beginnings of commands that are answered otherwise; `.` is the end of a message.
    pub answers: Vec<(String, String)>,
}

impl Behaviour {
    pub fn offering(offers: &[&str]) -> Behaviour {
        Behaviour { offers: offers.iter().map(|&offer| offer.to_owned()).collect(), answers: Vec::new() }
    }

    /// The same, but with this answer to commands that begin so.
    pub fn answering(mut self, command: &str, answer: &str) -> Behaviour {
        self.answers.push((command.to_owned(), answer.to_owned()));
        self
    }

    fn answer(&self, command: &str, usual: &str) -> String {
        let other = self.answers.iter().find(|(start, _)| command.starts_with(start.as_str()));
        other.map_or(usual, |(_, answer)| answer).to_owned()
    }
}

/// A server by TCP. It ends with its handle's process.
pub struct Sink {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Receiver<Received>,
}

impl Sink {
    pub fn start(behaviour: Behaviour) -> Sink {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the system");
        let address = listener.local_addr().expect("its own address");
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (sender, received) = mpsc::channel();
        let shared = behaviour.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (shared, sender) = (shared.clone(), sender.clone());
                std::thread::spawn(move || {
                    let now = || shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let keep = |mail| sender.send(mail).map_err(io::Error::other);
                    // A client that goes away in the middle is its own affair.
                    let _ = split(client).and_then(|(input, output)| converse(input, output, &now(), keep));
                });
            }
        });
        Sink { address, behaviour, received }
    }

    /// For `smtp_host`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// From the next connection on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// The next mail, which is waited for.
    pub fn next(&self) -> Received {
        self.received.recv_timeout(PATIENCE).expect("a mail comes")
    }

    /// All mails that have come and were not looked at.
    pub fn rest(&self) -> Vec<Received> {
        self.received.try_iter().collect()
    }
}

/// One session. Each mail is kept before it is acknowledged.
pub fn converse(
    mut input: impl BufRead,
    mut output: impl Write,
    behaviour: &Behaviour,
    mut keep: impl FnMut(Received) -> io::Result<()>,
) -> io::Result<()> {
    let mut say =
        |reply: String| output.write_all(format!("{reply}\r\n").as_bytes()).and_then(|()| output.flush());
    say(behaviour.answer("GREETING", "220 sink.example.org ESMTP"))?;
    let mut commands = Vec::new();
    while let Some(line) = read_line(&mut input)? {
        let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => {
                let mut lines = vec!["sink.example.org".to_owned()];
                lines.extend(behaviour.offers.iter().cloned());
                let last = lines.len() - 1;
                let lines = lines.iter().enumerate();
                let lines: Vec<String> = lines
                    .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
                    .collect();
                say(behaviour.answer(&line, &lines.join("\r\n")))?;
            }
            "MAIL" | "RCPT" => {
                let answer = behaviour.answer(&line, "250 2.1.0 ok");
                if word == "MAIL" {
                    commands.clear();
                }
                if answer.starts_with('2') {
                    commands.push(line);
                }
                say(answer)?;
            }
            "DATA" => {
                let answer = behaviour.answer(&line, "354 go ahead");
                let goes_on = answer.starts_with('3');
                say(answer)?;
                if goes_on {
                    let Some(message) = read_message(&mut input)? else { return Ok(()) };
                    let answer = behaviour.answer(".", "250 2.0.0 taken");
                    if answer.starts_with('2') {
                        keep(Received { commands: std::mem::take(&mut commands), message })?;
                    }
                    say(answer)?;
                }
            }
            "QUIT" => return say(behaviour.answer(&line, "221 2.0.0 bye")),
            _ => say(behaviour.answer(&line, "250 2.0.0 ok"))?,
        }
    }
    Ok(())
}

/// Plays `sendmail -bs`: speaks on this process's standard input and on `output`, and adds each mail to a file.
pub fn sendmail(output: &Path, mails: &Path, behaviour: &Behaviour) -> io::Result<()> {
    let output = File::options().write(true).open(output)?;
    let keep = |mail: Received| {
        let text = format!("{}\n{}\0", mail.commands.join("\n"), mail.message);
        File::options().append(true).create(true).mode(0o600).open(mails)?.write_all(text.as_bytes())
    };
    converse(io::stdin().lock(), output, behaviour, keep)
}

/// What [`sendmail`] has kept.
pub fn kept(mails: &Path) -> Vec<Received> {
    let text = fs::read_to_string(mails).unwrap_or_default();
    let read = |mail: &str| {
        let commands: Vec<&str> =
            mail.lines().take_while(|line| line.starts_with("MAIL") || line.starts_with("RCPT")).collect();
        let length: usize = commands.iter().map(|line| line.len() + 1).sum();
        let message = mail.get(length..).unwrap_or_default().to_owned();
        Received { commands: commands.into_iter().map(str::to_owned).collect(), message }
    };
    text.split_terminator('\0').map(read).collect()
}

fn split(client: TcpStream) -> io::Result<(BufReader<TcpStream>, TcpStream)> {
    Ok((BufReader::new(client.try_clone()?), client))
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    match input.read_until(b'\n', &mut line)? {
        0 => Ok(None),
        _ => Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())),
    }
}

fn read_message(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut message = String::new();
    while let Some(line) = read_line(input)? {
        if line == "." {
            return Ok(Some(message));
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        message.push('\n');
    }
    Ok(None)
}

/// How long a mail may take on a busy machine before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
