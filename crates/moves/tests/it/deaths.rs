//! What a death of each of the three leads to, at each stage of a move.

use moves::{
    destination::Phase as Taken,
    source::{Phase, Step, Whose},
};

use super::world::{Fault, World};

#[test]
fn a_source_that_dies_while_it_copies_goes_on_at_its_start() {
    let mut world = until(Step::Round);
    world.kill_source();
    ends_at_destination(world);
}

#[test]
fn a_destination_that_dies_while_it_is_copied_to_is_waited_for() {
    let mut world = until(Step::Round);
    world.kill_destination();
    world.go();
    assert!(world.source_accepts(), "mail flows meanwhile");
    assert_eq!(world.step(), Some(Step::Begin));
    ends_at_destination(world);
}

#[test]
fn a_source_that_dies_frozen_accepts_changes_again_at_its_start() {
    let mut world = until(Step::Prepare);
    assert!(!world.source_accepts());
    world.kill_source();
    world.revive();
    assert!(world.source_accepts());
    ends_at_destination(world);
}

#[test]
fn gates_open_when_the_destination_dies_before_it_is_prepared() {
    let mut world = until(Step::Prepare);
    world.kill_destination();
    world.go();
    assert_eq!(world.step(), Some(Step::Thaw));
    world.go();
    assert!(world.source_accepts());
    assert_eq!(world.s.disk, Phase::Copying);
    ends_at_destination(world);
}

#[test]
fn a_destination_that_was_prepared_for_nothing_serves_nothing() {
    let mut world = until(Step::Write(Phase::Switching));
    assert_eq!(world.d.disk, Some(Taken::Prepared));
    world.kill_source();
    world.destination_goes();
    assert_eq!(world.d.disk, Some(Taken::Prepared));
    world.revive();
    world.destination_goes();
    assert!(!world.destination_accepts() && world.source_accepts());
    ends_at_destination(world);
}

#[test]
fn a_switch_without_an_answer_is_fenced_and_the_mailbox_stays() {
    let mut world = until(Step::Activate);
    world.unheard_at_master(false);
    assert_eq!(world.step(), Some(Step::Fence));
    world.kill_source();
    world.revive();
    assert_eq!(world.step(), Some(Step::Fence));
    assert!(!world.source_accepts(), "nobody knows yet");
    let settled = world.heal();
    assert_eq!(settled.check_settled(), Ok(()));
    assert_eq!((settled.s.disk, settled.m.at), (Phase::Aborted, Some(Whose::Source)));
}

#[test]
fn a_switch_whose_answer_was_lost_is_a_switch() {
    let mut world = until(Step::Activate);
    world.unheard_at_master(true);
    world.kill_source();
    assert_eq!(world.m.at, Some(Whose::Destination));
    ends_at_destination(world);
}

#[test]
fn writes_wait_as_long_as_the_master_does_not_answer() {
    let mut world = until(Step::Activate);
    world.m.up = false;
    for _ in 0..10 {
        world.go();
        assert_eq!(world.step(), Some(Step::Fence));
        assert!(!world.source_accepts() && !world.destination_accepts());
    }
    let settled = world.heal();
    assert_eq!(settled.check_settled(), Ok(()));
}

#[test]
fn a_destination_learns_from_the_master_alone_that_it_is_its_turn() {
    let mut world = until(Step::Commit);
    assert_eq!(world.s.disk, Phase::Switched);
    world.kill_source();
    world.destination_goes();
    assert!(world.destination_accepts());
    ends_at_destination(world);
}

#[test]
fn a_source_names_the_destination_though_that_is_dead() {
    let mut world = until(Step::Commit);
    world.kill_destination();
    world.go();
    assert_eq!(world.step(), Some(Step::Hide));
    world.go();
    assert!(!world.source_accepts() && !world.s.lists);
    ends_at_destination(world);
}

#[test]
fn the_master_follows_for_the_other_items_though_the_source_is_dead() {
    let mut world = until(Step::Follow);
    world.kill_source();
    world.destination_goes();
    assert_eq!((world.d.disk, world.m.below), (Some(Taken::Done), Whose::Destination));
    ends_at_destination(world);
}

#[test]
fn the_destinations_journal_decides_when_the_master_lost_its_list() {
    let mut world = until(Step::Activate);
    world.lose_list();
    world.go();
    assert_eq!(world.step(), Some(Step::AskPeer));
    world.go();
    assert_eq!(world.step(), Some(Step::Withdraw));
    assert!(!world.source_accepts());
    world.go();
    assert_eq!(world.d.disk, Some(Taken::Aborted));
    let settled = world.heal();
    assert_eq!(settled.check_settled(), Ok(()));
    assert_eq!((settled.s.disk, settled.m.at), (Phase::Aborted, Some(Whose::Source)));
}

/// A move that is about to take this step; nothing has gone wrong.
fn until(step: Step) -> World {
    let mut world = World::new(Fault::None, 0);
    for _ in 0..20 {
        if world.step() == Some(step) {
            return world;
        }
        world.go();
    }
    panic!("no move comes to {step:?}");
}

fn ends_at_destination(world: World) {
    let settled = world.heal();
    assert_eq!(settled.check_settled(), Ok(()));
    assert_eq!((settled.s.disk, settled.d.disk), (Phase::Kept, Some(Taken::Done)));
}
