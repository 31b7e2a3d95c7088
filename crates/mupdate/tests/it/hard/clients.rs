//! Clients that ask all masters at once, and record what they were answered.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use protocol::mupdate::state::{Refusal, Write};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use crate::{
    linear::{Answer, Ask, Asked, Entry, History},
    questions::{Chance, Questions},
    wire::CYRUS,
    world::at,
};

/// What all clients share.
#[derive(Clone, Default)]
pub struct Crowd {
    pub history: History,
    pub ended: Arc<AtomicBool>,
    questions: Questions,
}

impl Crowd {
    /// Asks one master after the other by chance, until it is told to end.
    pub async fn client(self, number: u64, ports: Vec<u16>, mut chance: Chance) {
        while !self.ended.load(Ordering::Relaxed) {
            let master = chance.below(ports.len() as u64) as usize;
            let Ok(Ok(mut link)) = timeout(DIAL, Link::open(ports[master])).await else {
                // Refused at once where the master is away.
                tokio::task::yield_now().await;
                continue;
            };
            let by = format!("c{number}@m{master}");
            while !self.ended.load(Ordering::Relaxed) && chance.below(30) != 0 {
                let burst = 1 + chance.below(4);
                let asked = (0..burst).map(|n| self.questions.next(number, n, burst, &mut chance)).collect();
                if self.burst(&by, &mut link, asked).await.is_err() {
                    break;
                }
            }
        }
    }

    /// Asks all at once, and notes the answers as they come.
    async fn burst(&self, by: &str, link: &mut Link, asked: Vec<(String, Ask)>) -> io::Result<()> {
        let commands: String = asked.iter().map(|(name, ask)| command(name, ask)).collect();
        let history = &self.history;
        let asked: Vec<Asked> = asked.iter().map(|(name, ask)| history.ask(by, name, ask.clone())).collect();
        let mut broken = link.say(&commands).await.err();
        for asked in asked {
            let answer = match &broken {
                None => timeout(PATIENCE, link.answer()).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
                // Nobody knows what became of it.
                Some(_) => continue,
            };
            match answer {
                Ok(Said::Answer(answer)) => history.answer(asked, answer),
                Ok(Said::NotDone) => history.forget(asked),
                Err(error) => broken = Some(error),
            }
        }
        broken.map_or(Ok(()), Err)
    }

    /// Looks up all names that anybody asked for, at a master.
    pub async fn look_up_all(&self, master: usize, port: u16) {
        let mut link = Link::open(port).await.unwrap();
        for names in self.history.names().chunks(100) {
            let asked = names.iter().map(|name| (name.clone(), Ask::Find)).collect();
            self.burst(&format!("last@m{master}"), &mut link, asked).await.unwrap();
        }
    }
}

fn command(name: &str, ask: &Ask) -> String {
    match ask {
        Ask::Write(Write::Reserve(place)) => format!("T RESERVE \"{name}\" \"{place}\"\r\n"),
        Ask::Write(Write::Activate(place, acl)) => {
            format!("T ACTIVATE \"{name}\" \"{place}\" \"{acl}\"\r\n")
        }
        Ask::Write(Write::Deactivate(place)) => format!("T DEACTIVATE \"{name}\" \"{place}\"\r\n"),
        Ask::Write(Write::Delete) => format!("T DELETE \"{name}\"\r\n"),
        Ask::Find => format!("T FIND \"{name}\"\r\n"),
    }
}

/// What a master says.
enum Said {
    Answer(Answer),
    /// NO [UNAVAILABLE]: it has not happened, and will not.
    NotDone,
}

/// A connection from the network, logged in, as a Cyrus backend has it: whatever has no true answer gets none.
pub struct Link {
    stream: BufStream<TcpStream>,
}

impl Link {
    pub async fn open(port: u16) -> io::Result<Link> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut link = Link { stream: BufStream::new(stream) };
        while !link.line().await?.starts_with("* OK") {}
        link.say(&format!("A AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\r\n")).await?;
        let answer = link.line().await?;
        answer.starts_with("A OK").then_some(link).ok_or_else(|| io::Error::other(answer))
    }

    pub async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn answer(&mut self) -> io::Result<Said> {
        let mut found: Entry = None;
        loop {
            let line = self.line().await?;
            let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            let (word, _) = line.trim_start_matches("T ").split_once(' ').unwrap_or((&line, ""));
            match (word, strings.as_slice()) {
                ("MAILBOX", [_, place, acl]) => found = Some((at(place), Some((*acl).into()))),
                ("RESERVE", [_, place]) => found = Some((at(place), None)),
                ("OK", ["Search completed"]) => return Ok(Said::Answer(Answer::Found(found))),
                ("OK", _) => return Ok(Said::Answer(Answer::Done)),
                ("NO", [text]) => {
                    return refusal(text).ok_or_else(|| panic!("a NO that no client can use: {line}"));
                }
                // It ends: what it did not answer may have happened.
                ("*", _) => return Err(io::ErrorKind::ConnectionAborted.into()),
                _ => panic!("{line}"),
            }
        }
    }

    pub async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn refusal(text: &str) -> Option<Said> {
    if text.starts_with("[UNAVAILABLE]") {
        return Some(Said::NotDone);
    }
    let refusals = [Refusal::Exists, Refusal::Missing, Refusal::NotActive];
    let refusal = refusals.into_iter().find(|refusal| refusal.to_string() == text)?;
    Some(Said::Answer(Answer::Refused(refusal)))
}

const DIAL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
