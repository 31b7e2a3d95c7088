//! `ctl_mboxlist -d` and `-u`: the list as JSON on standard output, and from standard input.

use std::io::Write;
use std::path::Path;

use config::imapd::Imapd;
use mailboxes::{Entry, Flags, dump};
use protocol::{location::ServerName, name::MailboxName};

use crate::legacy;
use crate::lists::{Failure, Lists};
use crate::nodes;

/// Which entries are dumped.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub intermediaries: bool,
    pub partition: Option<String>,
}

impl Wanted {
    pub fn has(&self, entry: &Entry) -> bool {
        let intermediate = entry.local.as_deref().is_some_and(|local| local.flags.has(Flags::INTERMEDIATE));
        let partition =
            self.partition.as_deref().is_none_or(|wanted| entry.location.partition() == Some(wanted));
        partition && (self.intermediaries || !intermediate)
    }
}

/// Writes the wanted entries of a list; their names are given back.
///
/// # Errors
/// Reading the list, or writing.
pub async fn write(
    lists: &mut Lists,
    wanted: &Wanted,
    out: &mut impl Write,
) -> Result<Vec<MailboxName>, Failure> {
    let mut names = Vec::new();
    let mut failed = out.write_all(dump::BEGIN.as_bytes()).err();
    let mut each = |name: MailboxName, entry: Entry| {
        if failed.is_some() || !wanted.has(&entry) {
            return;
        }
        let between = if names.is_empty() { "" } else { dump::BETWEEN };
        failed = write!(out, "{between}{}", dump::line(&name, &entry)).err();
        names.push(name);
    };
    lists.each(&mut each).await?;
    let written = failed.map_or(Ok(()), Err).and_then(|()| out.write_all(dump::END.as_bytes()));
    written.and_then(|()| out.flush()).map_err(Failure::io("dump"))?;
    Ok(names)
}

/// `-d [-x] [-y] [-p partition]`.
pub async fn run(imapd: &Imapd, other: Option<&Path>, wanted: &Wanted, remove: bool) -> Result<(), Failure> {
    let mut lists = Lists::reach(imapd, nodes::program(imapd), other).await?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let names = write(&mut lists, wanted, &mut out).await?;
    drop(out);
    if remove {
        lists.remove(names).await?;
    }
    lists.close().await
}

/// `-u [-L]`: the text is read whole before anything is stored.
pub async fn undump(imapd: &Imapd, other: Option<&Path>, text: &str, is_legacy: bool) -> Result<(), Failure> {
    let servername = ServerName::parse(&imapd.servername)?;
    let (entries, complaints) = match is_legacy {
        true => legacy::read(text, &servername),
        false => {
            let undump = dump::read(text, &servername)?;
            (undump.entries, undump.complaints)
        }
    };
    complaints.iter().for_each(|complaint| service::complain!("{complaint}"));
    let mut lists = Lists::reach_or_make(imapd, nodes::program(imapd), other).await?;
    lists.put(entries).await?;
    lists.renew().await?;
    lists.close().await
}
