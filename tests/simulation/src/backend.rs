//! A backend's part in the murder, as the master sees it: a client that makes, changes and deletes mailboxes.

use std::{future::Future, sync::Arc};

use directory::client::{Address, Client, Error};
use mailboxes::Expect;
use protocol::{location::Location, name::MailboxName};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    chance,
    network::{Dialer, Ended},
    truth::Shape,
    world::World,
};

/// Works until it is told to stop, and until a master that lost its list was told of its mailboxes again. They are its own;
/// those of `shared` others claim as well.
pub async fn run(
    world: World,
    me: String,
    mailboxes: Vec<String>,
    shared: Vec<String>,
    stop: CancellationToken,
) {
    let mut known = None;
    while !stop.is_cancelled() || !world.truth().untold(&mailboxes).is_empty() {
        let dialer = Arc::new(Dialer::new(&world.network, &me, &["master".into()], false));
        let Ok(mut client) = Client::dial(&Address::Through(dialer.clone())).await else {
            sleep(chance::millis(100..2000)).await;
            continue;
        };
        let Ok(Ok(Some(at))) = timeout(PATIENCE, client.position()).await else { continue };
        let mut work =
            Work { world: &world, client: &mut client, ended: dialer.latest(), me: &me, stop: &stop };
        if known != Some(at.list) && work.tell_all(&mailboxes).await.is_err() {
            continue;
        }
        known = Some(at.list);
        while work.change(&mailboxes, &shared).await.is_ok() {}
    }
}

struct Work<'a> {
    world: &'a World,
    client: &'a mut Client,
    ended: Ended,
    me: &'a str,
    stop: &'a CancellationToken,
}

/// The connection is of no more use, or the work is over.
struct Over;

impl Work<'_> {
    async fn change(&mut self, mailboxes: &[String], shared: &[String]) -> Result<(), Over> {
        sleep(chance::millis(5..250)).await;
        if self.stop.is_cancelled() {
            return Err(Over);
        }
        if chance::odds(6) {
            return self.claim(shared).await;
        }
        let Some(name) = chance::pick(mailboxes) else { return Err(Over) };
        let (_, shape) = self.world.truth().believed(name);
        match (shape, chance::below(10)) {
            (Shape::Absent, 0..6) => {
                self.reserve(name).await?;
                self.activate(name, None).await
            }
            (Shape::Absent, 6..8) => self.activate(name, Some((Expect::None, Shape::Absent))).await,
            (Shape::Absent, _) => self.activate(name, None).await,
            (Shape::Reserved, 0..8) => self.activate(name, None).await,
            (Shape::Reserved, _) => self.delete(name, None).await,
            (Shape::Active, 0..4) => self.activate(name, None).await,
            (Shape::Active, 4..6) => {
                let expect = Expect::Active(self.me.into());
                self.activate(name, Some((expect, Shape::Active))).await
            }
            (Shape::Active, 6) => self.deactivate(name).await,
            (Shape::Active, 7) => {
                self.delete(name, Some((Expect::Active(self.me.into()), Shape::Active))).await
            }
            (Shape::Active, _) => self.delete(name, None).await,
        }
    }

    /// The master has another list than before: it is told what it lost.
    async fn tell_all(&mut self, mailboxes: &[String]) -> Result<(), Over> {
        let untold = self.world.truth().untold(mailboxes);
        for name in untold {
            sleep(chance::millis(0..20)).await;
            self.activate(&name, Some((Expect::None, Shape::Absent))).await?;
            self.world.truth().told(&name);
        }
        Ok(())
    }

    /// Two backends that both have a mailbox of this name: the later wins, and nobody knows more.
    async fn claim(&mut self, shared: &[String]) -> Result<(), Over> {
        let Some(name) = chance::pick(shared) else { return Ok(()) };
        let (name, at) = (mailbox(name), self.place(chance::below(1000)));
        let claimed = self.client.activate(&name, &at, "anyone\tlrs\t").await;
        claimed.map_err(|_| Over)
    }

    async fn reserve(&mut self, name: &str) -> Result<(), Over> {
        let version = self.world.truth().begin(name, Shape::Reserved);
        let (mailbox, at) = (mailbox(name), self.place(version));
        let done = patiently(self.client.reserve(&mailbox, &at)).await;
        self.judge(name, version, done, &[Shape::Reserved, Shape::Active], None)
    }

    async fn activate(&mut self, name: &str, expect: Option<(Expect, Shape)>) -> Result<(), Over> {
        let version = self.world.truth().begin(name, Shape::Active);
        let (mailbox, at, acl) = (mailbox(name), self.place(version), format!("v{version}\tlrs\t"));
        let done = match &expect {
            Some((expect, _)) => patiently(self.client.activate_if(&mailbox, &at, &acl, expect)).await,
            None => patiently(self.client.activate(&mailbox, &at, &acl)).await,
        };
        self.judge(name, version, done, &[], expect.map(|(_, shape)| shape))
    }

    async fn deactivate(&mut self, name: &str) -> Result<(), Over> {
        let version = self.world.truth().begin(name, Shape::Reserved);
        let (mailbox, at) = (mailbox(name), self.place(version));
        let done = patiently(self.client.deactivate(&mailbox, &at)).await;
        self.judge(name, version, done, &[Shape::Absent, Shape::Reserved], None)
    }

    async fn delete(&mut self, name: &str, expect: Option<(Expect, Shape)>) -> Result<(), Over> {
        let version = self.world.truth().begin(name, Shape::Absent);
        let mailbox = mailbox(name);
        let done = match &expect {
            Some((expect, _)) => patiently(self.client.delete_if(&mailbox, expect)).await,
            None => patiently(self.client.delete(&mailbox)).await,
        };
        self.judge(name, version, done, &[Shape::Absent], expect.map(|(_, shape)| shape))
    }

    /// Takes note of an answer. A refusal tells that the mailbox is one of `refused`; a change that expected it to be
    /// otherwise, that it is anything but `expected`.
    fn judge(
        &self,
        name: &str,
        version: usize,
        done: Result<(), Error>,
        refused: &[Shape],
        expected: Option<Shape>,
    ) -> Result<(), Over> {
        let mut truth = self.world.truth();
        chance::note(|| format!("{}: {name} {version}: {done:?}", self.me));
        match (done, expected) {
            (Ok(()), _) => truth.hold(name, version),
            (Err(Error::Changed), Some(expected)) => {
                let mut others = vec![Shape::Absent, Shape::Reserved, Shape::Active];
                others.retain(|shape| *shape != expected);
                truth.refuse(name, version, &others);
            }
            (Err(Error::Refused(_)), _) => truth.refuse(name, version, refused),
            (Err(_), _) => {
                truth.lose(name, version, self.ended.clone());
                return Err(Over);
            }
        }
        Ok(())
    }

    fn place(&self, version: usize) -> Location {
        Location::parse(&format!("{}!p{version}", self.me)).expect("a server and a partition")
    }
}

/// Some backends die while they wait.
async fn patiently(change: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let gone = || Error::Unavailable { server: "master".into(), why: "no answer".into() };
    timeout(chance::millis(300..20_000), change).await.unwrap_or_else(|_| Err(gone()))
}

/// How long a master may take to say which list it has.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn mailbox(name: &str) -> MailboxName {
    MailboxName::parse(name).expect("a name of this simulation")
}
