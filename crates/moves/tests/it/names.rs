//! What the comparison of the lists is told of moves.

use mailboxes::reconcile::Busy;
use moves::{
    destination,
    journal::{Item, Record, Role},
    names::Names,
    source,
};
use protocol::{location::Location, name::MailboxName};

fn record(started: u64, role: Role) -> Record {
    let item = |name: &str, id: &str| Item {
        name: name.into(),
        uniqueid: id.into(),
        partition: "default".into(),
        to_partition: "fast".into(),
        acl: String::new(),
        digest: None,
    };
    Record {
        id: moves::MoveId::new().unwrap(),
        root: "user.fred".into(),
        items: vec![item("user.fred", "id-1"), item("user.fred.Sent", "id-2")],
        round: 1,
        started,
        expected: None,
        why: None,
        wishes: moves::wishes::Wishes::default(),
        ended: None,
        purged: None,
        pause: None,
        role,
    }
}

fn gave(started: u64, phase: source::Phase, to: &str) -> Record {
    let role = Role::Source {
        phase,
        to: to.into(),
        messages: 0,
        bytes: 0,
        asked_by: "cyrus".into(),
        frozen_at: None,
        keep_until: None,
        followed: true,
    };
    record(started, role)
}

fn took(started: u64, phase: destination::Phase, from: &str) -> Record {
    record(started, Role::Destination { phase, from: from.into(), prepared_at: None })
}

fn busy(records: &[Record], name: &str, here: Option<&str>) -> Busy {
    Names::of(records).busy(&MailboxName::parse(name).unwrap(), here)
}

fn given(to: &str) -> Busy {
    Busy::Given { to: Location::parse(&format!("{to}!fast")).unwrap() }
}

#[test]
fn the_names_of_a_move_that_is_not_over_are_left_to_it() {
    for record in [
        gave(1, source::Phase::Copying, "be2"),
        gave(1, source::Phase::Switching, "be2"),
        took(1, destination::Phase::Prepared, "be2"),
        took(1, destination::Phase::Committed, "be2"),
    ] {
        for (name, here) in [("user.fred", Some("id-1")), ("user.fred.Sent", None)] {
            assert_eq!(busy(std::slice::from_ref(&record), name, here), Busy::Moving, "{record:?}");
        }
        assert_eq!(busy(&[record], "user.jane", Some("id-9")), Busy::Free);
    }
}

#[test]
fn of_a_move_there_and_back_within_a_second_that_one_counts_which_fits_what_is_here() {
    let (there, back) = (gave(1, source::Phase::Kept, "be2"), took(1, destination::Phase::Done, "be2"));
    for records in [[there.clone(), back.clone()], [back, there]] {
        assert_eq!(busy(&records, "user.fred", Some("id-1")), Busy::Arrived { from: "be2".into() });
        assert_eq!(busy(&records, "user.fred", None), given("be2"));
    }
}

#[test]
fn of_several_moves_of_a_mailbox_the_latest_counts() {
    let back = [
        gave(1, source::Phase::Kept, "be2"),
        took(2, destination::Phase::Done, "be2"),
        gave(3, source::Phase::Kept, "be3"),
    ];
    assert_eq!(busy(&back, "user.fred", None), given("be3"));
    assert_eq!(busy(&back[..2], "user.fred", Some("id-1")), Busy::Arrived { from: "be2".into() });
    assert_eq!(busy(&back[..1], "user.fred.Sent", None), given("be2"));
    let aborted = [gave(1, source::Phase::Kept, "be2"), took(2, destination::Phase::Aborted, "be2")];
    assert_eq!(busy(&aborted, "user.fred", None), given("be2"));
}

#[test]
fn a_mailbox_that_was_made_anew_is_no_moves() {
    assert_eq!(busy(&[gave(1, source::Phase::Kept, "be2")], "user.fred", Some("id-9")), Busy::Free);
    assert_eq!(busy(&[took(1, destination::Phase::Done, "be2")], "user.fred", Some("id-9")), Busy::Free);
    assert_eq!(busy(&[took(1, destination::Phase::Done, "be2")], "user.fred", None), Busy::Free);
}
