//! Connections to the members of etcd: one is asked at a time. One that does not answer is left for the next.

use std::sync::atomic::{AtomicUsize, Ordering};

use etcd_client::{Client, ConnectOptions, Error};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    limits::{ANSWER, CALL, PAUSE},
    settings::{BadSettings, Settings},
    trouble::Trouble,
};

pub(crate) struct Link {
    members: Vec<Member>,
    options: ConnectOptions,
    /// Whose turn it is.
    at: AtomicUsize,
}

struct Member {
    endpoint: String,
    client: Mutex<Option<Client>>,
}

impl From<BadSettings> for Trouble {
    fn from(bad: BadSettings) -> Trouble {
        Trouble::NoList(bad.to_string())
    }
}

impl Link {
    pub fn new(settings: &Settings) -> Result<Link, Trouble> {
        let options = settings.options()?;
        let member = |endpoint: &String| Member { endpoint: endpoint.clone(), client: Mutex::new(None) };
        let members: Vec<Member> = settings.endpoints.iter().map(member).collect();
        // Several masters do not all ask the same member.
        let first = settings.servername.bytes().fold(0usize, |sum, byte| sum.wrapping_add(usize::from(byte)));
        Ok(Link { at: AtomicUsize::new(first), members, options })
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.endpoint.as_str())
    }

    /// Asks the member whose turn it is, once. Where that fails the next one has its turn.
    pub async fn once<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl FnOnce(Client) -> F,
    ) -> Result<T, Trouble> {
        let turn = self.at.load(Ordering::Relaxed);
        let answer = timeout(CALL, async { ask(self.client(turn).await?).await }).await;
        let trouble = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Trouble::of(&error),
            Err(_) => Trouble::Unreachable(format!("{} does not answer", self.member(turn).endpoint)),
        };
        if matches!(trouble, Trouble::Unreachable(_)) {
            // Whoever else failed there has moved on already.
            let next = turn.wrapping_add(1);
            let _ = self.at.compare_exchange(turn, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(trouble)
    }

    /// Asks what can be asked again, until a member answers or the time is over.
    pub async fn read<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Trouble> {
        let until = Instant::now() + ANSWER;
        loop {
            match self.once(&ask).await {
                Err(Trouble::Unreachable(_)) if Instant::now() + PAUSE < until => sleep(PAUSE).await,
                Err(trouble) => {
                    sleep(PAUSE).await;
                    return Err(trouble);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Asks one member, and no other.
    pub async fn of<T, F: Future<Output = Result<T, Error>>>(
        &self,
        endpoint: &str,
        ask: impl FnOnce(Client) -> F,
    ) -> Result<T, Trouble> {
        let place = self.members.iter().position(|member| member.endpoint == endpoint).unwrap_or(0);
        match timeout(CALL, async { ask(self.client(place).await?).await }).await {
            Ok(answer) => answer.map_err(|error| Trouble::of(&error)),
            Err(_) => Err(Trouble::Unreachable(format!("{endpoint} does not answer"))),
        }
    }

    /// A client of the member whose turn it is, for what goes on: a watch, a lease.
    pub async fn any(&self) -> Result<Client, Trouble> {
        self.once(async |client| Ok(client)).await
    }

    /// It broke: another member has its turn.
    pub fn turn(&self) {
        self.at.fetch_add(1, Ordering::Relaxed);
    }

    async fn client(&self, turn: usize) -> Result<Client, Error> {
        let member = self.member(turn);
        let mut client = member.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let made = Client::connect([&member.endpoint], Some(self.options.clone())).await?;
        Ok(client.insert(made).clone())
    }

    fn member(&self, turn: usize) -> &Member {
        let place = turn.checked_rem(self.members.len()).unwrap_or(0);
        self.members.get(place).expect("etcd_endpoints is not empty")
    }
}
