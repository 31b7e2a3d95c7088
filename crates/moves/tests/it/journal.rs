//! The files of moves: what is written is read again, whatever a crash leaves.

use std::fs;

use moves::{
    MoveId, destination,
    journal::{DIRECTORY, Expected, Item, JournalError, Journals, Record, Role},
    source,
};

#[test]
fn what_is_written_of_a_move_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (journals, none) = Journals::open(directory.path()).unwrap();
    assert_eq!(none, []);
    let (mut out, back) = (leaving(source::Phase::Copying), arriving(destination::Phase::Incoming));
    journals.write(&out).unwrap();
    journals.write(&back).unwrap();
    out.expected = Some(Expected { list: "6f".to_owned(), n: 7 });
    if let Role::Source { phase, .. } = &mut out.role {
        *phase = source::Phase::Switching;
    }
    journals.write(&out).unwrap();
    let (_, found) = Journals::open(directory.path()).unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.contains(&out) && found.contains(&back), "{found:?}");
    journals.remove(&out.id).unwrap();
    journals.remove(&out.id).unwrap();
    assert_eq!(Journals::read(directory.path()).unwrap(), [back]);
}

#[test]
fn a_crash_while_a_phase_is_written_leaves_the_phase_before() {
    let directory = tempfile::tempdir().unwrap();
    let (journals, _) = Journals::open(directory.path()).unwrap();
    let record = leaving(source::Phase::Copying);
    journals.write(&record).unwrap();
    let file = directory.path().join(DIRECTORY).join(format!("{}.json", record.id));
    let whole = fs::read(&file).unwrap();
    for cut in 0..whole.len() {
        fs::write(file.with_extension("new"), &whole[..cut]).unwrap();
        assert_eq!(Journals::read(directory.path()).unwrap(), std::slice::from_ref(&record), "{cut}");
    }
}

#[test]
fn a_damaged_file_of_a_move_is_never_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (journals, _) = Journals::open(directory.path()).unwrap();
    let record = leaving(source::Phase::Switching);
    journals.write(&record).unwrap();
    let file = directory.path().join(DIRECTORY).join(format!("{}.json", record.id));
    let whole = fs::read(&file).unwrap();
    for cut in 0..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        assert!(Journals::open(directory.path()).is_err(), "cut at {cut}");
        let mut flipped = whole.clone();
        flipped[cut] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let read = Journals::read(directory.path());
        // A checksum in capitals is the same one.
        assert!(read.is_err() || read.unwrap() == [record.clone()], "flipped at {cut}");
    }
}

#[test]
fn a_move_that_a_newer_program_wrote_is_refused_by_the_name_of_its_format() {
    let directory = tempfile::tempdir().unwrap();
    let (journals, _) = Journals::open(directory.path()).unwrap();
    let record = leaving(source::Phase::Kept);
    journals.write(&record).unwrap();
    let file = directory.path().join(DIRECTORY).join(format!("{}.json", record.id));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("murder-move 1 ", "murder-move 3 ", 1)).unwrap();
    let refused = Journals::open(directory.path()).unwrap_err();
    assert!(matches!(&refused, JournalError::Newer { format, .. } if format == "3"), "{refused}");
    assert!(
        refused.to_string().ends_with("format 3 of moves is not known to this program: a newer one wrote it")
    );
}

#[test]
fn no_id_that_another_server_sends_leads_out_of_the_directory() {
    let long = "a".repeat(65);
    for text in ["", "..", "../x", "a/b", "a.b", "a b", "ä", "a\0", "a\n", long.as_str()] {
        assert!(MoveId::parse(text).is_err(), "{text:?}");
        assert!(!moves::is_uniqueid(text), "{text:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let (journals, _) = Journals::open(directory.path()).unwrap();
    let mut record = arriving(destination::Phase::Incoming);
    record.items[0].uniqueid = "../../x".to_owned();
    assert!(journals.write(&record).is_err());
    assert_ne!(MoveId::new().unwrap(), MoveId::new().unwrap());
    assert_eq!(MoveId::new().unwrap().as_str().len(), 32);
}

#[test]
fn names_are_busy_until_the_master_follows_and_directories_are_held_until_a_move_is_given_up() {
    use destination::Phase as D;
    use source::Phase as S;
    for (phase, busy, holds) in [
        (S::Queued, true, true),
        (S::Copying, true, true),
        (S::Switching, true, true),
        (S::Switched, true, true),
        (S::Kept, true, true),
        (S::Aborted, false, false),
    ] {
        let record = leaving(phase);
        assert_eq!((record.is_busy(), record.holds_directories()), (busy, holds), "{phase:?}");
    }
    for (phase, busy, holds) in [
        (D::Incoming, true, true),
        (D::Prepared, true, true),
        (D::Committed, true, true),
        (D::Done, false, true),
        (D::Aborted, false, false),
    ] {
        let record = arriving(phase);
        assert_eq!((record.is_busy(), record.holds_directories()), (busy, holds), "{phase:?}");
    }
}

fn leaving(phase: source::Phase) -> Record {
    let role = Role::Source {
        phase,
        to: "be2.example.org".to_owned(),
        messages: 3,
        bytes: 4096,
        asked_by: "cyrus".to_owned(),
        frozen_at: None,
        keep_until: None,
        followed: false,
    };
    record("6f1c", role)
}

fn arriving(phase: destination::Phase) -> Record {
    record(
        "90ab",
        Role::Destination { phase, from: "be1.example.org".to_owned(), prepared_at: Some(1_764_000_000) },
    )
}

fn record(id: &str, role: Role) -> Record {
    let item = Item {
        name: "user.fred".to_owned(),
        uniqueid: "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned(),
        partition: "default".to_owned(),
        to_partition: "fast".to_owned(),
        acl: "fred\tlrswipkxtecdan\t".to_owned(),
        digest: None,
    };
    Record {
        id: MoveId::parse(id).unwrap(),
        root: "user.fred".to_owned(),
        items: vec![item],
        round: 2,
        started: 1_764_000_000,
        expected: None,
        why: None,
        wishes: moves::wishes::Wishes::default(),
        ended: None,
        purged: None,
        pause: None,
        role,
    }
}
