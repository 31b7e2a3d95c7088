//! Dumps from before Cyrus 3.6 (`ctl_mboxlist -u -L`): a line per mailbox.
//!
//! ```text
//! name TAB mbtype SP [server!]partition SP acl [>uniqueid SP mtime SP uidvalidity SP foldermodseq SP createdmodseq …]
//! ```
//! The ACL is in internal form, with TABs; the type is a sum of bits.

use mailboxes::{Entry, Flags, Local, State};
use protocol::{location::Location, location::ServerName, name::MailboxName};

/// Bits of a type.
const MOVING: u32 = 1 << 2;
const REMOTE: u32 = 1;
const RESERVE: u32 = 1 << 1;
const DELETED: u32 = 1 << 3;
const INTERMEDIATE: u32 = 1 << 4;

/// Reads a whole dump: the entries, and what is said of lines that are none.
pub fn read(text: &str, servername: &ServerName) -> (Vec<(MailboxName, Entry)>, Vec<String>) {
    let mut entries = Vec::new();
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        match entry(line, servername) {
            Ok(entry) => entries.push(entry),
            Err(why) => complaints.push(format!("line {number}: {why}")),
        }
    }
    (entries, complaints)
}

fn entry(line: &str, servername: &ServerName) -> Result<(MailboxName, Entry), String> {
    let (name, rest) = line.split_once('\t').ok_or("no TAB after the name")?;
    let name = MailboxName::parse(name).map_err(|_| format!("not a mailbox name: {name}"))?;
    let (mbtype, rest) = rest.split_once(' ').ok_or("no partition")?;
    let mbtype: u32 = mbtype.parse().map_err(|_| format!("not a type: {mbtype}"))?;
    let (partition, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (acl, tail) = match rest.rsplit_once('>') {
        Some((acl, tail)) => (acl, Some(tail)),
        None => (rest, None),
    };
    let remote = mbtype & REMOTE != 0 || partition.contains('!');
    let location = match (remote, partition.contains('!')) {
        (true, _) => Location::parse(partition).map_err(|error| error.to_string())?,
        (false, _) => Location::new(servername, partition),
    };
    let mut entry = Entry::active(location, acl);
    if mbtype & RESERVE != 0 {
        entry.state = State::Reserved;
    }
    if remote {
        return Ok((name, entry));
    }
    let mut fields = tail.unwrap_or("").split(' ');
    let uniqueid = fields.next().unwrap_or("").to_owned();
    let (mtime, uidvalidity) = (number("mtime", fields.next())?, number("UIDVALIDITY", fields.next())?);
    let uidvalidity =
        u32::try_from(uidvalidity).map_err(|_| format!("UIDVALIDITY: too large: {uidvalidity}"))?;
    let foldermodseq = number("foldermodseq", fields.next())?;
    let createdmodseq = number("createdmodseq", fields.next())?;
    let mut flags = Flags::LEGACY_DIRS;
    if mbtype & DELETED != 0 {
        flags = flags | Flags::DELETED;
    }
    if mbtype & INTERMEDIATE != 0 {
        flags = flags | Flags::INTERMEDIATE;
    }
    if mbtype & MOVING != 0 {
        entry.moving = Some(entry.location.clone());
    }
    entry.mtime = mtime;
    let local = Local {
        flags,
        mbtype: "e".into(),
        uniqueid,
        uidvalidity,
        createdmodseq,
        foldermodseq,
        mtime,
        name_history: Vec::new(),
    };
    Ok((name, entry.with_local(local)))
}

/// A field of the tail; 0 where an older dump does not have it. One that is there and is no number costs the line: a UIDVALIDITY
/// of 0 would have every client fetch the mailbox anew.
fn number(what: &str, field: Option<&str>) -> Result<u64, String> {
    match field {
        None | Some("") => Ok(0),
        Some(field) => field.parse().map_err(|_| format!("{what}: not a number: {field}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_cannot_be_read_costs_its_line_and_is_told() {
        let server = ServerName::parse("be1").unwrap();
        let text = "user.a\t0 default a\tlrs\t>id 5 6x 7 8\nuser.b\t0 default b\tlrs\t>id 5 4294967296 7 8\n\
                    user.c\t0 default c\tlrs\t>id 5 6 7 -8\nuser.d\t0 default d\tlrs\t>id 5 4294967295\n";
        let (entries, complaints) = read(text, &server);
        let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["user.d"]);
        assert_eq!(entries[0].1.local.as_ref().unwrap().uidvalidity, u32::MAX);
        assert_eq!(
            complaints,
            [
                "line 1: UIDVALIDITY: not a number: 6x",
                "line 2: UIDVALIDITY: too large: 4294967296",
                "line 3: createdmodseq: not a number: -8"
            ]
        );
    }

    #[test]
    fn old_lines_of_both_ages_are_read() {
        let server = ServerName::parse("be1").unwrap();
        let text = "user.fred\t0 default fred\tlrs\t\nuser.bob\t0 default bob\tlrs\t>abc 5 6 7 8\n\
                    user.eve\t1 be2!default eve\tlrs\t\nbroken\nx\tq default\n";
        let (entries, complaints) = read(text, &server);
        let places: Vec<_> =
            entries.iter().map(|(name, entry)| format!("{name} {}", entry.location)).collect();
        assert_eq!(places, ["user.fred be1!default", "user.bob be1!default", "user.eve be2!default"]);
        let bob = entries[1].1.local.clone().unwrap();
        assert_eq!(
            (bob.uniqueid.as_str(), bob.uidvalidity, bob.foldermodseq, bob.createdmodseq),
            ("abc", 6, 7, 8)
        );
        assert_eq!(&*entries[1].1.acl, "bob\tlrs\t");
        assert!(entries[2].1.local.is_none());
        assert_eq!(complaints, ["line 4: no TAB after the name", "line 5: not a type: q"]);
    }
}
