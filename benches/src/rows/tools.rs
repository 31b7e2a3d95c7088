//! `ctl_mboxlist -m` on a backend that is stopped, as in START: first with all to do, then with nothing.

use std::{io, io::Write, time::Duration};

use serde_json::{Map, Value};

use super::Bench;
use crate::{
    figures::{Bar, Row},
    system::{Node, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let size = bench.size;
    let (all, nothing) = synchronised(&mut bench.ours, size.entries)?;
    let cyrus = bench.cyrus.as_mut().map(|cyrus| synchronised(cyrus, size.cyrus_entries)).transpose()?;
    let scaled = |time: Duration| Duration::from_secs_f64(size.scaled(time.as_secs_f64()));
    let cyrus = cyrus.map(|(all, nothing)| (scaled(all), scaled(nothing)));
    let what = format!("ctl_mboxlist -m, {} mailboxes{}", size.entries, size.note());
    row(Row::seconds(format!("{what}, all to do"), Bar::Times(8.0), all, cyrus.map(|(all, _)| all)));
    let cyrus = cyrus.map(|(_, nothing)| nothing);
    row(Row::seconds(format!("{what}, nothing to do"), Bar::AtMost(1.0), nothing, cyrus));
    Ok(())
}

fn synchronised(system: &mut System, entries: usize) -> io::Result<(Duration, Duration)> {
    system.stop(Node::Backend)?;
    let (dump, _) = system.ctl_mboxlist("-d", None)?;
    let many = multiplied(&dump.stdout, entries)?;
    system.ctl_mboxlist("-u", Some(many.path()))?;
    let (_, all) = system.ctl_mboxlist("-m", None)?;
    let (_, nothing) = system.ctl_mboxlist("-m", None)?;
    system.spawn(Node::Backend)?;
    if let System::Ours(ours) = system {
        ours.wait_ready(Node::Backend)?;
    }
    Ok((all, nothing))
}

/// A dump of what is there, and of many mailboxes like one of them.
fn multiplied(dump: &[u8], entries: usize) -> io::Result<tempfile::NamedTempFile> {
    let held: Map<String, Value> = serde_json::from_slice(dump)?;
    let model = held.get("user.alice").and_then(Value::as_object).ok_or(io::ErrorKind::NotFound)?;
    let mut file = tempfile::NamedTempFile::new()?;
    let mut out = io::BufWriter::new(file.as_file_mut());
    let more = (0..entries).map(|n| {
        let (name, mut entry) = (format!("user.t{n:07}"), model.clone());
        entry.insert("name".into(), Value::from(name.as_str()));
        entry.insert("uniqueid".into(), Value::from(format!("bench{n:019}")));
        (name, Value::from(entry))
    });
    let mut begin = "{\n";
    for (name, entry) in held.clone().into_iter().chain(more) {
        write!(out, "{begin}{}: {entry}", Value::from(name))?;
        begin = ",\n";
    }
    out.write_all(b"\n}\n")?;
    out.flush()?;
    drop(out);
    Ok(file)
}
