//! The smallest daemon: says each line back. The tests of `service::run` start it.

use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use clap::Parser;
use service::drive::{Farewell, Next, Session, drive};
use service::wire::{Bounds, Wire};
use service::{Arguments, Connection, Context, Exit, Program};

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
            let (name, stop) = (connection.listener.name.clone(), connection.context.shutdown());
            let greeting = connection.listener.imapd().servername.clone();
            let wire = Wire::new(connection.stream, Bounds::default());
            let _ = drive(wire, &mut Echo { greeting: format!("{name} at {greeting}\r\n") }, &stop).await;
        })
        .await;
    Ok(())
}

struct Echo {
    greeting: String,
}

impl Session for Echo {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        out.extend_from_slice(self.greeting.as_bytes());
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        out.unsplit(input.split());
        Next::Read
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn farewell(&mut self, _: Farewell, out: &mut BytesMut) {
        out.extend_from_slice(b"bye\r\n");
    }
}
