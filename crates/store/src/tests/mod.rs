//! The store under test: a directory of its own, a master that can be told to fail, crashes by dropping everything.

mod ahead;
mod articles;
mod copies;
mod crash;
mod faults;
mod gates;
mod handover;
mod keys;
mod mail;
mod marks;
mod metadata;
mod model;
mod moves;
mod open;
mod operations;
mod replay;
mod scripts;
mod text;
mod tombstones;
mod users;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use config::imapd::Imapd;
use protocol::{name::MailboxName, namespace::Namespace};

use super::{
    Actor, Create, Mailbox, NewMessage, Staged, Store, StoreError,
    commit::{Faults, Watcher},
    master::{Answer, Master, MasterError, MasterSession},
};

/// A store in a temporary directory.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub extra: String,
    pub master: Option<Arc<Fake>>,
    pub faults: Arc<Faults>,
}

impl Bench {
    pub fn new(extra: &str) -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            extra: extra.to_owned(),
            master: None,
            faults: Arc::default(),
        }
    }

    pub fn with_master() -> Bench {
        Bench { master: Some(Arc::default()), ..Bench::new("") }
    }

    pub fn imapd(&self) -> Imapd {
        let dir = self.dir.path().display();
        let text = format!(
            "configdirectory: {dir}/conf\npartition-default: {dir}/spool\npartition-second: {dir}/second\ndefaultpartition: default\nservername: be1.example.org\n{}",
            self.extra
        );
        Imapd::parse(Path::new("imapd.conf"), &text, "imap").unwrap()
    }

    pub async fn open(&self) -> Store {
        let master = self.master.clone().map(|m| Arc::new(Line(m)) as Arc<dyn Master>);
        Store::open_with(&self.imapd(), Namespace::default(), master, self.faults.clone()).await.unwrap()
    }

    /// A copy of the directory as a crash would leave it now.
    pub fn crashed(&self) -> Bench {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(self.dir.path(), copy.path());
        Bench { dir: copy, extra: self.extra.clone(), master: self.master.clone(), faults: Arc::default() }
    }

    /// What a kill after each step leaves, filled by the watcher, which is told of the steps.
    pub fn kills(&self) -> (States, Watcher) {
        let states = States::default();
        let (bench, kept) = (self.dir.path().to_owned(), states.clone());
        let kill = move |step: &str| {
            let copy = tempfile::tempdir().unwrap();
            copy_tree(&bench, copy.path());
            kept.lock().unwrap().push((step.to_owned(), copy));
        };
        (states, Box::new(kill))
    }
}

/// Directories, each with the step after which it is so.
pub type States = Arc<Mutex<Vec<(String, tempfile::TempDir)>>>;

/// A MUPDATE master in memory.
#[derive(Default)]
pub struct Fake {
    pub entries: Mutex<std::collections::BTreeMap<MailboxName, Held>>,
    /// The session's words from this one on fail; counted down at each.
    pub fail_after: Mutex<Option<usize>>,
    pub log: Mutex<Vec<String>>,
}

/// An entry of the master's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub active: bool,
    pub location: protocol::location::Location,
    pub acl: String,
}

struct FakeSession(Arc<Fake>);

impl Fake {
    fn word(&self, word: String) -> Result<(), MasterError> {
        let mut left = self.fail_after.lock().unwrap();
        if let Some(left) = left.as_mut() {
            if *left == 0 {
                return Err(MasterError::Timeout);
            }
            *left -= 1;
        }
        self.log.lock().unwrap().push(word);
        Ok(())
    }

    pub fn fail_after(&self, words: Option<usize>) {
        *self.fail_after.lock().unwrap() = words;
    }

    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

/// The master's handle: sessions need the `Arc`.
pub struct Line(pub Arc<Fake>);

impl Master for Line {
    fn connect(&self) -> Answer<'_, Result<Box<dyn MasterSession>, MasterError>> {
        let fake = self.0.clone();
        Box::pin(async move {
            match *fake.fail_after.lock().unwrap() {
                Some(0) => Err(MasterError::Down),
                _ => Ok(Box::new(FakeSession(fake.clone())) as Box<dyn MasterSession>),
            }
        })
    }
}

impl MasterSession for FakeSession {
    fn reserve<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a protocol::location::Location,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async move {
            self.0.word(format!("RESERVE {name}"))?;
            let mut entries = self.0.entries.lock().unwrap();
            if entries.get(name).is_some_and(|held| held.location != *at) {
                return Err(MasterError::NotReserved);
            }
            let held = Held { active: false, location: at.clone(), acl: String::new() };
            entries.insert(name.clone(), held);
            Ok(())
        })
    }

    fn activate<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a protocol::location::Location,
        acl: &'a str,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async move {
            self.0.word(format!("ACTIVATE {name}"))?;
            let held = Held { active: true, location: at.clone(), acl: acl.to_owned() };
            self.0.entries.lock().unwrap().insert(name.clone(), held);
            Ok(())
        })
    }

    fn delete<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async move {
            self.0.word(format!("DELETE {name}"))?;
            self.0.entries.lock().unwrap().remove(name);
            Ok(())
        })
    }
}

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub fn admin() -> Actor {
    Actor::admin("cyrus")
}

pub async fn create(store: &Store, text: &str) -> String {
    store.create(&admin(), &name(text), Create::default()).await.unwrap()
}

pub fn message(subject: &str) -> NewMessage {
    let text = format!(
        "From: a@example.org\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\nHello {subject}\r\n"
    );
    NewMessage {
        staged: Arc::new(Staged::in_memory(text.into())),
        flags: Vec::new(),
        internaldate: Some(1_700_000_000),
        annotations: Vec::new(),
    }
}

pub async fn append(mailbox: &Arc<Mailbox>, subject: &str) -> Result<u32, StoreError> {
    Ok(mailbox.append(vec![message(subject)]).await?.uids[0])
}

pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        match item.file_type().unwrap().is_dir() {
            true => copy_tree(&item.path(), &target),
            // A file may go while the store runs.
            false => drop(std::fs::copy(item.path(), target)),
        }
    }
}
