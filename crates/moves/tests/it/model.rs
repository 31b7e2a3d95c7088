//! Every order of steps, changes, lost and late messages and deaths, up to two misfortunes a move.

use std::collections::{HashMap, VecDeque};

use super::world::{Fault, World};

#[test]
fn a_move_ends_with_the_mailbox_whole_on_one_side_whatever_two_things_go_wrong() {
    let seen = explore(Fault::None, 2).unwrap_or_else(|found| panic!("{found}"));
    assert!(seen > 5000, "{seen} states were seen");
}

#[test]
fn a_doubt_that_is_resolved_by_reading_is_noticed() {
    noticed(Fault::DoubtByReading);
}

#[test]
fn a_destination_that_takes_over_by_itself_is_noticed() {
    noticed(Fault::DestinationDecides);
}

#[test]
fn expectations_without_a_number_are_noticed() {
    noticed(Fault::NoNumber);
}

#[test]
fn a_switch_that_is_on_disk_only_afterwards_is_noticed() {
    noticed(Fault::WrittenAfterwards);
}

#[test]
fn a_last_difference_without_a_freeze_is_noticed() {
    noticed(Fault::NoFreeze);
}

#[test]
fn the_word_of_a_master_that_lost_its_list_is_noticed() {
    noticed(Fault::AnyList);
}

fn noticed(fault: Fault) {
    let found = explore(fault, 2);
    assert!(found.is_err(), "{fault:?} went unnoticed in {found:?} states");
}

/// Sees every state that can be reached. The number of states; or what is wrong, and the way there.
fn explore(fault: Fault, misfortunes: u8) -> Result<usize, String> {
    let mut ways: HashMap<World, Option<(World, String)>> = HashMap::new();
    let mut queue = VecDeque::from([World::new(fault, misfortunes)]);
    ways.insert(World::new(fault, misfortunes), None);
    while let Some(world) = queue.pop_front() {
        let settled = world.clone().heal();
        if let Err(wrong) = world.check().and_then(|()| settled.check_settled()) {
            return Err(format!("{wrong}\n{}\n{world:#?}\nhealed: {settled:#?}", way(&ways, &world)));
        }
        for (name, next) in world.successors() {
            if !ways.contains_key(&next) {
                ways.insert(next.clone(), Some((world.clone(), name)));
                queue.push_back(next);
            }
        }
    }
    Ok(ways.len())
}

fn way(ways: &HashMap<World, Option<(World, String)>>, end: &World) -> String {
    let mut names = Vec::new();
    let mut at = end;
    while let Some(Some((before, name))) = ways.get(at) {
        names.push(name.as_str());
        at = before;
    }
    names.reverse();
    names.join("\n")
}
