//! A news server in memory that does as it is told: it hangs, breaks off, refuses; and notes what it was asked, and for whom.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What all connections to it share.
#[derive(Clone, Default)]
pub struct Backend(Arc<Mutex<State>>);

#[derive(Default)]
pub struct State {
    /// Articles by group and number: message-id and text.
    pub groups: BTreeMap<String, BTreeMap<u32, (String, String)>>,
    /// Commands that begin so are answered thus; `HANG`: never; `BREAK`: the connection ends; `BREAK ONCE`: but not the next time.
    pub told: Vec<(&'static str, &'static str)>,
    /// An article that was sent is never answered.
    pub hangs_with_articles: bool,
    /// What it was asked.
    pub log: Vec<String>,
    /// What it says it is.
    pub implementation: &'static str,
}

impl Backend {
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A server with these groups, each with articles `<1.group@x>` and on.
    pub fn with(groups: &[(&str, u32)]) -> Backend {
        let backend = Backend::default();
        for (group, count) in groups {
            let article = |n: u32| {
                let id = format!("<{n}.{group}@x>");
                let text = format!(
                    "Newsgroups: {group}\r\nFrom: f@x\r\nSubject: {n}\r\nMessage-ID: {id}\r\n\r\n..body {n}\r\n"
                );
                (n, (id, text))
            };
            backend.state().groups.insert((*group).to_owned(), (1..=*count).map(article).collect());
        }
        backend
    }

    pub fn tell(&self, command: &'static str, answer: &'static str) {
        self.state().told.push((command, answer));
    }

    /// How often it was asked for something.
    pub fn asked(&self, command: &str) -> usize {
        self.state().log.iter().filter(|line| line.starts_with(command)).count()
    }

    /// The port on which it serves.
    pub async fn serve(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let backend = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let session =
                    Session { backend: backend.clone(), socket: BufReader::new(socket), group: None, at: 0 };
                tokio::spawn(session.run());
            }
        });
        port
    }
}

struct Session {
    backend: Backend,
    socket: BufReader<TcpStream>,
    group: Option<String>,
    at: u32,
}

