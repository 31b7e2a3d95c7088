//! The `mupdate` daemon: `mupdate -m` is the master, `mupdate` a slave, `mupdate -a` whichever this host is.

use std::{net::ToSocketAddrs, process::ExitCode};

use clap::Parser;
use config::imapd::Imapd;
use directory::client::Address;
use directory::replica::{self, Replica, Settings};
use directory::serve::{Server, local};
use mailboxes::{List, OpenError, Options};
use service::Arguments;
use service::Context;
use service::Exit;
use service::Program;

use crate::{kick, masters, server::Gate};

/// MUPDATE: keeps the murder's list of mailboxes, as its master or as a slave
#[derive(Debug, Parser)]
#[command(name = "mupdate", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: Arguments,
    /// Be the master
    #[arg(short = 'm')]
    pub master: bool,
    /// As a master, answer and take no changes
    #[arg(long, requires = "master")]
    pub read_only: bool,
}

impl Cli {
    pub fn run(self) -> ExitCode {
        // With -a it is not known yet whether this is the master, whose list has one owner.
        let alone = self.master || self.arguments.preauthenticated;
        let program = Program { name: "mupdate", arguments: self.arguments.clone(), alone };
        service::run(program, move |context| body(context, self))
    }
}

async fn body(context: Context, cli: Cli) -> Result<(), Exit> {
    context.imapd().check_mupdate_workers().map_err(Exit::config)?;
    // `-a` here is not the one of other daemons: master iff mupdate_server is this host.
    let master = cli.master || (cli.arguments.preauthenticated && is_this_host(&context.imapd()));
    let mode = match (master, cli.read_only) {
        (true, true) => Mode::ReadOnly,
        (true, false) => Mode::Master,
        (false, _) => Mode::Slave,
    };
    serve(context, mode).await
}

/// What this `mupdate` is in its murder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Master,
    /// A master that takes no changes.
    ReadOnly,
    Slave,
}

/// Runs the daemon until it is told to stop.
pub async fn serve(context: Context, mode: Mode) -> Result<(), Exit> {
    let imapd = context.imapd();
    let (server, follows) = match mode {
        Mode::Slave => {
            let replica = follow(&context, &imapd)?;
            (Server::replica(replica.list().clone(), replica.clone(), &imapd), Some(replica))
        }
        Mode::Master | Mode::ReadOnly => {
            // None: it was told to stop.
            let Some(list) = open_master(&context, &imapd).await? else { return Ok(()) };
            match mode == Mode::ReadOnly {
                true => (Server::read_only_master(list, &imapd), None),
                false => (Server::master(list, &imapd), None),
            }
        }
    };
    if mode != Mode::Slave && !server.list().is_shared() {
        end_when_failed(&context, server.list());
    }
    let list = server.list().clone();
    let gate = Gate::new(server.clone(), &imapd);
    gate.follow_reloads(&context);
    kick::start(&context, server.list().clone(), follows);
    local::start(&context, server);
    context
        .serve(move |connection| {
            let gate = gate.clone();
            async move { gate.serve(connection).await }
        })
        .await;
    list.close().await?;
    match list.failure().filter(|_| mode != Mode::Slave) {
        Some(failure) => Err(Exit::new(75, failure.why)),
        None => Ok(()),
    }
}

/// A master that cannot read its list has nothing true to say. What it acknowledged is not given up without a word: at
/// the next start `ctl_cyrusdb -r` stops and says how the list is brought back. One that could not write goes on answering
/// questions until the disk takes writes again, and begins afresh then.
fn end_when_failed(context: &Context, list: &List) {
    let (list, context, stop) = (list.clone(), context.clone(), context.shutdown());
    let watch = async move {
        let failure = list.failed().await;
        if failure.damaged {
            tracing::error!(
                "{}: {}: the master ends; move it away, and restore the list with ctl_mboxlist -u, or leave it to the \
                 backends, which tell what they have",
                context.file("list.sled").display(),
                failure.why
            );
        } else {
            service::disk::writable(context.directory()).await;
            tracing::warn!("the disk takes writes again: the master begins afresh");
        }
        context.stop();
    };
    tokio::spawn(async move { stop.run_until_cancelled(watch).await });
}

async fn open_master(context: &Context, imapd: &Imapd) -> Result<Option<List>, Exit> {
    match imapd.etcd_endpoints.is_empty() {
        true => List::open_when_free(context.directory(), Options::owner()).map(Some).map_err(exit),
        false => masters::open(context, imapd).await,
    }
}

fn follow(context: &Context, imapd: &Imapd) -> Result<Replica, Exit> {
    if imapd.mupdate_server.is_none() {
        return Err(Exit::new(
            69,
            "mupdate_server is not set: a slave needs a master (mupdate -m is the master)",
        ));
    }
    let list = replica::open(context, Options::replica()).map_err(exit)?;
    let address = Address::Server(imapd.clone());
    let replica = Replica::start(list, address, Settings::new(imapd), context.shutdown());
    replica.follow_reloads(context);
    Ok(replica)
}

fn exit(error: OpenError) -> Exit {
    Exit::new(75, error)
}

/// Whether one of `mupdate_server` resolves to an address of a local interface: one can be bound to it.
fn is_this_host(imapd: &Imapd) -> bool {
    let upstreams = imapd.mupdate_upstreams();
    let addresses = upstreams.iter().filter_map(|upstream| {
        let host = imapd.host_address(&upstream.host);
        (host, 0).to_socket_addrs().ok()
    });
    addresses.flatten().any(|address| std::net::UdpSocket::bind(address).is_ok())
}
