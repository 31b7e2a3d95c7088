//! The destination's table, cell by cell.

use moves::destination::{Event, Phase, Reply, Step, Word, plan};

const ALL: [Option<Phase>; 6] = [
    None,
    Some(Phase::Incoming),
    Some(Phase::Prepared),
    Some(Phase::Committed),
    Some(Phase::Done),
    Some(Phase::Aborted),
];

const EVENTS: [Event; 15] = [
    Event::Begin,
    Event::Round,
    Event::Prepare,
    Event::Commit,
    Event::Abort,
    Event::Ask,
    Event::Start,
    Event::Heard(Word::Underway),
    Event::Heard(Word::Switched),
    Event::Heard(Word::Aborted),
    Event::Heard(Word::ListsItself),
    Event::Heard(Word::KnowsNothing),
    Event::Decided,
    Event::Followed,
    Event::ByHand,
];

#[test]
fn a_destination_does_in_each_phase_what_the_table_says() {
    // A letter a step: i p c d a write a phase, s sync, = compare, A adopt, h hold, ? ask around, f follow, r release; then the answer:
    // + yes, - no, nothing.
    let table = [
        // Begin Round Prepare Commit Abort Ask Start Underway Switched Aborted ListsItself KnowsNothing Decided Followed ByHand
        "i+ - - - + + . . . . . . . . -",
        "+ si+ s=p+ s=cA+ ar+ + ? . s=cA ar ar . s=cA . scA+",
        "i+ - - cA+ ar+ + h? . cA ar ar . cA . cA+",
        "- - - A+ - + Af . . . . . . d -",
        "- - - + - + . . . . . . . . -",
        "- - - - + + r . . . . . . . -",
    ];
    for (phase, row) in ALL.into_iter().zip(table) {
        let cells: Vec<&str> = row.split(' ').collect();
        assert_eq!(cells.len(), EVENTS.len(), "{phase:?}");
        for (event, cell) in EVENTS.into_iter().zip(cells) {
            assert_eq!(written(phase, event), cell, "{phase:?} {event:?}");
        }
    }
}

#[test]
fn what_a_destination_serves_it_never_gives_up() {
    for event in EVENTS {
        for phase in [Phase::Committed, Phase::Done] {
            let (steps, _) = plan(Some(phase), event);
            for step in steps {
                assert!(!matches!(step, Step::Release | Step::Hold), "{phase:?} {event:?}");
                assert!(
                    !matches!(step, Step::Write(Phase::Aborted | Phase::Incoming | Phase::Prepared)),
                    "{phase:?} {event:?}"
                );
            }
        }
    }
}

#[test]
fn a_destination_takes_over_only_by_a_word_of_the_source_or_of_the_master_or_of_an_operator() {
    for phase in ALL {
        for event in EVENTS {
            let (steps, _) = plan(phase, event);
            let committed = matches!(phase, Some(Phase::Committed | Phase::Done));
            let told = matches!(
                event,
                Event::Commit | Event::Decided | Event::Heard(Word::Switched) | Event::ByHand
            );
            assert!(!steps.contains(&Step::Adopt) || committed || told, "{phase:?} {event:?}");
        }
    }
}

fn written(phase: Option<Phase>, event: Event) -> String {
    let (steps, reply) = plan(phase, event);
    let mut text: String = steps.iter().map(|step| letter(*step)).collect();
    match reply {
        Reply::Yes => text.push('+'),
        Reply::No => text.push('-'),
        Reply::Nothing => {}
    }
    match text.is_empty() {
        true => ".".to_owned(),
        false => text,
    }
}

fn letter(step: Step) -> char {
    match step {
        Step::Write(Phase::Incoming) => 'i',
        Step::Write(Phase::Prepared) => 'p',
        Step::Write(Phase::Committed) => 'c',
        Step::Write(Phase::Done) => 'd',
        Step::Write(Phase::Aborted) => 'a',
        Step::Sync => 's',
        Step::Compare => '=',
        Step::Adopt => 'A',
        Step::Hold => 'h',
        Step::AskAround => '?',
        Step::Follow => 'f',
        Step::Release => 'r',
    }
}