impl Session {
    async fn run(mut self) {
        self.say("200 ready").await;
        let mut line = String::new();
        while self.socket.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let command = std::mem::take(&mut line).trim_end().to_owned();
            self.backend.state().log.push(command.clone());
            let told = self.backend.state().told.clone();
            match told.iter().find(|(start, _)| command.starts_with(start)) {
                Some((_, "HANG")) => return std::future::pending().await,
                Some((_, "BREAK")) => return,
                Some((_, "BREAK ONCE")) => {
                    return self.backend.state().told.retain(|(_, answer)| *answer != "BREAK ONCE");
                }
                Some((_, answer)) => self.say(answer).await,
                None if command.starts_with("IHAVE") => self.ihave(&command).await,
                None => {
                    let answer = self.answer(&command);
                    self.say(&answer).await;
                }
            }
        }
    }

    async fn say(&mut self, text: &str) {
        let _ = self.socket.write_all(format!("{text}\r\n").as_bytes()).await;
    }

    async fn ihave(&mut self, command: &str) {
        let id = command.split(' ').nth(1).unwrap().to_owned();
        if self.find(&id).is_some() {
            return self.say("435 have it").await;
        }
        self.say("335 go").await;
        let mut text = String::new();
        while !text.ends_with("\r\n.\r\n") {
            if self.socket.read_line(&mut text).await.unwrap_or(0) == 0 {
                return;
            }
        }
        if self.backend.state().hangs_with_articles {
            let _ = self.socket.read_u8().await;
            return std::future::pending().await;
        }
        let text = text.strip_suffix(".\r\n").unwrap().to_owned();
        let wanted = text.lines().find_map(|line| line.strip_prefix("Newsgroups: ")).unwrap().to_owned();
        for group in wanted.split(',') {
            if let Some(articles) = self.backend.state().groups.get_mut(group.trim()) {
                let next = articles.keys().next_back().map_or(1, |last| last + 1);
                articles.insert(next, (id.clone(), text.clone()));
            }
        }
        self.say("235 ok").await;
    }

    fn find(&self, id: &str) -> Option<(String, u32, String)> {
        let state = self.backend.state();
        let mut all = state.groups.iter().flat_map(|(group, all)| all.iter().map(move |one| (group, one)));
        let (group, (number, (_, text))) = all.find(|(_, (_, (known, _)))| known == id)?;
        Some((group.clone(), *number, text.clone()))
    }

    fn select(&mut self, group: &str, list: bool) -> String {
        let state = self.backend.0.clone();
        let state = state.lock().unwrap();
        let Some(articles) = state.groups.get(group) else { return "411 no such group".to_owned() };
        let (low, high) = match (articles.keys().next(), articles.keys().next_back()) {
            (Some(low), Some(high)) => (*low, *high),
            _ => (1, 0),
        };
        (self.group, self.at) = (Some(group.to_owned()), low);
        let line = format!("211 {} {low} {high} {group}", articles.len());
        let numbers: String = articles.keys().map(|number| format!("\r\n{number}")).collect();
        if list { format!("{line}{numbers}\r\n.") } else { line }
    }

    fn answer(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["CAPABILITIES"] => {
                let implementation = self.backend.state().implementation;
                format!("101 list\r\nVERSION 2\r\nIMPLEMENTATION {implementation}\r\nSASL PLAIN\r\n.")
            }
            ["AUTHINFO", "SASL", "PLAIN", _] => "281 in".to_owned(),
            ["GROUP", group] => self.select(group, false),
            ["LISTGROUP"] => match self.group.clone() {
                Some(group) => self.select(&group, true),
                None => "412 no group".to_owned(),
            },
            ["LISTGROUP", group, "1-"] => self.select(group, true),
            ["LISTGROUP", group, range] => self.range(group, range),
            ["ARTICLE" | "STAT", ref which @ ..] => self.article(words[0], which.first().copied()),
            ["NEXT" | "LAST"] => self.step(words[0] == "NEXT"),
            ["HEAD", which] => self.article("HEAD", Some(which)),
            ["OVER", id] => match self.find(id) {
                Some((_, number, _)) => format!("224 follows\r\n{number}\tsubject\r\n."),
                None => "430 none".to_owned(),
            },
            ["NEWGROUPS", ..] => "231 follow\r\ncomp.test 3 1 y\r\ncomp.secret 1 1 y\r\n.".to_owned(),
            ["LIST", "ACTIVE" | "NEWSGROUPS", ..] => {
                let state = self.backend.state();
                let lines: String = state.groups.keys().map(|group| format!("\r\n{group} 1 1 y")).collect();
                format!("215 list\r\nintermediate 0 1 n{lines}\r\n.")
            }
            ["NEWNEWS", ..] => {
                let state = self.backend.state();
                let ids: HashSet<_> = state.groups.values().flat_map(|all| all.values()).collect();
                format!("230 list{}\r\n.", ids.iter().map(|(id, _)| format!("\r\n{id}")).collect::<String>())
            }
            _ => "500 what".to_owned(),
        }
    }

    fn range(&mut self, group: &str, range: &str) -> String {
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (from.parse::<u32>().unwrap(), to.parse().unwrap_or(u32::MAX));
        let line = self.select(group, false);
        let state = self.backend.state();
        let numbers = state.groups[group].range(from..=to.max(from));
        format!("{line}{}\r\n.", numbers.map(|(number, _)| format!("\r\n{number}")).collect::<String>())
    }

    fn article(&mut self, part: &str, which: Option<&str>) -> String {
        let found = match which {
            Some(id) if id.starts_with('<') => match self.find(id) {
                Some((group, number, text)) => {
                    let selected = self.group.as_ref() == Some(&group);
                    Some((if selected { number } else { 0 }, id.to_owned(), text))
                }
                None => return "430 none".to_owned(),
            },
            which => {
                let number = which.map_or(self.at, |number| number.parse().unwrap());
                let state = self.backend.state();
                let Some(group) = &self.group else { return "412 no group".to_owned() };
                let Some(articles) = state.groups.get(group) else { return "411 gone".to_owned() };
                let found = articles.get(&number).map(|(id, text)| (number, id.clone(), text.clone()));
                drop(state);
                if found.is_some() {
                    self.at = number;
                }
                found
            }
        };
        match (part, found) {
            (_, None) => "423 none".to_owned(),
            ("STAT", Some((number, id, _))) => format!("223 {number} {id}"),
            ("HEAD", Some((number, id, text))) => {
                format!("221 {number} {id}\r\n{}\r\n.", text.split("\r\n\r\n").next().unwrap())
            }
            (_, Some((number, id, text))) => format!("220 {number} {id}\r\n{text}."),
        }
    }

    fn step(&mut self, forward: bool) -> String {
        let state = self.backend.state();
        let Some(articles) = self.group.as_ref().and_then(|group| state.groups.get(group)) else {
            return "412 no group".to_owned();
        };
        let found = match forward {
            true => articles.range(self.at + 1..).next(),
            false => articles.range(..self.at).next_back(),
        };
        let Some((number, (id, _))) = found else { return format!("42{} no more", u8::from(!forward) + 1) };
        let line = format!("223 {number} {id}");
        let number = *number;
        drop(state);
        self.at = number;
        line
    }
}
