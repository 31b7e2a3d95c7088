//! The smallest daemon: says each line back, and lets clients log in with `LOGIN user password`. The tests of
//! `service::run` start it.

use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use clap::Parser;
use identity::auth::Authenticator;
use service::Arguments;
use service::Connection;
use service::Context;
use service::Exit;
use service::Program;
use service::drive::{Farewell, Next, Session, drive};
use service::sessions::Seat;
use transport::peer::Channel;
use transport::wire::{Bounds, Wire};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let Options { arguments } = Options::parse();
    service::run(Program { name: "echo", arguments, alone: true }, body)
}

async fn body(context: Context) -> Result<(), Exit> {
    context
        .serve(|connection: Connection| async move {
            let (name, stop) = (connection.listener.name.clone(), connection.seat.stop());
            let greeting = connection.listener.imapd().servername.clone();
            let mut echo = Echo {
                greeting: format!("{name} at {greeting}\r\n"),
                auth: connection.listener.auth(),
                channel: connection.stream.channel().clone(),
                seat: connection.seat,
            };
            let _ = drive(Wire::new(connection.stream, Bounds::default()), &mut echo, &stop).await;
        })
        .await;
    Ok(())
}

struct Echo {
    greeting: String,
    auth: Authenticator,
    channel: Channel,
    seat: Seat,
}

impl Echo {
    async fn login(&self, user: &str, password: &str) -> String {
        match self.auth.login(user, password.as_bytes(), &self.channel).await {
            Ok(login) => match self.seat.login(&login, false) {
                Ok(()) => "OK".to_owned(),
                Err(too_many) => format!("NO {too_many}"),
            },
            Err(failure) => format!("NO {failure}"),
        }
    }
}

impl Session for Echo {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        out.extend_from_slice(self.greeting.as_bytes());
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let text = input.split();
        let text = String::from_utf8_lossy(&text);
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["LOGIN", user, password] => {
                let answer = self.login(user, password).await;
                out.extend_from_slice(format!("{answer}\r\n").as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
        Next::Read
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn is_known(&self) -> bool {
        true
    }

    fn farewell(&mut self, _: Farewell, out: &mut BytesMut) {
        out.extend_from_slice(b"bye\r\n");
    }
}
